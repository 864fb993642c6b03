// The invariants of pool.h, in their order, by recounting everything.
#include "pool/pool_state.h"

#include <vector>

namespace wspool::pool {

void Pool::check_invariants() const {
    state_->check_invariants();
}

void Pool::State::check_invariants() const {
    admission.check_invariants();
    std::vector<Key> counted(keys.size());
    check_slots(counted);
    check_places(counted);
    check_keys(counted);
}

// Counts into `counted` as well: uses, pending and live.
void Pool::State::check_slots(std::vector<Key>& counted) const {
    std::array<std::uint32_t, static_cast<std::size_t>(SlotState::count_)> states{};
    std::uint32_t shared = 0;
    std::uint32_t clients = 0;
    std::uint32_t standing_in = 0;
    for (std::uint32_t i = 0; i < indexes.end(); ++i) {
        const Slot& slot = slots[i];
        ++states[index_of(slot.state)];
        const bool is_leased = slot.state == SlotState::leased;
        const bool is_validating = slot.state == SlotState::validating;
        WSPOOL_ASSERT(is_leased == is_held(slot));
        WSPOOL_ASSERT(is_leased == (slot.seat != SeatId{}));
        WSPOOL_ASSERT(is_leased || !slot.has_client);
        WSPOOL_ASSERT(slot.has_client || slot.shared_leases.is_empty());
        shared += slot.shared_leases.size();
        clients += slot.has_client;
        standing_in += slot_replaces[i] != SlotId{};
        Key& key = counted[index_of(slot.key)];
        key.uses += slot.state != SlotState::free;
        key.pending += slot.state == SlotState::connecting || is_validating;
        key.live += slot.state == SlotState::idle || is_leased || is_validating;
    }
    for (std::size_t state = 1; state < states.size(); ++state)
        WSPOOL_ASSERT(states[state] == lists[state].size());
    WSPOOL_ASSERT(shared == shared_indexes.used());
    WSPOOL_ASSERT(clients == leased_clients.size());
    WSPOOL_ASSERT(standing_in == replacing);
    expiries.check_invariants();
}

void Pool::State::check_places(std::vector<Key>& counted) const {
    std::uint32_t seated = 0;
    std::uint32_t queued = 0;
    std::uint32_t waiting = 0;
    for (std::uint32_t i = 0; i < place_indexes.end(); ++i) {
        if (i >= places.size() || places[i].state == Place::State::free) continue;
        const Place& place = places[i];
        ++counted[index_of(place.key)].uses;
        seated += place.state == Place::State::seated;
        queued += place.state == Place::State::queued;
        waiting += place.waiters.size();
        WSPOOL_ASSERT(!place.waiters.is_empty());
    }
    WSPOOL_ASSERT(waiting == order.size());
    WSPOOL_ASSERT(waiting == waiter_indexes.used());
    deadlines.check_invariants();
    const AdmissionFigures figures = admission.figures(now);
    WSPOOL_ASSERT(figures.seats_used == seated + count(SlotState::leased));
    std::uint32_t queued_there = 0;
    std::uint32_t seated_here = 0;
    for (const std::uint32_t n : figures.waiting) queued_there += n;
    for (std::uint32_t i = 0; i < keys.size(); ++i) seated_here += keys[i].waiting.size();
    WSPOOL_ASSERT(queued_there == queued);
    WSPOOL_ASSERT(seated_here == seated);
}

void Pool::State::check_keys(const std::vector<Key>& counted) const {
    std::uint32_t lacks = 0;
    std::uint32_t idle = 0;
    for (std::uint32_t i = 0; i < keys.size(); ++i) {
        const Key& key = keys[i];
        WSPOOL_ASSERT(key.pending == counted[i].pending);
        WSPOOL_ASSERT(key.live == counted[i].live);
        WSPOOL_ASSERT(key.uses == counted[i].uses);
        WSPOOL_ASSERT(key.idle.is_empty() || key.waiting.size() <= key.pending);
        WSPOOL_ASSERT(key.lacking == std::max(key.waiting.size(), key.pending) - key.pending);
        lacks += key.lacking;
        idle += key.idle.size();
    }
    WSPOOL_ASSERT(lacks == lacking);
    WSPOOL_ASSERT(idle == count(SlotState::idle));
    // Whatever is lacking is on its way, as far as the limits allow.
    if (ceiling != nullptr || !may_connect()) return;
    WSPOOL_ASSERT(lacking + spare_lacking() == 0 || used() >= max_size);
    WSPOOL_ASSERT(lacking == 0 || staying() < max_size || idle == 0);
}

}  // namespace wspool::pool
