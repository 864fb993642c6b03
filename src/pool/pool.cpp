// What the users of connections ask, and what the pool says of itself.
#include "pool/pool.h"

#include "pool/pool_state.h"

#include <algorithm>
#include <utility>

namespace wspool::pool {
namespace {

// Seats go with the connections that may be leased. Deadlines and the bound on waiters are the
// pool's, because a place may be shared by several waiters, and outlasts the wait for its seat.
AdmissionOptions admission_options(const PoolOptions& options) {
    AdmissionOptions admission;
    admission.seats_max = options.max_size;
    admission.shares = options.shares;
    admission.lendable = options.lendable;
    admission.reserve_mode = options.reserve_mode;
    admission.waiters_max.fill(UINT32_MAX);
    admission.preemption = options.preemption;
    return admission;
}

}  // namespace

Pool::State::State(const PoolOptions& options_in,
                   Instant now_in,
                   std::uint64_t seed,
                   Ceiling* ceiling_in)
    : options(options_in),
      started(now_in),
      now(now_in),
      random(seed),
      hash_key{random.next(), random.next()},
      admission(admission_options(options), now_in, random.next()),
      backoff(options.reconnect, random.next()),
      breaker(options.breaker, random.next()),
      ceiling(ceiling_in),
      max_size(options.max_size),
      expiries(ExpiryPosition{&slots}),
      deadlines(DeadlinePosition{&waiters}),
      connect_after(now_in) {
    WSPOOL_ASSERT(check(options));
    always_settles = options.shares || options.min_idle > 0 || ceiling != nullptr;
    if (!options.has_histograms) return;
    before = std::make_unique<PoolHistograms>();
    interval = std::make_unique<PoolHistograms>();
}

Pool::Pool(const PoolOptions& options,
           Instant now,
           std::uint64_t seed,
           Ceiling* ceiling,
           std::uint64_t tag)
    : state_(std::make_unique<State>(options, now, seed, ceiling)) {
    if (ceiling != nullptr) state_->member = ceiling->join(tag);
    state_->keys.grow_to(index_of(options.min_idle_key));
    state_->settle();
}

Pool::~Pool() {
    if (state_->ceiling == nullptr) return;
    for (std::uint32_t slot = 0; slot < state_->indexes.end(); ++slot) {
        if (state_->slots[slot].state != SlotState::free)
            state_->ceiling->give_back(state_->member, state_->slots[slot].is_eviction);
    }
    state_->ceiling->leave(state_->member);
}

// ---- acquire

Acquired Pool::acquire(const AcquireRequest& request, Instant now) {
    State& state = *state_;
    state.advance(now);
    if (state.is_closed) return state.refuse(PoolError::closed);
    if (index_of(request.key) >= state.keys.size()) state.keys.grow_to(index_of(request.key));
    if (!request.client.empty()) {
        bool is_new = false;
        const Acquired shared = state.acquire_shared(request, is_new);
        if (!is_new) return shared;
    }
    return state.acquire_new(request);
}

// A client that has a lease of this key gets another of the same connection, and one that waits for
// its first shares the place.
Acquired Pool::State::acquire_shared(const AcquireRequest& request, bool& is_new) {
    const std::uint64_t hash = hash_of(request.client, request.key);
    const std::uint32_t slot = leased_clients.find(hash, [&](std::uint32_t i) {
        return slots[i].key == request.key && slot_clients[i].id == request.client;
    });
    const std::uint32_t place =
        slot != none ? none : waiting_clients.find(hash, [&](std::uint32_t i) {
            return places[i].key == request.key && places[i].client.id == request.client;
        });
    is_new = slot == none && place == none;
    if (is_new) return {};
    if (options.affinity == Affinity::exclusive) return refuse(PoolError::already_leased);
    if (slot != none) {
        if (index_of(request.priority) < index_of(slots[slot].priority)) {
            slots[slot].priority = request.priority;
            admission.reclass(slots[slot].seat, request.priority, now);
        }
        ++totals.acquired_direct;
        ++totals.acquired_shared;
        record_acquire(Duration::zero());
        const Acquired acquired{.kind = Acquired::Kind::leased,
                                .lease = make_lease(slot, request.tag),
                                .slot = id_of(slot)};
        settle();
        return acquired;
    }
    const PoolError why_not = why_not_wait(request);
    if (why_not != PoolError::count_) return refuse(why_not);
    const Acquired acquired{.kind = Acquired::Kind::waiting, .waiter = add_waiter(place, request)};
    promote(place, request.priority);
    settle();
    return acquired;
}

Acquired Pool::State::acquire_new(const AcquireRequest& request) {
    const Key& key = key_of(request.key);
    const bool has_idle = key.waiting.is_empty() && !key.idle.is_empty();
    SeatId seat;
    if (has_idle) seat = admission.try_seat(request.priority, next_place, now);
    if (seat == SeatId{}) {
        const Verdict verdict = admission.request(Request{.priority = request.priority,
                                                          .tag = next_place,
                                                          .is_returning = request.is_returning},
                                                  now);
        if (verdict.kind != Verdict::Kind::seated || !has_idle)
            return wait_or_fail(request, verdict);
        seat = verdict.seat;
    }
    const std::uint32_t slot = pick_idle(key);
    // Who may not wait takes the risk that it is dead.
    if (!needs_validation(slots[slot]) || why_not_wait(request) != PoolError::count_)
        return lease_now(slot, request, seat);
    return wait_or_fail(request, Verdict{.kind = Verdict::Kind::seated, .seat = seat});
}

Acquired Pool::State::wait_or_fail(const AcquireRequest& request, const Verdict& verdict) {
    const bool is_seated = verdict.kind == Verdict::Kind::seated;
    const PoolError why_not = is_seated && fails_fast(key_of(request.key)) ? PoolError::circuit_open
                                                                           : why_not_wait(request);
    if (why_not != PoolError::count_) {
        if (is_seated) admission.release(verdict.seat, now);
        if (!is_seated) admission.cancel(verdict.waiter, now);
        settle();
        return refuse(why_not);
    }
    const std::uint32_t index = next_place;
    next_place = place_indexes.take();
    places.grow_to(index);
    Place& place = places[index];
    place.state = Place::State::queued;
    place.priority = request.priority;
    place.key = request.key;
    ++key_of(request.key).uses;
    place.request = verdict.waiter;
    if (!request.client.empty()) {
        place.client.id = request.client;
        place.client.hash = hash_of(request.client, request.key);
        waiting_clients.insert(place.client.hash, index);
    }
    const Acquired acquired{.kind = Acquired::Kind::waiting, .waiter = add_waiter(index, request)};
    if (is_seated) on_seated(index, verdict.seat);
    settle();
    return acquired;
}

Acquired Pool::State::lease_now(std::uint32_t index, const AcquireRequest& request, SeatId seat) {
    Slot& slot = slots[index];
    slot.seat = seat;
    slot.priority = request.priority;
    name_holder(seat, index);
    lend(index);
    if (!request.client.empty()) {
        slot_clients[index] = {std::string(request.client), hash_of(request.client, request.key)};
        bind_client(index);
    }
    ++totals.acquired_direct;
    record_acquire(Duration::zero());
    return Acquired{.kind = Acquired::Kind::leased,
                    .lease = make_lease(index, request.tag),
                    .slot = id_of(index)};
}

void Pool::State::bind_client(std::uint32_t index) {
    leased_clients.insert(slot_clients[index].hash, index);
    slots[index].has_client = true;
}

Acquired Pool::State::refuse(PoolError error) {
    ++totals.errors[index_of(error)];
    if (error == PoolError::capacity) ++totals.rejected;
    if (error == PoolError::timed_out) record_acquire(Duration::zero());
    return Acquired{.kind = Acquired::Kind::failed, .waiter = {}, .error = error};
}

// ---- the rest

bool Pool::cancel(WaiterId id, Instant now) {
    State& state = *state_;
    state.advance(now);
    const Waiter* waiter = state.find(id);
    if (waiter == nullptr) return false;
    ++state.totals.errors[index_of(PoolError::cancelled)];
    state.record_acquire(state.now - waiter->since);
    state.remove_waiter(id.index);
    state.settle();
    return true;
}

void Pool::note_used(SlotId id, Instant now) {
    state_->advance(now);
    Slot* slot = state_->find(id);
    if (slot == nullptr) return;
    slot->last_use = state_->now;
    if (slot->state == SlotState::leased) state_->admission.touch(slot->seat, state_->now);
}

SlotId Pool::use_idle(KeyId id, Instant now) {
    State& state = *state_;
    state.advance(now);
    if (index_of(id) >= state.keys.size()) return {};
    Key& key = state.key_of(id);
    if (key.idle.is_empty()) return {};
    const std::uint32_t index = state.pick_idle(key);
    Slot& slot = state.slots[index];
    if (state.needs_validation(slot)) return {};
    slot.last_use = state.now;
    // As if it had been lent and given back: it is idle since now.
    slot.since = state.now;
    if (key.idle.back() == index && state.list(SlotState::idle).back() == index)
        return state.id_of(index);
    state.list(SlotState::idle).remove(state.slot_links(), index);
    state.list(SlotState::idle).push_back(state.slot_links(), index);
    key.idle.remove(state.idle_links(), index);
    key.idle.push_back(state.idle_links(), index);
    return state.id_of(index);
}

bool Pool::next_action(PoolAction& action) {
    State& state = *state_;
    if (state.next_action < state.actions.size()) {
        action = state.actions[state.next_action++];
        return true;
    }
    state.actions.clear();
    state.next_action = 0;
    return false;
}

Instant Pool::next_deadline() const {
    return state_->next_deadline();
}

void Pool::on_deadline(Instant now) {
    state_->advance(now);
    state_->on_deadline();
}

// ---- what is

bool Pool::is_closed() const {
    return state_->is_closed;
}

SlotState Pool::state(SlotId id) const {
    const Slot* slot = state_->find(id);
    return slot == nullptr ? SlotState::free : slot->state;
}

SlotId Pool::slot_of(LeaseId id) const {
    const std::uint32_t slot = state_->slot_of(id);
    return slot == State::none ? SlotId{} : state_->id_of(slot);
}

std::uint32_t Pool::count(SlotState state) const {
    return state_->count(state);
}

std::uint32_t Pool::size() const {
    return state_->used();
}

std::uint32_t Pool::waiting() const {
    return state_->order.size();
}

bool Pool::is_used(KeyId key) const {
    const std::uint32_t index = index_of(key);
    return index < state_->keys.size() && state_->keys[index].uses > 0;
}

std::string_view Pool::connect_error() const {
    return state_->is_failing ? std::string_view(state_->breaker.last_error().message)
                              : std::string_view();
}

CircuitBreaker::State Pool::breaker_state() const {
    return state_->breaker.state();
}

const PoolOptions& Pool::options() const {
    return state_->options;
}

AdmissionFigures Pool::admission(Instant now) const {
    return state_->admission.figures(now);
}

}  // namespace wspool::pool
