// The queue: waiters, the places they share, and what Admission says of them.
#include "pool/pool_state.h"

#include <algorithm>
#include <utility>

namespace wspool::pool {

PoolError Pool::State::why_not_wait(const AcquireRequest& request) const {
    if (!request.waits) return PoolError::capacity;
    if (request.deadline <= now) return PoolError::timed_out;
    if (order.size() >= options.max_waiters) return PoolError::capacity;
    return PoolError::count_;
}

WaiterId Pool::State::add_waiter(std::uint32_t place, const AcquireRequest& request) {
    const std::uint32_t index = waiter_indexes.take();
    waiters.grow_to(index);
    Waiter& waiter = waiters[index];
    waiter.tag = request.tag;
    waiter.since = now;
    waiter.place = place;
    places[place].waiters.push_back(waiter_links(), index);
    order.push_back(order_links(), index);
    if (request.deadline != never) deadlines.insert(index, request.deadline);
    totals.peak_waiting = std::max(totals.peak_waiting, order.size());
    return WaiterId{index, waiter.generation};
}

void Pool::State::unlink_waiter(std::uint32_t index) {
    Waiter& waiter = waiters[index];
    places[waiter.place].waiters.remove(waiter_links(), index);
    order.remove(order_links(), index);
    deadlines.remove(index);
    waiter.place = none;
    ++waiter.generation;
    waiter_indexes.give_back(index);
}

// A place that nobody waits in any more gives up its seat, or its turn.
void Pool::State::remove_waiter(std::uint32_t index) {
    const std::uint32_t place_index = waiters[index].place;
    unlink_waiter(index);
    Place& place = places[place_index];
    if (!place.waiters.is_empty()) return;
    if (!place.client.id.empty()) {
        waiting_clients.erase(place.client.hash, place_index);
        place.client.id.clear();
    }
    const bool is_seated = place.state == Place::State::seated;
    if (is_seated) leave_key(place_index);
    free_place(place_index);
    if (is_seated) {
        admission.release(place.seat, now);
    } else {
        // If it was seated already, on_admission() finds nobody there.
        admission.cancel(place.request, now);
    }
}

void Pool::State::fail_waiter(std::uint32_t index, PoolError error) {
    const Waiter& waiter = waiters[index];
    ++totals.errors[index_of(error)];
    record_acquire(now - waiter.since);
    actions.push_back(
        PoolAction{.kind = PoolAction::Kind::failed, .error = error, .tag = waiter.tag});
    remove_waiter(index);
}

void Pool::State::fail_place(std::uint32_t index, PoolError error) {
    for (std::uint32_t left = places[index].waiters.size(); left > 0; --left)
        fail_waiter(places[index].waiters.front(), error);
}

// Everybody for whom nothing is under way and nothing can come back.
void Pool::State::fail_hopeless(PoolError error) {
    for (std::uint32_t i = lacking_keys.front(); i != none;) {
        const Key& key = keys[i];
        const std::uint32_t next = key.links.next;
        const bool is_hopeless = key.live == 0 && key.pending == 0;
        while (is_hopeless && !key.waiting.is_empty()) fail_place(key.waiting.front(), error);
        i = next;
    }
}

void Pool::State::leave_key(std::uint32_t index) {
    const KeyId key = places[index].key;
    key_of(key).waiting.remove(place_links(), index);
    update_lacking(key);
}

void Pool::State::free_place(std::uint32_t index) {
    Place& place = places[index];
    place.state = Place::State::free;
    --key_of(place.key).uses;
    place_indexes.give_back(index);
}

// The place has a seat now. It takes an idle connection of its key, or waits for one that comes
// back or opens, behind those of the same key that were seated before.
void Pool::State::on_seated(std::uint32_t index, SeatId seat) {
    Place& place = places[index];
    Key& key = key_of(place.key);
    place.state = Place::State::seated;
    place.seat = seat;
    key.waiting.push_back(place_links(), index);
    if (fails_fast(key)) {
        fail_place(index, PoolError::circuit_open);
    } else {
        match(place.key);
    }
}

// Its seat is wanted before it has a connection: it goes back into the queue, ahead of its class.
void Pool::State::requeue(std::uint32_t index) {
    Place& place = places[index];
    leave_key(index);
    place.state = Place::State::queued;
    place.request = WaiterId{};
    admission.release(place.seat, now);
    const Verdict verdict = admission.request(
        Request{.priority = place.priority, .tag = index, .is_returning = true}, now);
    if (verdict.kind == Verdict::Kind::seated) on_seated(index, verdict.seat);
    if (verdict.kind == Verdict::Kind::queued) place.request = verdict.waiter;
}

// Somebody of a higher priority shares the place: it moves into that queue, at its end.
void Pool::State::promote(std::uint32_t index, Priority priority) {
    Place& place = places[index];
    if (index_of(priority) >= index_of(place.priority)) return;
    place.priority = priority;
    if (place.state == Place::State::seated) {
        admission.reclass(place.seat, priority, now);
        return;
    }
    if (!admission.cancel(place.request, now)) return;
    const Verdict verdict = admission.request(Request{.priority = priority, .tag = index}, now);
    if (verdict.kind == Verdict::Kind::seated) on_seated(index, verdict.seat);
    if (verdict.kind == Verdict::Kind::queued) place.request = verdict.waiter;
}

// Every event ends here: whatever became free goes to those who wait, until nothing is left to
// give.
void Pool::State::settle() {
    AdmissionAction action;
    while (admission.next_action(action)) on_admission(action);
    start_connects();
    if (is_closed && !is_drained && used() == 0) {
        is_drained = true;
        actions.push_back(PoolAction{.kind = PoolAction::Kind::drained});
    }
}

void Pool::State::on_admission(const AdmissionAction& action) {
    const auto index = static_cast<std::uint32_t>(action.tag);
    const bool is_slot = (action.tag & slot_flag) != 0;
    switch (action.kind) {
        case AdmissionAction::Kind::seated:
            if (places[index].state == Place::State::queued) {
                on_seated(index, action.seat);
            } else {
                admission.release(action.seat, now);  // it gave up in the same event
            }
            return;
        case AdmissionAction::Kind::preempt:
            if (!is_slot) {
                requeue(index);
                return;
            }
            for (std::uint32_t i = slots[index].leases.front(); i != none;
                 i = leases[i].links.next) {
                actions.push_back(PoolAction{.kind = PoolAction::Kind::notice,
                                             .slot = id_of(index),
                                             .lease = lease_id(i),
                                             .tag = leases[i].tag,
                                             .deadline = action.grace_until,
                                             .delay = action.reconnect_delay});
            }
            return;
        case AdmissionAction::Kind::revoke:
            revoke_leases(index, PoolError::preempted);
            close_slot(index, SlotEnd::preempted);
            return;
        case AdmissionAction::Kind::timed_out:  // its requests have no deadline
        case AdmissionAction::Kind::closed:     // they were sent away before it was closed
            return;
    }
}

}  // namespace wspool::pool
