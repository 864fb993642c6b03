// The part of Admission that takes seats back: whom for, from whom, when, and what becomes of them.
#include "pool/admission.h"

#include <algorithm>

namespace wspool::pool {

namespace {

constexpr std::size_t no_class = priority_count;

}  // namespace

// Whether class c has a waiter to take a seat back for: it is below its nominal, and more of it
// wait than seats are on their way. (Invariant 2: no free seat admits it.)
bool Admission::wants_preemption(std::size_t c) const {
    return has_preemption_ && holders_[c].nominated.size() < queues_[c].size() &&
           used_[c] < nominal_[c] && seats_used_ <= seats_max_;
}

// The lowest class below c that is over its nominal and has a seat to take.
std::size_t Admission::victim_class(std::size_t c) const {
    for (std::size_t d = priority_count - 1; d > c; --d) {
        if (used_[d] > nominal_[d] && !holders_[d].by_use.is_empty()) return d;
    }
    return no_class;
}

// When a seat of class d may be taken. An idle one has been held for min_hold too.
Instant Admission::victim_due(std::size_t d) const {
    const Holders& holders = holders_[d];
    if (!holders.settled.is_empty()) return now_;
    return seats_[holders.young.front()].held_since + options_.preemption.min_hold;
}

Instant Admission::budget_ready() const {
    return budget_schedule_ - (budget_burst_ - 1) * budget_interval_;
}

Instant Admission::preemption_due() const {
    Instant due = never;
    if (!has_preemption_ || waiting_ == 0) return due;
    for (std::size_t c = 0; c < priority_count; ++c) {
        if (!wants_preemption(c)) continue;
        const std::size_t d = victim_class(c);
        if (d != no_class) due = std::min(due, std::max(victim_due(d), budget_ready()));
    }
    return due;
}

// The longest unused seat of class d if it counts as idle, else the one held shortest among those
// held long enough, else none.
std::uint32_t Admission::find_victim(std::size_t d) {
    const PreemptionOptions& preemption = options_.preemption;
    Holders& holders = holders_[d];
    while (!holders.young.is_empty()) {
        const std::uint32_t index = holders.young.front();
        if (seats_[index].held_since + preemption.min_hold > now_) break;
        holders.young.remove(order(), index);
        holders.settled.push_back(order(), index);
        seats_[index].state = SeatState::settled;
    }
    const std::uint32_t idle = holders.by_use.front();
    const Duration unused_min = std::max(preemption.idle_after, preemption.min_hold);
    if (idle != none && seats_[idle].last_use + unused_min <= now_) return idle;
    return holders.settled.back();
}

bool Admission::preempt_one(AdmissionAction& action) {
    if (!has_preemption_ || waiting_ == 0 || budget_ready() > now_) return false;
    for (std::size_t c = 0; c < priority_count; ++c) {
        if (!wants_preemption(c)) continue;
        const std::size_t d = victim_class(c);
        if (d == no_class) continue;
        const std::uint32_t index = find_victim(d);
        if (index == none) continue;
        const PreemptionOptions& preemption = options_.preemption;
        Seat& seat = seats_[index];
        unlink_held(index);
        seat.state = SeatState::leaving;
        seat.last_use = now_ + preemption.grace;
        grace_.push_back(use(), index);
        nominate(index, c);
        budget_schedule_ = std::max(budget_schedule_, now_) + budget_interval_;
        ++totals_.preemptions[d][c];
        const auto delay = static_cast<std::uint64_t>(preemption.reconnect_delay.count());
        action = AdmissionAction{
            .kind = AdmissionAction::Kind::preempt,
            .priority = seat.priority,
            .tag = seat.tag,
            .seat = SeatId{index, seat.generation},
            .grace_until = seat.last_use,
            .taker = all_priorities[c],
            .reconnect_delay = Duration(delay / 2 + random_.below(delay + 1)),
        };
        dispatch();  // what c held back may be free for others now
        return true;
    }
    return false;
}

void Admission::nominate(std::uint32_t index, std::size_t c) {
    Seat& seat = seats_[index];
    charge(seat, c);
    ++holders_[index_of(seat.priority)].taken_from;
    holders_[c].nominated.push_back(order(), index);
}

// A seat that leaves for nobody is taken before any other is taken back.
bool Admission::adopt_one() {
    for (std::size_t c = 0; c < priority_count; ++c) {
        if (!wants_preemption(c)) continue;
        for (std::size_t d = priority_count - 1; d > c; --d) {
            IndexList& orphaned = holders_[d].orphaned;
            if (used_[d] <= nominal_[d] || orphaned.is_empty()) continue;
            const std::uint32_t index = orphaned.front();
            orphaned.remove(order(), index);
            nominate(index, c);
            return true;
        }
    }
    return false;
}

void Admission::drop_excess_nominations(std::size_t c) {
    IndexList& nominated = holders_[c].nominated;
    while (nominated.size() > queues_[c].size()) {
        const std::uint32_t index = nominated.back();
        Seat& seat = seats_[index];
        const std::size_t own = index_of(seat.priority);
        nominated.remove(order(), index);
        charge(seat, own);
        --holders_[own].taken_from;
        holders_[own].orphaned.push_back(order(), index);
    }
}

// The revoked seat stays in use until it is released: whoever holds it may not be gone yet.
void Admission::revoke_overdue() {
    while (!grace_.is_empty() && seats_[grace_.front()].last_use <= now_) {
        const std::uint32_t index = grace_.front();
        Seat& seat = seats_[index];
        grace_.remove(use(), index);
        seat.state = SeatState::overdue;
        actions_.push_back({.kind = AdmissionAction::Kind::revoke,
                            .priority = seat.priority,
                            .tag = seat.tag,
                            .seat = SeatId{index, seat.generation}});
    }
}

}  // namespace wspool::pool
