// For tests: a pool, and the world around it that does what the pool says: late, in any order, and
// only when told to. Every call and action passes through PoolModel.
#pragma once

#include "base/random.h"
#include "pool/pool.h"
#include "pool/pool_model.h"

#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wspool::pool {

using namespace std::chrono_literals;

// No checks, no jitter, no breaker: tests switch on what they are about.
inline PoolOptions plain_options(std::uint32_t max_size) {
    PoolOptions options;
    options.max_size = max_size;
    options.validate_on_acquire = false;
    options.max_lifetime_jitter = 0;
    options.breaker.failures_max = 0;
    options.reconnect.jitter = Jitter::none;
    options.reconnect.max_attempts = unlimited_attempts;
    return options;
}

class World {
  public:
    explicit World(const PoolOptions& options,
                   std::uint64_t seed = 1,
                   Ceiling* ceiling = nullptr,
                   std::uint64_t tag = 0)
        : max_size(options.max_size),
          max_size_now(options.max_size),
          pool(options, now, seed, ceiling, tag) {
        pull();
    }

    // ---- users; each acquire has a tag of its own, 1, 2, 3 …
    std::uint64_t acquire(AcquireRequest request = {}) {
        request.tag = ++last_tag;
        last = pool.acquire(request, now);
        model.on_acquire(request, last);
        if (last.kind == Acquired::Kind::leased) leases[last_tag] = last.lease;
        if (last.kind == Acquired::Kind::waiting) waiters[last_tag] = last.waiter;
        if (last.kind == Acquired::Kind::failed) errors[last_tag] = last.error;
        pull();
        return last_tag;
    }
    std::uint64_t acquire_key(std::uint32_t key) { return acquire({.key = KeyId{key}}); }
    std::uint64_t acquire_for(std::string_view client) { return acquire({.client = client}); }
    std::uint64_t acquire_within(Duration wait) { return acquire({.deadline = now + wait}); }

    bool release(std::uint64_t tag) { return give_back(tag, &Pool::release); }
    bool discard(std::uint64_t tag) { return give_back(tag, &Pool::discard); }
    bool detach(std::uint64_t tag) {
        const LeaseId lease = lease_of(tag);
        const SlotId slot = pool.slot_of(lease);
        if (!pool.detach(lease, now)) return false;
        model.leases.erase(lease.index);
        model.sockets.erase(slot.index);
        pull();
        return true;
    }
    bool cancel(std::uint64_t tag) {
        const bool was_waiting = pool.cancel(waiters[tag], now);
        if (was_waiting) {
            model.on_cancelled(tag);
            cancelled.insert(tag);
        }
        pull();
        return was_waiting;
    }
    [[nodiscard]] LeaseId lease_of(std::uint64_t tag) const {
        const auto it = leases.find(tag);
        return it == leases.end() ? LeaseId{} : it->second;
    }
    [[nodiscard]] SlotId slot_of(std::uint64_t tag) const { return pool.slot_of(lease_of(tag)); }
    [[nodiscard]] bool has(std::uint64_t tag) const { return slot_of(tag) != SlotId{}; }
    [[nodiscard]] bool waits(std::uint64_t tag) const {
        return leases.count(tag) == 0 && errors.count(tag) == 0;
    }

    // ---- the network: what the pool asked for, oldest first
    void connect() {
        const SlotId slot = take(connects);
        set(slot, PoolModel::Socket::connecting, PoolModel::Socket::open);
        pool.on_connected(slot, now);
        pull();
    }
    void fail_connect(std::string text = "connection refused") {
        const SlotId slot = take(connects);
        forget(slot);
        pool.on_connect_failed(slot, Error{std::move(text)}, now);
        pull();
    }
    void validate(bool is_ok) {
        const SlotId slot = take(validations);
        set(slot, PoolModel::Socket::checking, PoolModel::Socket::open);
        pool.on_validated(slot, is_ok, now);
        pull();
    }
    void finish_close() { gone(take(closes)); }
    // The connection is of no use any more, and will be gone later.
    void lose(SlotId slot) {
        if (model.sockets.at(slot.index) == PoolModel::Socket::closing) return;
        std::erase(connects, slot);
        std::erase(validations, slot);
        closes.push_back(slot);
        pool.on_lost(slot, now);
        pull();
        model.sockets.at(slot.index) = PoolModel::Socket::closing;
    }
    // The connection is gone, whoever wanted that.
    void gone(SlotId slot) {
        forget(slot);
        pool.on_closed(slot, now);
        pull();
    }
    // Everything succeeds until nothing is asked for any more.
    void run() {
        while (!connects.empty() || !closes.empty() || !validations.empty()) {
            if (!connects.empty()) {
                connect();
            } else if (!validations.empty()) {
                validate(true);
            } else {
                finish_close();
            }
        }
    }

    // What is delivered next.
    void shuffle(Prng& prng) {
        for (std::deque<SlotId>* asked : {&connects, &closes, &validations}) {
            if (!asked->empty()) std::swap(asked->front(), (*asked)[prng.below(asked->size())]);
        }
    }
    void resize(std::uint32_t size) {
        max_size = std::max(size, pool.size());  // more may stay until they are closed
        max_size_now = size;
        pool.resize(size, now);
        pull();
    }

    // ---- time
    void advance(Duration duration) {
        now += duration;
        pool.on_deadline(now);
        pull();
    }
    // As an owner does: wakes at each deadline in between.
    void live(Duration duration) {
        const Instant end = now + duration;
        for (Instant due = pool.next_deadline(); due <= end; due = pool.next_deadline())
            advance(std::max(due, now) - now);
        advance(end - now);
    }

    void pull() {
        PoolAction action;
        while (pool.next_action(action)) {
            model.on_action(action);
            note(action);
        }
        model.check(pool, max_size);
    }

    Instant now{};
    std::uint32_t max_size;      // that the model allows
    std::uint32_t max_size_now;  // after a resize
    PoolModel model;
    Pool pool;
    Acquired last;
    std::uint64_t last_tag = 0;
    std::map<std::uint64_t, LeaseId> leases;  // of all times, by tag
    std::map<std::uint64_t, WaiterId> waiters;
    std::map<std::uint64_t, PoolError> errors;   // of acquires
    std::map<std::uint64_t, PoolError> revoked;  // of leases
    std::set<std::uint64_t> cancelled;
    std::vector<std::uint64_t> granted;  // tags, in order
    std::vector<PoolAction> notices;
    std::vector<PoolAction> leaks;
    std::vector<PoolAction> closed;  // why the pool asked to close something
    std::deque<SlotId> connects;
    std::deque<SlotId> closes;
    std::deque<SlotId> validations;
    std::vector<Instant> connect_times;
    bool is_drained = false;

  private:
    bool give_back(std::uint64_t tag, bool (Pool::*how)(LeaseId, Instant)) {
        const LeaseId lease = lease_of(tag);
        const bool was_good = (pool.*how)(lease, now);
        if (was_good) model.leases.erase(lease.index);
        pull();
        return was_good;
    }
    void note(const PoolAction& action) {
        switch (action.kind) {
            case PoolAction::Kind::connect:
                connects.push_back(action.slot);
                connect_times.push_back(now);
                break;
            case PoolAction::Kind::validate:
                validations.push_back(action.slot);
                break;
            case PoolAction::Kind::close:
                std::erase(connects, action.slot);
                std::erase(validations, action.slot);
                if (!action.is_abort) closes.push_back(action.slot);
                closed.push_back(action);
                break;
            case PoolAction::Kind::granted:
                leases[action.tag] = action.lease;
                granted.push_back(action.tag);
                break;
            case PoolAction::Kind::failed:
                errors[action.tag] = action.error;
                break;
            case PoolAction::Kind::revoked:
                revoked[action.tag] = action.error;
                break;
            case PoolAction::Kind::notice:
                notices.push_back(action);
                break;
            case PoolAction::Kind::leaked:
                leaks.push_back(action);
                break;
            case PoolAction::Kind::drained:
                is_drained = true;
                break;
        }
    }
    static SlotId take(std::deque<SlotId>& asked) {
        WSPOOL_ASSERT(!asked.empty());
        const SlotId slot = asked.front();
        asked.pop_front();
        return slot;
    }
    void set(SlotId slot, PoolModel::Socket from, PoolModel::Socket to) {
        WSPOOL_ASSERT(model.sockets.at(slot.index) == from);
        model.sockets[slot.index] = to;
    }
    void forget(SlotId slot) {
        model.sockets.erase(slot.index);
        std::erase(connects, slot);
        std::erase(validations, slot);
        std::erase(closes, slot);
    }
};

}  // namespace wspool::pool
