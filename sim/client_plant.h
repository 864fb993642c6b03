// ClientPlant: a fault planted on purpose between the client pool and its loop, its servers or its
// user: what a bug in the pool would look like from outside. The checkers must notice it.
#pragma once

#include <cstdint>

namespace wspool::sim {

enum class ClientPlantKind : std::uint8_t {
    none,
    lose_release,         // a lease that was given back stays out
    lose_cancel,          // who was cancelled keeps its place, and gets a connection
    lose_grant,           // an acquire is never told of its lease
    double_grant,         // or told twice
    swap_replies,         // a request is told the answer of another
    stale_revocation,     // the end of an old lease strikes again
    lose_unsubscribe,     // what is not wanted is replayed
    replay_twice,         // a subscription is
    lose_message,         // one that was sent
    double_message,       // is sent twice
    change_message,       // one byte of it
    lose_timers,          // deadlines are forgotten, from the calm on
    keep_descriptor,      // a stream that is closed stays open
    no_connect_deadline,  // a connect may take for ever
    no_backoff,           // connects follow each other at once
    too_many,             // one connection more than allowed
    lend_twice,           // a connection to two clients
};

struct ClientPlant {
    ClientPlantKind kind = ClientPlantKind::none;
    bool is_armed = false;  // in the calm
    bool is_done = false;

    // Whether the fault strikes here, which it does once.
    [[nodiscard]] bool strikes(ClientPlantKind here) {
        if (kind != here || !is_armed || is_done) return false;
        is_done = true;
        return true;
    }
};

}  // namespace wspool::sim
