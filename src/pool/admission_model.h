// AdmissionModel: for tests: what Admission must do, as plainly as the rules can be said. It keeps
// seats and waiters in the order in which they came, answers each question by looking through all
// of them, and knows them by their tags, which must differ.
#pragma once

#include "pool/admission.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>
#include <vector>

namespace wspool::pool {

class AdmissionModel {
  public:
    using Kind = AdmissionAction::Kind;
    struct Seat {
        std::uint64_t tag;
        std::size_t own;                   // class of the holder
        std::optional<std::size_t> taker;  // class that takes it
        Instant held_since;
        Instant last_use;
        Instant grace_until = never;
        bool is_leaving = false;
        std::uint64_t used_turn = 0;   // order of the last uses
        std::uint64_t told_turn = 0;   // order of the notices
        std::uint64_t taken_turn = 0;  // order of being taken, or of being orphaned
        [[nodiscard]] std::size_t charged() const { return taker.value_or(own); }
    };
    struct Waiter {
        std::uint64_t tag;
        Instant deadline;
        bool is_returning;
    };
    struct Event {
        Kind kind;
        std::uint64_t tag;
    };

    AdmissionOptions options;
    Instant now;
    std::vector<Seat> seats;                  // in the order in which their holds began
    PerPriority<std::deque<Waiter>> waiters;  // in the order in which they are served
    std::deque<Event> events;
    Duration debt{};  // of the budget: an interval for each preemption, paid off by time
    bool is_closed = false;

    [[nodiscard]] std::uint32_t used(std::size_t c) const {
        return count([c](const Seat& seat) { return seat.charged() == c; });
    }
    [[nodiscard]] std::uint32_t taken(std::size_t c) const {
        return count([c](const Seat& seat) { return seat.taker == c; });
    }
    [[nodiscard]] std::uint32_t nominal(std::size_t c) const {
        return options.shares ? nominal_seats(options.seats_max, *options.shares)[c] : 0;
    }
    [[nodiscard]] bool admits(std::size_t c) const {
        long left = static_cast<long>(options.seats_max) - static_cast<long>(seats.size());
        for (std::size_t d = 0; d < priority_count; ++d) {
            if (d != c) left -= std::max(0L, hold_target(d) - static_cast<long>(used(d)));
        }
        return left > 0 && seats.size() < options.seats_max;
    }

    Verdict::Kind request(const Request& request) {
        const std::size_t c = index_of(request.priority);
        if (is_closed) return Verdict::Kind::refused;
        if (admits(c)) {
            add_seat(request.tag, c);
            settle();
            return Verdict::Kind::seated;
        }
        if (waiters[c].size() >= options.waiters_max[c] || request.deadline <= now)
            return Verdict::Kind::refused;
        auto at = waiters[c].end();
        if (request.is_returning) {
            at = std::find_if(
                waiters[c].begin(), at, [](const Waiter& w) { return !w.is_returning; });
        }
        waiters[c].insert(at, {request.tag, request.deadline, request.is_returning});
        settle();
        return Verdict::Kind::queued;
    }

    void release(std::uint64_t tag) {
        const std::optional<std::size_t> taker = find(tag)->taker;
        seats.erase(find(tag));
        if (taker && seats.size() < options.seats_max) seat_first(*taker);
        settle();
    }

    bool cancel(std::uint64_t tag) {
        const bool was_waiting = remove_waiter(tag);
        settle();
        return was_waiting;
    }

    void touch(std::uint64_t tag) {
        Seat& seat = *find(tag);
        if (seat.is_leaving || now - seat.last_use < options.preemption.idle_after / 16) return;
        seat.last_use = now;
        seat.used_turn = ++turns_;
    }

    void reclass(std::uint64_t tag, std::size_t c) {
        if (find(tag)->is_leaving || find(tag)->own == c) return;
        seats.erase(find(tag));
        add_seat(tag, c);
        settle();
    }

    void resize(std::uint32_t seats_max) {
        options.seats_max = seats_max;
        settle();
    }

    void close() {
        is_closed = true;
        for (auto& queue : waiters) {
            while (!queue.empty()) end(queue.front().tag, Kind::closed);
        }
    }

    // Time goes on without a call until on_deadline().
    void pass(Duration passed) {
        now += passed;
        debt = std::max(Duration::zero(), debt - passed);
    }

    void on_deadline() {
        std::vector<std::pair<Instant, std::uint64_t>> due;
        for (const auto& queue : waiters) {
            for (const Waiter& waiter : queue) due.emplace_back(waiter.deadline, waiter.tag);
        }
        std::sort(due.begin(), due.end());
        for (const auto& [deadline, tag] : due) {
            if (deadline <= now) end(tag, Kind::timed_out);
        }
        while (Seat* seat = best([](const Seat& s) { return s.told_turn; },
                                 [this](const Seat& s) { return s.grace_until <= now; })) {
            seat->grace_until = never;
            events.push_back({Kind::revoke, seat->tag});
        }
        settle();
    }

    std::optional<Event> next() {
        if (events.empty()) preempt_one();
        if (events.empty()) return std::nullopt;
        const Event event = events.front();
        events.pop_front();
        return event;
    }

    [[nodiscard]] std::vector<Seat>::iterator find(std::uint64_t tag) {
        return std::find_if(seats.begin(), seats.end(), [tag](auto& s) { return s.tag == tag; });
    }

    // The next instant at which something happens by itself, once all events are pulled.
    [[nodiscard]] Instant next_due() const {
        Instant due = never;
        for (const auto& queue : waiters) {
            for (const Waiter& waiter : queue) due = std::min(due, waiter.deadline);
        }
        for (const Seat& seat : seats) due = std::min(due, seat.grace_until);
        for (std::size_t c = 0; c < priority_count; ++c) {
            const auto d = wants(c) ? victim_class(c) : std::nullopt;
            for (const Seat& seat : seats) {
                if (!d || seat.own != *d || seat.is_leaving) continue;
                const Instant held = seat.held_since + options.preemption.min_hold;
                due = std::min(due, std::max(held, now + debt - (burst() - 1) * interval()));
            }
        }
        return due;
    }

  private:
    template <class Predicate>
    [[nodiscard]] std::uint32_t count(Predicate predicate) const {
        return static_cast<std::uint32_t>(std::count_if(seats.begin(), seats.end(), predicate));
    }
    // The seat with the smallest rank among those that qualify.
    template <class Rank, class Predicate>
    [[nodiscard]] Seat* best(Rank rank, Predicate qualifies) {
        Seat* found = nullptr;
        for (Seat& seat : seats) {
            if (qualifies(seat) && (found == nullptr || rank(seat) < rank(*found))) found = &seat;
        }
        return found;
    }

    [[nodiscard]] long hold_target(std::size_t d) const {
        return std::lround(nominal(d) * (1 - options.lendable[d]));
    }
    [[nodiscard]] std::int64_t burst() const {
        return std::max<std::int64_t>(
            1, static_cast<std::int64_t>(options.seats_max * options.preemption.budget_per_second));
    }
    [[nodiscard]] Duration interval() const { return Duration(1'000'000'000 / burst()); }

    void add_seat(std::uint64_t tag, std::size_t c) {
        seats.push_back({.tag = tag,
                         .own = c,
                         .taker = {},
                         .held_since = now,
                         .last_use = now,
                         .used_turn = ++turns_});
    }

    bool remove_waiter(std::uint64_t tag) {
        for (std::size_t c = 0; c < priority_count; ++c) {
            auto& queue = waiters[c];
            const auto at = std::find_if(
                queue.begin(), queue.end(), [tag](const Waiter& w) { return w.tag == tag; });
            if (at == queue.end()) continue;
            queue.erase(at);
            while (taken(c) > queue.size()) {
                Seat* newest = best([](const Seat& s) { return ~s.taken_turn; },
                                    [c](const Seat& s) { return s.taker == c; });
                newest->taker.reset();
                newest->taken_turn = ++turns_;
            }
            return true;
        }
        return false;
    }

    void end(std::uint64_t tag, Kind kind) {
        (void)remove_waiter(tag);
        events.push_back({kind, tag});
    }

    void seat_first(std::size_t c) {
        const std::uint64_t tag = waiters[c].front().tag;
        end(tag, Kind::seated);
        add_seat(tag, c);
    }

    void settle() {
        while (seat_one() || adopt_one()) {
        }
    }

    bool seat_one() {
        for (const bool must_be_owed : {true, false}) {
            for (std::size_t c = 0; c < priority_count; ++c) {
                const bool lapses = taken(c) > 0 && taken(c) == waiters[c].size();
                const bool is_owed = used(c) - (lapses ? 1 : 0) < nominal(c);
                if (waiters[c].empty() || !admits(c) || (must_be_owed && !is_owed)) continue;
                seat_first(c);
                return true;
            }
        }
        return false;
    }

    [[nodiscard]] bool wants(std::size_t c) const {
        return options.preemption.is_enabled && taken(c) < waiters[c].size() &&
               used(c) < nominal(c) && seats.size() <= options.seats_max;
    }

    bool adopt_one() {
        for (std::size_t c = 0; c < priority_count; ++c) {
            for (std::size_t d = priority_count - 1; d > c && wants(c); --d) {
                Seat* orphan =
                    best([](const Seat& s) { return s.taken_turn; },
                         [d](const Seat& s) { return s.is_leaving && !s.taker && s.own == d; });
                if (orphan == nullptr || used(d) <= nominal(d)) continue;
                orphan->taker = c;
                orphan->taken_turn = ++turns_;
                return true;
            }
        }
        return false;
    }

    [[nodiscard]] std::optional<std::size_t> victim_class(std::size_t c) const {
        for (std::size_t d = priority_count - 1; d > c; --d) {
            const auto held = count([d](const Seat& s) { return s.own == d && !s.is_leaving; });
            if (used(d) > nominal(d) && held > 0) return d;
        }
        return std::nullopt;
    }

    void preempt_one() {
        const PreemptionOptions& preemption = options.preemption;
        for (std::size_t c = 0; c < priority_count; ++c) {
            const auto d = wants(c) ? victim_class(c) : std::nullopt;
            if (!d || debt > (burst() - 1) * interval()) continue;
            const auto is_held = [&](const Seat& s) {
                return s.own == *d && !s.is_leaving && s.held_since + preemption.min_hold <= now;
            };
            const Duration unused = std::max(preemption.idle_after, preemption.min_hold);
            Seat* victim =
                best([](const Seat& s) { return s.used_turn; },
                     [&](const Seat& s) { return is_held(s) && s.last_use + unused <= now; });
            if (victim == nullptr)  // the last that qualifies has been held shortest
                victim = best([this](const Seat& s) { return this->seats.data() - &s; }, is_held);
            if (victim == nullptr) continue;
            victim->is_leaving = true;
            victim->taker = c;
            victim->taken_turn = victim->told_turn = ++turns_;
            victim->grace_until = now + preemption.grace;
            debt += interval();
            events.push_back({Kind::preempt, victim->tag});
            settle();
            return;
        }
    }

    std::uint64_t turns_ = 0;
};

}  // namespace wspool::pool
