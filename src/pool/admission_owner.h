// AdmissionOwner: for tests: an owner of an Admission that does as it is told. It keeps the seats
// and waiters by tag, pulls every action, gives back what is revoked, and remembers what was told.
#pragma once

#include "pool/admission.h"

#include <algorithm>
#include <map>
#include <vector>

namespace wspool::pool {

class AdmissionOwner {
  public:
    using Kind = AdmissionAction::Kind;

    explicit AdmissionOwner(const AdmissionOptions& options, std::uint64_t seed = 1)
        : admission(options, Instant{}, seed) {}

    Verdict ask(Priority priority, bool is_returning = false) {
        last_tag = ++tags_;
        const Verdict verdict =
            admission.request({.priority = priority,
                               .deadline = admission.deadline_for(priority, now),
                               .tag = last_tag,
                               .is_returning = is_returning},
                              now);
        if (verdict.kind == Verdict::Kind::seated) seats[last_tag] = verdict.seat;
        if (verdict.kind == Verdict::Kind::queued) {
            waiters[last_tag] = verdict.waiter;
            asked_at[last_tag] = now;
        }
        pull();
        return verdict;
    }
    // The tags of `count` requests.
    std::vector<std::uint64_t> ask(std::uint32_t count, Priority priority) {
        std::vector<std::uint64_t> tags;
        for (std::uint32_t i = 0; i < count; ++i) {
            (void)ask(priority);
            tags.push_back(last_tag);
        }
        return tags;
    }
    void leave(std::uint64_t tag) {
        admission.release(seats[tag], now);
        seats.erase(tag);
        pull();
    }
    bool give_up(std::uint64_t tag) {
        const bool was_waiting = admission.cancel(waiters[tag], now);
        waiters.erase(tag);
        pull();
        return was_waiting;
    }
    // Time passes, and whatever is due happens when it is due.
    void pass(Duration duration) {
        const Instant end = now + duration;
        while (admission.next_deadline() <= end) {
            now = std::max(now, admission.next_deadline());
            admission.on_deadline(now);
            pull();
        }
        now = end;
    }

    [[nodiscard]] bool is_seated(std::uint64_t tag) const { return seats.count(tag) != 0; }
    [[nodiscard]] std::vector<std::uint64_t> told_of(Kind kind) const {
        std::vector<std::uint64_t> tags;
        for (const AdmissionAction& action : told) {
            if (action.kind == kind) tags.push_back(action.tag);
        }
        return tags;
    }
    [[nodiscard]] AdmissionFigures figures() const { return admission.figures(now); }

    Admission admission;
    Instant now{};
    std::uint64_t last_tag = 0;
    std::map<std::uint64_t, SeatId> seats;
    std::map<std::uint64_t, WaiterId> waiters;
    std::map<std::uint64_t, Instant> asked_at;
    std::map<std::uint64_t, Duration> waited;
    std::vector<AdmissionAction> told;

  private:
    void pull() {
        AdmissionAction action;
        while (admission.next_action(action)) {
            told.push_back(action);
            if (action.kind == Kind::seated) {
                seats[action.tag] = action.seat;
                waited[action.tag] = action.waited;
            }
            if (action.kind == Kind::seated || action.kind == Kind::timed_out)
                waiters.erase(action.tag);
            if (action.kind == Kind::revoke) {
                admission.release(action.seat, now);
                seats.erase(action.tag);
            }
        }
        admission.check_invariants();
    }

    std::uint64_t tags_ = 0;
};

}  // namespace wspool::pool
