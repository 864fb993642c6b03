// Leases: what is lent, by whom it is shared, and how it comes back.
#include "pool/pool_state.h"

#include <utility>

namespace wspool::pool {

LeaseId Pool::State::share_lease(std::uint32_t index, std::uint64_t tag) {
    const std::uint32_t shared = shared_indexes.take();
    shared_leases.grow_to(shared);
    SharedLease& lease = shared_leases[shared];
    lease.slot = index;
    lease.tag = tag;
    slots[index].shared_leases.push_back(lease_links(), shared);
    return LeaseId{shared | shared_flag, lease.generation};
}

void Pool::State::free_shared(std::uint32_t index) {
    SharedLease& lease = shared_leases[index];
    slots[lease.slot].shared_leases.remove(lease_links(), index);
    lease.slot = none;
    ++lease.generation;
    shared_indexes.give_back(index);
}

// Whoever held the slot holds it no more; the seat is the caller's to release, after it has said
// what becomes of the connection.
SeatId Pool::State::end_leases(std::uint32_t index) {
    Slot& slot = slots[index];
    if (slot.is_lent) free_lease(LeaseId{index});
    while (!slot.shared_leases.is_empty()) free_shared(slot.shared_leases.front());
    return end_hold(index);
}

SeatId Pool::State::end_hold(std::uint32_t index) {
    Slot& slot = slots[index];
    if (slot.has_client) {
        leased_clients.erase(slot_clients[index].hash, index);
        slot.has_client = false;
    }
    if (interval) interval->use.record(static_cast<std::uint64_t>((now - slot.since).count()));
    return std::exchange(slot.seat, SeatId{});
}

void Pool::State::revoke_leases(std::uint32_t index, PoolError error) {
    for_each_lease(index, [&](LeaseId lease, std::uint64_t tag) {
        ++totals.errors[index_of(error)];
        actions.push_back(PoolAction{.kind = PoolAction::Kind::revoked,
                                     .error = error,
                                     .slot = id_of(index),
                                     .lease = lease,
                                     .tag = tag});
    });
    const SeatId seat = end_leases(index);
    admission.release(seat, now);
}

bool Pool::release(LeaseId id, Instant now) {
    State& state = *state_;
    state.advance(now);
    const std::uint32_t index = state.slot_of(id);
    if (index == State::none) return false;
    ++state.totals.released;
    state.free_lease(id);
    Slot& slot = state.slots[index];
    if (State::is_held(slot)) return true;
    slot.last_use = state.now;
    const SeatId seat = state.end_hold(index);
    state.offer(index);
    state.admission.release(seat, state.now);
    state.settle();
    return true;
}

bool Pool::discard(LeaseId id, Instant now) {
    State& state = *state_;
    state.advance(now);
    const std::uint32_t index = state.slot_of(id);
    if (index == State::none) return false;
    ++state.totals.released;
    state.free_lease(id);
    state.revoke_leases(index, PoolError::connection_lost);
    state.close_slot(index, SlotEnd::discarded);
    state.settle();
    return true;
}

bool Pool::detach(LeaseId id, Instant now) {
    State& state = *state_;
    state.advance(now);
    const std::uint32_t index = state.slot_of(id);
    if (index == State::none) return false;
    const Slot& slot = state.slots[index];
    if (slot.shared_leases.size() + (slot.is_lent ? 1 : 0) > 1) return false;
    ++state.totals.released;
    const SeatId seat = state.end_leases(index);
    state.free_slot(index, SlotEnd::detached);
    state.admission.release(seat, state.now);
    state.settle();
    return true;
}

}  // namespace wspool::pool
