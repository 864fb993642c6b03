// The inside of Pool, shared by its sources: pool.cpp (what users ask), pool_leases.cpp (what they
// give back), pool_events.cpp (what came of the actions), pool_slots.cpp (states, hand-off,
// closing), pool_waiters.cpp (the queue), pool_connects.cpp (which connections to open),
// pool_time.cpp (deadlines) and pool_check.cpp. Slots, leases, places and waiters go by index here;
// generations are checked where a call comes in.
#pragma once

#include "base/chunked_array.h"
#include "base/hash.h"
#include "base/histogram.h"
#include "base/index_table.h"
#include "base/random.h"
#include "pool/admission_deadlines.h"
#include "pool/admission_list.h"
#include "pool/backoff.h"
#include "pool/pool.h"
#include "pool/pool_slot.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace wspool::pool {

// Durations in nanoseconds.
struct PoolHistograms {
    Histogram acquire;
    Histogram use;
    Histogram connect;
    void merge(const PoolHistograms& other) {
        acquire.merge(other.acquire);
        use.merge(other.use);
        connect.merge(other.connect);
    }
};

struct Pool::State {
    static constexpr std::uint32_t none = UINT32_MAX;

    State(const PoolOptions& options_in, Instant now_in, std::uint64_t seed, Ceiling* ceiling_in);

    // ---- pool.cpp
    [[nodiscard]] Acquired acquire_shared(const AcquireRequest& request, bool& is_new);
    [[nodiscard]] Acquired acquire_new(const AcquireRequest& request);
    [[nodiscard, gnu::noinline]] Acquired wait_or_fail(const AcquireRequest& request,
                                                       const Verdict& verdict);
    [[nodiscard]] Acquired lease_now(std::uint32_t slot,
                                     const AcquireRequest& request,
                                     SeatId seat);
    void bind_client(std::uint32_t slot);
    [[nodiscard]] Acquired refuse(PoolError error);

    // ---- pool_leases.cpp
    [[nodiscard]] LeaseId share_lease(std::uint32_t slot, std::uint64_t tag);
    void free_shared(std::uint32_t index);
    SeatId end_leases(std::uint32_t slot);
    SeatId end_hold(std::uint32_t slot);
    void revoke_leases(std::uint32_t slot, PoolError error);

    // ---- pool_events.cpp
    void close_leased();

    // ---- pool_slots.cpp
    void change_state(std::uint32_t slot, SlotState from, SlotState to);
    void set_state(std::uint32_t slot, SlotState to);
    void lend(std::uint32_t slot);
    void offer(std::uint32_t slot);
    void grant(std::uint32_t place, std::uint32_t slot);
    void match(KeyId key);
    void begin_validation(std::uint32_t slot);
    void close_slot(std::uint32_t slot, SlotEnd end);
    void begin_closing(std::uint32_t slot, SlotEnd end);
    void ask_to_close(std::uint32_t slot, bool is_abort);
    void lose(std::uint32_t slot, Error error);
    void free_slot(std::uint32_t slot, SlotEnd end);

    // ---- pool_waiters.cpp
    // Why this acquire must not wait; count_ if it may.
    [[nodiscard]] PoolError why_not_wait(const AcquireRequest& request) const;
    [[nodiscard]] WaiterId add_waiter(std::uint32_t place, const AcquireRequest& request);
    void unlink_waiter(std::uint32_t waiter);
    void remove_waiter(std::uint32_t waiter);
    void fail_waiter(std::uint32_t waiter, PoolError error);
    void fail_place(std::uint32_t place, PoolError error);
    void fail_hopeless(PoolError error);
    void leave_key(std::uint32_t place);
    void free_place(std::uint32_t place);
    void on_seated(std::uint32_t place, SeatId seat);
    void requeue(std::uint32_t place);
    void promote(std::uint32_t place, Priority priority);
    void settle_all();
    void on_admission(const AdmissionAction& action);

    // ---- pool_connects.cpp
    void start_connects();
    void start_connect(KeyId key, std::uint32_t replaced);
    void evict_for_waiters(std::uint32_t needed);
    void connect_ended(std::uint32_t slot);
    void fail_attempt(std::uint32_t slot, Error error, SlotEnd end);
    void delay_connects();
    void put_off_redial();
    void update_lacking(KeyId key);
    void retire(std::uint32_t slot);
    [[nodiscard]] std::uint32_t connect_limit() const;
    [[nodiscard]] bool may_connect() const;
    [[nodiscard]] std::uint32_t below_min() const;
    [[nodiscard]] std::uint32_t spare_lacking() const;
    [[nodiscard]] bool fails_fast(const Key& key) const;
    [[nodiscard]] Instant connect_due() const;

    // ---- pool_time.cpp
    [[nodiscard]] Instant next_deadline() const;
    void on_deadline();
    void expire_connecting();
    void expire_validating();
    void abort_closing();
    void report_leaks();
    [[nodiscard]] bool reaps_idle() const;

    // ---- pool_check.cpp
    void check_invariants() const;
    void check_slots(std::vector<Key>& counted) const;
    void check_places(std::vector<Key>& counted) const;
    void check_keys(const std::vector<Key>& counted) const;

    // ---- small
    auto slot_links() {
        return [this](std::uint32_t i) -> ListLinks& { return slots[i].links; };
    }
    auto idle_links() {
        return [this](std::uint32_t i) -> ListLinks& { return slots[i].key_links; };
    }
    auto lease_links() {
        return [this](std::uint32_t i) -> ListLinks& { return shared_leases[i].links; };
    }
    auto key_links() {
        return [this](std::uint32_t i) -> ListLinks& { return keys[i].links; };
    }
    auto place_links() {
        return [this](std::uint32_t i) -> ListLinks& { return places[i].links; };
    }
    auto waiter_links() {
        return [this](std::uint32_t i) -> ListLinks& { return waiters[i].links; };
    }
    auto order_links() {
        return [this](std::uint32_t i) -> ListLinks& { return waiters[i].order_links; };
    }
    struct DeadlinePosition {
        ChunkedArray<Waiter>* waiters;
        std::uint32_t& operator()(std::uint32_t i) const { return (*waiters)[i].deadline_position; }
    };
    struct ExpiryPosition {
        ChunkedArray<Slot>* slots;
        std::uint32_t& operator()(std::uint32_t i) const { return (*slots)[i].expiry_position; }
    };

    // Every event ends here.
    void settle() {
        if (!order.is_empty() || always_settles || is_closed) settle_all();
    }
    // Time does not run backwards, whatever the caller says.
    void advance(Instant to) {
        if (to > now) now = to;
    }
    [[nodiscard]] Slot* find(SlotId id) {
        if (id.index >= slots.size()) return nullptr;
        Slot& slot = slots[id.index];
        return slot.generation == id.generation && slot.state != SlotState::free ? &slot : nullptr;
    }
    // The slot of a lease: its own, named by the slot's index, or a shared one; none if stale.
    [[nodiscard]] std::uint32_t slot_of(LeaseId id) const {
        if (id.index < slots.size()) {
            const Slot& slot = slots[id.index];
            return slot.is_lent && slot.lease_generation == id.generation ? id.index : none;
        }
        const std::uint32_t index = id.index ^ shared_flag;
        if (index >= shared_leases.size()) return none;
        const SharedLease& lease = shared_leases[index];
        return lease.generation == id.generation ? lease.slot : none;
    }
    // The first lease of a slot lies in it.
    [[nodiscard]] LeaseId make_lease(std::uint32_t index, std::uint64_t tag) {
        Slot& slot = slots[index];
        if (slot.is_lent) return share_lease(index, tag);
        slot.is_lent = true;
        slot.lease_tag = tag;
        return LeaseId{index, slot.lease_generation};
    }
    void free_lease(LeaseId id) {
        if ((id.index & shared_flag) != 0) {
            free_shared(id.index ^ shared_flag);
            return;
        }
        slots[id.index].is_lent = false;
        ++slots[id.index].lease_generation;
    }
    // visit(LeaseId, tag); it must not change leases.
    template <class Visit>
    void for_each_lease(std::uint32_t index, Visit visit) const {
        const Slot& slot = slots[index];
        if (slot.is_lent) visit(LeaseId{index, slot.lease_generation}, slot.lease_tag);
        for (std::uint32_t i = slot.shared_leases.front(); i != none;
             i = shared_leases[i].links.next)
            visit(LeaseId{i | shared_flag, shared_leases[i].generation}, shared_leases[i].tag);
    }
    [[nodiscard]] static bool is_held(const Slot& slot) {
        return slot.is_lent || !slot.shared_leases.is_empty();
    }
    [[nodiscard]] Waiter* find(WaiterId id) {
        if (id.index >= waiters.size()) return nullptr;
        Waiter& waiter = waiters[id.index];
        return waiter.generation == id.generation && waiter.place != none ? &waiter : nullptr;
    }
    [[nodiscard]] SlotId id_of(std::uint32_t slot) const { return {slot, slots[slot].generation}; }
    [[nodiscard]] Key& key_of(KeyId key) { return keys[index_of(key)]; }
    [[nodiscard]] IndexList& list(SlotState state) { return lists[index_of(state)]; }
    [[nodiscard]] std::uint32_t count(SlotState state) const {
        return lists[index_of(state)].size();
    }
    [[nodiscard]] std::uint32_t used() const { return static_cast<std::uint32_t>(indexes.used()); }
    // Without those that are on their way out.
    [[nodiscard]] std::uint32_t staying() const { return used() - count(SlotState::closing); }
    // And without those that stand in for one that is still there.
    [[nodiscard]] std::uint32_t kept() const { return staying() - replacing; }
    [[nodiscard]] std::uint32_t kept_min() const { return std::min(options.min_idle, max_size); }
    [[nodiscard]] std::uint32_t pick_idle(const Key& key) const {
        return options.reuse_policy == ReusePolicy::lifo ? key.idle.back() : key.idle.front();
    }
    [[nodiscard]] bool needs_validation(const Slot& slot) const {
        return options.validate_on_acquire && now - slot.last_use >= options.validate_bypass;
    }
    [[nodiscard]] std::uint64_t hash_of(std::string_view client, KeyId key) const {
        return sip_hash(client, hash_key) + index_of(key) * 0x9e3779b97f4a7c15ull;
    }
    static constexpr std::uint32_t shared_flag = 1u << 31;  // in the index of a LeaseId
    // What Admission knows a seat's holder by: a slot, or a place.
    static constexpr std::uint64_t slot_flag = std::uint64_t{1} << 32;
    void name_holder(SeatId seat, std::uint32_t slot) {
        if (options.shares) admission.set_tag(seat, slot | slot_flag);
    }
    void record_acquire(Duration waited) {
        if (interval) interval->acquire.record(static_cast<std::uint64_t>(waited.count()));
    }

    PoolOptions options;
    Instant started;
    Instant now;
    Prng random;
    HashKey hash_key;
    Admission admission;
    Backoff backoff;
    CircuitBreaker breaker;
    Ceiling* ceiling;
    Ceiling::MemberId member = 0;

    std::uint32_t max_size;
    std::uint32_t epoch = 0;
    bool is_closed = false;
    bool is_drained = false;
    bool always_settles = false;  // else, when nobody waits, there is nothing to settle
    Instant drain_deadline = never;

    ChunkedArray<Slot> slots;
    IndexPool indexes;  // of slots
    std::array<IndexList, static_cast<std::size_t>(SlotState::count_)>
        lists;                              // that of free is empty
    std::uint32_t leak_cursor = none;       // of the leased list: the first that was not reported
    std::uint32_t abort_cursor = none;      // of the closing list: the first that is not aborted
    DeadlineHeap<ExpiryPosition> expiries;  // of open slots
    ChunkedArray<SharedLease> shared_leases;
    IndexPool shared_indexes;
    ChunkedArray<ClientKey> slot_clients;  // leased slots that have a client
    ChunkedArray<SlotId> slot_replaces;    // connecting: this expired one may go when it opens
    ChunkedArray<Key> keys;

    ChunkedArray<Place> places;
    IndexPool place_indexes;
    std::uint32_t next_place = place_indexes.take();  // of the next acquire that has to wait
    ChunkedArray<Waiter> waiters;
    IndexPool waiter_indexes;
    IndexList order;  // of all waiters, oldest first
    DeadlineHeap<DeadlinePosition> deadlines;
    IndexTable leased_clients;   // to slots
    IndexTable waiting_clients;  // to places

    IndexList lacking_keys;       // in turn
    std::uint32_t lacking = 0;    // summed over the keys
    std::uint32_t replacing = 0;  // slots connecting for an expired one that stays until they open
    Instant connect_after;        // while connects fail
    bool is_failing = false;      // the last connect failed
    // When those kept in store that were lost may be dialled again, one each: a heap, earliest
    // first, of at most kept_min() when the last was put in.
    std::vector<Instant> redials;

    std::vector<PoolAction> actions;
    std::size_t next_action = 0;
    PoolReport totals;                         // only its counters and peaks are kept up
    std::unique_ptr<PoolHistograms> before;    // what was before the interval
    std::unique_ptr<PoolHistograms> interval;  // since take_interval(); null: not wanted
};

}  // namespace wspool::pool
