// The invariants of pool.h, in their order, by recounting everything.
#include "pool/pool_state.h"

#include <vector>

namespace wspool::pool {

void Pool::check_invariants() const {
    state_->check_invariants();
}

void Pool::State::check_invariants() const {
    admission.check_invariants();
    struct KeyCount {
        std::uint32_t idle = 0, pending = 0, live = 0, waiting = 0, uses = 0;
    };
    std::vector<KeyCount> counted(keys.size());
    std::array<std::uint32_t, static_cast<std::size_t>(SlotState::count_)> states{};
    std::uint32_t leases_held = 0;
    std::uint32_t clients = 0;
    std::uint32_t standing_in = 0;
    for (std::uint32_t i = 0; i < indexes.end(); ++i) {
        const Slot& slot = slots[i];
        ++states[index_of(slot.state)];
        const bool is_leased = slot.state == SlotState::leased;
        WSPOOL_ASSERT(is_leased == !slot.leases.is_empty());
        WSPOOL_ASSERT(is_leased == (slot.seat != SeatId{}));
        WSPOOL_ASSERT(is_leased || slot.client.id.empty());
        leases_held += slot.leases.size();
        clients += !slot.client.id.empty();
        standing_in += slot.replaces != SlotId{};
        if (slot.state == SlotState::free) continue;
        KeyCount& key = counted[index_of(slot.key)];
        ++key.uses;
        key.idle += slot.state == SlotState::idle;
        key.pending += slot.state == SlotState::connecting || slot.state == SlotState::validating;
        key.live +=
            slot.state == SlotState::validating || slot.state == SlotState::idle || is_leased;
    }
    for (std::size_t state = 1; state < states.size(); ++state)
        WSPOOL_ASSERT(states[state] == lists[state].size());
    WSPOOL_ASSERT(leases_held == lease_indexes.used());
    WSPOOL_ASSERT(clients == leased_clients.size());
    WSPOOL_ASSERT(standing_in == replacing);

    std::uint32_t seated = 0;
    std::uint32_t queued = 0;
    std::uint32_t waiting = 0;
    for (std::uint32_t i = 0; i < place_indexes.end(); ++i) {
        if (i >= places.size() || places[i].state == Place::State::free) continue;
        const Place& place = places[i];
        KeyCount& key = counted[index_of(place.key)];
        ++key.uses;
        key.waiting += place.state == Place::State::seated;
        seated += place.state == Place::State::seated;
        queued += place.state == Place::State::queued;
        waiting += place.waiters.size();
        WSPOOL_ASSERT(!place.waiters.is_empty());
    }
    WSPOOL_ASSERT(waiting == order.size());
    WSPOOL_ASSERT(waiting == waiter_indexes.used());
    const AdmissionFigures figures = admission.figures(now);
    WSPOOL_ASSERT(figures.seats_used == seated + count(SlotState::leased));
    std::uint32_t queued_there = 0;
    for (const std::uint32_t n : figures.waiting) queued_there += n;
    WSPOOL_ASSERT(queued_there == queued);

    std::uint32_t lacks = 0;
    for (std::uint32_t i = 0; i < keys.size(); ++i) {
        const Key& key = keys[i];
        const KeyCount& count = counted[i];
        WSPOOL_ASSERT(key.idle.size() == count.idle && key.pending == count.pending);
        WSPOOL_ASSERT(key.live == count.live && key.uses == count.uses);
        WSPOOL_ASSERT(key.waiting.size() == count.waiting);
        WSPOOL_ASSERT(count.idle == 0 || count.waiting <= count.pending);
        WSPOOL_ASSERT(key.lacking == std::max(count.waiting, count.pending) - count.pending);
        lacks += key.lacking;
    }
    WSPOOL_ASSERT(lacks == lacking);
    // Whatever is lacking is on its way, as far as the limits allow.
    const bool has_room = used() < max_size && ceiling == nullptr;
    WSPOOL_ASSERT(lacking + spare_lacking() == 0 || !has_room || !may_connect());
    WSPOOL_ASSERT(lacking == 0 || !may_connect() || staying() <= max_size - 1 ||
                  this->count(SlotState::idle) == 0);
}

}  // namespace wspool::pool
