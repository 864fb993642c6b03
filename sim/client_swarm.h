// ClientSwarm: the settings of one simulation of the client pool, drawn from its seed: the pool's
// bounds and times, hosts with their addresses and the faults of their servers, the weather, what
// the resolver answers, and how often the user does what. Many chances are drawn as zero.
#pragma once

#include "client/core_options.h"
#include "sim/network.h"

#include <cstdint>
#include <string>
#include <vector>

namespace wspool::sim {

// How a server behaves towards connections that it accepts from then on.
enum class Mood : std::uint8_t {
    healthy,
    closes_at_once,  // accepts, and closes
    breaks_soon,     // upgrades, and breaks off a moment later
    closes_soon,     // upgrades, and closes properly a moment later, with a code that is drawn
    slow,            // everything comes late
    lies,            // see Lie
    refuses,         // nobody listens; open connections are reset
    silent,          // accepts, and never says anything
    mute,            // upgrades, and never says anything more, not even a pong
    vanished,        // nothing arrives any more, in either direction
    count_
};

// What a lying server says instead of the truth.
enum class Lie : std::uint8_t {
    wrong_key,      // in the handshake
    status_200,     // whole
    status_503,     // whole
    garbage,        // instead of a head
    bad_extension,  // one that nobody offered
    bad_protocol,   // a subprotocol that nobody offered
    half_head,      // and then nothing
    masked_frame,   // after a right handshake
    bad_opcode,
    bad_close_code,
    count_
};

struct MoodChange {
    Instant at{};
    Mood mood{};
};

struct HostPlan {
    std::string name;
    std::vector<io::Address> live;   // the server listens there
    std::vector<io::Address> dead;   // refused
    std::vector<io::Address> holes;  // never answered
    std::vector<MoodChange> changes;
    std::uint32_t subscriptions_max = 0;  // wanted at a time, so that acquires find room
};

struct ClientSwarm {
    std::uint64_t seed = 0;
    client::CoreOptions core;
    Weather storm;
    Duration storm_length{};
    Duration turn_cost_max{};  // how long a turn of the user's may take
    bool is_crowd = false;     // many hosts that are all subscribed, for the herd
    bool ends_in_storm = false;
    std::vector<HostPlan> hosts;
    std::uint32_t paths = 1;  // targets of each host
    int actions = 0;          // during the storm
    int calm_actions = 0;
    // Chances of the resolver, per name asked in the storm.
    double resolves_late = 0;
    double resolves_never = 0;
    double resolves_to_nothing = 0;
    double resolves_wrongly = 0;  // to dead addresses, or to another host's
    double resolver_is_full = 0;
    bool resolver_has_fd = true;
    // Weights, per action.
    double acquires = 1;
    double sends_once = 0;
    double requests = 0;
    double subscribes = 0;
    double unsubscribes = 0;
    double cancels = 0;
    double discards = 0;
    double sends = 1;
    double stale_calls = 0;  // of names that are gone
    // Shape.
    double has_client_id = 0;
    double has_deadline = 1;
    double is_patient = 0;     // holds a lease for seconds instead of milliseconds
    double is_persistent = 0;  // an acquire is of a persistent lease
    double keeps_notice = 0;   // does not give back what it was told to
    double is_large = 0;
    double comes_in_bursts = 0;
    double server_pushes = 0;  // after a message that arrived
    double answers_late = 0;   // requests, in the storm
    Duration lateness_max{};   // of slow servers, late answers and late names

    // How long the pool may take to notice that a peer is gone.
    [[nodiscard]] Duration detection_bound() const {
        return core.ping_interval * 2 + core.ping_timeout + core.write_timeout;
    }
};

[[nodiscard]] ClientSwarm draw_client_swarm(std::uint64_t seed);

}  // namespace wspool::sim
