// Subscriptions: in shards, on connections that the core holds, replayed once and in order.
#include "client/core.h"
#include "client/core_bed.h"

#include <algorithm>
#include <set>

namespace wspool::client {
namespace {

class SubscriptionTest : public CoreBed {
  protected:
    SubscriptionId subscribe(const std::string& url, const std::string& topic) {
        const auto made =
            core().subscribe(target(url), topic, "subscribe " + topic, "unsubscribe " + topic);
        EXPECT_TRUE(made) << made.error().message;
        return made.value_or(SubscriptionId{});
    }
};

TEST_F(SubscriptionTest, ASubscriptionIsSaidOnceAndItsMessagesAreHeard) {
    TestServer& server = serve();
    start();
    const SubscriptionId id = subscribe(server.url(), "a");
    EXPECT_EQ(subscribe(server.url(), "a"), id);
    ASSERT_TRUE(run_until_seen(CoreEventKind::message));
    subscribe(server.url(), "b");
    ASSERT_TRUE(run_until_seen(CoreEventKind::message, 2));
    EXPECT_EQ(server.received, (std::vector<std::string>{"subscribe a", "subscribe b"}));
    EXPECT_EQ(last(CoreEventKind::message).lease, LeaseId{});
    EXPECT_EQ(server.accepted, 1u);
    EXPECT_EQ(host().subscriptions, 2u);
    EXPECT_TRUE(core().unsubscribe(id));
    EXPECT_FALSE(core().unsubscribe(id));
    ASSERT_TRUE(run_until([&] { return server.received.size() == 3; }));
    EXPECT_EQ(server.received.back(), "unsubscribe a");
    EXPECT_EQ(host().subscriptions, 1u);
}

TEST_F(SubscriptionTest, TheLastOneGivesTheConnectionBack) {
    TestServer& server = serve();
    start();
    const SubscriptionId id = subscribe(server.url(), "a");
    ASSERT_TRUE(run_until([&] { return host().pool.leased == 1; }));
    EXPECT_TRUE(core().unsubscribe(id));
    EXPECT_EQ(host().pool.idle, 1u);
    // Without a word for the server, it might go on sending: the connection is not lent again.
    const auto silent = core().subscribe(target(server.url()), "b", "subscribe b", "");
    EXPECT_TRUE(core().unsubscribe(*silent));
    ASSERT_TRUE(run_until([&] { return host().pool.total == 0; }));
    EXPECT_EQ(last(CoreEventKind::closed).end, pool::SlotEnd::discarded);
}

// What the first gives back must not be granted to the second, which ends in the same drain.
TEST_F(SubscriptionTest, ADrainEndsThoseThatWaitForEachOther) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 2;
    options.subscriptions_per_connection = 1;
    start(options);
    const LeaseId held = lease(server.url());
    subscribe(server.url(), "a");
    ASSERT_TRUE(run_until([&] { return host().pool.leased == 2; }));
    subscribe(server.url(), "b");
    EXPECT_EQ(host().pool.waiting, 1u);
    core().drain(core().now() + 5s);
    EXPECT_TRUE(core().release(held));
    ASSERT_TRUE(run_until_seen(CoreEventKind::drained));
    EXPECT_EQ(core().stats().connections, 0u);
}

// What wakes the others must not be replayed with them, and then said once more.
TEST_F(SubscriptionTest, OneThatWakesTheOthersIsSaidOnce) {
    TestServer& server = serve(TestServer::Manner::mute);
    start();
    subscribe(server.url(), "a");
    ASSERT_TRUE(run_until([&] { return server.received.size() == 1; }));
    const LeaseId held = lease(server.url());
    server.engine().close(server.open.front(),
                          ws::CloseCode::forbidden,
                          "do not come back",
                          metrics::CloseReason::drained);
    ASSERT_TRUE(run_until_seen(CoreEventKind::stopped));
    EXPECT_TRUE(core().release(held));
    subscribe(server.url(), "b");
    (void)send_once(server.url(), "the last", 1);
    ASSERT_TRUE(run_until([&] { return server.received.size() >= 4; }));
    EXPECT_EQ(server.received,
              (std::vector<std::string>{"subscribe a", "subscribe a", "subscribe b", "the last"}));
}

// They ask for a connection at once; the pool gives it at the pace of its backoff.
TEST_F(SubscriptionTest, AMessageWakesThemAtOnce) {
    TestServer& server = serve(TestServer::Manner::mute);
    start();
    subscribe(server.url(), "a");
    ASSERT_TRUE(run_until([&] { return server.received.size() == 1; }));
    server.engine().close(server.open.front(),
                          ws::CloseCode::forbidden,
                          "do not come back",
                          metrics::CloseReason::drained);
    ASSERT_TRUE(run_until_seen(CoreEventKind::stopped));
    (void)send_once(server.url(), "wake up", 1);
    core().check_invariants();
    EXPECT_EQ(host().pool.connecting + host().pool.waiting, 1u);
    ASSERT_TRUE(run_until([&] { return server.received.size() == 3; }));
    EXPECT_EQ(server.received.back(), "wake up");
}

// Else the server would go on sending what nobody wants.
TEST_F(SubscriptionTest, OneThatCannotBeEndedForWantOfRoomTakesItsConnectionAlong) {
    TestServer& server = serve(TestServer::Manner::mute);
    CoreOptions options = quick_options();
    options.outbox_size_max = 1000;
    options.compression = false;
    start(options);
    const SubscriptionId id = subscribe(server.url(), "a");
    subscribe(server.url(), "b");
    ASSERT_TRUE(run_until([&] { return server.received.size() == 2; }));
    (void)send_once(server.url(), std::string(5000, 'x'), 1);
    EXPECT_TRUE(core().unsubscribe(id));
    ASSERT_TRUE(run_until([&] { return !server.told[2].empty(); }));
    EXPECT_EQ(server.told[2].front(), "subscribe b");
    EXPECT_EQ(server.told[1].back().size(), 5000u);
    EXPECT_EQ(last(CoreEventKind::closed).end, pool::SlotEnd::discarded);
}

TEST_F(SubscriptionTest, FiveHundredAreShardedOverPooledConnectionsAndSurviveARestart) {
    TestServer& server = serve(TestServer::Manner::mute);
    CoreOptions options = quick_options();
    options.subscriptions_per_connection = 100;
    start(options);
    for (int i = 0; i < 500; ++i) subscribe(server.url(), std::to_string(i));
    ASSERT_TRUE(run_until([&] { return server.received.size() == 500; }));
    EXPECT_EQ(server.accepted, 5u);
    const auto once_each_in_order = [&](std::uint32_t from) {
        std::set<std::string> all;
        for (std::uint32_t connection = from; connection < from + 5; ++connection) {
            const auto& told = server.told[connection];
            EXPECT_EQ(told.size(), 100u);
            EXPECT_TRUE(std::is_sorted(told.begin(), told.end(), [](const auto& a, const auto& b) {
                return std::stoi(a.substr(10)) < std::stoi(b.substr(10));
            }));
            all.insert(told.begin(), told.end());
        }
        EXPECT_EQ(all.size(), 500u);
    };
    once_each_in_order(1);

    server.stop();
    ASSERT_TRUE(run_until_seen(CoreEventKind::closed, 5));
    ASSERT_TRUE(run_until([&] { return !host().last_connect_error.empty(); }));
    server.restart();
    ASSERT_TRUE(run_until([&] { return server.received.size() == 1000; }));
    run_for(20ms);
    EXPECT_EQ(server.received.size(), 1000u);
    EXPECT_EQ(server.accepted, 10u);
    once_each_in_order(6);
    EXPECT_GE(count(CoreEventKind::reconnected), 1u);
    EXPECT_GE(last(CoreEventKind::reconnected).attempts, 1u);
    EXPECT_EQ(host().reconnects, count(CoreEventKind::reconnected));
}

TEST_F(SubscriptionTest, BeyondAllShardsASubscriptionIsRefused) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 2;
    options.subscriptions_per_connection = 2;
    start(options);
    for (int i = 0; i < 4; ++i) subscribe(server.url(), std::to_string(i));
    EXPECT_FALSE(core().subscribe(target(server.url()), "more", "s", "u"));
    ASSERT_TRUE(run_until([&] { return server.received.size() == 4; }));
}

TEST_F(SubscriptionTest, AShardIsReplayedBeforeTheMessagesThatWait) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.max_queued_messages = 10;
    start(options);
    subscribe(server.url(), "a");
    (void)send_once(server.url(), "first", 1);
    ASSERT_TRUE(run_until([&] { return server.received.size() == 2; }));
    server.stop();
    ASSERT_TRUE(run_until([&] { return !host().last_connect_error.empty(); }));
    (void)send_once(server.url(), "second", 2);
    (void)send_once(server.url(), "third", 3);
    EXPECT_EQ(host().queued_messages, 2u);
    server.restart();
    ASSERT_TRUE(run_until([&] { return server.received.size() == 5; }));
    EXPECT_EQ(server.received,
              (std::vector<std::string>{"subscribe a", "first", "subscribe a", "second", "third"}));
    EXPECT_EQ(server.accepted, 2u);
    ASSERT_TRUE(run_until_seen(CoreEventKind::sent, 3));
}

TEST_F(SubscriptionTest, WithoutReconnectsItRestsUntilSomethingIsAsked) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.reconnect.max_attempts = 0;
    start(options);
    subscribe(server.url(), "a");
    ASSERT_TRUE(run_until([&] { return server.received.size() == 1; }));
    server.cut_all();
    ASSERT_TRUE(run_until_seen(CoreEventKind::closed));
    run_for(100ms);
    EXPECT_EQ(server.accepted, 1u);
    subscribe(server.url(), "b");
    ASSERT_TRUE(run_until([&] { return server.received.size() == 3; }));
    EXPECT_EQ(server.told[2], (std::vector<std::string>{"subscribe a", "subscribe b"}));
}

}  // namespace
}  // namespace wspool::client
