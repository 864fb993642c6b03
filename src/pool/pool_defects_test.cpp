// The defects of the article's WebSocketPool (A), ClientConnectionPool (C) and PoolMetrics (E) that
// a pool core can show, each as a test that they are absent here.
#include "pool/pool_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace wspool::pool {
namespace {

TEST(DefectsOfTheArticle, A1_a_zero_is_a_zero_and_what_makes_no_sense_is_refused) {
    PoolOptions options = plain_options(1);
    options.idle_timeout = options.max_lifetime = 0s;  // off
    World world(options);
    const auto tag = world.acquire();
    world.connect();
    world.release(tag);
    world.live(10h);
    EXPECT_EQ(world.pool.count(SlotState::idle), 1u);
    const auto at_once = world.acquire_within(0s);
    const auto not_at_all = world.acquire_within(0s);
    EXPECT_TRUE(world.has(at_once));
    EXPECT_EQ(world.errors[not_at_all], PoolError::timed_out);

    EXPECT_TRUE(check(options));
    options.max_size = 0;
    EXPECT_NE(check(options).error().message.find("max_size"), std::string::npos);
    options = plain_options(1);
    options.min_idle = 2;
    EXPECT_NE(check(options).error().message.find("min_idle"), std::string::npos);
    options = plain_options(1);
    options.connect_timeout = -1s;
    EXPECT_NE(check(options).error().message.find("connect_timeout"), std::string::npos);
}

TEST(DefectsOfTheArticle, A2_a_shared_connection_is_lent_to_nobody_else_before_all_gave_it_back) {
    World world(plain_options(1));
    const auto first = world.acquire_for("a");
    world.connect();
    const auto second = world.acquire_for("a");
    const auto other = world.acquire_for("b");
    EXPECT_TRUE(world.release(first));
    EXPECT_TRUE(world.waits(other));
    EXPECT_TRUE(world.release(second));
    EXPECT_TRUE(world.has(other));

    PoolOptions options = plain_options(2);
    options.affinity = Affinity::exclusive;
    World exclusive(options);
    exclusive.acquire_for("a");
    const auto again = exclusive.acquire_for("a");
    EXPECT_EQ(exclusive.errors[again], PoolError::already_leased);
}

TEST(DefectsOfTheArticle, A3_two_waiters_of_one_client_share_a_place_and_the_connection) {
    World world(plain_options(2));
    const auto first = world.acquire_for("a");
    const auto second = world.acquire_for("a");
    EXPECT_EQ(world.connects.size(), 1u);
    world.connect();
    EXPECT_EQ(world.slot_of(first), world.slot_of(second));
    world.release(first);
    world.release(second);
    EXPECT_EQ(world.pool.count(SlotState::leased), 0u);
    EXPECT_EQ(world.pool.count(SlotState::idle), 1u);
}

TEST(DefectsOfTheArticle, A3_the_place_stays_when_its_first_waiter_goes) {
    World world(plain_options(1));
    const auto holder = world.acquire();
    world.connect();
    const auto first = world.acquire_for("a");
    const auto behind = world.acquire_for("b");
    const auto second = world.acquire_for("a");
    world.cancel(first);
    world.release(holder);
    EXPECT_TRUE(world.has(second));
    EXPECT_TRUE(world.waits(behind));
}

TEST(DefectsOfTheArticle, A4_closing_a_connection_serves_the_queue) {
    World world(plain_options(1));
    const auto holder = world.acquire();
    world.connect();
    const auto waiter = world.acquire();
    world.discard(holder);
    world.run();
    EXPECT_TRUE(world.has(waiter));
}

TEST(DefectsOfTheArticle, A5_a_timeout_ends_the_waiter_that_it_belongs_to) {
    World world(plain_options(1));
    const auto holder = world.acquire();
    world.connect();
    const auto patient = world.acquire({.client = "a", .deadline = world.now + 1min});
    const auto hasty = world.acquire({.client = "a", .deadline = world.now + 1s});
    world.live(1s);
    EXPECT_EQ(world.errors[hasty], PoolError::timed_out);
    world.release(holder);
    EXPECT_TRUE(world.has(patient));
}

TEST(DefectsOfTheArticle, A6_only_what_is_idle_for_long_and_not_needed_is_closed) {
    PoolOptions options = plain_options(15);
    options.min_idle = 10;
    options.idle_timeout = 5min;
    World world(options);
    world.run();
    EXPECT_EQ(world.pool.count(SlotState::idle), 10u);  // made without being asked for
    std::vector<std::uint64_t> tags;
    for (int i = 0; i < 15; ++i) tags.push_back(world.acquire());
    world.run();
    for (const auto tag : tags) world.release(tag);
    world.live(1min);
    EXPECT_EQ(world.pool.count(SlotState::idle), 15u);  // fresh ones stay
    world.live(5min);
    world.run();
    EXPECT_EQ(world.pool.count(SlotState::idle), 10u);  // and never fewer
    const auto lost = world.acquire();
    world.gone(world.slot_of(lost));
    world.live(5s);
    world.run();
    EXPECT_EQ(world.pool.count(SlotState::idle), 10u);
}

TEST(DefectsOfTheArticle, A7_freed_capacity_goes_to_the_oldest_waiter) {
    World world(plain_options(2));
    const auto first = world.acquire();
    world.acquire();
    world.run();
    std::vector<std::uint64_t> waiters;
    for (int i = 0; i < 3; ++i) waiters.push_back(world.acquire());
    world.discard(first);
    world.acquire();
    world.run();
    EXPECT_EQ(world.granted.back(), waiters.front());
}

TEST(DefectsOfTheArticle, A8_a_stale_release_does_not_free_a_later_lease_of_the_same_client) {
    World world(plain_options(1));
    const auto first = world.acquire_for("a");
    world.connect();
    world.release(first);
    const auto second = world.acquire_for("a");
    EXPECT_FALSE(world.release(first));
    EXPECT_TRUE(world.has(second));
}

TEST(DefectsOfTheArticle, A9_only_what_has_connected_is_lent_and_a_failure_leaves_nothing) {
    World world(plain_options(1));
    const auto tag = world.acquire_for("a");
    EXPECT_EQ(world.pool.count(SlotState::connecting), 1u);
    EXPECT_TRUE(world.waits(tag));
    world.fail_connect();
    EXPECT_EQ(world.pool.size(), 0u);
    EXPECT_EQ(world.pool.report(world.now).ended[index_of(SlotEnd::connect_failed)], 1u);
    world.live(2s);
    world.connect();
    EXPECT_TRUE(world.has(tag));
}

TEST(DefectsOfTheArticle, A9_what_died_while_idle_is_not_lent) {
    PoolOptions options = plain_options(1);
    options.validate_on_acquire = true;
    World world(options);
    const auto first = world.acquire();
    world.connect();
    world.release(first);
    world.advance(499ms);
    const auto soon = world.acquire();
    EXPECT_TRUE(world.has(soon));  // used so recently that it is not asked
    world.release(soon);
    world.advance(500ms);
    const auto late = world.acquire();
    ASSERT_EQ(world.validations.size(), 1u);
    world.validate(false);
    world.run();
    EXPECT_TRUE(world.has(late));
    EXPECT_EQ(world.pool.report(world.now).ended[index_of(SlotEnd::invalid)], 1u);
}

TEST(DefectsOfTheArticle, A10_a_connection_with_traces_of_its_client_can_be_discarded) {
    World world(plain_options(1));
    const auto first = world.acquire_for("a");
    world.connect();
    const SlotId slot = world.slot_of(first);
    world.discard(first);
    const auto second = world.acquire_for("b");
    world.run();
    EXPECT_NE(world.slot_of(second), slot);
}

TEST(DefectsOfTheArticle, A11_waiting_is_bounded_in_number_and_time_and_by_the_end_of_the_pool) {
    PoolOptions options = plain_options(1);
    options.max_waiters = 2;
    World world(options);
    world.acquire();
    world.connect();
    const auto hasty = world.acquire_within(10ms);
    const auto patient = world.acquire();
    const auto refused = world.acquire();
    EXPECT_EQ(world.errors[refused], PoolError::capacity);
    EXPECT_EQ(world.pool.next_deadline(), world.now + 10ms);
    world.live(10ms);
    EXPECT_EQ(world.errors[hasty], PoolError::timed_out);
    world.pool.drain(world.now + 1min, world.now);
    world.pull();
    EXPECT_EQ(world.errors[patient], PoolError::closed);
}

TEST(DefectsOfTheArticle, A12_peaks_and_utilisation_are_numbers_of_all_that_counts) {
    World world(plain_options(4));
    const auto first = world.acquire();
    world.acquire();
    world.run();
    world.release(first);
    const PoolReport report = world.pool.report(world.now);
    EXPECT_EQ(report.peak_leased, 2u);
    EXPECT_EQ(report.peak_total, 2u);
    EXPECT_EQ(report.utilisation, 0.25);
    EXPECT_EQ(report.acquired_waited, 2u);
}

TEST(DefectsOfTheArticle,
     A13_time_that_steps_back_ends_nothing_early_and_counts_nothing_below_zero) {
    PoolOptions options = plain_options(1);
    options.has_histograms = true;
    World world(options);
    world.advance(1h);
    const auto tag = world.acquire_within(1s);
    world.pool.on_deadline(Instant{});
    world.pull();
    EXPECT_TRUE(world.waits(tag));
    world.connect();
    EXPECT_TRUE(world.has(tag));
    world.now -= 1min;
    world.release(tag);
    EXPECT_EQ(world.pool.report(world.now).use.count, 1u);
    EXPECT_EQ(world.pool.report(world.now).use.max, 0s);
}

TEST(DefectsOfTheArticle, C1_fifty_acquires_at_once_open_no_more_than_the_limit) {
    World world(plain_options(4));
    for (int i = 0; i < 50; ++i) world.acquire();
    EXPECT_EQ(world.connects.size(), 4u);
    world.run();
    EXPECT_EQ(world.pool.size(), 4u);
}

TEST(DefectsOfTheArticle, C2_a_connection_serves_only_its_own_key) {
    World world(plain_options(2));
    const auto a = world.acquire_key(1);
    world.run();
    world.release(a);
    const auto b = world.acquire_key(2);
    EXPECT_TRUE(world.waits(b));
    world.run();
    EXPECT_EQ(world.pool.size(), 2u);
    const auto again = world.acquire_key(1);
    EXPECT_EQ(world.slot_of(again), (SlotId{0, 0}));
}

TEST(DefectsOfTheArticle, C3_nothing_is_given_to_a_waiter_that_timed_out) {
    World world(plain_options(1));
    const auto holder = world.acquire();
    world.connect();
    const auto dead = world.acquire_within(1s);
    world.live(1s);
    world.release(holder);
    EXPECT_FALSE(world.has(dead));
    EXPECT_EQ(world.pool.count(SlotState::idle), 1u);
}

TEST(DefectsOfTheArticle, C4_a_refusing_host_is_asked_seldom_and_who_waits_is_told_why) {
    PoolOptions options = plain_options(6);
    options.breaker.failures_max = 5;
    options.breaker.probe_interval = 10s;
    World world(options);
    for (int i = 0; i < 3; ++i) world.acquire_within(1min);
    const Instant begin = world.now;
    while (world.now - begin < 30s) {
        while (!world.connects.empty()) world.fail_connect("connection refused");
        world.live(100ms);
    }
    EXPECT_EQ(world.errors.size(), 3u);
    EXPECT_EQ(world.errors[1], PoolError::connect_failed);
    EXPECT_EQ(world.pool.connect_error(), "connection refused");
    EXPECT_LE(world.connect_times.size(), 3u + 5u);
}

TEST(DefectsOfTheArticle, C4_while_the_circuit_is_open_an_acquire_fails_at_once) {
    PoolOptions options = plain_options(2);
    options.breaker.failures_max = 1;
    World world(options);
    world.acquire();
    world.fail_connect();
    const auto tag = world.acquire();
    EXPECT_EQ(world.errors[tag], PoolError::circuit_open);
    world.live(10s);
    const auto probe = world.acquire();
    world.run();
    EXPECT_TRUE(world.has(probe));
}

TEST(DefectsOfTheArticle, C5_a_dead_lease_is_revoked_and_its_slot_is_free) {
    World world(plain_options(1));
    const auto holder = world.acquire();
    world.connect();
    world.live(1min);
    world.gone(world.slot_of(holder));
    EXPECT_EQ(world.revoked[holder], PoolError::connection_lost);
    EXPECT_EQ(world.pool.size(), 0u);
    EXPECT_FALSE(world.release(holder));
    const auto next = world.acquire();
    world.run();
    EXPECT_TRUE(world.has(next));
}

TEST(DefectsOfTheArticle, C6_a_connection_that_is_closing_is_not_handed_on) {
    World world(plain_options(1));
    const auto holder = world.acquire();
    world.connect();
    world.live(1min);
    const auto waiter = world.acquire();
    world.lose(world.slot_of(holder));
    EXPECT_FALSE(world.release(holder));
    EXPECT_TRUE(world.waits(waiter));
    world.finish_close();
    world.connect();
    EXPECT_TRUE(world.has(waiter));
}

TEST(DefectsOfTheArticle, C7_each_way_in_which_a_slot_is_freed_serves_who_waits) {
    for (const int way : {0, 1, 2, 3}) {
        World world(plain_options(1));
        const auto holder = world.acquire();
        if (way > 0) world.connect();
        const auto waiter = world.acquire();
        if (way == 0) {
            world.cancel(holder);
            world.fail_connect();
        }
        if (way == 1) world.gone(world.slot_of(holder));
        if (way == 2) world.detach(holder);
        if (way == 3) world.discard(holder);
        world.live(2s);
        world.run();
        EXPECT_TRUE(world.has(waiter)) << way;
    }
}

TEST(DefectsOfTheArticle, C8_closing_the_pool_answers_everybody_who_waits) {
    World world(plain_options(1));
    const auto holder = world.acquire();
    world.connect();
    const auto waiter = world.acquire_within(1s);
    world.pool.close(world.now);
    world.pull();
    EXPECT_EQ(world.errors[waiter], PoolError::closed);
    EXPECT_EQ(world.revoked[holder], PoolError::closed);
    world.run();
    world.live(1h);
    EXPECT_EQ(world.pool.next_deadline(), never);
}

TEST(DefectsOfTheArticle, C9_closing_while_connecting_leaves_nothing_open_and_is_final) {
    World world(plain_options(2));
    const auto tag = world.acquire();
    const SlotId connecting = world.connects.front();
    world.pool.close(world.now);
    world.pool.close(world.now);
    world.pull();
    EXPECT_EQ(world.errors[tag], PoolError::closed);
    world.pool.on_connected(connecting, world.now);  // it opened before it heard of the closing
    world.pull();
    EXPECT_EQ(world.pool.count(SlotState::closing), 1u);
    world.finish_close();
    EXPECT_TRUE(world.is_drained);
    const auto late = world.acquire();
    EXPECT_EQ(world.errors[late], PoolError::closed);
}

TEST(DefectsOfTheArticle, C9_a_drain_waits_for_leases_until_its_deadline) {
    World world(plain_options(2));
    const auto quick = world.acquire();
    const auto slow = world.acquire();
    world.run();
    world.pool.drain(world.now + 5s, world.now);
    world.pull();
    EXPECT_TRUE(world.release(quick));
    world.live(4s);
    EXPECT_TRUE(world.has(slow));
    world.live(1s);
    EXPECT_EQ(world.revoked[slow], PoolError::closed);
    world.run();
    EXPECT_TRUE(world.is_drained);
}

TEST(DefectsOfTheArticle, C10_a_double_release_gives_one_connection_to_one_waiter) {
    World world(plain_options(1));
    const auto holder = world.acquire();
    world.connect();
    world.acquire();
    world.acquire();
    world.release(holder);
    world.release(holder);
    EXPECT_EQ(world.granted.size(), 2u);  // the holder, and one of the two
    EXPECT_EQ(world.pool.waiting(), 1u);
}

TEST(DefectsOfTheArticle, C11_a_wait_and_a_connect_have_deadlines_and_errors_of_their_own) {
    PoolOptions options = plain_options(1);
    options.connect_timeout = 10s;
    World world(options);
    const auto tag = world.acquire_within(1s);
    world.live(1s);
    EXPECT_EQ(world.errors[tag], PoolError::timed_out);
    EXPECT_EQ(world.pool.count(SlotState::connecting), 1u);
    world.live(9s);
    EXPECT_EQ(world.closed.back().end, SlotEnd::connect_timeout);
    EXPECT_FALSE(world.pool.connect_error().empty());
}

TEST(DefectsOfTheArticle, C12_attempts_count_for_the_host_until_a_connection_has_lasted) {
    PoolOptions options = plain_options(1);
    options.min_idle = 1;
    World world(options);
    const Instant begin = world.now;
    while (world.now - begin < 60s) {  // it accepts, and closes at once
        if (!world.connects.empty()) {
            world.connect();
            world.gone(world.model.names.at(0));
        }
        world.live(100ms);
    }
    EXPECT_LE(world.connect_times.size(), 7u);  // at 0, 1, 3, 7, 15, 31 s
}

TEST(DefectsOfTheArticle, C14_idle_connections_end_and_those_connecting_are_counted) {
    PoolOptions options = plain_options(3);
    options.idle_timeout = 1min;
    World world(options);
    const auto tag = world.acquire_key(5);
    EXPECT_EQ(world.pool.report(world.now).connecting, 1u);
    EXPECT_TRUE(world.pool.is_used(KeyId{5}));
    world.connect();
    world.release(tag);
    world.live(1min);
    world.run();
    EXPECT_EQ(world.pool.size(), 0u);
    EXPECT_FALSE(world.pool.is_used(KeyId{5}));
}

TEST(DefectsOfTheArticle, E1_figures_of_nothing_are_zero) {
    World world(plain_options(1));
    world.resize(0);
    const PoolReport report = world.pool.report(world.now);
    EXPECT_EQ(report.utilisation, 0);
    EXPECT_EQ(report.uptime, 0s);
    EXPECT_EQ(report.acquire.p99, 0s);
}

TEST(DefectsOfTheArticle, E3_E4_waits_are_in_nanoseconds_and_include_those_in_vain) {
    PoolOptions options = plain_options(1);
    options.has_histograms = true;
    World world(options);
    const auto holder = world.acquire();
    world.now += 100ns;
    world.connect();
    EXPECT_EQ(world.pool.report(world.now).acquire.max, 100ns);
    EXPECT_EQ(world.pool.report(world.now).connect.p50, 100ns);
    world.acquire_within(10s);
    world.live(10s);
    EXPECT_EQ(world.pool.report(world.now).acquire.max, 10s);
    EXPECT_EQ(world.pool.report(world.now).acquire.count, 2u);
    (void)holder;
}

TEST(DefectsOfTheArticle, E4_an_interval_forgets_what_was_before_and_the_total_does_not) {
    PoolOptions options = plain_options(1);
    options.has_histograms = true;
    World world(options);
    const auto holder = world.acquire();
    world.now += 1s;
    world.connect();
    EXPECT_EQ(world.pool.take_interval(world.now).acquire_interval.count, 1u);
    world.release(holder);
    world.acquire();
    const PoolReport report = world.pool.take_interval(world.now);
    EXPECT_EQ(report.acquire_interval.count, 1u);
    EXPECT_EQ(report.acquire_interval.max, 0s);
    EXPECT_EQ(report.acquire.count, 2u);
    EXPECT_EQ(report.acquire.max, 1s);
}

TEST(DefectsOfTheArticle, E5_every_kind_of_error_has_a_name_of_its_own) {
    std::vector<std::string_view> names;
    for (std::uint32_t i = 0; i < index_of(PoolError::count_); ++i)
        names.push_back(name(static_cast<PoolError>(i)));
    for (std::uint32_t i = 0; i < index_of(SlotEnd::count_); ++i)
        EXPECT_FALSE(name(static_cast<SlotEnd>(i)).empty());
    for (std::uint32_t i = 0; i < index_of(SlotState::count_); ++i)
        EXPECT_FALSE(name(static_cast<SlotState>(i)).empty());
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
    EXPECT_FALSE(names.front().empty());
}

TEST(DefectsOfTheArticle, E6_rejections_and_the_time_of_use_are_counted) {
    PoolOptions options = plain_options(1);
    options.has_histograms = true;
    options.max_waiters = 0;
    options.min_idle = 1;
    World world(options);
    world.run();
    const auto holder = world.acquire();
    world.acquire();
    world.advance(2s);
    world.release(holder);
    const PoolReport report = world.pool.report(world.now);
    EXPECT_EQ(report.rejected, 1u);
    EXPECT_EQ(report.errors[index_of(PoolError::capacity)], 1u);
    EXPECT_EQ(report.use.max, 2s);
    EXPECT_EQ(report.released, 1u);
}

TEST(DefectsOfTheArticle, E7_a_report_does_not_change_afterwards) {
    World world(plain_options(1));
    const PoolReport before = world.pool.report(world.now);
    world.acquire();
    world.acquire({.waits = false});
    world.connect();
    EXPECT_EQ(before.errors[index_of(PoolError::capacity)], 0u);
    EXPECT_EQ(before.created, 0u);
    EXPECT_EQ(world.pool.report(world.now).created, 1u);
}

TEST(DefectsOfTheArticle, E8_percentiles_have_values_at_their_ends) {
    Histogram histogram;
    EXPECT_EQ(summarise(histogram).p50, 0s);
    EXPECT_EQ(histogram.percentile(0), 0u);
    histogram.record(7);
    EXPECT_EQ(summarise(histogram).p50, 7ns);
    EXPECT_EQ(summarise(histogram).average, 7ns);
    EXPECT_EQ(histogram.percentile(0), 7u);
}

}  // namespace
}  // namespace wspool::pool
