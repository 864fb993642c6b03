// The faults that pools and clients of the field had, and the defects of the article's client pool,
// end to end: none of them is ours. Numbers are those of the list they come from.
#include "client/core.h"
#include "client/core_bed.h"

#include <algorithm>
#include <set>

namespace wspool::client {
namespace {

using Kind = Outcome::Kind;

class FaultsOfTheField : public CoreBed {
  protected:
    void expect_a_new_acquire_to_succeed(const std::string& url) {
        const std::size_t before = count(CoreEventKind::granted);
        std::uint64_t tag = 5000;
        // While the circuit is open it fails at once, and then a probe finds the host healthy.
        ASSERT_TRUE(run_until([&] {
            if (count(CoreEventKind::granted) > before) return true;
            if (core().stats().hosts.front().pool.waiting > 0) return false;
            const Outcome outcome = core().acquire(target(url), {.tag = ++tag});
            if (outcome.kind == Kind::done) core().release(outcome.lease);
            return outcome.kind == Kind::done;
        }));
    }
};

using DefectsOfTheArticle = FaultsOfTheField;

TEST_F(FaultsOfTheField, F10AfterAnOutageWithCancelledCallersNewAcquiresSucceed) {
    TestServer& server = serve();
    start();
    server.stop();
    std::vector<CallId> calls;
    for (std::uint64_t i = 0; i < 20; ++i) {
        const Outcome outcome = core().acquire(target(server.url()), {.tag = i});
        if (outcome.kind == Kind::pending) calls.push_back(outcome.call);
        if (i % 3 == 0) turn();
    }
    for (std::size_t i = 0; i < calls.size(); i += 2) (void)core().cancel(calls[i]);
    ASSERT_TRUE(run_until([&] { return host().breaker == pool::CircuitBreaker::State::open; }));
    server.restart();
    expect_a_new_acquire_to_succeed(server.url());
}

TEST_F(FaultsOfTheField, F13AConnectOutlivesWhoAskedForItAndServesTheNext) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    resolver_.names["late.example"] = {{io::Address::Family::ipv4, "127.0.0.1", 0}};
    resolver_.is_stuck = true;
    const std::string url = "ws://late.example:" + std::to_string(server.port()) + "/";
    for (std::uint64_t i = 0; i < 5; ++i) {
        (void)core().acquire(target(url), {.deadline = core().now() + 2ms, .tag = i});
        ASSERT_TRUE(run_until_seen(CoreEventKind::failed, i + 1));
        EXPECT_EQ(last(CoreEventKind::failed).error, ErrorCode::acquire_timeout);
    }
    EXPECT_EQ(resolver_.started, 1u);
    resolver_.is_stuck = false;
    (void)lease(url);
    EXPECT_EQ(server.accepted, 1u);
}

TEST_F(FaultsOfTheField, F17HungConnectsExpireAndDoNotHoldTheirSlots) {
    RawServer& mute = serve_raw();
    CoreOptions options = quick_options();
    options.host.connect_timeout = 30ms;
    options.host.max_connecting = 2;
    options.host.reconnect.max_attempts = 2;
    start(options);
    for (std::uint64_t i = 0; i < 6; ++i) (void)core().acquire(target(mute.url()), {.tag = i});
    EXPECT_EQ(host().pool.connecting, 2u);
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed, 6));
    EXPECT_EQ(last(CoreEventKind::failed).error, ErrorCode::connect_timeout);
    ASSERT_TRUE(run_until([&] { return core().stats().connections == 0; }));
    EXPECT_GE(host().pool.ended[pool::index_of(pool::SlotEnd::connect_timeout)], 2u);
}

TEST_F(FaultsOfTheField, F18AConnectionWhoseAcquirerIsCancelledAtAnyMomentIsIdleOrGone) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 2;
    options.host.validate_bypass = Duration::zero();
    start(options);
    for (int turns = 0; turns < 12; ++turns) {
        const Outcome outcome = core().acquire(target(server.url()), {.tag = 1});
        for (int i = 0; i < turns; ++i) turn();
        if (outcome.kind == Kind::done) {
            core().release(outcome.lease);
        } else if (!core().cancel(outcome.call)) {
            ASSERT_TRUE(run_until([&] { return first(CoreEventKind::granted, 1) != nullptr; }));
            EXPECT_TRUE(core().release(last(CoreEventKind::granted).lease));
        }
    }
    ASSERT_TRUE(run_until([&] {
        const auto figures = host().pool;
        return figures.idle == figures.total && figures.total > 0;
    }));
    // Both are still to be had.
    (void)lease(server.url(), 2);
    (void)lease(server.url(), 3);
}

TEST_F(FaultsOfTheField, F29ManyLostConnectionsDoNotComeBackTogether) {
    TestServer& server = serve(TestServer::Manner::mute);
    CoreOptions options = quick_options();
    constexpr std::size_t connections = 40;
    options.host.max_size = connections;
    options.host.max_connecting = connections;
    options.host.reconnect.initial_delay = 400ms;
    options.host.reconnect.max_delay = 400ms;
    options.host.reconnect.stable_after = Duration::zero();
    options.subscriptions_per_connection = 1;
    start(options);
    for (std::size_t i = 0; i < connections; ++i)
        (void)core().subscribe(target(server.url()), std::to_string(i), "s", "u");
    ASSERT_TRUE(run_until([&] { return server.received.size() == connections; }));
    server.accepted_at.clear();
    server.cut_all();
    ASSERT_TRUE(run_until([&] { return server.accepted_at.size() == connections; }));
    std::size_t peak = 0;
    for (const Instant from : server.accepted_at) {
        peak = std::max(peak,
                        static_cast<std::size_t>(std::count_if(
                            server.accepted_at.begin(), server.accepted_at.end(), [&](Instant at) {
                                return at >= from && at < from + 100ms;
                            })));
    }
    // A quarter of them is the mean.
    EXPECT_LE(peak, connections * 3 / 5);
}

TEST_F(FaultsOfTheField, F30AServerThatAcceptsAndClosesAtOnceIsNotAskedInAHotLoop) {
    TestServer& server = serve(TestServer::Manner::close_at_once);
    CoreOptions options = quick_options();
    options.host.reconnect.initial_delay = 40ms;
    options.host.reconnect.max_delay = 80ms;
    options.host.reconnect.jitter = pool::Jitter::none;
    start(options);
    (void)core().subscribe(target(server.url()), "a", "s", "u");
    run_for(600ms);
    EXPECT_GE(server.accepted, 2u);
    EXPECT_LE(server.accepted, 16u);
    server.manner = TestServer::Manner::echo;
    ASSERT_TRUE(run_until([&] { return server.open.size() == 1 && !messages().empty(); }));
}

TEST_F(FaultsOfTheField, F31WhatIsHeardOfAnOldConnectionDoesNotTouchItsReplacement) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    const LeaseId old = lease(server.url());
    server.cut_all();
    ASSERT_TRUE(run_until_seen(CoreEventKind::revoked));
    const LeaseId fresh = lease(server.url());
    EXPECT_NE(old, fresh);
    EXPECT_FALSE(core().release(old));
    EXPECT_FALSE(core().discard(old));
    EXPECT_EQ(core().send(old, ws::Opcode::text, as_bytes("x")), SendOutcome::gone);
    run_for(20ms);
    EXPECT_TRUE(core().is_open(fresh));
    EXPECT_EQ(count(CoreEventKind::revoked), 1u);
}

TEST_F(FaultsOfTheField, F32AfterGivingUpAManualAcquireConnectsAgain) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.reconnect.max_attempts = 2;
    options.host.breaker.failures_max = 0;
    start(options);
    server.stop();
    (void)core().acquire(target(server.url()), {.tag = 1});
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed));
    EXPECT_EQ(last(CoreEventKind::failed).error, ErrorCode::connect_failed);
    server.restart();
    (void)lease(server.url());
}

TEST_F(FaultsOfTheField, F33AfterTheCloseNothingReconnectsAndItEndsWithinItsBound) {
    TestServer& server = serve();
    start();
    (void)core().subscribe(target(server.url()), "a", "s", "u");
    (void)lease(server.url());
    ASSERT_TRUE(run_until([&] { return server.open.size() == 2; }));
    // In the midst of reconnecting: a shard rests, another acquire connects.
    server.cut_all();
    ASSERT_TRUE(run_until_seen(CoreEventKind::revoked));
    (void)core().acquire(target(server.url()), {.tag = 9});
    const std::uint32_t accepted = server.accepted;
    core().drain(Instant::min());
    const Instant begin = core().now();
    ASSERT_TRUE(run_until_seen(CoreEventKind::drained));
    EXPECT_LE(core().now() - begin, quick_options().host.close_timeout + 500ms);
    run_for(200ms);
    EXPECT_LE(server.accepted, accepted + 1);  // the one that was on its way
    EXPECT_TRUE(server.open.empty());
    EXPECT_EQ(core().next_deadline() == never || core().stats().hosts.size() == 1, true);
    EXPECT_EQ(core().stats().connections, 0u);
}

TEST_F(FaultsOfTheField, F34TheReplayIsExactlyWhatIsWantedThen) {
    TestServer& server = serve();
    start();
    std::vector<SubscriptionId> ids;
    for (const char* topic : {"a", "b", "c", "d"}) {
        const std::string frame = std::string("+") + topic;
        ids.push_back(core().subscribe(target(server.url()), topic, frame, "-").value());
    }
    ASSERT_TRUE(run_until([&] { return server.received.size() == 4; }));
    EXPECT_TRUE(core().unsubscribe(ids[1]));
    server.stop();
    ASSERT_TRUE(run_until_seen(CoreEventKind::closed));
    EXPECT_TRUE(core().unsubscribe(ids[2]));
    (void)core().subscribe(target(server.url()), "e", "+e", "-");
    (void)core().subscribe(target(server.url()), "b", "+b", "-");
    server.received.clear();
    server.restart();
    ASSERT_TRUE(run_until([&] { return server.received.size() >= 4; }));
    run_for(20ms);
    EXPECT_EQ(server.received, (std::vector<std::string>{"+a", "+d", "+e", "+b"}));
}

TEST_F(FaultsOfTheField, F35ACancelBetweenTheGrantAndItsDeliveryDoesNothing) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    const LeaseId held = lease(server.url());
    const Outcome waiting = core().acquire(target(server.url()), {.tag = 4});
    ASSERT_EQ(waiting.kind, Kind::pending);
    EXPECT_TRUE(core().release(held));
    // Granted, and not yet heard of.
    EXPECT_FALSE(core().cancel(waiting.call));
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::granted, 4) != nullptr; }));
    EXPECT_TRUE(core().release(first(CoreEventKind::granted, 4)->lease));
    EXPECT_EQ(host().pool.idle, 1u);
}

TEST_F(FaultsOfTheField, F40WhoWasReplacedDoesNotComeBackByItself) {
    TestServer& server = serve();
    start();
    (void)core().subscribe(target(server.url()), "a", "+a", "-a");
    ASSERT_TRUE(run_until([&] { return server.received.size() == 1; }));
    server.close_all(ws::CloseCode::replaced);
    ASSERT_TRUE(run_until_seen(CoreEventKind::stopped));
    EXPECT_EQ(last(CoreEventKind::stopped).code, ws::CloseCode::replaced);
    run_for(200ms);
    EXPECT_EQ(server.accepted, 1u);
    // It does when it is asked to.
    (void)core().acquire(target(server.url()), {.tag = 1});
    ASSERT_TRUE(run_until([&] { return server.received.size() == 2; }));
    // Other codes are no reason to stay away.
    server.close_all(ws::CloseCode::service_restart);
    ASSERT_TRUE(run_until([&] { return server.received.size() == 3; }));
}

TEST_F(FaultsOfTheField, F42AfterAnOutageAsManyAreIdleAsAskedFor) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.min_idle = 3;
    start(options);
    (void)target(server.url());
    ASSERT_TRUE(run_until([&] { return host().pool.idle == 3; }));
    server.stop();
    ASSERT_TRUE(run_until([&] { return host().pool.idle == 0; }));
    ASSERT_TRUE(run_until([&] { return host().breaker != pool::CircuitBreaker::State::closed; }));
    server.restart();
    ASSERT_TRUE(run_until([&] { return host().pool.idle == 3; }));
}

// ---- the article's PoolMetrics

TEST_F(DefectsOfTheArticle, E2ThroughputIsCountedBothWaysAsNumbersThatStay) {
    TestServer& server = serve();
    start();
    const LeaseId held = lease(server.url());
    (void)core().send(held, ws::Opcode::text, as_bytes("12345"));
    ASSERT_TRUE(run_until_seen(CoreEventKind::message));
    core().release(held);
    (void)send_once(server.url(), "123", 1);
    ASSERT_TRUE(run_until_seen(CoreEventKind::message, 2));
    (void)core().request(target(server.url()), "7", as_bytes(R"({"id":7})"), {.tag = 2});
    ASSERT_TRUE(run_until_seen(CoreEventKind::replied));
    (void)core().subscribe(target(server.url()), "topic", "ab", {});
    ASSERT_TRUE(run_until_seen(CoreEventKind::message, 3));
    const HostStats stats = host();
    EXPECT_EQ(stats.messages_sent, 4u);
    EXPECT_EQ(stats.bytes_sent, 5u + 3u + 8u + 2u);
    EXPECT_EQ(stats.messages_received, 4u);
    EXPECT_EQ(stats.bytes_received, 5u + 3u + 8u + 2u);
    // Not an average over a lifetime, which time changes.
    run_for(20ms);
    EXPECT_EQ(host().messages_received, 4u);
}

// ---- the article's ClientConnectionPool

TEST_F(DefectsOfTheArticle, C1FiftyCallsAtOnceDoNotOpenMoreThanTheLimit) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 4;
    start(options);
    for (std::uint64_t i = 0; i < 50; ++i) (void)core().acquire(target(server.url()), {.tag = i});
    hook_ = [&](const CoreEvent& event) {
        if (event.kind == CoreEventKind::granted) core().release(event.lease);
    };
    ASSERT_TRUE(run_until_seen(CoreEventKind::granted, 50));
    EXPECT_LE(server.peak, 4u);
    EXPECT_LE(server.accepted, 4u);
    EXPECT_LE(host().pool.peak_total, 4u);
}

TEST_F(DefectsOfTheArticle, C2AConnectionIsLentOnlyForTheUrlItWasOpenedFor) {
    TestServer& server = serve();
    start();
    (void)core().release(lease(server.url("/a")));
    (void)core().release(lease(server.url("/b")));
    EXPECT_EQ(server.targets, (std::vector<std::string>{"/a", "/b"}));
    EXPECT_EQ(host().pool.idle, 2u);
    EXPECT_EQ(send_once(server.url("/a"), "for a", 1).kind, Kind::pending);
    ASSERT_TRUE(run_until_seen(CoreEventKind::message));
    EXPECT_EQ(last(CoreEventKind::message).url, server.url("/a"));
    EXPECT_EQ(server.told[1], std::vector<std::string>{"for a"});
}

TEST_F(DefectsOfTheArticle, C3AWaiterThatTimedOutGetsNothingLater) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    const LeaseId held = lease(server.url());
    (void)core().acquire(target(server.url()), {.deadline = core().now() + 5ms, .tag = 1});
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed));
    EXPECT_TRUE(core().release(held));
    EXPECT_EQ(host().pool.idle, 1u);
    const Outcome next = core().acquire(target(server.url()), {.tag = 2});
    EXPECT_EQ(next.kind, Kind::done);
    EXPECT_EQ(first(CoreEventKind::granted, 1), nullptr);
}

TEST_F(DefectsOfTheArticle, C4ARefusingHostIsAskedAtTheEndpointsPaceHoweverManyWait) {
    CoreOptions options = quick_options();
    options.host.breaker.probe_interval = 1h;
    start(options);
    const std::string url = refusing_url();
    for (std::uint64_t i = 0; i < 30; ++i) (void)core().acquire(target(url), {.tag = i});
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed, 30));
    for (const SeenEvent& seen : seen_)
        EXPECT_NE(seen.text.find("refused"), std::string::npos) << seen.text;
    const auto attempts = [&] {
        return host().pool.ended[pool::index_of(pool::SlotEnd::connect_failed)];
    };
    // As many at once as may be; then the circuit is open, and it is over.
    EXPECT_LE(attempts(), options.host.max_size + options.host.breaker.failures_max);
    const std::uint64_t before = attempts();
    run_for(100ms);
    EXPECT_EQ(attempts(), before);
}

TEST_F(DefectsOfTheArticle, C5ALostLeaseIsRevokedAndItsSlotCountedOnce) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 2;
    start(options);
    const LeaseId lost = lease(server.url(), 1);
    const LeaseId kept = lease(server.url(), 2);
    (void)core().acquire(target(server.url()), {.tag = 3});
    server.engine().abort(server.open.front());
    ASSERT_TRUE(run_until_seen(CoreEventKind::revoked));
    EXPECT_EQ(last(CoreEventKind::revoked).lease, lost);
    EXPECT_EQ(last(CoreEventKind::revoked).tag, 1u);
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::granted, 3) != nullptr; }));
    EXPECT_FALSE(core().release(lost));
    EXPECT_TRUE(core().is_open(kept));
    EXPECT_EQ(host().pool.leased, 2u);
    EXPECT_EQ(host().pool.total, 2u);
    // Nobody needs another: none is opened.
    core().release(kept);
    server.cut_all();
    ASSERT_TRUE(run_until([&] { return host().pool.total == 0; }));
    run_for(100ms);
    EXPECT_EQ(host().pool.total, 0u);
}

TEST_F(DefectsOfTheArticle, C6AClosedConnectionIsNotHandedOver) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    const LeaseId held = lease(server.url());
    (void)core().acquire(target(server.url()), {.tag = 5});
    hook_ = [&](const CoreEvent& event) {
        if (event.kind == CoreEventKind::closed) {
            EXPECT_FALSE(core().release(held));
        }
    };
    server.close_all(ws::CloseCode::going_away);
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::granted, 5) != nullptr; }));
    EXPECT_EQ(server.accepted, 2u);
    EXPECT_TRUE(core().is_open(first(CoreEventKind::granted, 5)->lease));
    EXPECT_EQ(last(CoreEventKind::revoked).lease, held);
    // One that has ended unheard is idle no more when that is heard.
    (void)core().release(first(CoreEventKind::granted, 5)->lease);
    server.close_all(ws::CloseCode::going_away);
    ASSERT_TRUE(run_until([&] { return host().pool.total == 0; }));
    const LeaseId fresh = lease(server.url());
    EXPECT_TRUE(core().is_open(fresh));
}

TEST_F(DefectsOfTheArticle, C7ASlotThatBecomesFreeServesWhoWaits) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    (void)lease(server.url());
    (void)core().acquire(target(server.url()), {.tag = 6});
    server.cut_all();
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::granted, 6) != nullptr; }));
    // And after a failed connect.
    server.manner = TestServer::Manner::refuse;
    core().discard(first(CoreEventKind::granted, 6)->lease);
    (void)core().acquire(target(server.url()), {.tag = 7});
    ASSERT_TRUE(run_until([&] { return !host().last_connect_error.empty(); }));
    server.manner = TestServer::Manner::echo;
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::granted, 7) != nullptr; }));
}

TEST_F(DefectsOfTheArticle, C8CloseAllAnswersEverybodyWhoWaits) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    (void)lease(server.url());
    for (std::uint64_t i = 0; i < 5; ++i) (void)core().acquire(target(server.url()), {.tag = i});
    (void)core().request(target(server.url()), "1", as_bytes("{}"), {.tag = 5});
    (void)send_once(server.url(), "x", 6);
    core().drain(Instant::min());
    ASSERT_TRUE(run_until_seen(CoreEventKind::drained));
    EXPECT_EQ(count(CoreEventKind::failed), 7u);
    for (std::uint64_t i = 0; i < 7; ++i)
        EXPECT_EQ(first(CoreEventKind::failed, i)->error, ErrorCode::pool_closed);
}

TEST_F(DefectsOfTheArticle, C9CloseAllWhileConnectingLeavesNoSocketAndStaysClosed) {
    TestServer& server = serve();
    start();
    (void)core().acquire(target(server.url()), {.tag = 1});
    core().drain(Instant::min());
    core().drain(Instant::min());
    ASSERT_TRUE(run_until_seen(CoreEventKind::drained));
    EXPECT_EQ(last(CoreEventKind::failed).error, ErrorCode::pool_closed);
    run_for(50ms);
    EXPECT_TRUE(server.open.empty());
    EXPECT_EQ(core().acquire(target(server.url()), {}).error, ErrorCode::pool_closed);
    EXPECT_EQ(count(CoreEventKind::drained), 1u);
}

TEST_F(DefectsOfTheArticle, C10ADoubleReleaseDoesNothing) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    const LeaseId held = lease(server.url());
    (void)core().acquire(target(server.url()), {.tag = 1});
    (void)core().acquire(target(server.url()), {.tag = 2});
    EXPECT_TRUE(core().release(held));
    EXPECT_FALSE(core().release(held));
    run_for(10ms);
    EXPECT_EQ(count(CoreEventKind::granted), 2u);  // the first lease, and tag 1
    EXPECT_EQ(first(CoreEventKind::granted, 2), nullptr);
}

TEST_F(DefectsOfTheArticle, C11EachEndHasItsOwnErrorAndItsOwnDeadline) {
    TestServer& server = serve();
    RawServer& mute = serve_raw();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    options.host.connect_timeout = 30ms;
    options.host.reconnect.max_attempts = 0;
    options.host.max_waiters = 1;
    start(options);
    (void)lease(server.url());
    (void)core().acquire(target(server.url()), {.deadline = core().now() + 10ms, .tag = 1});
    EXPECT_EQ(core().acquire(target(server.url()), {.tag = 2}).error, ErrorCode::capacity);
    (void)core().acquire(target(mute.url()), {.tag = 3});
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed, 2));
    EXPECT_EQ(first(CoreEventKind::failed, 1)->error, ErrorCode::acquire_timeout);
    EXPECT_EQ(first(CoreEventKind::failed, 3)->error, ErrorCode::connect_timeout);
}

TEST_F(DefectsOfTheArticle, C12ZeroAttemptsAreZeroAndTheCountIsTheEndpoints) {
    CoreOptions options = quick_options();
    options.host.reconnect.max_attempts = 0;
    start(options);
    const std::string url = refusing_url();
    (void)core().acquire(target(url), {.tag = 1});
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed));
    run_for(50ms);
    EXPECT_EQ(host().pool.ended[pool::index_of(pool::SlotEnd::connect_failed)], 1u);
}

TEST_F(DefectsOfTheArticle, C13AMessageIsDoneWhenItIsWrittenAndRepliesAreHeard) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.compression = false;
    start(options);
    (void)send_once(server.url(), "no json at all", 1);
    EXPECT_EQ(count(CoreEventKind::sent), 0u);
    ASSERT_TRUE(run_until_seen(CoreEventKind::sent));
    ASSERT_TRUE(run_until_seen(CoreEventKind::message));
    EXPECT_EQ(messages(), std::vector<std::string>{"no json at all"});
    // One that cannot be written any more fails.
    server.engine().pause(server.open.front());
    const std::string big(16 * 1024 * 1024, 'x');
    (void)core().send_once(
        target(server.url()), ws::Opcode::binary, as_bytes(big), {.deadline = never, .tag = 2});
    run_for(20ms);
    EXPECT_EQ(first(CoreEventKind::sent, 2), nullptr);
    server.stop();
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::failed, 2) != nullptr; }));
    EXPECT_EQ(first(CoreEventKind::failed, 2)->error, ErrorCode::connection_lost);
}

TEST_F(DefectsOfTheArticle, C14IdleConnectionsAreClosedAndConnectingOnesCounted) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.idle_timeout = 20ms;
    start(options);
    const Outcome waiting = core().acquire(target(server.url()), {.tag = 1});
    EXPECT_EQ(waiting.kind, Kind::pending);
    EXPECT_EQ(host().pool.connecting, 1u);
    EXPECT_EQ(host().pool.waiting, 1u);
    EXPECT_EQ(host().pool.total, 1u);
    ASSERT_TRUE(run_until_seen(CoreEventKind::granted));
    core().release(last(CoreEventKind::granted).lease);
    ASSERT_TRUE(run_until([&] { return host().pool.total == 0; }));
    EXPECT_EQ(last(CoreEventKind::closed).end, pool::SlotEnd::idle_timeout);
    EXPECT_TRUE(server.open.empty());
}

// ---- the queue while a host is down

TEST_F(FaultsOfTheField, MessagesOutliveAnOutageInOrderWhereThatIsAskedFor) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.max_queued_messages = 3;
    start(options);
    server.stop();
    for (std::uint64_t i = 0; i < 3; ++i) (void)send_once(server.url(), std::to_string(i), i);
    ASSERT_TRUE(run_until([&] { return host().breaker == pool::CircuitBreaker::State::open; }));
    const Outcome refused = send_once(server.url(), "3", 3);
    EXPECT_EQ(refused.error, ErrorCode::message_queue_full);
    EXPECT_EQ(host().queued_messages, 3u);
    server.restart();
    ASSERT_TRUE(run_until_seen(CoreEventKind::sent, 3));
    ASSERT_TRUE(run_until([&] { return server.received.size() == 3; }));
    EXPECT_EQ(server.received, (std::vector<std::string>{"0", "1", "2"}));
    EXPECT_EQ(host().dropped_messages, 1u);
    EXPECT_EQ(host().queued_bytes, 0u);
}

TEST_F(FaultsOfTheField, WithDropOldestTheOldestMessageMakesRoom) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.max_queued_messages = 2;
    options.max_queued_bytes = 4;
    options.overflow = Overflow::drop_oldest;
    start(options);
    server.stop();
    (void)send_once(server.url(), "aa", 1);
    (void)send_once(server.url(), "bb", 2);
    (void)send_once(server.url(), "cc", 3);
    EXPECT_EQ(send_once(server.url(), "too big", 4).error, ErrorCode::message_queue_full);
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed));
    EXPECT_EQ(last(CoreEventKind::failed).tag, 1u);
    EXPECT_EQ(last(CoreEventKind::failed).error, ErrorCode::message_queue_full);
    ASSERT_TRUE(run_until([&] { return host().breaker == pool::CircuitBreaker::State::open; }));
    server.restart();
    ASSERT_TRUE(run_until([&] { return server.received.size() == 2; }));
    EXPECT_EQ(server.received, (std::vector<std::string>{"bb", "cc"}));
}

TEST_F(FaultsOfTheField, WithoutAQueueMessagesFailWithTheConnectsAndRecoverWithTheHost) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.breaker.failures_max = 2;
    start(options);
    server.stop();
    (void)send_once(server.url(), "a", 1);
    const Outcome deadline = core().send_once(target(server.url()),
                                              ws::Opcode::text,
                                              as_bytes("b"),
                                              {.deadline = core().now() + 1ms, .tag = 2});
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed, 2));
    EXPECT_EQ(first(CoreEventKind::failed, 1)->error, ErrorCode::connect_failed);
    EXPECT_EQ(first(CoreEventKind::failed, 2)->error, ErrorCode::acquire_timeout);
    EXPECT_FALSE(core().cancel(deadline.call));
    server.restart();
    std::uint64_t tag = 10;
    ASSERT_TRUE(run_until([&] {
        if (count(CoreEventKind::sent) > 0) return true;
        if (host().queued_messages == 0) (void)send_once(server.url(), "again", ++tag);
        return false;
    }));
    const Outcome queued = send_once(refusing_url(), "never", 99);
    EXPECT_TRUE(core().cancel(queued.call));
}

}  // namespace
}  // namespace wspool::client
