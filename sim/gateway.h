// Gateway: the server's side of a simulation: one worker alone, or several with a master: each on a
// loop of its own, linked with each other, and dying, standing still and being replaced as it is
// drawn. For Simulation, which gives it turns.
//
// How it works: with one worker there is no master (as in `serve --single-process`). Otherwise the
// real master::Supervisor decides, and what master.h does for it is done here: births with a pair
// of sockets to everybody who lives, whose other ends the living get a while later; listeners that
// outlive the workers; ends that are noticed a while after they came. A process dies between two
// turns, or after any number of the system calls of one.
//
// Invariant: a place has at most one process; links join processes that lived at the same time.
// Ownership: owns loops, workers and listeners. The loops of the dead stay until the end, as the
// network may still name them.
#pragma once

#include "base/random.h"
#include "master/supervisor.h"
#include "sim/history.h"
#include "sim/journal.h"
#include "sim/sim_loop.h"
#include "sim/swarm.h"
#include "worker/worker.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace wspool::sim {

class Gateway {
  public:
    Gateway(const Swarm& swarm, Network& network, Journal& journal, History& history, Prng& prng);
    ~Gateway();

    [[nodiscard]] const io::Address& address() const { return address_; }
    // All serve; before that nobody dies.
    [[nodiscard]] bool is_ready() const { return !supervisor_ || is_ready_; }
    // All live, each home serves what its index is home of, and nothing is under way between them.
    [[nodiscard]] bool is_at_rest() const;

    // ---- turns
    [[nodiscard]] Instant next_turn_time();
    // Those that were due when next_turn_time() was asked.
    void turn();
    [[nodiscard]] std::uint64_t turns() const { return turns_; }

    // ---- what befalls it
    // Somebody dies, now or within its next turn; the youngest, or anybody.
    void crash(bool prefers_young);
    void freeze(Duration time);
    // Told when a worker has died, before anybody else is.
    void set_on_death(std::function<void(const SimLoop&)> told) { on_death_ = std::move(told); }

    // ---- the end: as one who runs it ends it
    void drain();
    void shut_down();
    // Every connection is closed, and with a master every process has ended.
    [[nodiscard]] bool is_over() const;

    // ---- to know
    // Of those that live.
    [[nodiscard]] metrics::Counters counters() const;
    // Of the process that has, or had, this loop; 0: none.
    [[nodiscard]] std::uint64_t incarnation_of(const SimLoop* loop) const;
    [[nodiscard]] std::uint64_t deaths() const { return deaths_; }
    // At rest: so many clients, in these groups.
    void check_books(std::size_t clients, const std::set<std::string>& groups) const;
    // In the end.
    void check_nothing_is_left() const;

  private:
    enum class Life : std::uint8_t { none, booting, running };
    struct Process {
        Life life = Life::none;
        std::uint64_t incarnation = 0;
        std::unique_ptr<SimLoop> loop;
        std::unique_ptr<SeededEntropy> entropy;
        std::unique_ptr<worker::Worker> worker;
        std::vector<link::PeerLink> peers;  // that it is born with
        std::deque<link::PeerLink> line;    // that the master told since
        Instant line_arrival{};             // nothing that the master says later arrives earlier
        Instant free_at{};                  // not before: it computes, or is frozen
        Instant due = never;
        Instant beat{};
        Instant ends_at = never;  // it was told to stop
        bool is_woken = false;    // something was decided since its last turn
        bool has_said_drained = false;
        std::optional<std::size_t> last_orders;  // it dies within its next turn
    };

    void start_alone();
    void start_master();
    [[nodiscard]] Duration draw_delay(Duration most);

    // ---- processes
    void start(std::size_t place, std::uint64_t incarnation);
    void link(std::size_t place, std::size_t other);
    void boot(std::size_t place);
    void turn(std::size_t place);
    void follow_orders(std::size_t place);
    void die(std::size_t place);
    void end(std::size_t place);
    void clear(std::size_t place);
    void discard(const link::PeerLink& peer);
    void turn_alone();
    void note(const Process& process, const std::string& text);
    [[nodiscard]] Process* find(std::size_t place, std::uint64_t incarnation);

    // ---- the master
    void master_turn();
    void act(const master::Action& action);
    void tell(std::size_t place, const std::function<void(Process&)>& what);
    void hear(std::size_t place, std::function<void()> what);

    // ---- checks
    void check_turn(const Process& process);
    void check_bounds(const Process& process);
    void check_sent(const LinkRef& link, int side, std::string_view wanted, bool is_whole);
    void check_left(const Process& process) const;

    const Swarm& swarm_;
    Network& network_;
    Journal& journal_;
    History& history_;
    Prng& prng_;   // of the simulation
    Prng random_;  // our own
    io::Address address_{io::Address::Family::ipv4, "10.0.0.1", 0};
    HashKey key_;
    std::vector<Process> processes_;                  // by place
    std::unique_ptr<master::Supervisor> supervisor_;  // null: one worker alone
    Instant master_due_ = never;
    std::vector<int> listeners_;     // by place
    std::vector<Instant> heard_at_;  // by place: nothing that it says later is heard earlier
    std::vector<std::unique_ptr<SimLoop>> dead_loops_;
    std::map<const SimLoop*, std::uint64_t> incarnations_;
    std::map<std::pair<LinkRef, int>, bool> link_was_whole_;  // its last send was taken whole
    std::function<void(const SimLoop&)> on_death_;
    std::uint64_t turns_ = 0;
    std::uint64_t deaths_ = 0;
    bool is_ready_ = false;
    bool is_finished_ = false;
};

}  // namespace wspool::sim
