#include "pool/admission.h"

#include "pool/admission_model.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <vector>

namespace wspool::pool {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = AdmissionAction::Kind;

constexpr Instant start{};

// Evenly over the whole range from the first run on: RapidCheck's own begins with the smallest.
template <class T>
T pick(T from, T to) {
    return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(from, to));
}

AdmissionOptions random_options() {
    AdmissionOptions options;
    options.seats_max = pick<std::uint32_t>(0, 13);
    if (pick(0, 4) != 0) {
        PerPriority<std::uint32_t> shares{1, 1};
        for (auto& share : shares) share += pick<std::uint32_t>(0, 5);
        options.shares = shares;
    }
    for (auto& lendable : options.lendable) lendable = std::min(1.0, pick(0, 9) / 4.0);
    for (auto& bound : options.waiters_max) bound = pick<std::uint32_t>(0, 8);
    options.preemption.is_enabled = pick(0, 8) != 0;
    options.preemption.grace = seconds(pick(0, 3));
    options.preemption.min_hold = seconds(pick(0, 4));
    options.preemption.idle_after = seconds(pick(0, 8));
    options.preemption.budget_per_second = pick(0, 11) / 10.0;
    return options;
}

// Admission and its model side by side, each told the same, and every answer compared. Tags are
// below 1000 and time passes in microseconds, so that no two deadlines are the same.
struct Pair {
    explicit Pair(const AdmissionOptions& options, std::uint64_t seed)
        : admission(options, start, seed) {
        model.options = options;
        model.now = start;
    }

    void request() {
        // Mostly of one class for a while: only then is there something to borrow and reclaim.
        if (pick(0, 8) == 0) fashion = all_priorities[pick<std::size_t>(0, 4)];
        Request request{.priority = fashion};
        if (pick(0, 5) == 0) request.priority = all_priorities[pick<std::size_t>(0, 4)];
        request.tag = ++tags;
        request.is_returning = pick(0, 5) == 0;
        if (pick(0, 5) != 0) {
            request.deadline = model.now + milliseconds(pick(0, 20'000)) + Duration(request.tag);
        }
        const Verdict verdict = admission.request(request, model.now);
        const std::size_t before = model.waiters[index_of(request.priority)].size();
        RC_ASSERT(verdict.kind == model.request(request));
        if (verdict.kind == Verdict::Kind::refused) {
            ++ended;
            return;
        }
        if (verdict.kind == Verdict::Kind::seated) seats[request.tag] = verdict.seat;
        if (verdict.kind == Verdict::Kind::queued) {
            waiters[request.tag] = verdict.waiter;
            RC_ASSERT(verdict.position <= before + 1);
            RC_ASSERT(request.is_returning || verdict.position == before + 1);
        }
    }

    // One that the owner knows of, mostly a live one: ids go stale, tags do not come again.
    template <class Id, class IsLive>
    static std::optional<std::uint64_t> any(const std::map<std::uint64_t, Id>& known,
                                            IsLive is_live) {
        std::vector<std::uint64_t> tags;
        const bool may_be_stale = pick(0, 8) == 0;
        for (const auto& [tag, id] : known) {
            if (may_be_stale || is_live(tag)) tags.push_back(tag);
        }
        if (tags.empty()) return std::nullopt;
        return tags[pick<std::size_t>(0, tags.size())];
    }

    void release(std::uint64_t tag) {
        admission.release(seats[tag], model.now);
        if (model.find(tag) == model.seats.end()) return;
        model.release(tag);
        ++ended;
    }

    void act_on_seat(int command) {
        const auto is_live = [this](std::uint64_t t) { return model.find(t) != model.seats.end(); };
        const auto tag = any(seats, is_live);
        if (!tag) return;
        const bool is_there = is_live(*tag);
        const SeatId seat = seats[*tag];
        if (command == 0) {
            release(*tag);
        } else if (command == 1) {
            admission.touch(seat, model.now);
            if (is_there) model.touch(*tag);
        } else {
            const auto c = pick<std::size_t>(0, 4);
            admission.reclass(seat, all_priorities[c], model.now);
            if (is_there) model.reclass(*tag, c);
        }
    }

    void cancel() {
        const auto tag =
            any(waiters, [this](std::uint64_t t) { return admission.position(waiters[t]) != 0; });
        if (!tag) return;
        const bool was_waiting = admission.cancel(waiters[*tag], model.now);
        RC_ASSERT(was_waiting == model.cancel(*tag));
        ended += was_waiting;
    }

    void pass(Duration passed) {
        model.pass(passed);
        model.on_deadline();
        admission.on_deadline(model.now);
    }

    // False when there is nothing left to tell.
    bool pull() {
        AdmissionAction action;
        const bool is_told = admission.next_action(action);
        const auto event = model.next();
        RC_ASSERT(is_told == event.has_value());
        if (!is_told) return false;
        RC_ASSERT(action.kind == event->kind);
        RC_ASSERT(action.tag == event->tag);
        if (action.kind == Kind::seated) seats[action.tag] = action.seat;
        if (action.kind == Kind::timed_out || action.kind == Kind::closed) ++ended;
        if (action.kind == Kind::revoke && pick(0, 4) != 0) release(action.tag);
        if (action.kind == Kind::preempt) {
            RC_ASSERT(action.seat == seats[action.tag]);
            RC_ASSERT(++preempted[action.tag] == 1);  // a seat is preempted at most once
        }
        return true;
    }

    void compare() {
        admission.check_invariants();
        const AdmissionFigures figures = admission.figures(model.now);
        std::uint64_t waiting = 0;
        for (std::size_t c = 0; c < priority_count; ++c) {
            RC_ASSERT(figures.used[c] == model.used(c));
            RC_ASSERT(figures.nominations[c] == model.taken(c));
            RC_ASSERT(figures.waiting[c] == model.waiters[c].size());
            waiting += figures.waiting[c];
            std::uint32_t position = 0;
            for (const auto& waiter : model.waiters[c]) {
                const std::uint32_t told = admission.position(waiters[waiter.tag]);
                RC_ASSERT(told >= ++position);
                RC_ASSERT(told <= figures.waiting[c]);
            }
        }
        RC_ASSERT(figures.seats_used == model.seats.size());
        RC_ASSERT(figures.seats_used <= largest_max);
        // Whoever asked waits, sits, or came to one end; what is told later is under way.
        std::uint64_t untold = 0;
        for (const auto& event : model.events) {
            untold += event.kind == Kind::timed_out || event.kind == Kind::closed;
        }
        RC_ASSERT(tags == waiting + model.seats.size() + ended + untold);
    }

    Admission admission;
    AdmissionModel model;
    std::map<std::uint64_t, SeatId> seats;
    std::map<std::uint64_t, WaiterId> waiters;
    std::map<std::uint64_t, int> preempted;
    Priority fashion = Priority::low;
    std::uint64_t tags = 0;
    std::uint64_t ended = 0;
    std::uint32_t largest_max = 0;
};

RC_GTEST_PROP(Admission, DoesWhatTheModelDoesWhateverTheOrderOfEvents, (std::uint64_t seed)) {
    const AdmissionOptions options = random_options();
    Pair pair(options, seed);
    pair.largest_max = options.seats_max;
    const auto steps = pick(1, 1500);
    for (int step = 0; step < steps; ++step) {
        const auto command = pick(0, 36);
        if (command < 10) pair.request();
        if (command >= 10 && command < 14) pair.act_on_seat(0);
        if (command >= 14 && command < 16) pair.act_on_seat(1);
        if (command == 16) pair.act_on_seat(2);
        if (command >= 17 && command < 19) pair.cancel();
        if (command >= 19 && command < 25) pair.pass(milliseconds(pick(0, 3000)));
        if (command == 25 && pick(0, 3) == 0) {
            const auto seats_max = pick<std::uint32_t>(0, 13);
            pair.largest_max = std::max(pair.largest_max, seats_max);
            pair.admission.resize(seats_max, pair.model.now);
            pair.model.resize(seats_max);
        }
        if (command == 26 && pick(0, 50) == 0) {
            pair.admission.close(pair.model.now);
            pair.model.close();
        }
        // Events wait for as long as the owner does something else.
        if (command >= 27 && command < 29) (void)pair.pull();
        if (command >= 29) {
            while (pair.pull()) {
            }
            RC_ASSERT(pair.admission.next_deadline() == pair.model.next_due());
        }
        pair.compare();
    }
}

}  // namespace
}  // namespace wspool::pool
