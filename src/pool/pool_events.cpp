// What came of the actions, and what is done to the pool as a whole.
#include "pool/pool_state.h"

#include <algorithm>
#include <utility>

namespace wspool::pool {

void Pool::on_connected(SlotId id, Instant now) {
    State& state = *state_;
    state.advance(now);
    Slot* slot = state.find(id);
    if (slot == nullptr || slot->state != SlotState::connecting) return;
    const Duration connect_time = state.now - slot->since;
    if (state.interval)
        state.interval->connect.record(static_cast<std::uint64_t>(connect_time.count()));
    ++state.totals.created;
    state.breaker.succeeded();
    state.backoff.opened(state.now);
    state.is_failing = false;
    state.connect_after = state.now;
    slot->has_opened = true;
    slot->opened_at = state.now;
    slot->last_use = state.now;
    const SlotId replaced = state.slot_replaces[id.index];
    state.connect_ended(id.index);
    if (const Duration lifetime = state.options.max_lifetime; lifetime > Duration::zero()) {
        const double part = state.options.max_lifetime_jitter *
                            (static_cast<double>(state.random.next() >> 11) * 0x1.0p-53);
        const auto earlier = static_cast<double>(lifetime.count()) * part;
        state.expiries.insert(id.index,
                              state.now + lifetime - Duration(static_cast<Duration::rep>(earlier)));
    }
    const Slot* old = state.find(replaced);
    if (old != nullptr && old->is_expired && old->state == SlotState::idle)
        state.close_slot(replaced.index, SlotEnd::max_lifetime);
    state.offer(id.index);
    state.settle();
}

void Pool::on_connect_failed(SlotId id, Error error, Instant now) {
    State& state = *state_;
    state.advance(now);
    const Slot* slot = state.find(id);
    if (slot == nullptr) return;
    if (slot->state == SlotState::connecting) {
        state.lose(id.index, std::move(error));
    } else if (slot->state != SlotState::closing) {
        return;
    }
    state.free_slot(id.index, slot->end);
    state.settle();
}

void Pool::on_validated(SlotId id, bool is_ok, Instant now) {
    State& state = *state_;
    state.advance(now);
    Slot* slot = state.find(id);
    if (slot == nullptr || slot->state != SlotState::validating) return;
    if (is_ok) {
        slot->last_use = state.now;
        state.offer(id.index);
    } else {
        state.close_slot(id.index, SlotEnd::invalid);
    }
    state.settle();
}

void Pool::on_lost(SlotId id, Instant now) {
    State& state = *state_;
    state.advance(now);
    const Slot* slot = state.find(id);
    if (slot == nullptr || slot->state == SlotState::closing) return;
    state.lose(id.index, Error{"the connection was lost before it was open"});
    state.settle();
}

void Pool::on_closed(SlotId id, Instant now) {
    State& state = *state_;
    state.advance(now);
    const Slot* slot = state.find(id);
    if (slot == nullptr) return;
    if (slot->state != SlotState::closing)
        state.lose(id.index, Error{"the connection was closed before it was open"});
    state.free_slot(id.index, slot->end);
    state.settle();
}

void Pool::on_permit(Instant now) {
    state_->advance(now);
    state_->settle();
}

void Pool::evict_idle(Instant now) {
    State& state = *state_;
    state.advance(now);
    WSPOOL_ASSERT(state.ceiling != nullptr);
    const std::uint32_t index = state.list(SlotState::idle).front();
    if (index == State::none) {
        state.ceiling->nothing_to_evict(state.member);
        return;
    }
    state.slots[index].is_eviction = true;
    state.close_slot(index, SlotEnd::evicted);
    state.settle();
}

// ---- all of it

void Pool::resize(std::uint32_t max_size, Instant now) {
    State& state = *state_;
    state.advance(now);
    state.max_size = max_size;
    state.options.max_size = max_size;
    state.admission.resize(max_size, state.now);
    const IndexList& idle = state.list(SlotState::idle);
    while (state.staying() > max_size && !idle.is_empty())
        state.close_slot(idle.front(), SlotEnd::surplus);
    state.settle();
}

void Pool::reset(Instant now) {
    State& state = *state_;
    state.advance(now);
    ++state.epoch;
    const IndexList& idle = state.list(SlotState::idle);
    while (!idle.is_empty()) state.close_slot(idle.front(), SlotEnd::reset);
    state.backoff.reset();
    state.breaker = CircuitBreaker(state.options.breaker, state.random.next());
    state.is_failing = false;
    state.connect_after = state.now;
    state.redials.clear();
    state.settle();
}

void Pool::drain(Instant deadline, Instant now) {
    State& state = *state_;
    state.advance(now);
    state.drain_deadline = std::min(state.drain_deadline, deadline);
    if (!state.is_closed) {
        state.is_closed = true;
        while (!state.order.is_empty()) state.fail_waiter(state.order.front(), PoolError::closed);
        state.admission.close(state.now);
        for (const SlotState part :
             {SlotState::connecting, SlotState::validating, SlotState::idle}) {
            while (!state.list(part).is_empty())
                state.close_slot(state.list(part).front(), SlotEnd::closed);
        }
    }
    if (state.drain_deadline <= state.now) state.close_leased();
    state.settle();
}

void Pool::State::close_leased() {
    while (!list(SlotState::leased).is_empty()) {
        const std::uint32_t index = list(SlotState::leased).front();
        revoke_leases(index, PoolError::closed);
        close_slot(index, SlotEnd::closed);
    }
}

}  // namespace wspool::pool
