// Plant: a fault planted on purpose, once, between the worker and one client, in the calm: the
// checkers must notice it. How we know that they can.
#pragma once

#include <cstdint>
#include <string>

namespace wspool::sim {

enum class PlantKind : std::uint8_t {
    none,
    drop_broadcast,
    double_broadcast,
    swap_broadcasts,  // two of one group, neighbours for this receiver
    change_byte,      // of a broadcast
    leak_broadcast,   // to a client that is no member
    drop_direct,
    double_direct,
    drop_answer,
    swap_answers,
    drop_echo,
    lose_close_frame,  // the client never gets it
    change_close_code,
};

struct Plant {
    PlantKind kind = PlantKind::none;
    bool is_done = false;
    std::string held;  // swap: the first of the two
    int victim = -1;   // the session that it struck
    // Who had said what was dropped: when it breaks off unacknowledged, and nobody else was a
    // member, nobody can know that the worker ever took the message.
    int sender = -1;
    // A client that breaks off before the end is owed nothing, and so misses nothing.
    bool must_be_noticed = false;
};

}  // namespace wspool::sim
