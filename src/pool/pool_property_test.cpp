// The pool against its model: random commands, while what the world makes of the actions comes
// late, in any order, twice, or for what is gone already.
#include "base/random.h"
#include "pool/pool_world.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace wspool::pool {
namespace {

constexpr std::string_view clients[] = {"", "", "", "a", "b", "a client with a long name"};

PoolOptions random_options(Prng& prng) {
    PoolOptions options;
    options.max_size = 1 + static_cast<std::uint32_t>(prng.below(6));
    options.min_idle = static_cast<std::uint32_t>(prng.below(options.max_size + 1));
    options.max_waiters = static_cast<std::uint32_t>(prng.below(12));
    options.max_connecting = 1 + static_cast<std::uint32_t>(prng.below(4));
    options.reuse_policy = prng.chance(0.5) ? ReusePolicy::lifo : ReusePolicy::fifo;
    options.affinity = prng.chance(0.8) ? Affinity::shared : Affinity::exclusive;
    options.connect_timeout = 3s;
    options.idle_timeout = prng.chance(0.3) ? 0s : 4s;
    options.max_lifetime = prng.chance(0.3) ? 0s : 9s;
    options.validate_on_acquire = prng.chance(0.5);
    options.validate_timeout = 2s;
    options.close_timeout = 2s;
    options.leak_detection_threshold = prng.chance(0.5) ? 0s : 2s;
    options.breaker.failures_max = static_cast<std::uint32_t>(prng.below(4));
    options.reconnect.max_attempts = 3;
    options.has_histograms = prng.chance(0.1);
    if (prng.chance(0.4)) {
        options.shares = default_shares;
        options.preemption.grace = 500ms;
        options.preemption.min_hold = prng.chance(0.5) ? 0s : 1s;
        options.preemption.budget_per_second = 1;
    }
    return options;
}

class Storm {
  public:
    explicit Storm(std::uint64_t seed) : prng_(seed), world_(random_options(prng_), prng_.next()) {
        // Whoever loses a seat that was not used yet goes back into the queue.
        world_.model.checks_order = !world_.pool.options().shares;
    }

    void step() {
        switch (prng_.below(16)) {
            case 0:
            case 1:
            case 2:
            case 3:
                acquire();
                break;
            case 4:
            case 5:
                (void)world_.release(some_tag());
                break;
            case 6:
                if (prng_.chance(0.7))
                    (void)world_.discard(some_tag());
                else
                    (void)world_.detach(some_tag());
                break;
            case 7:
                (void)world_.cancel(some_tag());
                break;
            case 8:
                world_.live(Duration(prng_.below(1'500'000'000)));
                break;
            case 9:
                lose_something();
                break;
            case 10:
                say_something_stale();
                break;
            case 11:
                if (prng_.chance(0.1)) change_everything();
                break;
            default:
                deliver();
        }
    }

    // The world is well again: whoever asks is served, and everybody gives back.
    void recover() {
        for (int round = 0; round < 40; ++round) {
            world_.run();
            for (std::uint64_t tag = 1; tag <= world_.last_tag; ++tag) (void)world_.release(tag);
            world_.live(500ms);
        }
        RC_ASSERT(world_.pool.waiting() == 0u || world_.max_size_now == 0u);
        const std::uint64_t tag = world_.acquire();
        for (int round = 0; round < 40 && world_.waits(tag); ++round) {
            world_.live(500ms);
            world_.run();
        }
        const bool can_be_served =
            world_.max_size_now > 0 &&
            (world_.pool.options().max_waiters > 0 || world_.pool.count(SlotState::idle) > 0);
        RC_ASSERT(world_.has(tag) || !can_be_served);
    }

    void close() {
        world_.pool.drain(world_.now + 1s, world_.now);
        world_.pull();
        (void)world_.release(some_tag());
        world_.live(1s);
        while (!world_.model.sockets.empty())
            world_.gone(world_.model.names.at(world_.model.sockets.begin()->first));
        RC_ASSERT(world_.is_drained);
        RC_ASSERT(world_.pool.size() == 0u);
        RC_ASSERT(world_.pool.waiting() == 0u);
        RC_ASSERT(world_.pool.next_deadline() == never);
        for (std::uint64_t tag = 1; tag <= world_.last_tag; ++tag) {
            const auto answered = (world_.leases.count(tag)) + world_.errors.count(tag) +
                                  (world_.cancelled.count(tag));
            RC_ASSERT(answered == 1u);
        }
    }

  private:
    std::uint64_t some_tag() { return prng_.below(world_.last_tag + 2); }

    void acquire() {
        AcquireRequest request;
        request.key = KeyId{static_cast<std::uint32_t>(prng_.below(3))};
        request.client = clients[prng_.below(std::size(clients))];
        request.priority = all_priorities[prng_.below(priority_count)];
        if (prng_.chance(0.5)) request.deadline = world_.now + Duration(prng_.below(3'000'000'000));
        request.waits = prng_.chance(0.9);
        (void)world_.acquire(request);
    }

    void deliver() {
        world_.shuffle(prng_);
        switch (prng_.below(6)) {
            case 0:
            case 1:
            case 2:
                if (world_.connects.empty()) break;
                if (prng_.chance(0.7))
                    world_.connect();
                else
                    world_.fail_connect();
                break;
            case 3:
                if (!world_.validations.empty()) world_.validate(prng_.chance(0.7));
                break;
            default:
                if (!world_.closes.empty()) world_.finish_close();
        }
    }

    // Any connection may end at any time, or begin to.
    void lose_something() {
        if (world_.model.sockets.empty()) return;
        auto it = world_.model.sockets.begin();
        std::advance(it, prng_.below(world_.model.sockets.size()));
        const SlotId slot = world_.model.names.at(it->first);
        if (prng_.chance(0.5))
            world_.gone(slot);
        else
            world_.lose(slot);
    }

    // Events for names of the past, and events that do not fit the state.
    void say_something_stale() {
        const auto index = static_cast<std::uint32_t>(prng_.below(8));
        const auto it = world_.model.names.find(index);
        if (it == world_.model.names.end()) return;
        SlotId slot = it->second;
        if (world_.model.sockets.count(index) != 0) --slot.generation;
        Pool& pool = world_.pool;
        pool.on_connected(slot, world_.now);
        pool.on_connect_failed(slot, Error{"stale"}, world_.now);
        pool.on_validated(slot, false, world_.now);
        pool.on_lost(slot, world_.now);
        pool.on_closed(slot, world_.now);
        pool.note_used(slot, world_.now);
        world_.pull();
    }

    void change_everything() {
        if (prng_.chance(0.3)) {
            world_.pool.reset(world_.now);
            world_.pull();
        } else {
            world_.resize(static_cast<std::uint32_t>(prng_.below(7)));
        }
    }

    Prng prng_;
    World world_;
};

RC_GTEST_PROP(Pool, keeps_its_promises_whatever_happens_around_it, (std::uint64_t seed)) {
    Storm storm(seed);
    for (int step = 0; step < 300; ++step) storm.step();
    if (seed % 2 == 0) storm.recover();
    storm.close();
}

}  // namespace
}  // namespace wspool::pool
