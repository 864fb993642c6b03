// Which connections to open, and when: for places that lack one, for those kept in store, and in
// place of those whose lifetime is over; slower while the host fails.
#include "pool/pool_state.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace wspool::pool {
namespace {

// How long a replacement that cannot be begun now is put off.
constexpr Duration replacement_delay = std::chrono::seconds(1);

}  // namespace

// One at a time while the host fails: what works shows soon enough.
std::uint32_t Pool::State::connect_limit() const {
    return is_failing ? std::min(options.max_connecting, 1u) : options.max_connecting;
}

bool Pool::State::may_connect() const {
    if (is_closed || count(SlotState::connecting) >= connect_limit()) return false;
    switch (breaker.state()) {
        case CircuitBreaker::State::closed:
            return now >= connect_after;
        case CircuitBreaker::State::open:
            return now >= breaker.next_probe();
        case CircuitBreaker::State::half_open:
            return false;
    }
    WSPOOL_UNREACHABLE();
}

// How many connections fewer than min_idle there are, not counting those about to be replaced.
std::uint32_t Pool::State::below_min() const {
    return kept_min() > kept() ? kept_min() - kept() : 0;
}

// Of these, the ones to open now.
std::uint32_t Pool::State::spare_lacking() const {
    const auto put_off = static_cast<std::uint32_t>(redials.size());
    return below_min() > put_off ? below_min() - put_off : 0;
}

// A connection was lost. If that leaves too few in store, nobody waits for another one: it may take
// its time, so that clients who lost the same server do not come back to it together.
void Pool::State::put_off_redial() {
    if (spare_lacking() == 0) return;
    redials.push_back(now + spread_delay(options.reconnect, random));
    std::push_heap(redials.begin(), redials.end(), std::greater<>());
}

// Whether waiting is in vain: nothing of this key can come back, and the host is not asked. While a
// probe is under way, its outcome is worth waiting for.
bool Pool::State::fails_fast(const Key& key) const {
    return key.live == 0 && breaker.state() == CircuitBreaker::State::open &&
           now < breaker.next_probe();
}

void Pool::State::update_lacking(KeyId id) {
    Key& key = key_of(id);
    const std::uint32_t index = index_of(id);
    const std::uint32_t places_waiting = key.waiting.size();
    const std::uint32_t lacks = places_waiting > key.pending ? places_waiting - key.pending : 0;
    if (lacks == key.lacking) return;
    if (key.lacking == 0) lacking_keys.push_back(key_links(), index);
    if (lacks == 0) lacking_keys.remove(key_links(), index);
    lacking += lacks;
    lacking -= key.lacking;
    key.lacking = lacks;
}

void Pool::State::start_connects() {
    while (!redials.empty() && redials.front() <= now) {
        std::pop_heap(redials.begin(), redials.end(), std::greater<>());
        redials.pop_back();
    }
    if (ceiling == nullptr && lacking == 0 && spare_lacking() == 0) return;
    std::uint32_t wanted = 0;
    auto appetite = Ceiling::Appetite::waiter;
    while (may_connect()) {
        const std::uint32_t spare = lacking > 0 ? 0 : spare_lacking();
        if (lacking + spare == 0) break;
        const std::uint32_t startable =
            std::min(lacking + spare, connect_limit() - count(SlotState::connecting));
        if (used() >= max_size) {
            if (lacking > 0) evict_for_waiters(startable);
            break;
        }
        appetite = lacking > 0 ? Ceiling::Appetite::waiter : Ceiling::Appetite::spare;
        if (ceiling != nullptr && !ceiling->take(member)) {
            wanted = std::min(startable, max_size - used());
            break;
        }
        if (lacking == 0) {
            start_connect(options.min_idle_key, none);
            continue;
        }
        const std::uint32_t key = lacking_keys.front();
        start_connect(KeyId{key}, none);
        if (keys[key].lacking == 0) continue;
        lacking_keys.remove(key_links(), key);
        lacking_keys.push_back(key_links(), key);
    }
    if (ceiling != nullptr) ceiling->want(member, wanted, appetite);
}

// The permit is taken already.
void Pool::State::start_connect(KeyId key, std::uint32_t replaced) {
    const auto attempt = breaker.begin(now);
    WSPOOL_ASSERT(attempt.has_value());
    const std::uint32_t index = indexes.take();
    slots.grow_to(index);
    slot_clients.grow_to(index);
    slot_replaces.grow_to(index);
    Slot& slot = slots[index];
    slot.key = key;
    slot.epoch = epoch;
    slot.has_opened = slot.is_expired = slot.is_eviction = false;
    slot.expires = never;
    slot.attempt = *attempt;
    slot_replaces[index] = replaced == none ? SlotId{} : id_of(replaced);
    if (replaced != none) ++replacing;
    set_state(index, SlotState::connecting);
    update_lacking(key);
    totals.peak_total = std::max(totals.peak_total, used());
    actions.push_back(PoolAction{.kind = PoolAction::Kind::connect,
                                 .key = key,
                                 .slot = id_of(index),
                                 .deadline = now + options.connect_timeout});
}

// Idle connections are of keys that nobody waits for. Those already closing make room, too.
void Pool::State::evict_for_waiters(std::uint32_t needed) {
    const IndexList& idle = list(SlotState::idle);
    while (staying() + needed > max_size && !idle.is_empty())
        close_slot(idle.front(), SlotEnd::evicted);
}

// A slot stops connecting, however that went.
void Pool::State::connect_ended(std::uint32_t index) {
    const SlotId replaced = std::exchange(slot_replaces[index], SlotId{});
    if (replaced == SlotId{}) return;
    --replacing;
    const Slot* old = find(replaced);
    if (old == nullptr || old->state != SlotState::idle) return;
    // If it opened, the old one is closed now; else it is tried again.
    expiries.insert(replaced.index, std::max(connect_after, now) + replacement_delay);
}

// `end`: the slot is closing now, and the caller says whether it is gone, or asks for it.
void Pool::State::fail_attempt(std::uint32_t index, Error error, SlotEnd end) {
    breaker.failed(slots[index].attempt, std::move(error), now);
    is_failing = true;
    begin_closing(index, end);
    backoff.lost(now);
    delay_connects();
    if (breaker.state() != CircuitBreaker::State::closed) fail_hopeless(PoolError::connect_failed);
}

void Pool::State::delay_connects() {
    std::optional<Duration> delay = backoff.next_delay();
    if (!delay) {
        // Those who waited through all attempts are told; who comes next begins anew.
        fail_hopeless(PoolError::connect_failed);
        backoff.reset();
        delay = backoff.next_delay();
    }
    connect_after = now + delay.value_or(options.reconnect.initial_delay);
}

// The lifetime of an open connection is over. One that is leased or being validated goes when that
// is over; an idle one below the minimum only once another is open.
void Pool::State::retire(std::uint32_t index) {
    Slot& slot = slots[index];
    slot.is_expired = true;
    if (slot.state != SlotState::idle) return;
    if (kept() > kept_min() || used() >= max_size) {
        close_slot(index, SlotEnd::max_lifetime);
    } else if (may_connect() && (ceiling == nullptr || ceiling->take(member))) {
        start_connect(slot.key, index);
    } else {
        expiries.insert(index, std::max(connect_after, now) + replacement_delay);
    }
}

Instant Pool::State::connect_due() const {
    if (is_closed || lacking + below_min() == 0) return never;
    const Instant allowed =
        breaker.state() == CircuitBreaker::State::closed ? connect_after : breaker.next_probe();
    if (lacking + spare_lacking() > 0 && allowed > now) return allowed;
    const Instant redial = redials.empty() ? never : std::max(redials.front(), allowed);
    return redial > now ? redial : never;
}

}  // namespace wspool::pool
