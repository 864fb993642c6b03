#include "pool/ceiling.h"

#include "base/random.h"
#include "pool/pool_world.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <vector>

namespace wspool::pool {
namespace {

// Several pools under one ceiling, each in a world of its own.
class Worlds {
  public:
    Worlds(std::uint32_t permits, std::uint32_t count, const PoolOptions& options)
        : ceiling(permits) {
        for (std::uint32_t i = 0; i < count; ++i)
            worlds.push_back(std::make_unique<World>(options, i + 1, &ceiling, i));
    }
    World& operator[](std::size_t index) { return *worlds[index]; }

    void pump() {
        CeilingAction action;
        while (ceiling.next_action(action)) {
            World& world = *worlds[action.tag];
            if (action.kind == CeilingAction::Kind::wake) world.pool.on_permit(world.now);
            if (action.kind == CeilingAction::Kind::evict) world.pool.evict_idle(world.now);
            world.pull();
        }
        ceiling.check_invariants();
        std::uint32_t sockets = 0;
        for (const auto& world : worlds) sockets += world->pool.size();
        WSPOOL_ASSERT(sockets <= ceiling.figures().permits_max);
        WSPOOL_ASSERT(sockets == ceiling.figures().taken);
    }
    // Everything succeeds until nothing is asked for any more.
    void run() {
        for (bool goes_on = true; goes_on;) {
            goes_on = false;
            pump();
            for (const auto& world : worlds) {
                if (world->connects.empty() && world->closes.empty()) continue;
                goes_on = true;
                world->run();
                pump();
            }
        }
    }

    Ceiling ceiling;
    std::vector<std::unique_ptr<World>> worlds;
};

TEST(Ceiling, all_pools_together_open_no_more_than_it_allows) {
    Worlds worlds(3, 2, plain_options(6));
    for (int i = 0; i < 6; ++i) {
        worlds[0].acquire();
        worlds[1].acquire();
    }
    worlds.run();
    EXPECT_EQ(worlds.ceiling.figures().taken, 3u);
    EXPECT_EQ(worlds.ceiling.figures().peak, 3u);
}

TEST(FaultsOfTheField, F05_capacity_freed_by_one_pool_serves_the_waiters_of_another) {
    Worlds worlds(1, 2, plain_options(1));
    const auto holder = worlds[0].acquire();
    worlds.run();
    const auto waiter = worlds[1].acquire();
    worlds.run();
    EXPECT_TRUE(worlds[1].waits(waiter));
    worlds[0].discard(holder);
    worlds.run();
    EXPECT_TRUE(worlds[1].has(waiter));
}

TEST(Ceiling, an_idle_connection_of_another_pool_makes_room) {
    Worlds worlds(2, 3, plain_options(2));
    for (const auto i : {std::size_t{0}, std::size_t{1}}) {
        const auto tag = worlds[i].acquire();
        worlds.run();
        worlds[i].release(tag);
    }
    const auto first = worlds[2].acquire();
    const auto second = worlds[2].acquire();
    worlds.run();
    EXPECT_TRUE(worlds[2].has(first) && worlds[2].has(second));
    EXPECT_EQ(worlds.ceiling.figures().evictions, 2u);
}

TEST(FaultsOfTheField, F37_a_pool_that_is_always_busy_leaves_the_others_their_part) {
    Worlds worlds(6, 3, plain_options(6));
    for (int i = 0; i < 12; ++i) worlds[0].acquire();
    worlds.run();
    EXPECT_EQ(worlds[0].pool.size(), 6u);
    for (const auto i : {std::size_t{1}, std::size_t{2}}) {
        for (int n = 0; n < 12; ++n) worlds[i].acquire();
    }
    // Everybody gives back and asks again, all the time.
    for (int round = 0; round < 40; ++round) {
        for (const auto& world : worlds.worlds) {
            for (std::uint64_t tag = 1; tag <= world->last_tag; ++tag) {
                if (!world->has(tag)) continue;
                world->release(tag);
                world->acquire();
                break;
            }
            worlds.run();
        }
    }
    for (const auto& world : worlds.worlds) {
        EXPECT_GE(world->pool.count(SlotState::leased), 1u);
        EXPECT_LE(world->pool.count(SlotState::leased), 3u);
        EXPECT_GT(world->granted.size(), 20u);
    }
}

TEST(Ceiling, connections_in_store_never_take_what_a_waiter_wants) {
    PoolOptions store = plain_options(2);
    store.min_idle = 2;
    Ceiling ceiling(2);
    World stored(store, 1, &ceiling, 0);
    stored.run();
    World other(plain_options(2), 2, &ceiling, 1);
    const auto tag = other.acquire();
    CeilingAction action;
    while (ceiling.next_action(action)) {
        ASSERT_EQ(action.kind, CeilingAction::Kind::evict);
        stored.pool.evict_idle(stored.now);
        stored.pull();
    }
    stored.run();
    while (ceiling.next_action(action)) {
        ASSERT_EQ(action.tag, 1u);
        other.pool.on_permit(other.now);
        other.pull();
    }
    other.run();
    EXPECT_TRUE(other.has(tag));
    EXPECT_EQ(stored.pool.size(), 1u);

    // When it is given up, the store is filled again.
    other.discard(tag);
    other.run();
    while (ceiling.next_action(action)) stored.pool.on_permit(stored.now);
    stored.pull();
    stored.run();
    EXPECT_EQ(stored.pool.count(SlotState::idle), 2u);
}

TEST(Ceiling, a_pool_that_is_gone_has_left_what_it_had) {
    Worlds worlds(2, 2, plain_options(2));
    worlds[0].acquire();
    worlds[0].acquire();
    worlds.run();
    const auto waiter = worlds[1].acquire();
    worlds.pump();
    auto gone = std::move(worlds.worlds[0]);
    gone.reset();
    worlds.worlds[0] = std::make_unique<World>(plain_options(2), 9, &worlds.ceiling, 0);
    worlds.run();
    EXPECT_TRUE(worlds[1].has(waiter));
}

RC_GTEST_PROP(Ceiling, holds_and_serves_everybody_whatever_happens, (std::uint64_t seed)) {
    Prng prng(seed);
    PoolOptions options = plain_options(1 + static_cast<std::uint32_t>(prng.below(4)));
    options.min_idle = static_cast<std::uint32_t>(prng.below(options.max_size));
    Worlds worlds(1 + static_cast<std::uint32_t>(prng.below(6)), 3, options);
    for (int step = 0; step < 300; ++step) {
        World& world = worlds[prng.below(3)];
        const std::uint64_t tag = prng.below(world.last_tag + 2);
        switch (prng.below(8)) {
            case 0:
            case 1:
                world.acquire_key(static_cast<std::uint32_t>(prng.below(2)));
                break;
            case 2:
                (void)world.release(tag);
                break;
            case 3:
                (void)world.discard(tag);
                break;
            case 4:
                (void)world.cancel(tag);
                break;
            case 5:
                if (!world.connects.empty() && prng.chance(0.8))
                    world.connect();
                else if (!world.connects.empty())
                    world.fail_connect();
                break;
            case 6:
                if (!world.closes.empty()) world.finish_close();
                break;
            default:
                world.live(Duration(prng.below(1'000'000'000)));
        }
        if (prng.chance(0.7)) worlds.pump();
    }
    for (int round = 0; round < 60; ++round) {
        worlds.run();
        for (const auto& world : worlds.worlds) {
            for (std::uint64_t tag = 1; tag <= world->last_tag; ++tag) (void)world->release(tag);
            world->live(1s);
        }
    }
    for (const auto& world : worlds.worlds) RC_ASSERT(world->pool.waiting() == 0u);
}

}  // namespace
}  // namespace wspool::pool
