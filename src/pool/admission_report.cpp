// What an Admission counts, and whether its lists agree.
#include "pool/admission.h"

#include <algorithm>
#include <numeric>

namespace wspool::pool {

AdmissionFigures Admission::figures(Instant now) const {
    AdmissionFigures figures = totals_;
    figures.seats_max = seats_max_;
    figures.seats_used = seats_used_;
    figures.used = used_;
    figures.nominal = nominal_;
    for (std::size_t c = 0; c < priority_count; ++c) {
        const Holders& holders = holders_[c];
        figures.seats[c] = used_[c] - holders.nominated.size() + holders.taken_from;
        figures.nominations[c] = holders.nominated.size();
        figures.seats_leaving += holders.nominated.size() + holders.orphaned.size();
        figures.waiting[c] = queues_[c].size();
        for (const IndexList* list : {&queues_[c].returning, &queues_[c].ordinary}) {
            if (list->is_empty()) continue;
            figures.oldest_wait =
                std::max(figures.oldest_wait, now - waiters_[list->front()].since);
        }
    }
    return figures;
}

void Admission::check_invariants() const {
    std::uint32_t used = 0;
    std::uint32_t waiting = 0;
    PerPriority<std::uint32_t> charged{};
    PerPriority<std::uint32_t> nominated{};
    PerPriority<std::uint32_t> taken_from{};
    std::uint32_t leaving = 0;
    std::uint32_t empty = 0;
    for (std::uint32_t at = first_empty_; at != none; at = seats_[at].order.next) ++empty;
    for (std::uint32_t index = 0; index < seats_made_; ++index) {
        const Seat& seat = seats_[index];
        if (seat.state == SeatState::empty) continue;
        ++charged[seat.charged];
        leaving += seat.state == SeatState::leaving;
        if (seat.charged == index_of(seat.priority)) continue;
        ++nominated[seat.charged];
        ++taken_from[index_of(seat.priority)];
        WSPOOL_ASSERT(seat.state == SeatState::leaving || seat.state == SeatState::overdue);
    }
    for (std::size_t c = 0; c < priority_count; ++c) {
        const Holders& holders = holders_[c];
        WSPOOL_ASSERT(queues_[c].size() == 0 || !admits(c));
        WSPOOL_ASSERT(charged[c] == used_[c]);
        WSPOOL_ASSERT(nominated[c] == holders.nominated.size());
        WSPOOL_ASSERT(taken_from[c] == holders.taken_from);
        WSPOOL_ASSERT(holders.nominated.size() <= queues_[c].size());
        WSPOOL_ASSERT(queues_[c].size() <= options_.waiters_max[c]);
        WSPOOL_ASSERT(holders.by_use.size() == holders.young.size() + holders.settled.size());
        used += used_[c];
        waiting += queues_[c].size();
    }
    WSPOOL_ASSERT(used == seats_used_);
    WSPOOL_ASSERT(empty + seats_used_ == seats_made_);
    WSPOOL_ASSERT(leaving == grace_.size());
    WSPOOL_ASSERT(waiting == waiting_ && waiter_indexes_.used() == waiting_);
    WSPOOL_ASSERT(deadlines_.size() <= waiting_);
    deadlines_.check_invariants();
}

Outlook Admission::outlook(Priority priority,
                           const PerPriority<std::uint32_t>& seats,
                           const PerPriority<std::uint32_t>& waiting) const {
    const std::size_t c = index_of(priority);
    if (is_closed_ || waiting[c] > 0) return Outlook::waits;
    const std::uint64_t taken = std::accumulate(seats.begin(), seats.end(), std::uint64_t{0});
    if (taken < seats_max_) {
        const auto free = seats_max_ - static_cast<std::uint32_t>(taken);
        if (!options_.shares || leaves_held_seats(c, free, seats)) return Outlook::seated;
    }
    if (!has_preemption_ || seats[c] >= nominal_[c]) return Outlook::waits;
    for (std::size_t d = c + 1; d < priority_count; ++d) {
        if (seats[d] > nominal_[d]) return Outlook::preempts;
    }
    return Outlook::waits;
}

}  // namespace wspool::pool
