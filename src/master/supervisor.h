// Supervisor: the master's decisions: whom to start and when, whom to kill, what to tell whom, when
// all is over. For the driver (master.h), which does what it says and tells it what happened. Pure:
// the time comes in, actions come out.
//
// How it works: each place is a worker's index or, behind them, the control process. A place whose
// process ended is started again at once (R4: the driver reports an end after waitpid), as a fresh
// incarnation; one whose processes keep dying young is put off, longer each time. A process whose
// heartbeat stands still is killed, which ends it like any other. The phases are
//   starting → running → draining → stopping → finished
// The first signal to end drains all workers; one that has nobody left reports drained and goes on
// refusing newcomers until all have, for otherwise these would wait at a listener that nobody
// serves. Then all are stopped. A process that dies before all were ready once ends the start.
//
// Invariants: 1. a place has at most one process that is not reported as ended.
//             2. incarnations rise, and none is given twice.
//             3. no place waits for a start in `stopping` or `finished`.
//             4. `finished` comes once, last, and with no process left.
// Limits: SupervisorOptions, and the constants in supervisor.cpp.
#pragma once

#include "base/time.h"
#include "metrics/page.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace wspool::master {

struct SupervisorOptions {
    std::size_t workers = 1;
    bool has_control = false;
    Duration stall = std::chrono::seconds(3);             // health.stall
    Duration health_interval = std::chrono::seconds(30);  // health.interval; 0: off
};

enum class ActionKind : std::uint8_t {
    // ---- to be done
    start,         // fork `place` as `incarnation`, then on_started() or on_start_failed()
    kill,          // at once; on_ended() follows when it was waited for
    drain,         // tell it to drain; on_drained() follows
    shut_down,     // tell it to close the rest at once; on_drained() follows
    stop,          // tell it to end
    check_health,  // the interval is over: look at the figures
    // ---- to be told
    ready,           // all processes are ready for the first time
    died,            // `death`, `detail`, and `duration` that it lived
    stalled,         // it is killed, having shown no sign of life for `duration`
    crash_loop,      // its next start is put off by `duration`
    start_failed,    // one died before all were ready: all are stopped
    draining,        // the first signal
    shutting_down,   // the second
    reload,          // SIGHUP: read the configuration again
    cannot_upgrade,  // SIGUSR2
    finished,        // last; `exit_status`
};

struct Action {
    ActionKind kind{};
    std::size_t place = 0;
    std::uint64_t incarnation = 0;
    std::uint64_t pid = 0;
    metrics::DeathKind death{};
    std::uint64_t detail = 0;
    Duration duration{};
    int exit_status = 0;
};

enum class Order : std::uint8_t { end, reload, upgrade };

class Supervisor {
  public:
    Supervisor(const SupervisorOptions& options, Instant now);

    void on_started(std::size_t place, std::uint64_t pid, Instant now);
    void on_start_failed(std::size_t place, Instant now);
    void on_ready(std::size_t place, Instant now);
    // Told to, or of its own accord, as somebody sent it SIGTERM: then it is stopped and replaced.
    void on_drained(std::size_t place, Instant now);
    // The process was waited for: `by_signal` with the signal, or with its exit status.
    void on_ended(std::size_t place, bool by_signal, int detail, Instant now);
    // What the page says; often, for every place.
    void on_heartbeat(std::size_t place, Instant beat, Instant now);
    void on_order(Order order, Instant now);
    void on_time(Instant now);
    // From here on; nobody is late for what was asked of it before.
    void set_health(Duration stall, Duration health_interval, Instant now);

    [[nodiscard]] bool next_action(Action& action);
    [[nodiscard]] Instant next_deadline() const;

    [[nodiscard]] std::size_t place_count() const { return places_.size(); }
    [[nodiscard]] bool is_control(std::size_t place) const { return place == options_.workers; }
    // It has a process that was not waited for.
    [[nodiscard]] bool is_living(std::size_t place) const;
    [[nodiscard]] bool is_draining() const { return phase_ >= Phase::draining; }
    [[nodiscard]] const metrics::Life& life(std::size_t place) const;
    void check_invariants() const;

  private:
    enum class Phase : std::uint8_t { starting, running, draining, stopping, finished };
    struct Process {
        metrics::Life life;
        Instant ready_at = never;
        Instant start_due = never;       // `dead`: when to start again
        Instant beat{};                  // last seen on the page
        Instant silent_since{};          // and since when it has been that
        std::uint64_t young_deaths = 0;  // in a row
        bool is_drained = false;
        bool is_killed = false;  // by us, for being silent
    };

    void change_phase(Phase phase);
    void start(std::size_t place, Instant now);
    void put_off(std::size_t place, Instant now);
    void begin_drain();
    void begin_stop(Instant now);
    void look_whether_drained(Instant now);
    void look_whether_finished();
    void act(ActionKind kind, std::size_t place = 0, Duration duration = {});

    SupervisorOptions options_;
    std::vector<Process> places_;
    std::deque<Action> actions_;
    Phase phase_ = Phase::starting;
    std::uint64_t last_incarnation_ = 0;
    Instant looked_at_;  // for silence
    Instant health_due_;
    Instant stop_due_ = never;  // who has not ended by then is killed
    bool is_shut_down_ = false;
    int exit_status_ = 0;
};

}  // namespace wspool::master
