// The faults that other pools had (docs/pool.md lists where), each as a test that they cannot
// happen here: waiting, cancelling, and capacity that comes back.
#include "pool/pool_world.h"

#include <gtest/gtest.h>

#include <vector>

namespace wspool::pool {
namespace {

// One connection, leased by tag 1.
struct OneLease : World {
    explicit OneLease(const PoolOptions& options = plain_options(1)) : World(options) {
        holder = acquire();
        connect();
    }
    std::uint64_t holder;
};

TEST(FaultsOfTheField, F01_a_waiter_that_is_cancelled_passes_the_connection_on) {
    OneLease world;
    const auto first = world.acquire();
    const auto second = world.acquire();
    // The hand-off has happened, and only the message about it is still under way.
    world.pool.release(world.leases[world.holder], world.now);
    EXPECT_FALSE(world.pool.cancel(world.waiters[first], world.now));
    world.model.leases.clear();
    world.pull();
    EXPECT_TRUE(world.release(first));
    EXPECT_TRUE(world.has(second));
}

TEST(FaultsOfTheField, F02_a_dead_waiter_consumes_no_connection_and_no_turn) {
    OneLease world;
    const auto dead = world.acquire();
    const auto alive = world.acquire();
    EXPECT_TRUE(world.cancel(dead));
    world.release(world.holder);
    EXPECT_EQ(world.granted, (std::vector<std::uint64_t>{world.holder, alive}));
}

TEST(FaultsOfTheField, F03_cancelling_under_load_loses_no_capacity) {
    World world(plain_options(4));
    for (int i = 0; i < 500; ++i) {
        const auto tag = world.acquire();
        if (i % 3 == 0 && !world.connects.empty()) world.connect();
        if (!world.cancel(tag)) world.release(tag);
    }
    world.run();
    for (int i = 0; i < 4; ++i) world.acquire();
    world.run();
    EXPECT_EQ(world.pool.count(SlotState::leased), 4u);
}

TEST(FaultsOfTheField, F04_returning_a_broken_connection_serves_the_next_waiter) {
    OneLease world;
    const auto waiter = world.acquire();
    world.discard(world.holder);
    world.finish_close();
    world.connect();
    EXPECT_TRUE(world.has(waiter));
}

TEST(FaultsOfTheField, F05_capacity_freed_by_one_key_serves_waiters_of_another) {
    World world(plain_options(1));
    const auto holder = world.acquire_key(1);
    world.connect();
    const auto waiter = world.acquire_key(2);
    world.release(holder);
    ASSERT_EQ(world.closed.back().end, SlotEnd::evicted);
    world.finish_close();
    world.connect();
    EXPECT_TRUE(world.has(waiter));
}

TEST(FaultsOfTheField, F06_a_failed_connect_is_tried_again_for_whoever_waits) {
    World world(plain_options(1));
    const auto first = world.acquire_within(500ms);
    const auto second = world.acquire_within(1min);
    world.fail_connect();
    world.live(2s);
    EXPECT_EQ(world.errors[first], PoolError::timed_out);
    world.connect();
    EXPECT_TRUE(world.has(second));
}

TEST(FaultsOfTheField, F07_cancelling_while_a_connection_is_validated_keeps_it) {
    PoolOptions options = plain_options(1);
    options.validate_on_acquire = true;
    OneLease world(options);
    world.release(world.holder);
    world.advance(1s);
    const auto cancelled = world.acquire();
    ASSERT_EQ(world.validations.size(), 1u);
    EXPECT_TRUE(world.cancel(cancelled));
    world.validate(true);
    EXPECT_EQ(world.pool.count(SlotState::idle), 1u);
    const auto next = world.acquire();
    EXPECT_TRUE(world.has(next));
}

TEST(FaultsOfTheField, F08_a_success_that_meets_the_timeout_is_answered_once) {
    World world(plain_options(1));
    const auto tag = world.acquire_within(1s);
    world.advance(1s);
    world.connect();
    EXPECT_EQ(world.errors[tag], PoolError::timed_out);
    EXPECT_EQ(world.pool.count(SlotState::idle), 1u);
    const auto next = world.acquire();
    EXPECT_TRUE(world.has(next));
}

TEST(FaultsOfTheField, F09_counts_stay_exact_when_the_owner_acts_while_it_pulls) {
    OneLease world;
    for (int i = 0; i < 20; ++i) world.acquire();
    world.pool.discard(world.leases[world.holder], world.now);
    world.model.leases.clear();
    PoolAction action;
    std::uint32_t grants = 0;
    while (world.pool.next_action(action)) {
        EXPECT_LE(world.pool.size(), 1u);
        if (action.kind == PoolAction::Kind::close) world.pool.on_closed(action.slot, world.now);
        if (action.kind == PoolAction::Kind::connect)
            world.pool.on_connected(action.slot, world.now);
        if (action.kind == PoolAction::Kind::granted) {
            ++grants;
            world.pool.discard(action.lease, world.now);
        }
    }
    EXPECT_EQ(grants, 20u);
    world.pool.check_invariants();
}

TEST(FaultsOfTheField, F10_a_healthy_host_is_used_again_whoever_was_cancelled_in_the_outage) {
    PoolOptions options = plain_options(2);
    options.breaker.failures_max = 3;
    World world(options);
    for (int i = 0; i < 10; ++i) {
        const auto tag = world.acquire();
        world.live(1s);
        if (!world.connects.empty()) world.fail_connect();
        (void)world.cancel(tag);
    }
    world.live(10s);
    const auto tag = world.acquire();
    world.run();
    EXPECT_TRUE(world.has(tag));
}

TEST(FaultsOfTheField, F11_nothing_is_connected_for_waiters_that_are_gone) {
    PoolOptions options = plain_options(8);
    options.max_connecting = 1;
    World world(options);
    std::vector<std::uint64_t> tags;
    for (int i = 0; i < 8; ++i) tags.push_back(world.acquire());
    for (const auto tag : tags) world.cancel(tag);
    world.fail_connect();
    world.live(1min);
    EXPECT_EQ(world.connect_times.size(), 1u);
    EXPECT_EQ(world.pool.size(), 0u);
}

TEST(FaultsOfTheField, F12_the_queue_holds_nobody_who_is_done) {
    OneLease world;
    world.acquire();  // waits for long
    for (int i = 0; i < 1000; ++i) {
        const auto tag = world.acquire_within(1ms);
        if (i % 2 == 0) world.cancel(tag);
        world.advance(1ms);
        EXPECT_EQ(world.pool.waiting(), 1u);
    }
    EXPECT_EQ(world.pool.report(world.now).peak_waiting, 2u);
}

TEST(FaultsOfTheField, F13_an_acquirer_that_gives_up_does_not_abort_the_connect) {
    World world(plain_options(1));
    for (int i = 0; i < 20; ++i) {  // each has less time than a connect takes
        world.acquire_within(100ms);
        world.live(100ms);
    }
    EXPECT_EQ(world.connect_times.size(), 1u);
    EXPECT_TRUE(world.closed.empty());
    world.connect();
    const auto tag = world.acquire();
    EXPECT_TRUE(world.has(tag));
}

TEST(FaultsOfTheField, F14_as_many_connects_are_under_way_as_waiters_lack) {
    World world(plain_options(5));
    const auto first = world.acquire();
    world.connect();
    world.release(first);
    for (int i = 0; i < 3; ++i) world.acquire();  // one of them takes the idle one
    EXPECT_EQ(world.connects.size(), 2u);
    for (int i = 0; i < 9; ++i) world.acquire();
    EXPECT_EQ(world.connects.size(), 4u);  // no more room
}

TEST(FaultsOfTheField, F15_a_newcomer_does_not_overtake) {
    OneLease world;
    const auto old = world.acquire();
    world.release(world.holder);
    const auto newcomer = world.acquire({.waits = false});
    EXPECT_TRUE(world.has(old));
    EXPECT_EQ(world.errors[newcomer], PoolError::capacity);
}

TEST(FaultsOfTheField, F16_a_hand_off_is_one_step_however_many_wait) {
    OneLease world;
    for (int i = 0; i < 1000; ++i) world.acquire();
    world.pool.release(world.leases[world.holder], world.now);
    world.model.leases.clear();
    PoolAction action;
    ASSERT_TRUE(world.pool.next_action(action));
    EXPECT_EQ(action.kind, PoolAction::Kind::granted);
    EXPECT_FALSE(world.pool.next_action(action));
}

TEST(FaultsOfTheField, F17_a_connect_that_hangs_ends_and_others_take_its_place) {
    PoolOptions options = plain_options(4);
    options.max_connecting = 2;
    World world(options);
    std::vector<std::uint64_t> tags;
    for (int i = 0; i < 4; ++i) tags.push_back(world.acquire());
    EXPECT_EQ(world.connects.size(), 2u);
    world.live(10s);
    EXPECT_EQ(world.pool.count(SlotState::closing), 2u);
    world.live(10s);
    for (int i = 0; i < 8; ++i) {
        world.run();
        world.live(5s);
    }
    for (const auto tag : tags) EXPECT_TRUE(world.has(tag));
}

TEST(FaultsOfTheField, F18_whatever_is_neither_idle_nor_leased_has_a_deadline) {
    PoolOptions options = plain_options(1);
    options.validate_on_acquire = true;
    options.idle_timeout = options.max_lifetime = 0s;
    World world(options);
    const auto tag = world.acquire();
    EXPECT_EQ(world.pool.next_deadline(), world.now + options.connect_timeout);
    world.connect();
    EXPECT_EQ(world.pool.next_deadline(), never);
    world.release(tag);
    world.advance(1s);
    const auto again = world.acquire();
    EXPECT_EQ(world.pool.next_deadline(), world.now + options.validate_timeout);
    world.validate(true);
    world.discard(again);
    EXPECT_EQ(world.pool.next_deadline(), world.now + options.close_timeout);
    world.live(options.close_timeout);
    EXPECT_TRUE(world.closed.back().is_abort);
    EXPECT_EQ(world.pool.size(), 1u);  // until it is gone
}

TEST(FaultsOfTheField, F19_a_cancel_that_succeeds_gets_nothing_and_costs_nothing) {
    OneLease world;
    const auto tag = world.acquire();
    EXPECT_TRUE(world.cancel(tag));
    world.release(world.holder);
    EXPECT_FALSE(world.has(tag));
    EXPECT_EQ(world.pool.count(SlotState::idle), 1u);
    EXPECT_FALSE(world.cancel(tag));
}

TEST(FaultsOfTheField, F20_a_hand_off_is_complete_when_release_returns) {
    OneLease world;
    const auto tag = world.acquire();
    world.pool.release(world.leases[world.holder], world.now);
    world.model.leases.clear();
    EXPECT_EQ(world.pool.waiting(), 0u);
    EXPECT_EQ(world.pool.count(SlotState::leased), 1u);
    world.pool.check_invariants();
    world.pull();
    EXPECT_TRUE(world.has(tag));
}

TEST(FaultsOfTheField, F21_failing_validations_and_resizes_keep_the_counts) {
    PoolOptions options = plain_options(4);
    options.validate_on_acquire = true;
    World world(options);
    std::vector<std::uint64_t> tags;
    for (int i = 0; i < 4; ++i) tags.push_back(world.acquire());
    world.run();
    for (const auto tag : tags) world.release(tag);
    world.advance(1s);
    for (int i = 0; i < 3; ++i) world.acquire();
    world.resize(2);
    while (!world.validations.empty()) world.validate(false);
    world.resize(0);
    world.run();
    EXPECT_EQ(world.pool.size(), 0u);
    world.resize(3);
    world.run();
    EXPECT_EQ(world.pool.count(SlotState::leased), 3u);
}

TEST(FaultsOfTheField, F22_ends_that_meet_each_other_count_once) {
    World world(plain_options(2));
    const auto first = world.acquire();
    const auto second = world.acquire();
    world.run();
    const SlotId slot = world.slot_of(first);
    world.gone(slot);  // return and loss
    EXPECT_FALSE(world.release(first));
    EXPECT_FALSE(world.discard(first));
    world.discard(second);  // return and close
    EXPECT_FALSE(world.release(second));
    world.pool.close(world.now);
    world.pull();
    world.finish_close();
    EXPECT_EQ(world.pool.report(world.now).closed, 2u);
    EXPECT_TRUE(world.is_drained);
}

TEST(FaultsOfTheField, F23_retries_do_not_extend_the_wait) {
    PoolOptions options = plain_options(1);
    options.validate_on_acquire = true;
    OneLease world(options);
    world.release(world.holder);
    world.advance(1s);
    const Instant begin = world.now;
    const auto tag = world.acquire_within(3s);
    world.live(1s);
    world.validate(false);
    world.finish_close();
    world.live(1s);
    world.fail_connect();
    while (world.waits(tag)) world.advance(world.pool.next_deadline() - world.now);
    EXPECT_EQ(world.errors[tag], PoolError::timed_out);
    EXPECT_EQ(world.now - begin, 3s);
}

TEST(FaultsOfTheField, F24_a_double_release_does_nothing) {
    OneLease world;
    const auto first = world.acquire();
    const auto second = world.acquire();
    EXPECT_TRUE(world.release(world.holder));
    EXPECT_FALSE(world.release(world.holder));
    EXPECT_TRUE(world.has(first));
    EXPECT_TRUE(world.waits(second));
}

TEST(FaultsOfTheField, F25_as_many_releases_as_acquires_and_a_failed_one_adds_nothing) {
    PoolOptions options = plain_options(1);
    World world(options);
    const auto first = world.acquire_for("a");
    world.connect();
    const auto second = world.acquire_for("a");
    const auto third = world.acquire_for("a");
    EXPECT_EQ(world.slot_of(first), world.slot_of(third));
    const auto failed = world.acquire({.client = "b", .waits = false});
    EXPECT_EQ(world.errors[failed], PoolError::capacity);
    world.release(second);
    EXPECT_FALSE(world.release(second));
    world.release(first);
    EXPECT_EQ(world.pool.count(SlotState::leased), 1u);
    world.release(third);
    EXPECT_EQ(world.pool.count(SlotState::idle), 1u);
}

}  // namespace
}  // namespace wspool::pool
