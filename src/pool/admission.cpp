#include "pool/admission.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace wspool::pool {

namespace {

Verdict refused(Refusal refusal) {
    return Verdict{.kind = Verdict::Kind::refused, .refusal = refusal};
}

bool is_sane(Duration duration) {
    return duration >= Duration::zero() && duration <= std::chrono::hours(24 * 365);
}

}  // namespace

Result<void> check(const AdmissionOptions& options) {
    if (options.shares &&
        std::accumulate(options.shares->begin(), options.shares->end(), std::uint64_t{0}) == 0)
        return fail(
            "Admission: all shares are 0; give at least one class a share, or leave them out.");
    for (const Priority priority : all_priorities) {
        const std::size_t c = index_of(priority);
        if (!(options.lendable[c] >= 0 && options.lendable[c] <= 1))
            return fail("Admission: lendable of " + std::string(name(priority)) +
                        " is not within 0 and 1; it is a part of the class's seats.");
        if (options.wait_timeout[c] < Duration::zero())
            return fail("Admission: wait_timeout of " + std::string(name(priority)) +
                        " is negative; 0 means not to wait.");
    }
    const PreemptionOptions& preemption = options.preemption;
    if (!is_sane(preemption.grace) || !is_sane(preemption.min_hold) ||
        !is_sane(preemption.reconnect_delay) || !is_sane(preemption.idle_after))
        return fail("Admission: the times of preemption must lie between 0 and a year.");
    if (!(preemption.budget_per_second >= 0 && preemption.budget_per_second <= 1))
        return fail(
            "Admission: budget_per_second is not within 0 and 1; it is a part of all seats.");
    return {};
}

Admission::Admission(const AdmissionOptions& options, Instant now, std::uint64_t seed)
    : options_(options),
      has_preemption_(options.shares.has_value() && options.preemption.is_enabled),
      now_(now),
      random_(seed),
      seats_max_(options.seats_max),
      budget_schedule_(now),
      deadlines_(HeapPosition{&waiters_}) {
    WSPOOL_ASSERT(check(options));
    plan();
}

// What follows from seats_max_.
void Admission::plan() {
    const double per_second =
        std::max(1.0, std::floor(seats_max_ * options_.preemption.budget_per_second));
    budget_burst_ = static_cast<std::uint32_t>(per_second);
    budget_interval_ = Duration(std::chrono::seconds(1)) / budget_burst_;
    if (!options_.shares) return;
    const PerPriority<std::uint32_t>& shares = *options_.shares;
    nominal_ = nominal_seats(seats_max_, shares);
    const auto total = std::accumulate(shares.begin(), shares.end(), std::uint64_t{0});
    for (std::size_t c = 0; c < priority_count; ++c) {
        hold_target_[c] =
            options_.reserve_mode == ReserveMode::seed
                ? static_cast<std::uint32_t>(std::uint64_t{seats_max_} * shares[c] / total)
                : static_cast<std::uint32_t>(std::lround(nominal_[c] * (1 - options_.lendable[c])));
    }
}

void Admission::advance(Instant now) {
    now_ = std::max(now_, now);
}

Instant Admission::deadline_for(Priority priority, Instant now) const {
    const Duration timeout = options_.wait_timeout[index_of(priority)];
    return timeout < never - now ? now + timeout : never;
}

// ---- seats

Admission::Seat* Admission::find(SeatId id) {
    if (id.index >= seats_made_) return nullptr;
    Seat& seat = seats_[id.index];
    return seat.generation == id.generation && seat.state != SeatState::empty ? &seat : nullptr;
}

// Whether a free seat is left for class c beyond those held back for others.
bool Admission::leaves_held_seats(std::size_t c,
                                  std::uint32_t free,
                                  const PerPriority<std::uint32_t>& used) const {
    const std::size_t end = options_.reserve_mode == ReserveMode::seed ? c : priority_count;
    for (std::size_t d = 0; d < end; ++d) {
        if (d == c || used[d] >= hold_target_[d]) continue;
        const std::uint32_t hold = hold_target_[d] - used[d];
        if (hold >= free) return false;
        free -= hold;
    }
    return true;
}

// Whether the first waiter of class c would stay within the class's nominal. If each of its waiters
// has a nomination, seating one of them lets a nomination lapse, so that one does not count.
bool Admission::is_owed(std::size_t c) const {
    const std::uint32_t nominated = holders_[c].nominated.size();
    const bool would_lapse = nominated > 0 && nominated == queues_[c].size();
    return used_[c] - (would_lapse ? 1 : 0) < nominal_[c];
}

// Inlined, as is begin_hold(): together a fifth of what seating without waiters costs.
[[gnu::always_inline]] inline SeatId Admission::take_seat(Priority priority, std::uint64_t tag) {
    const std::size_t c = index_of(priority);
    std::uint32_t index = first_empty_;
    if (index == none) {
        index = seats_made_++;
        seats_.grow_to(index);
    } else {
        first_empty_ = seats_[index].order.next;
    }
    Seat& seat = seats_[index];
    seat.tag = tag;
    seat.priority = priority;
    seat.charged = static_cast<std::uint8_t>(c);
    ++used_[c];
    ++seats_used_;
    totals_.seats_peak = std::max(totals_.seats_peak, seats_used_);
    begin_hold(index);
    return SeatId{index, seat.generation};
}

[[gnu::always_inline]] inline void Admission::begin_hold(std::uint32_t index) {
    Seat& seat = seats_[index];
    seat.state = SeatState::young;
    if (!has_preemption_) return;
    seat.held_since = now_;
    seat.last_use = now_;
    Holders& holders = holders_[index_of(seat.priority)];
    holders.young.push_back(order(), index);
    holders.by_use.push_back(use(), index);
}

void Admission::unlink_held(std::uint32_t index) {
    if (!has_preemption_) return;
    const Seat& seat = seats_[index];
    Holders& holders = holders_[index_of(seat.priority)];
    (seat.state == SeatState::young ? holders.young : holders.settled).remove(order(), index);
    holders.by_use.remove(use(), index);
}

void Admission::charge(Seat& seat, std::size_t c) {
    --used_[seat.charged];
    seat.charged = static_cast<std::uint8_t>(c);
    ++used_[c];
}

// The seat is in none of the lists any more.
void Admission::empty_seat(std::uint32_t index) {
    Seat& seat = seats_[index];
    --used_[seat.charged];
    --seats_used_;
    seat.state = SeatState::empty;
    ++seat.generation;
    seat.order.next = first_empty_;
    first_empty_ = index;
}

void Admission::release(SeatId id, Instant now) {
    advance(now);
    const Seat* seat = find(id);
    if (seat == nullptr) return;
    if (seat->state == SeatState::leaving || seat->state == SeatState::overdue)
        return release_leaving(id.index);
    unlink_held(id.index);
    empty_seat(id.index);
    if (waiting_ > 0) dispatch();
}

void Admission::release_leaving(std::uint32_t index) {
    const Seat& seat = seats_[index];
    const std::size_t own = index_of(seat.priority);
    const std::size_t c = seat.charged;
    const bool is_nominated = c != own;
    if (seat.state == SeatState::leaving) grace_.remove(use(), index);
    (is_nominated ? holders_[c].nominated : holders_[own].orphaned).remove(order(), index);
    if (is_nominated) --holders_[own].taken_from;
    empty_seat(index);
    // After a resize there may be no room for it: then the class waits on without the nomination.
    if (is_nominated && seats_used_ < seats_max_) seat_front(c);
    dispatch();
}

void Admission::touch(SeatId id, Instant now) {
    if (!has_preemption_) return;
    advance(now);
    Seat* seat = find(id);
    if (seat == nullptr || now - seat->last_use < options_.preemption.idle_after / 16) return;
    if (seat->state != SeatState::young && seat->state != SeatState::settled) return;
    seat->last_use = now_;
    IndexList& by_use = holders_[index_of(seat->priority)].by_use;
    by_use.remove(use(), id.index);
    by_use.push_back(use(), id.index);
}

void Admission::set_tag(SeatId id, std::uint64_t tag) {
    if (Seat* seat = find(id)) seat->tag = tag;
}

void Admission::reclass(SeatId id, Priority priority, Instant now) {
    advance(now);
    Seat* seat = find(id);
    if (seat == nullptr || seat->priority == priority) return;
    if (seat->state != SeatState::young && seat->state != SeatState::settled) return;
    unlink_held(id.index);
    seat->priority = priority;
    charge(*seat, index_of(priority));
    begin_hold(id.index);
    dispatch();
}

// ---- waiters

const Admission::Waiter* Admission::find(WaiterId id) const {
    if (id.index >= waiters_.size()) return nullptr;
    const Waiter& waiter = waiters_[id.index];
    return waiter.generation == id.generation ? &waiter : nullptr;
}

Verdict Admission::request(const Request& request, Instant now) {
    advance(now);
    // Whoever waits in this class could not be seated, so nobody is overtaken.
    const std::size_t c = index_of(request.priority);
    if (is_closed_ || !admits(c)) return wait_or_refuse(request);
    ++totals_.seated_direct[c];
    const SeatId seat = take_seat(request.priority, request.tag);
    if (waiting_ > 0) dispatch();
    return Verdict{.kind = Verdict::Kind::seated, .seat = seat};
}

SeatId Admission::try_seat(Priority priority, std::uint64_t tag, Instant now) {
    advance(now);
    const std::size_t c = index_of(priority);
    if (is_closed_ || waiting_ > 0 || !admits(c)) return {};
    ++totals_.seated_direct[c];
    return take_seat(priority, tag);
}

Verdict Admission::wait_or_refuse(const Request& request) {
    const std::size_t c = index_of(request.priority);
    if (is_closed_) {
        ++totals_.closed[c];
        return refused(Refusal::closed);
    }
    Queue& queue = queues_[c];
    if (queue.size() >= options_.waiters_max[c]) {
        ++totals_.refused[c];
        return refused(Refusal::capacity);
    }
    if (request.deadline <= now_) {
        ++totals_.timeouts[c];
        return refused(Refusal::timed_out);
    }
    const WaiterId waiter = enqueue(request);
    const std::uint32_t position = request.is_returning ? queue.returning.size() : queue.size();
    dispatch();  // seats nobody, but may find a seat that is already leaving
    return Verdict{.kind = Verdict::Kind::queued, .waiter = waiter, .position = position};
}

WaiterId Admission::enqueue(const Request& request) {
    Queue& queue = queues_[index_of(request.priority)];
    const std::uint32_t index = waiter_indexes_.take();
    waiters_.grow_to(index);
    Waiter& waiter = waiters_[index];
    waiter.tag = request.tag;
    waiter.since = now_;
    waiter.priority = request.priority;
    waiter.is_returning = request.is_returning;
    waiter.ordinal = queue.arrivals++;
    (request.is_returning ? queue.returning : queue.ordinary).push_back(links(), index);
    if (request.deadline != never) deadlines_.insert(index, request.deadline);
    ++waiting_;
    return WaiterId{index, waiter.generation};
}

void Admission::remove_waiter(std::uint32_t index) {
    Waiter& waiter = waiters_[index];
    Queue& queue = queues_[index_of(waiter.priority)];
    (waiter.is_returning ? queue.returning : queue.ordinary).remove(links(), index);
    deadlines_.remove(index);
    ++waiter.generation;
    waiter_indexes_.give_back(index);
    --waiting_;
    drop_excess_nominations(index_of(waiter.priority));
}

AdmissionAction Admission::end_of_wait(std::uint32_t index, AdmissionAction::Kind kind) {
    const Waiter& waiter = waiters_[index];
    const AdmissionAction action{.kind = kind,
                                 .priority = waiter.priority,
                                 .tag = waiter.tag,
                                 .waited = now_ - waiter.since};
    remove_waiter(index);
    return action;
}

void Admission::seat_front(std::size_t c) {
    AdmissionAction action = end_of_wait(queues_[c].front(), AdmissionAction::Kind::seated);
    action.seat = take_seat(action.priority, action.tag);
    ++totals_.seated_waited[c];
    actions_.push_back(action);
}

// Everything that may free capacity ends here. Each round seats a waiter or finds it a leaving
// seat.
void Admission::dispatch() {
    while (dispatch_one() || adopt_one()) {
    }
}

bool Admission::dispatch_one() {
    if (seats_used_ >= seats_max_) return false;
    for (const bool must_be_owed : {true, false}) {
        for (std::size_t c = 0; c < priority_count; ++c) {
            if (queues_[c].size() == 0 || (must_be_owed && !is_owed(c)) || !admits(c)) continue;
            seat_front(c);
            return true;
        }
    }
    return false;
}

bool Admission::cancel(WaiterId id, Instant now) {
    advance(now);
    const Waiter* waiter = find(id);
    if (waiter == nullptr) return false;
    ++totals_.cancelled[index_of(waiter->priority)];
    remove_waiter(id.index);
    dispatch();
    return true;
}

std::uint32_t Admission::position(WaiterId id) const {
    const Waiter* waiter = find(id);
    if (waiter == nullptr) return 0;
    const Queue& queue = queues_[index_of(waiter->priority)];
    const IndexList& list = waiter->is_returning ? queue.returning : queue.ordinary;
    const std::uint32_t since_front = waiter->ordinal - waiters_[list.front()].ordinal + 1;
    return std::min(since_front, list.size()) + (waiter->is_returning ? 0 : queue.returning.size());
}

// ---- time and change

bool Admission::next_action(AdmissionAction& action) {
    if (next_action_ < actions_.size()) {
        action = actions_[next_action_++];
        return true;
    }
    actions_.clear();
    next_action_ = 0;
    return preempt_one(action);
}

Instant Admission::next_deadline() const {
    const Instant grace_over = grace_.is_empty() ? never : seats_[grace_.front()].last_use;
    return std::min({deadlines_.first_due(), grace_over, preemption_due()});
}

void Admission::on_deadline(Instant now) {
    advance(now);
    while (deadlines_.first_due() <= now_) {
        const std::uint32_t index = deadlines_.first();
        ++totals_.timeouts[index_of(waiters_[index].priority)];
        actions_.push_back(end_of_wait(index, AdmissionAction::Kind::timed_out));
    }
    revoke_overdue();
    dispatch();
}

void Admission::resize(std::uint32_t seats_max, Instant now) {
    advance(now);
    seats_max_ = seats_max;
    plan();
    dispatch();
}

void Admission::close(Instant now) {
    advance(now);
    is_closed_ = true;
    for (std::size_t c = 0; c < priority_count; ++c) {
        while (queues_[c].size() > 0) {
            ++totals_.closed[c];
            actions_.push_back(end_of_wait(queues_[c].front(), AdmissionAction::Kind::closed));
        }
    }
}

}  // namespace wspool::pool
