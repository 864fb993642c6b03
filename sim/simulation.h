// Simulation: one seed, from the first connect to the last closed stream: a real worker on a
// simulated network, or several with a master, many parties, and the checkers.
//
// In order: the *storm*, in which everything goes wrong that the swarm draws; the *calm*: no new
// fault, and after a while in which the worker must have noticed every lost connection, clients go
// on talking; then *rest*: all that is owed has arrived, and the books balance; then the *end*: a
// drain, a shutdown, or everybody leaves, and nothing may be left open. Limits: every phase has a
// bound in virtual time and in steps; beyond it the worker hangs, which is a violation too.
#pragma once

#include "sim/party.h"

#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace wspool::sim {

struct SimulationOptions {
    bool prints = false;
    PlantKind plant = PlantKind::none;
    bool has_workers = false;  // several, of which some die in the storm
    hub::Plant fault;          // in the workers themselves
};

struct Report {
    std::uint64_t seed = 0;
    std::string violation;  // empty: none
    std::uint64_t hash = 0;
    std::uint64_t lines = 0;
    std::uint64_t turns = 0;
    std::size_t sessions = 0;
    std::size_t deliveries = 0;
    bool has_planted = false;  // a fault, and it must have been noticed
    Duration virtual_time{};
    metrics::Counters counters;  // the worker's, in the end; of several only what is open
    std::uint64_t deaths = 0;
    std::size_t recovered = 0;  // joins of clients that came back
    std::size_t unrecovered = 0;
};

class Simulation {
  public:
    Simulation(std::uint64_t seed, const SimulationOptions& options);
    [[nodiscard]] Report run();

  private:
    // ---- phases
    void storm();
    void settle();
    void calm();
    void rest();
    void end();

    // ---- time
    void step(Instant until);
    void run_until(Instant time);
    // False: it did not come about within `limit`.
    bool run_until(const std::function<bool()>& done, Duration limit, const char* what);
    void clients_turn();

    // ---- workload (workload.cpp)
    void connect();
    void connect_party(const PartyOptions& options);
    void act();
    void speak(Party& party);
    void misbehave_in_calm();
    void give_up(Party& party);
    void schedule_deaths();
    void on_death(const SimLoop& loop);
    void come_back(const Session& lost);
    void probe_ids();
    [[nodiscard]] Party* some_party();
    [[nodiscard]] std::size_t draw_size(const Party& party);
    [[nodiscard]] const std::string& some_group();
    [[nodiscard]] std::string some_target();

    // ---- checks
    void last_words();
    void barrier();
    void check_survivors();
    void check_books();
    void check_nothing_is_left();
    [[nodiscard]] bool holds() const { return journal_.is_clean(); }
    [[nodiscard]] std::size_t open_parties() const;

    Swarm swarm_;
    Network network_;
    SimLoop client_loop_;
    Prng prng_;
    Journal journal_;
    History history_;
    Deliveries deliveries_;
    Plant plant_;
    Gateway gateway_;
    World world_;
    std::deque<std::unique_ptr<Party>> parties_;
};

// What the process prints when an assertion of the worker aborts it: how to replay the seed.
void announce_seed_on_abort();
enum class SeedOf : std::uint8_t { gateway, workers, client };
void note_running_seed(std::uint64_t seed, SeedOf whose);

}  // namespace wspool::sim
