// Swarm: the settings of one simulation, drawn from its seed: the worker's limits, the weather, and
// how often clients do what. Drawing the probabilities too, and many of them as zero, reaches
// corners that one fixed mixture never would.
#pragma once

#include "sim/network.h"
#include "worker/worker.h"

#include <cstdint>
#include <string>
#include <vector>

namespace wspool::sim {

struct Swarm {
    std::uint64_t seed = 0;
    worker::WorkerOptions worker;
    Weather storm;
    Duration storm_length{};
    Duration turn_cost_max{};  // how long a turn of the worker may take
    int clients = 0;           // that connect at the beginning
    int actions = 0;           // during the storm
    int calm_actions = 0;
    std::vector<std::string> groups;
    std::vector<std::string> ids;  // that some clients ask for; few, so that they meet
    // Chances, per client.
    double has_id = 0;
    double offers_deflate = 0;
    double wants_welcome = 0;
    double is_echo = 0;
    double is_slow = 0;      // pauses after each read
    double reads_never = 0;  // from some time on
    // Weights, per action.
    double publishes = 1;
    double directs = 0;
    double joins = 0;
    double leaves = 0;
    double asks = 0;  // pings, unknown types, bad requests, bad JSON
    double control = 0;
    double connects = 0;
    double departs = 0;  // closes, half closes, resets
    double misbehaves = 0;
    // Shape of messages.
    double is_large = 0;
    double comes_in_bursts = 0;
    double is_fragmented = 0;
    double is_compressed = 0;
    double is_binary = 0;
    double has_message_id = 0;
    // Several workers, with a master.
    std::size_t workers = 1;
    int deaths = 0;
    double second_death = 0;  // that it befalls the youngest, soon after it was born
    int pauses = 0;           // of a worker
    Duration pause_max{};
    double comes_back = 0;  // who lost its connection with its worker
    double gives_up = 0;    // who connects, before it is answered

    // Whether the storm can delay or hold up bytes so much that a worker rightly loses patience.
    [[nodiscard]] bool tries_patience() const {
        return storm.stall > 0 || storm.buffer_size < 64 * 1024 || pauses > 0;
    }
};

[[nodiscard]] Swarm draw_swarm(std::uint64_t seed);
// The same with several workers, of which some die.
[[nodiscard]] Swarm draw_workers_swarm(std::uint64_t seed);

}  // namespace wspool::sim
