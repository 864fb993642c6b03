// What happens because time has passed.
#include "pool/pool_state.h"

#include <algorithm>

namespace wspool::pool {

Instant Pool::State::next_deadline() const {
    const auto after = [this](SlotState state, Duration timeout) {
        const std::uint32_t front = lists[index_of(state)].front();
        return front == none ? never : slots[front].since + timeout;
    };
    Instant due = std::min({admission.next_deadline(),
                            deadlines.first_due(),
                            expiries.first_due(),
                            connect_due(),
                            after(SlotState::connecting, options.connect_timeout),
                            after(SlotState::validating, options.validate_timeout)});
    if (abort_cursor != none)
        due = std::min(due, slots[abort_cursor].since + options.close_timeout);
    if (reaps_idle()) due = std::min(due, after(SlotState::idle, options.idle_timeout));
    if (options.leak_detection_threshold > Duration::zero() && leak_cursor != none)
        due = std::min(due, slots[leak_cursor].since + options.leak_detection_threshold);
    if (is_closed && count(SlotState::leased) > 0) due = std::min(due, drain_deadline);
    return due;
}

// Waiters come last: what became free at this very moment is theirs.
void Pool::State::on_deadline() {
    admission.on_deadline(now);
    expire_connecting();
    expire_validating();
    abort_closing();
    while (reaps_idle()) {
        const std::uint32_t index = list(SlotState::idle).front();
        if (slots[index].since + options.idle_timeout > now) break;
        close_slot(index, SlotEnd::idle_timeout);
    }
    while (expiries.first_due() <= now) {
        const std::uint32_t index = expiries.first();
        expiries.remove(index);
        retire(index);
    }
    report_leaks();
    if (is_closed && drain_deadline <= now) close_leased();
    settle();
    while (deadlines.first_due() <= now) {
        fail_waiter(deadlines.first(), PoolError::timed_out);
        settle();
    }
}

// A connect that nobody reports on does not hold its slot for ever.
void Pool::State::expire_connecting() {
    const IndexList& connecting = list(SlotState::connecting);
    while (!connecting.is_empty()) {
        const std::uint32_t index = connecting.front();
        if (slots[index].since + options.connect_timeout > now) return;
        fail_attempt(index, Error{"no connection was open in time"}, SlotEnd::connect_timeout);
        ask_to_close(index, false);
    }
}

void Pool::State::expire_validating() {
    const IndexList& validating = list(SlotState::validating);
    while (!validating.is_empty()) {
        const std::uint32_t index = validating.front();
        if (slots[index].since + options.validate_timeout > now) return;
        close_slot(index, SlotEnd::invalid);
    }
}

void Pool::State::abort_closing() {
    while (abort_cursor != none && slots[abort_cursor].since + options.close_timeout <= now) {
        ask_to_close(abort_cursor, true);
        abort_cursor = slots[abort_cursor].links.next;
    }
}

bool Pool::State::reaps_idle() const {
    return options.idle_timeout > Duration::zero() && count(SlotState::idle) > 0 &&
           kept() > kept_min();
}

void Pool::State::report_leaks() {
    if (options.leak_detection_threshold <= Duration::zero()) return;
    while (leak_cursor != none &&
           slots[leak_cursor].since + options.leak_detection_threshold <= now) {
        const Slot& slot = slots[leak_cursor];
        ++totals.leaks;
        for (std::uint32_t i = slot.leases.front(); i != none; i = leases[i].links.next) {
            actions.push_back(PoolAction{.kind = PoolAction::Kind::leaked,
                                         .slot = id_of(leak_cursor),
                                         .lease = lease_id(i),
                                         .tag = leases[i].tag,
                                         .delay = now - slot.since});
        }
        leak_cursor = slot.links.next;
    }
}

}  // namespace wspool::pool
