#include "master/supervisor.h"

#include "base/assert.h"

#include <algorithm>
#include <utility>

namespace wspool::master {

using metrics::DeathKind;
using metrics::ProcessState;

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A death is young within this time of readiness; the third in a row puts the next start off.
constexpr Duration youth = seconds(1);
constexpr std::uint64_t young_deaths_max = 3;
constexpr Duration delay_min = milliseconds(500);
constexpr Duration delay_max = seconds(5);
// For a process that was told to end: leaving takes longer than a turn, as memory is given back.
constexpr Duration stop_time = seconds(10);

// How often to look at heartbeats: silence is found at most a sixth too late.
[[nodiscard]] Duration look_interval(Duration stall) {
    return std::clamp<Duration>(stall / 6, milliseconds(5), seconds(1));
}

[[nodiscard]] Duration delay_after(std::uint64_t young_deaths) {
    Duration delay = delay_min;
    for (std::uint64_t n = young_deaths_max; n < young_deaths && delay < delay_max; ++n) delay *= 2;
    return std::min(delay, delay_max);
}

}  // namespace

Supervisor::Supervisor(const SupervisorOptions& options, Instant now)
    : options_(options),
      places_(options.workers + (options.has_control ? 1 : 0)),
      looked_at_(now),
      health_due_(options.health_interval > Duration::zero() ? now + options.health_interval
                                                             : never) {
    WSPOOL_ASSERT(options.workers > 0);
    for (std::size_t place = 0; place < places_.size(); ++place) start(place, now);
}

bool Supervisor::is_living(std::size_t place) const {
    const ProcessState state = places_[place].life.state;
    return state == ProcessState::starting || state == ProcessState::ready ||
           state == ProcessState::draining;
}

const metrics::Life& Supervisor::life(std::size_t place) const {
    return places_[place].life;
}

void Supervisor::act(ActionKind kind, std::size_t place, Duration duration) {
    Action action;
    action.kind = kind;
    action.place = place;
    action.incarnation = places_[place].life.incarnation;
    action.pid = places_[place].life.pid;
    action.duration = duration;
    actions_.push_back(action);
}

bool Supervisor::next_action(Action& action) {
    if (actions_.empty()) return false;
    action = actions_.front();
    actions_.pop_front();
    return true;
}

void Supervisor::change_phase(Phase phase) {
    WSPOOL_ASSERT(phase > phase_);
    phase_ = phase;
}

// ---------------------------------------------------------------------------------------------
// one process

void Supervisor::start(std::size_t place, Instant now) {
    Process& process = places_[place];
    WSPOOL_ASSERT(!is_living(place));
    if (process.life.incarnation != 0) ++process.life.restarts;
    process.life.incarnation = ++last_incarnation_;
    process.life.state = ProcessState::starting;
    process.life.started_at = now;
    process.life.pid = 0;
    process.start_due = never;
    process.ready_at = never;
    process.silent_since = now;
    process.is_drained = false;
    process.is_killed = false;
    act(ActionKind::start, place);
}

void Supervisor::on_started(std::size_t place, std::uint64_t pid, Instant now) {
    Process& process = places_[place];
    WSPOOL_ASSERT(process.life.state == ProcessState::starting && process.life.pid == 0);
    process.life.pid = pid;
    process.silent_since = now;
    if (phase_ == Phase::stopping) {
        act(ActionKind::stop, place);
    } else if (phase_ == Phase::draining && !is_control(place)) {
        act(is_shut_down_ ? ActionKind::shut_down : ActionKind::drain, place);
    }
}

void Supervisor::on_start_failed(std::size_t place, Instant now) {
    on_ended(place, false, 0, now);
}

void Supervisor::on_ready(std::size_t place, Instant now) {
    Process& process = places_[place];
    if (process.life.state != ProcessState::starting) return;
    process.life.state = phase_ == Phase::draining ? ProcessState::draining : ProcessState::ready;
    process.ready_at = now;
    if (phase_ != Phase::starting) return;
    const bool are_all_ready = std::all_of(places_.begin(), places_.end(), [](const Process& p) {
        return p.life.state == ProcessState::ready;
    });
    if (!are_all_ready) return;
    change_phase(Phase::running);
    act(ActionKind::ready);
}

void Supervisor::on_ended(std::size_t place, bool by_signal, int detail, Instant now) {
    Process& process = places_[place];
    WSPOOL_ASSERT(is_living(place));
    const bool was_ready = process.ready_at != never;
    const Duration lived = now - process.life.started_at;
    const bool is_young = !was_ready || now - process.ready_at < youth;
    process.young_deaths = is_young ? process.young_deaths + 1 : 0;
    process.life.state = ProcessState::dead;
    process.life.died_at = now;
    process.life.death = process.is_killed ? DeathKind::stalled
                         : by_signal       ? DeathKind::signal
                                           : DeathKind::exited;
    process.life.death_detail = static_cast<std::uint64_t>(detail);
    const std::uint64_t pid = std::exchange(process.life.pid, 0);
    if (phase_ == Phase::stopping) {
        look_whether_finished();
        return;
    }
    act(ActionKind::died, place, lived);
    actions_.back().pid = pid;
    actions_.back().death = process.life.death;
    actions_.back().detail = process.life.death_detail;
    if (phase_ == Phase::starting) {
        exit_status_ = 1;
        act(ActionKind::start_failed, place);
        begin_stop(now);
    } else if (process.young_deaths >= young_deaths_max) {
        put_off(place, now);
    } else {
        start(place, now);
    }
    look_whether_drained(now);
}

void Supervisor::put_off(std::size_t place, Instant now) {
    Process& process = places_[place];
    const Duration delay = delay_after(process.young_deaths);
    process.start_due = now + delay;
    ++process.life.crash_loops;
    act(ActionKind::crash_loop, place, delay);
}

// ---------------------------------------------------------------------------------------------
// signs of life

void Supervisor::on_heartbeat(std::size_t place, Instant beat, Instant now) {
    Process& process = places_[place];
    if (beat == process.beat) return;
    process.beat = beat;
    process.silent_since = now;
}

void Supervisor::on_time(Instant now) {
    // When we ourselves did not run, nobody else need have: that time is no silence.
    const Duration passed = now - looked_at_;
    looked_at_ = now;
    const Duration expected = 2 * look_interval(options_.stall);
    const Duration absent = passed > expected ? passed - expected : Duration::zero();
    for (std::size_t place = 0; place < places_.size(); ++place) {
        Process& process = places_[place];
        process.silent_since += absent;
        if (process.start_due <= now) {
            start(place, now);
        } else if (is_living(place) && process.life.pid != 0 && !process.is_killed) {
            const Duration silence = now - process.silent_since;
            const bool is_late =
                phase_ == Phase::stopping ? now >= stop_due_ : silence > options_.stall;
            if (!is_late) continue;
            process.is_killed = true;
            act(ActionKind::stalled, place, silence);
            act(ActionKind::kill, place);
        }
    }
    if (now < health_due_) return;
    // Not the sum of intervals: after a pause one look is enough.
    health_due_ = now + options_.health_interval;
    if (phase_ != Phase::finished) act(ActionKind::check_health);
}

void Supervisor::set_health(Duration stall, Duration health_interval, Instant now) {
    if (health_interval != options_.health_interval) {
        health_due_ = health_interval > Duration::zero() ? now + health_interval : never;
    }
    if (stall != options_.stall) {
        for (Process& process : places_) process.silent_since = now;
    }
    options_.stall = stall;
    options_.health_interval = health_interval;
}

Instant Supervisor::next_deadline() const {
    if (!actions_.empty()) return looked_at_;
    if (phase_ == Phase::finished) return never;
    Instant due = std::min(health_due_, looked_at_ + look_interval(options_.stall));
    for (const Process& process : places_) due = std::min(due, process.start_due);
    return due;
}

// ---------------------------------------------------------------------------------------------
// the end

void Supervisor::on_order(Order order, Instant now) {
    if (order == Order::reload) {
        // Who is stopping has no use for it.
        if (phase_ < Phase::stopping) act(ActionKind::reload);
        return;
    }
    if (order == Order::upgrade) return act(ActionKind::cannot_upgrade);
    if (phase_ < Phase::draining) return begin_drain();
    if (phase_ != Phase::draining || is_shut_down_) return;
    is_shut_down_ = true;
    act(ActionKind::shutting_down);
    for (std::size_t place = 0; place < options_.workers; ++place) {
        if (is_living(place) && places_[place].life.pid != 0) act(ActionKind::shut_down, place);
    }
    look_whether_drained(now);
}

void Supervisor::begin_drain() {
    change_phase(Phase::draining);
    act(ActionKind::draining);
    for (std::size_t place = 0; place < options_.workers; ++place) {
        Process& process = places_[place];
        if (process.life.state == ProcessState::ready) process.life.state = ProcessState::draining;
        // One that is being started is told when it is (on_started).
        if (is_living(place) && process.life.pid != 0) act(ActionKind::drain, place);
    }
}

void Supervisor::on_drained(std::size_t place, Instant now) {
    // Of its own accord: somebody wants it replaced.
    if (phase_ < Phase::draining && is_living(place)) return act(ActionKind::stop, place);
    if (phase_ != Phase::draining || is_control(place)) return;
    places_[place].is_drained = true;
    look_whether_drained(now);
}

// One that was put off for dying too often has nobody to drain.
void Supervisor::look_whether_drained(Instant now) {
    if (phase_ != Phase::draining) return;
    for (std::size_t place = 0; place < options_.workers; ++place) {
        if (is_living(place) && !places_[place].is_drained) return;
    }
    begin_stop(now);
}

void Supervisor::begin_stop(Instant now) {
    change_phase(Phase::stopping);
    stop_due_ = now + stop_time;
    for (std::size_t place = 0; place < places_.size(); ++place) {
        places_[place].start_due = never;
        if (is_living(place) && places_[place].life.pid != 0) act(ActionKind::stop, place);
    }
    look_whether_finished();
}

void Supervisor::look_whether_finished() {
    for (std::size_t place = 0; place < places_.size(); ++place) {
        if (is_living(place)) return;
    }
    change_phase(Phase::finished);
    act(ActionKind::finished);
    actions_.back().exit_status = exit_status_;
}

void Supervisor::check_invariants() const {
    for (std::size_t place = 0; place < places_.size(); ++place) {
        const Process& process = places_[place];
        WSPOOL_ASSERT(process.life.incarnation <= last_incarnation_);
        const bool is_over = phase_ >= Phase::stopping;
        WSPOOL_ASSERT(process.start_due == never || (!is_living(place) && !is_over));
        WSPOOL_ASSERT(phase_ != Phase::finished || !is_living(place));
    }
}

}  // namespace wspool::master
