// What a pool does beyond the faults it avoids: reuse, reset, resize, leaks, preemption.
#include "pool/pool_world.h"

#include <gtest/gtest.h>

#include <vector>

namespace wspool::pool {
namespace {

// Leased and given back in order, so that the first is idle longest.
std::vector<SlotId> idle_slots(World& world, int count) {
    std::vector<std::uint64_t> tags;
    for (int i = 0; i < count; ++i) tags.push_back(world.acquire());
    world.run();
    std::vector<SlotId> slots;
    for (const auto tag : tags) {
        slots.push_back(world.slot_of(tag));
        world.release(tag);
    }
    return slots;
}

TEST(Pool, lends_the_connection_used_last_or_the_one_unused_longest) {
    PoolOptions options = plain_options(3);
    World lifo(options);
    const auto stacked = idle_slots(lifo, 3);
    EXPECT_EQ(lifo.slot_of(lifo.acquire()), stacked[2]);
    options.reuse_policy = ReusePolicy::fifo;
    World fifo(options);
    const auto queued = idle_slots(fifo, 3);
    EXPECT_EQ(fifo.slot_of(fifo.acquire()), queued[0]);
}

TEST(Pool, does_not_lend_again_what_opened_before_a_reset) {
    World world(plain_options(3));
    idle_slots(world, 2);
    const auto holder = world.acquire();
    const auto waiter = world.acquire_key(1);
    world.pool.reset(world.now);
    world.pull();
    EXPECT_EQ(world.pool.count(SlotState::idle), 0u);
    EXPECT_TRUE(world.has(holder));
    world.release(holder);
    EXPECT_EQ(world.closed.back().end, SlotEnd::reset);
    world.run();
    EXPECT_TRUE(world.has(waiter));
    EXPECT_EQ(world.pool.size(), 1u);
}

TEST(Pool, closes_what_comes_back_beyond_a_lowered_limit) {
    World world(plain_options(3));
    std::vector<std::uint64_t> tags;
    for (int i = 0; i < 3; ++i) tags.push_back(world.acquire());
    world.run();
    world.resize(1);
    const auto waiter = world.acquire();
    world.release(tags[0]);
    world.release(tags[1]);
    EXPECT_EQ(world.closed.size(), 2u);
    EXPECT_EQ(world.closed.back().end, SlotEnd::surplus);
    world.run();
    EXPECT_TRUE(world.waits(waiter));
    world.release(tags[2]);
    EXPECT_TRUE(world.has(waiter));
    EXPECT_EQ(world.pool.size(), 1u);
}

TEST(Pool, closes_a_leased_connection_whose_lifetime_is_over_when_it_comes_back) {
    PoolOptions options = plain_options(1);
    options.max_lifetime = 10min;
    World world(options);
    const auto holder = world.acquire();
    world.connect();
    world.live(1h);
    EXPECT_TRUE(world.has(holder));
    world.release(holder);
    EXPECT_EQ(world.closed.back().end, SlotEnd::max_lifetime);
}

TEST(Pool, tells_once_of_each_lease_that_is_held_for_long) {
    PoolOptions options = plain_options(3);
    options.leak_detection_threshold = 10s;
    World world(options);
    const auto first = world.acquire_for("a");
    world.run();
    const auto shared = world.acquire_for("a");
    world.live(5s);
    const auto second = world.acquire();
    world.run();
    world.live(5s);
    EXPECT_EQ(world.leaks.size(), 2u);
    EXPECT_EQ(world.leaks.front().tag, first);
    EXPECT_EQ(world.leaks.front().delay, 10s);
    EXPECT_EQ(world.leaks.back().tag, shared);
    world.live(1h);
    EXPECT_EQ(world.leaks.size(), 3u);
    EXPECT_EQ(world.leaks.back().tag, second);
    EXPECT_EQ(world.pool.report(world.now).leaks, 2u);  // connections
}

TEST(Pool, tries_a_replacement_again_when_it_did_not_connect) {
    PoolOptions options = plain_options(2);
    options.min_idle = 1;
    options.max_lifetime = 10min;
    World world(options);
    world.run();
    world.live(10min);
    world.fail_connect();
    EXPECT_EQ(world.pool.count(SlotState::idle), 1u);  // the old one still serves
    world.live(10s);
    ASSERT_EQ(world.connects.size(), 1u);
    world.connect();
    EXPECT_EQ(world.closed.back().end, SlotEnd::max_lifetime);
    EXPECT_EQ(world.pool.count(SlotState::idle), 1u);
}

// Forty programs that lose one server.
TEST(Pool, dials_what_it_kept_in_store_again_spread_over_time) {
    constexpr std::uint32_t programs = 40;
    constexpr std::uint32_t kept = 5;
    std::vector<std::uint32_t> per_100ms(10);
    for (std::uint64_t seed = 1; seed <= programs; ++seed) {
        PoolOptions options = plain_options(kept);
        options.min_idle = kept;
        options.reconnect.jitter = Jitter::full;
        World world(options, seed);
        EXPECT_EQ(world.connects.size(), kept);  // nobody lost anything: at once
        world.run();
        world.live(1min);
        world.connect_times.clear();
        const Instant lost_at = world.now;
        while (!world.model.names.empty()) {
            const SlotId slot = world.model.names.begin()->second;
            world.model.names.erase(world.model.names.begin());
            world.gone(slot);
        }
        EXPECT_TRUE(world.connects.empty());
        world.live(options.reconnect.initial_delay);
        ASSERT_EQ(world.connect_times.size(), kept);
        for (const Instant at : world.connect_times) {
            EXPECT_GE(at - lost_at, options.reconnect.min_delay);
            ++per_100ms.at(
                std::min<std::size_t>(9, static_cast<std::size_t>((at - lost_at) / 100ms)));
        }
    }
    // 200 in 950 ms: 21 on average.
    EXPECT_LE(*std::max_element(per_100ms.begin(), per_100ms.end()), 45u);
}

TEST(Pool, connects_for_who_waits_whatever_was_lost) {
    PoolOptions options = plain_options(2);
    options.min_idle = 2;
    World world(options);
    world.run();
    world.live(1min);
    world.gone(world.model.names.at(0));
    world.gone(world.model.names.at(1));
    EXPECT_TRUE(world.connects.empty());
    const auto waiter = world.acquire();
    ASSERT_EQ(world.connects.size(), 1u);
    world.connect();
    EXPECT_TRUE(world.has(waiter));
    world.live(options.reconnect.initial_delay);
    EXPECT_EQ(world.connects.size(), 1u);  // no more than are lacking still
}

PoolOptions shared_options() {
    PoolOptions options = plain_options(2);
    options.shares = PerPriority<std::uint32_t>{1, 0, 0, 1};
    options.preemption.min_hold = 0s;
    options.lendable = {1, 1, 1, 1};
    return options;
}

TEST(Pool, takes_a_seat_back_for_a_higher_priority_after_a_notice_and_a_grace) {
    World world(shared_options());
    const auto first = world.acquire({.priority = Priority::low});
    const auto second = world.acquire({.priority = Priority::low});
    world.run();
    const auto critical = world.acquire({.priority = Priority::critical});
    ASSERT_EQ(world.notices.size(), 1u);
    EXPECT_EQ(world.notices[0].deadline, world.now + 1s);
    EXPECT_GT(world.notices[0].delay, 0s);
    const auto victim = world.notices[0].tag;
    EXPECT_TRUE(world.has(victim));
    world.live(1s);
    EXPECT_EQ(world.revoked[victim], PoolError::preempted);
    EXPECT_FALSE(world.release(victim));
    EXPECT_TRUE(world.has(victim == first ? second : first));
    world.run();
    EXPECT_TRUE(world.has(critical));
}

TEST(Pool, reuses_the_connection_of_a_holder_that_gives_back_within_the_grace) {
    World world(shared_options());
    world.acquire({.priority = Priority::low});
    world.acquire({.priority = Priority::low});
    world.run();
    const auto critical = world.acquire({.priority = Priority::critical});
    world.release(world.notices.at(0).tag);
    EXPECT_TRUE(world.has(critical));
    EXPECT_TRUE(world.closed.empty());
}

TEST(Pool, sends_a_place_that_loses_its_seat_before_it_has_a_connection_back_into_the_queue) {
    World world(shared_options());
    const auto first = world.acquire({.priority = Priority::low});
    const auto second = world.acquire({.priority = Priority::low});
    const auto critical = world.acquire({.priority = Priority::critical});
    EXPECT_TRUE(world.notices.empty());
    world.run();
    EXPECT_TRUE(world.has(critical));
    EXPECT_NE(world.has(first), world.has(second));
    world.release(critical);
    EXPECT_TRUE(world.has(first) && world.has(second));
}

TEST(Pool, moves_a_place_up_when_a_higher_priority_shares_it) {
    World world(plain_options(1));
    const auto holder = world.acquire();
    world.connect();
    const auto normal = world.acquire();
    const auto low = world.acquire({.client = "a", .priority = Priority::low});
    const auto high = world.acquire({.client = "a", .priority = Priority::high});
    world.release(holder);
    EXPECT_TRUE(world.has(low) && world.has(high));
    EXPECT_TRUE(world.waits(normal));
}

TEST(Pool, checks_only_connections_that_were_not_used_lately) {
    PoolOptions options = plain_options(1);
    options.validate_on_acquire = true;
    World world(options);
    const SlotId slot = idle_slots(world, 1)[0];
    world.advance(10s);
    world.pool.note_used(slot, world.now);
    const auto tag = world.acquire();
    EXPECT_TRUE(world.has(tag));
    EXPECT_TRUE(world.validations.empty());
}

TEST(Pool, gives_a_check_up_that_nobody_answers_and_tries_the_next_connection) {
    PoolOptions options = plain_options(2);
    options.validate_on_acquire = true;
    World world(options);
    idle_slots(world, 2);
    world.advance(1s);
    const auto tag = world.acquire();
    world.live(options.validate_timeout);
    EXPECT_EQ(world.closed.back().end, SlotEnd::invalid);
    ASSERT_EQ(world.validations.size(), 1u);
    world.validate(true);
    EXPECT_TRUE(world.has(tag));
}

TEST(Pool, keeps_no_seat_for_those_who_are_sent_away_by_its_end) {
    World world(plain_options(1));
    for (int i = 0; i < 5; ++i) world.acquire();  // one has a seat, which each of the others gets
    world.pool.close(world.now);
    world.pull();
    EXPECT_EQ(world.errors.size(), 5u);
    EXPECT_EQ(world.pool.admission(world.now).seats_used, 0u);
}

}  // namespace
}  // namespace wspool::pool
