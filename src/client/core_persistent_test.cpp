// Persistent leases: C5 (b) of docs/pool.md's research, the handle that survives its connection.
#include "client/core_bed.h"

namespace wspool::client {
namespace {

using Kind = Outcome::Kind;

class PersistentLease : public CoreBed {
  protected:
    LeaseId persistent(const std::string& url, AcquireSpec spec = {}) {
        spec.is_persistent = true;
        spec.tag = 7;
        const Outcome outcome = core().acquire(target(url), spec);
        if (outcome.kind == Kind::done) return outcome.lease;
        EXPECT_TRUE(run_until([&] { return first(CoreEventKind::granted, 7) != nullptr; }));
        return last(CoreEventKind::granted).lease;
    }
};

TEST_F(PersistentLease, SurvivesItsConnectionAndGetsTheNext) {
    TestServer& server = serve();
    start();
    const LeaseId held = persistent(server.url());
    EXPECT_EQ(core().session(held), 1u);
    for (std::uint32_t session = 2; session < 5; ++session) {
        server.cut_all();
        ASSERT_TRUE(run_until_seen(CoreEventKind::suspended, session - 1));
        EXPECT_EQ(core().session(held), 0u);
        EXPECT_FALSE(core().is_open(held));
        EXPECT_EQ(core().send(held, ws::Opcode::text, as_bytes("lost")), SendOutcome::gone);
        EXPECT_EQ(host().pool.leased, 0u);
        ASSERT_TRUE(run_until_seen(CoreEventKind::resumed, session - 1));
        EXPECT_EQ(last(CoreEventKind::resumed).lease, held);
        EXPECT_EQ(last(CoreEventKind::resumed).tag, 7u);
        EXPECT_EQ(core().session(held), session);
        // Its slot is counted once.
        EXPECT_EQ(host().pool.leased, 1u);
        EXPECT_LE(host().pool.peak_total, 2u);
        EXPECT_EQ(core().send(held, ws::Opcode::text, as_bytes("again")), SendOutcome::queued);
        ASSERT_TRUE(run_until([&] { return server.told[session].size() == 1; }));
    }
    EXPECT_EQ(count(CoreEventKind::revoked), 0u);
    EXPECT_TRUE(core().release(held));
    EXPECT_FALSE(core().release(held));
    EXPECT_EQ(host().pool.idle, 1u);
}

TEST_F(PersistentLease, IsAskedForUntilItsServerIsBack) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.reconnect.max_attempts = 2;
    options.host.breaker.failures_max = 2;
    start(options);
    const LeaseId held = persistent(server.url());
    server.stop();
    ASSERT_TRUE(run_until([&] { return host().breaker != pool::CircuitBreaker::State::closed; }));
    run_for(100ms);
    EXPECT_EQ(core().session(held), 0u);
    server.restart();
    ASSERT_TRUE(run_until([&] { return core().session(held) == 2; }));
    EXPECT_EQ(count(CoreEventKind::revoked), 0u);
}

TEST_F(PersistentLease, IsServedAheadOfThoseWhoWaitedLess) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    options.host.reconnect.jitter = pool::Jitter::none;
    start(options);
    const LeaseId held = persistent(server.url());
    (void)core().acquire(target(server.url()), {.tag = 1});
    (void)core().acquire(target(server.url()), {.tag = 2});
    server.cut_all();
    // Nothing stands still for it: who waits has the connection until it is its turn.
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::granted, 1) != nullptr; }));
    run_for(options.host.reconnect.initial_delay * 2);
    core().release(first(CoreEventKind::granted, 1)->lease);
    ASSERT_TRUE(run_until([&] { return core().session(held) == 2; }));
    EXPECT_EQ(first(CoreEventKind::granted, 2), nullptr);
    core().release(held);
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::granted, 2) != nullptr; }));
}

TEST_F(PersistentLease, MayBeGivenBackWithoutAConnection) {
    for (const bool waits : {false, true}) {
        for (const bool is_discard : {false, true}) {
            TestServer& server = serve();
            CoreOptions options = quick_options();
            options.host.max_size = 1;
            start(options);
            seen_.clear();
            const LeaseId held = persistent(server.url());
            if (waits) (void)core().acquire(target(server.url()), {.tag = 1});
            server.cut_all();
            ASSERT_TRUE(run_until_seen(CoreEventKind::suspended));
            if (waits) run_for(60ms);  // it has asked, and waits behind who came before
            EXPECT_EQ(core().session(held), 0u);
            EXPECT_TRUE(is_discard ? core().discard(held) : core().release(held));
            EXPECT_FALSE(core().release(held));
            core().check_invariants();
            if (waits) core().release(first(CoreEventKind::granted, 1)->lease);
            run_for(60ms);
            EXPECT_EQ(host().pool.waiting, 0u);
            EXPECT_EQ(host().pool.leased, 0u);
            EXPECT_EQ(count(CoreEventKind::resumed), 0u);
        }
    }
}

TEST_F(PersistentLease, IsRevokedWhenThePoolClosesOrNothingMayBeTriedAgain) {
    for (const bool waits : {false, true}) {
        TestServer& server = serve();
        CoreOptions options = quick_options();
        options.host.max_size = 1;
        start(options);
        seen_.clear();
        const LeaseId held = persistent(server.url());
        if (waits) (void)core().acquire(target(server.url()), {.tag = 1});
        server.cut_all();
        ASSERT_TRUE(run_until_seen(CoreEventKind::suspended));
        if (waits) run_for(60ms);
        core().drain(core().now());
        ASSERT_TRUE(run_until_seen(CoreEventKind::drained));
        ASSERT_NE(first(CoreEventKind::revoked, 7), nullptr);
        EXPECT_EQ(first(CoreEventKind::revoked, 7)->error, ErrorCode::pool_closed);
        EXPECT_EQ(first(CoreEventKind::revoked, 7)->lease, held);
    }
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.reconnect.max_attempts = 0;
    start(options);
    seen_.clear();
    (void)persistent(server.url());
    server.cut_all();
    ASSERT_TRUE(run_until_seen(CoreEventKind::revoked));
    EXPECT_EQ(last(CoreEventKind::revoked).error, ErrorCode::connection_lost);
}

TEST_F(PersistentLease, OfOneClientTwiceStaysOnOneConnection) {
    TestServer& server = serve();
    start();
    const LeaseId held = persistent(server.url(), {.client = "a"});
    const Outcome other =
        core().acquire(target(server.url()), {.client = "a", .tag = 8, .is_persistent = true});
    ASSERT_EQ(other.kind, Kind::done);
    server.cut_all();
    ASSERT_TRUE(run_until_seen(CoreEventKind::resumed, 2));
    EXPECT_EQ(host().pool.leased, 1u);
    EXPECT_EQ(core().session(held), 2u);
    EXPECT_EQ(core().session(other.lease), 2u);
    // Whose client has a connection meanwhile, and may have one only, gets none.
    CoreOptions options = quick_options();
    options.host.affinity = pool::Affinity::exclusive;
    options.host.reconnect.jitter = pool::Jitter::none;
    start(options);
    seen_.clear();
    (void)persistent(server.url(), {.client = "a"});
    server.cut_all();
    ASSERT_TRUE(run_until_seen(CoreEventKind::suspended));
    (void)core().acquire(target(server.url()), {.client = "a", .tag = 9});
    ASSERT_TRUE(run_until_seen(CoreEventKind::revoked));
    EXPECT_EQ(last(CoreEventKind::revoked).error, ErrorCode::already_leased);
}

}  // namespace
}  // namespace wspool::client
