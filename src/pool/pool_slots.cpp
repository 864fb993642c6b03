// The states of a slot, the hand-off of a connection that has become free, and its end.
#include "pool/pool_state.h"

#include <algorithm>
#include <utility>

namespace wspool::pool {
namespace {

constexpr bool is_pending(SlotState state) {
    return state == SlotState::connecting || state == SlotState::validating;
}

constexpr bool is_live(SlotState state) {
    return state == SlotState::validating || state == SlotState::idle || state == SlotState::leased;
}

}  // namespace

// The only place where a slot changes its state. Inlined, because what lending and giving back do
// not need falls away where the states are known.
[[gnu::always_inline]] inline void Pool::State::change_state(std::uint32_t index,
                                                             SlotState from,
                                                             SlotState to) {
    Slot& slot = slots[index];
    Key& key = key_of(slot.key);
    if (from == SlotState::leased && index == leak_cursor) leak_cursor = slot.links.next;
    if (from == SlotState::closing && index == abort_cursor) abort_cursor = slot.links.next;
    if (from == SlotState::free) {
        ++key.uses;
    } else {
        list(from).remove(slot_links(), index);
    }
    if (from == SlotState::idle) {
        key.idle.remove(idle_links(), index);
        if (ceiling != nullptr && list(SlotState::idle).is_empty())
            ceiling->set_idle(member, false);
    }
    key.pending += is_pending(to);
    key.pending -= is_pending(from);
    key.live += is_live(to);
    key.live -= is_live(from);

    slot.state = to;
    slot.since = now;
    if (to == SlotState::free) {
        --key.uses;
        return;
    }
    list(to).push_back(slot_links(), index);
    if (to == SlotState::idle) {
        key.idle.push_back(idle_links(), index);
        if (ceiling != nullptr) ceiling->set_idle(member, true);
    } else if (to == SlotState::leased) {
        if (leak_cursor == none) leak_cursor = index;
        totals.peak_leased = std::max(totals.peak_leased, count(SlotState::leased));
    } else if (to == SlotState::closing && abort_cursor == none) {
        abort_cursor = index;
    }
}

void Pool::State::set_state(std::uint32_t index, SlotState to) {
    change_state(index, slots[index].state, to);
}

void Pool::State::lend(std::uint32_t index) {
    change_state(index, SlotState::idle, SlotState::leased);
}

// An open connection that nobody has at the moment: closed if it must not be lent again, else to
// the place that waits longest for its key, else idle.
void Pool::State::offer(std::uint32_t index) {
    const Slot& slot = slots[index];
    const Key& key = key_of(slot.key);
    if (is_closed) {
        close_slot(index, SlotEnd::closed);
    } else if (slot.epoch != epoch) {
        close_slot(index, SlotEnd::reset);
    } else if (slot.is_expired || slot.expires <= now) {
        close_slot(index, SlotEnd::max_lifetime);
    } else if (staying() > max_size) {
        close_slot(index, SlotEnd::surplus);
    } else if (ceiling != nullptr && ceiling->must_yield(member)) {
        slots[index].is_eviction = true;
        close_slot(index, SlotEnd::evicted);
    } else if (!key.waiting.is_empty()) {
        grant(key.waiting.front(), index);
    } else if (slot.state == SlotState::leased) {
        change_state(index, SlotState::leased, SlotState::idle);
    } else {
        set_state(index, SlotState::idle);
    }
}

// All waiters of the place get a lease; its seat and its client go over to the slot.
void Pool::State::grant(std::uint32_t place_index, std::uint32_t index) {
    Place& place = places[place_index];
    Slot& slot = slots[index];
    slot.seat = place.seat;
    slot.priority = place.priority;
    name_holder(place.seat, index);
    set_state(index, SlotState::leased);
    if (!place.client.id.empty()) {
        waiting_clients.erase(place.client.hash, place_index);
        std::swap(slot_clients[index], place.client);
        place.client.id.clear();
        bind_client(index);
    }
    totals.acquired_waited += place.waiters.size();
    totals.acquired_shared += place.waiters.size() - 1;
    while (!place.waiters.is_empty()) {
        const std::uint32_t i = place.waiters.front();
        const Waiter& waiter = waiters[i];
        record_acquire(now - waiter.since);
        actions.push_back(PoolAction{.kind = PoolAction::Kind::granted,
                                     .slot = id_of(index),
                                     .lease = make_lease(index, waiter.tag),
                                     .tag = waiter.tag});
        unlink_waiter(i);
    }
    leave_key(place_index);
    free_place(place_index);
}

// Idle connections of the key go to the places that wait for one, the oldest first, as far as no
// other is under way for them.
void Pool::State::match(KeyId id) {
    const Key& key = key_of(id);
    while (key.waiting.size() > key.pending && !key.idle.is_empty()) {
        const std::uint32_t index = pick_idle(key);
        if (needs_validation(slots[index])) {
            begin_validation(index);
        } else {
            grant(key.waiting.front(), index);
        }
    }
    update_lacking(id);
}

void Pool::State::begin_validation(std::uint32_t index) {
    set_state(index, SlotState::validating);
    actions.push_back(PoolAction{.kind = PoolAction::Kind::validate,
                                 .slot = id_of(index),
                                 .deadline = now + options.validate_timeout});
}

// Asks for the closing; the slot is free once on_closed() tells that the connection is gone.
void Pool::State::close_slot(std::uint32_t index, SlotEnd end) {
    begin_closing(index, end);
    ask_to_close(index, false);
}

void Pool::State::ask_to_close(std::uint32_t index, bool is_abort) {
    actions.push_back(PoolAction{.kind = PoolAction::Kind::close,
                                 .end = slots[index].end,
                                 .is_abort = is_abort,
                                 .slot = id_of(index)});
}

void Pool::State::begin_closing(std::uint32_t index, SlotEnd end) {
    Slot& slot = slots[index];
    const SlotState from = slot.state;
    if (from == SlotState::connecting) {
        // Whether it would have opened is not known: a probe is begun anew.
        if (end != SlotEnd::connect_failed && end != SlotEnd::connect_timeout)
            breaker.abandoned(slot.attempt, now);
        connect_ended(index);
    }
    slot.end = end;
    expiries.remove(index);
    set_state(index, SlotState::closing);
    if (is_pending(from)) match(slot.key);
}

// The connection is of no use any more, and nobody asked for that.
void Pool::State::lose(std::uint32_t index, Error error) {
    const Slot& slot = slots[index];
    switch (slot.state) {
        case SlotState::connecting:
            fail_attempt(index, std::move(error), SlotEnd::connect_failed);
            return;
        case SlotState::leased:
            revoke_leases(index, PoolError::connection_lost);
            break;
        case SlotState::validating:
        case SlotState::idle:
            break;
        case SlotState::free:
        case SlotState::closing:
        case SlotState::count_:
            return;
    }
    begin_closing(index, SlotEnd::lost);
    // A server that accepts and closes at once is not asked in a hot loop.
    backoff.lost(now);
    if (now - slot.opened_at < options.reconnect.stable_after) delay_connects();
    put_off_redial();
}

void Pool::State::free_slot(std::uint32_t index, SlotEnd end) {
    Slot& slot = slots[index];
    ++totals.ended[index_of(end)];
    if (slot.has_opened) ++totals.closed;
    expiries.remove(index);
    set_state(index, SlotState::free);
    ++slot.generation;
    indexes.give_back(index);
    if (ceiling != nullptr) ceiling->give_back(member, slot.is_eviction);
}

}  // namespace wspool::pool
