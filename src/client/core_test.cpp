// The core against real servers over loopback: each verb, and each of its ends.
#include "client/core.h"

#include "client/core_bed.h"
#include "client/core_reply.h"
#include "io/tls_test_certificates.h"

#include <algorithm>
#include <set>

namespace wspool::client {
namespace {

using Kind = Outcome::Kind;

class CoreTest : public CoreBed {};

TEST_F(CoreTest, AcquireOpensAConnectionAndTheNextAcquireGetsTheSame) {
    TestServer& server = serve();
    start();
    const LeaseId first = lease(server.url());
    EXPECT_TRUE(core().is_open(first));
    EXPECT_EQ(core().send(first, ws::Opcode::text, as_bytes("hello")), SendOutcome::queued);
    ASSERT_TRUE(run_until_seen(CoreEventKind::message));
    EXPECT_EQ(last(CoreEventKind::message).payload, "hello");
    EXPECT_EQ(last(CoreEventKind::message).lease, first);
    EXPECT_EQ(last(CoreEventKind::message).url, server.url());
    EXPECT_TRUE(core().release(first));
    EXPECT_FALSE(core().release(first));
    EXPECT_EQ(core().send(first, ws::Opcode::text, as_bytes("x")), SendOutcome::gone);

    const Outcome again = core().acquire(target(server.url()), {});
    ASSERT_EQ(again.kind, Kind::done);
    EXPECT_EQ(server.accepted, 1u);
    EXPECT_EQ(host().pool.leased, 1u);
    EXPECT_TRUE(core().discard(again.lease));
    ASSERT_TRUE(run_until([&] { return host().pool.total == 0; }));
    EXPECT_EQ(last(CoreEventKind::closed).end, pool::SlotEnd::discarded);
}

TEST_F(CoreTest, WhoWaitsGetsWhatIsReleased) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    const LeaseId held = lease(server.url());
    const Outcome waiting = core().acquire(target(server.url()), {.tag = 7});
    ASSERT_EQ(waiting.kind, Kind::pending);
    EXPECT_TRUE(core().release(held));
    ASSERT_TRUE(run_until_seen(CoreEventKind::granted, 2));
    EXPECT_EQ(last(CoreEventKind::granted).tag, 7u);
    EXPECT_EQ(server.accepted, 1u);
}

TEST_F(CoreTest, ACallThatMayNotWaitIsRefusedAtOnceAndOneWithADeadlineThen) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.max_size = 1;
    start(options);
    (void)lease(server.url());
    const Outcome refused = core().acquire(target(server.url()), {.deadline = Instant::min()});
    EXPECT_EQ(refused.kind, Kind::failed);
    EXPECT_EQ(refused.error, ErrorCode::capacity);
    const Outcome waiting =
        core().acquire(target(server.url()), {.deadline = core().now() + 20ms, .tag = 2});
    EXPECT_EQ(waiting.kind, Kind::pending);
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed));
    EXPECT_EQ(last(CoreEventKind::failed).error, ErrorCode::acquire_timeout);
    EXPECT_EQ(last(CoreEventKind::failed).tag, 2u);
}

TEST_F(CoreTest, ACancelledAcquireIsNotHeardOfAgain) {
    TestServer& server = serve();
    start();
    const Outcome waiting = core().acquire(target(server.url()), {.tag = 3});
    ASSERT_EQ(waiting.kind, Kind::pending);
    EXPECT_TRUE(core().cancel(waiting.call));
    EXPECT_FALSE(core().cancel(waiting.call));
    // The connect goes on, and what it opens is kept.
    ASSERT_TRUE(run_until([&] { return host().pool.idle == 1; }));
    EXPECT_EQ(count(CoreEventKind::granted) + count(CoreEventKind::failed), 0u);
}

TEST_F(CoreTest, AClientSharesItsConnectionUnderItsId) {
    TestServer& server = serve();
    start();
    (void)core().acquire(target(server.url()), {.client = "ann", .tag = 1});
    (void)core().acquire(target(server.url()), {.client = "ann", .tag = 2});
    (void)core().acquire(target(server.url()), {.client = "bob", .tag = 3});
    ASSERT_TRUE(run_until_seen(CoreEventKind::granted, 3));
    EXPECT_EQ(server.accepted, 2u);
    EXPECT_TRUE(core().release(first(CoreEventKind::granted, 1)->lease));
    EXPECT_TRUE(core().is_open(first(CoreEventKind::granted, 2)->lease));
    EXPECT_EQ(host().pool.leased, 2u);
}

TEST_F(CoreTest, AMessageIsSentWhenTheKernelHasItAndTheConnectionIsFreeAgain) {
    TestServer& server = serve();
    start();
    EXPECT_EQ(send_once(server.url(), "one", 1).kind, Kind::pending);
    EXPECT_EQ(send_once(server.url(), "two", 2).kind, Kind::pending);
    ASSERT_TRUE(run_until_seen(CoreEventKind::sent, 2));
    ASSERT_TRUE(run_until([&] { return server.received.size() == 2; }));
    EXPECT_EQ(server.received, (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(server.accepted, 1u);
    EXPECT_EQ(host().pool.idle, 1u);
    EXPECT_EQ(send_once(server.url(), "three", 3).kind, Kind::pending);
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::sent, 3) != nullptr; }));
    ASSERT_TRUE(run_until([&] { return messages().size() == 3; }));
    EXPECT_EQ(host().messages_sent, 3u);
    EXPECT_EQ(host().bytes_received, 11u);
    EXPECT_EQ(host().queued_messages, 0u);
}

TEST_F(CoreTest, AMessageIsToldAsSentThoughThePeerSaysNothing) {
    TestServer& server = serve(TestServer::Manner::mute);
    start();
    (void)core().release(lease(server.url()));
    (void)send_once(server.url(), "x", 1);
    const Instant begin = core().now();
    for (CoreEvent event; event.kind != CoreEventKind::sent;) {
        core().wait(begin + 5s);
        while (core().next(event)) {
        }
        ASSERT_LT(core().now(), begin + 1s);
    }
}

TEST_F(CoreTest, MessagesKeepAConnectionFromBeingIdleTooLong) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.idle_timeout = 60ms;
    start(options);
    std::uint64_t tag = 0;
    const Instant begin = loop_->now();
    ASSERT_TRUE(run_until([&] {
        (void)send_once(server.url(), "x", ++tag);
        return loop_->now() > begin + 200ms;
    }));
    EXPECT_EQ(server.accepted, 1u);
    ASSERT_TRUE(run_until_seen(CoreEventKind::closed));
    EXPECT_EQ(last(CoreEventKind::closed).end, pool::SlotEnd::idle_timeout);
}

TEST_F(CoreTest, AManyfoldOfMessagesLeavesInOrderAndMoreThanTheOutboxHoldsWaits) {
    TestServer& server = serve(TestServer::Manner::mute);
    CoreOptions options = quick_options();
    options.outbox_size_max = 1000;
    options.compression = false;
    start(options);
    const std::string filler(300, 'x');
    for (std::uint64_t i = 0; i < 100; ++i)
        EXPECT_EQ(send_once(server.url(), std::to_string(i) + filler, i).kind, Kind::pending);
    ASSERT_TRUE(run_until([&] { return server.received.size() == 100; }));
    ASSERT_TRUE(run_until_seen(CoreEventKind::sent, 100));
    for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(server.received[i], std::to_string(i) + filler);
    EXPECT_EQ(server.accepted, 1u);
    EXPECT_EQ(host().pool.leased, 0u);
}

TEST_F(CoreTest, ALeaseRefusesWhatItsOutboxCannotHoldAndLives) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.outbox_size_max = 1000;
    options.compression = false;
    start(options);
    const LeaseId held = lease(server.url());
    const std::string big(5000, 'x');
    EXPECT_EQ(core().send(held, ws::Opcode::binary, as_bytes(big)), SendOutcome::queued);
    EXPECT_EQ(core().send(held, ws::Opcode::binary, as_bytes("y")), SendOutcome::full);
    EXPECT_GT(core().outbox_size(held), 5000u);
    ASSERT_TRUE(run_until_seen(CoreEventKind::message));
    EXPECT_EQ(core().send(held, ws::Opcode::binary, as_bytes("y")), SendOutcome::queued);
}

TEST_F(CoreTest, ARequestIsAnsweredByTheMessageWithItsId) {
    TestServer& server = serve(TestServer::Manner::mute);
    start();
    const auto ask = [&](std::string_view id, std::uint64_t tag) {
        return core().request(target(server.url()), id, as_bytes("{}"), {.tag = tag});
    };
    EXPECT_EQ(ask("7", 1).kind, Kind::pending);
    EXPECT_EQ(ask("\"seven\"", 2).kind, Kind::pending);
    ASSERT_TRUE(run_until([&] { return server.received.size() == 2; }));
    EXPECT_EQ(host().requests, 2u);
    for (const auto session : server.open) {
        for (const std::string_view reply :
             {R"({"type":"ack"})", R"([7])", R"({"a":{"id":7},"id":"seven"})", R"({"id": 7})"})
            (void)server.engine().send(session, ws::Opcode::text, as_bytes(reply));
    }
    ASSERT_TRUE(run_until_seen(CoreEventKind::replied, 2));
    EXPECT_EQ(first(CoreEventKind::replied, 1)->payload, R"({"id": 7})");
    EXPECT_EQ(first(CoreEventKind::replied, 2)->payload, R"({"a":{"id":7},"id":"seven"})");
    ASSERT_TRUE(run_until_seen(CoreEventKind::message, 6));
    EXPECT_EQ(host().pool.leased, 0u);
    EXPECT_EQ(host().requests, 0u);
}

TEST_F(CoreTest, ARequestWithoutAnAnswerFailsAtItsDeadlineOrWithItsConnection) {
    TestServer& server = serve(TestServer::Manner::mute);
    start();
    (void)core().request(
        target(server.url()), "1", as_bytes("{}"), {.deadline = core().now() + 50ms, .tag = 1});
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed));
    EXPECT_EQ(last(CoreEventKind::failed).error, ErrorCode::acquire_timeout);
    EXPECT_EQ(host().pool.idle, 1u);
    (void)core().request(target(server.url()), "2", as_bytes("{}"), {.tag = 2});
    ASSERT_TRUE(run_until([&] { return server.received.size() == 2; }));
    server.cut_all();
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed, 2));
    EXPECT_EQ(last(CoreEventKind::failed).error, ErrorCode::connection_lost);
    const Outcome third = core().request(target(server.url()), "3", as_bytes("{}"), {.tag = 3});
    EXPECT_TRUE(core().cancel(third.call));
    EXPECT_EQ(host().requests, 0u);
}

TEST_F(CoreTest, MessagesOfAnIdleConnectionAreHeard) {
    TestServer& server = serve();
    start();
    (void)core().release(lease(server.url()));
    (void)server.engine().send(server.open.front(), ws::Opcode::binary, as_bytes("news"));
    ASSERT_TRUE(run_until_seen(CoreEventKind::message));
    EXPECT_EQ(last(CoreEventKind::message).payload, "news");
    EXPECT_TRUE(last(CoreEventKind::message).is_binary);
    EXPECT_EQ(last(CoreEventKind::message).lease, LeaseId{});
}

TEST_F(CoreTest, AnIdleConnectionIsValidatedBeforeItIsLent) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.validate_bypass = Duration::zero();
    options.host.validate_timeout = 100ms;
    start(options);
    (void)core().release(lease(server.url()));
    (void)core().release(lease(server.url()));
    EXPECT_EQ(server.accepted, 1u);
    EXPECT_EQ(host().pool.acquired_waited, 2u);
    // One that answers no ping is replaced.
    server.engine().pause(server.open.front());
    (void)lease(server.url());
    EXPECT_EQ(server.accepted, 2u);
    ASSERT_TRUE(
        run_until([&] { return host().pool.ended[pool::index_of(pool::SlotEnd::invalid)] == 1; }));
}

TEST_F(CoreTest, NamesAreResolvedAndAddressesRaced) {
    TestServer& server = serve();
    start();
    // Nobody listens at the first two; the third is the server's.
    resolver_.names["here.example"] = {{io::Address::Family::ipv6, "::1", 1},
                                       {io::Address::Family::ipv4, "127.0.0.1", 1},
                                       {io::Address::Family::ipv4, "127.0.0.1", 0}};
    const std::string url = "ws://here.example:" + std::to_string(server.port()) + "/a?b";
    (void)lease(url);
    EXPECT_EQ(server.targets, std::vector<std::string>{"/a?b"});
    EXPECT_EQ(host().pool.peak_total, 1u);
}

TEST_F(CoreTest, AnAddressThatDoesNotAnswerIsOvertakenAfterTheStagger) {
    TestServer& server = serve();
    RawServer& mute = serve_raw();
    start();
    const auto mute_port =
        static_cast<std::uint16_t>(std::stoi(mute.url().substr(mute.url().rfind(':') + 1)));
    resolver_.names["slow.example"] = {{io::Address::Family::ipv4, "127.0.0.1", mute_port},
                                       {io::Address::Family::ipv4, "127.0.0.1", 0}};
    const Instant begin = core().now();
    (void)lease("ws://slow.example:" + std::to_string(server.port()) + "/");
    EXPECT_GE(core().now() - begin, io::connect_stagger);
    EXPECT_LT(core().now() - begin, 1s);
    EXPECT_EQ(mute.accepted, 1u);
    EXPECT_EQ(host().pool.created, 1u);
}

TEST_F(CoreTest, TheSentenceOfTheLastConnectGoesToWhoWaited) {
    CoreOptions options = quick_options();
    options.host.reconnect.max_attempts = 1;
    options.host.connect_timeout = 100ms;
    start(options);
    const auto error_of = [&](const std::string& url) {
        const std::size_t before = count(CoreEventKind::failed);
        EXPECT_EQ(core().acquire(target(url), {.tag = 1}).kind, Kind::pending);
        EXPECT_TRUE(run_until_seen(CoreEventKind::failed, before + 1));
        return last(CoreEventKind::failed);
    };
    SeenEvent event = error_of(refusing_url());
    EXPECT_EQ(event.error, ErrorCode::connect_failed);
    EXPECT_NE(event.text.find("refused"), std::string::npos) << event.text;
    event = error_of(serve_raw().url());
    EXPECT_EQ(event.error, ErrorCode::connect_timeout);
    EXPECT_NE(event.text.find("100 ms"), std::string::npos) << event.text;
    event = error_of(serve_raw("who are you?\r\n\r\n").url());
    EXPECT_EQ(event.error, ErrorCode::connect_failed);
    EXPECT_NE(event.text.find("no HTTP"), std::string::npos) << event.text;
    event = error_of(serve(TestServer::Manner::refuse).url());
    EXPECT_NE(event.text.find("503"), std::string::npos) << event.text;
    EXPECT_NE(event.text.find("go away"), std::string::npos) << event.text;
    event = error_of("ws://nowhere.example/");
    EXPECT_NE(event.text.find("not known"), std::string::npos) << event.text;
    resolver_.is_stuck = true;
    event = error_of("ws://stuck.example/");
    EXPECT_EQ(event.error, ErrorCode::connect_timeout);
    EXPECT_NE(event.text.find("looked up"), std::string::npos) << event.text;
}

TEST_F(CoreTest, ACircuitThatIsOpenAnswersAtOnceWithTheLastError) {
    CoreOptions options = quick_options();
    options.host.breaker.failures_max = 1;
    options.host.breaker.probe_interval = 1h;
    start(options);
    const std::string url = refusing_url();
    (void)core().acquire(target(url), {.tag = 1});
    ASSERT_TRUE(run_until_seen(CoreEventKind::failed));
    const Outcome refused = core().acquire(target(url), {.tag = 2});
    EXPECT_EQ(refused.error, ErrorCode::circuit_open);
    EXPECT_NE(refused.text.find("refused"), std::string_view::npos) << refused.text;
    EXPECT_EQ(host().breaker, pool::CircuitBreaker::State::open);
    EXPECT_FALSE(host().last_connect_error.empty());
    EXPECT_EQ(send_once(url, "x", 3).error, ErrorCode::circuit_open);
}

TEST_F(CoreTest, WhileAProbeIsUnderWayOthersWaitForItsOutcome) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.breaker.failures_max = 1;
    start(options);
    server.stop();
    (void)core().acquire(target(server.url("/a")), {.tag = 1});
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::failed, 1) != nullptr; }));
    server.restart();
    ASSERT_TRUE(run_until([&] {
        return core().acquire(target(server.url("/a")), {.tag = 2}).kind == Outcome::Kind::pending;
    }));
    EXPECT_EQ(host().breaker, pool::CircuitBreaker::State::half_open);
    EXPECT_EQ(core().acquire(target(server.url("/b")), {.tag = 3}).kind, Outcome::Kind::pending);
    ASSERT_TRUE(run_until([&] { return first(CoreEventKind::granted, 3) != nullptr; }));
}

TEST_F(CoreTest, TlsIsSpokenWithTheNameVerifiedAndAWrongCertificateIsRefusedWithASentence) {
    io::TestCertificates certificates;
    const auto make_server = [&](const io::CertificateWishes& wishes) {
        const auto files = certificates.make(wishes);
        return io::TlsServer::make({files.certificate_file, files.key_file, "", 2}).value();
    };
    const io::TlsServer good = make_server({});
    const io::TlsServer wrong = make_server({.names = "DNS:elsewhere.example"});
    const io::TlsServer expired = make_server({.days_from = -9, .days_to = -2});
    const io::TlsServer self_signed = make_server({.issuer = io::Issuer::itself});
    CoreOptions options = quick_options();
    options.host.reconnect.max_attempts = 0;
    options.defaults.tls = std::make_shared<const io::TlsClient>(
        io::TlsClient::make({certificates.ca_file(), {}, {}}).value());
    start(options);
    const auto url_of = [&](const io::TlsServer& tls) {
        TestServer& server = serve();
        server.stop();
        server.start(0, &tls);
        return "wss://127.0.0.1:" + std::to_string(server.port()) + "/";
    };
    const std::string url = url_of(good);
    EXPECT_EQ(send_once(url, "secret", 1).kind, Kind::pending);
    ASSERT_TRUE(run_until([&] { return messages() == std::vector<std::string>{"secret"}; }));
    for (const io::TlsServer* bad : {&wrong, &expired, &self_signed}) {
        const std::size_t before = count(CoreEventKind::failed);
        (void)core().acquire(target(url_of(*bad)), {.tag = 2});
        ASSERT_TRUE(run_until_seen(CoreEventKind::failed, before + 1));
        EXPECT_EQ(last(CoreEventKind::failed).error, ErrorCode::connect_failed);
        EXPECT_NE(last(CoreEventKind::failed).text.find("certificate"), std::string::npos)
            << last(CoreEventKind::failed).text;
    }
}

TEST_F(CoreTest, TargetsDifferInAllThatAConnectionMustFit) {
    TestServer& server = serve();
    server.subprotocol = "b";
    start();
    const TargetId plain = target(server.url("/x"));
    EXPECT_EQ(target(server.url("/x")), plain);
    EXPECT_NE(target(server.url("/y")), plain);
    TargetSpec spec;
    EXPECT_EQ(core().target(server.url("/x"), spec).value(), plain);
    spec.subprotocols = {"a", "b"};
    const TargetId with_subprotocols = core().target(server.url("/x"), spec).value();
    EXPECT_NE(with_subprotocols, plain);
    spec.subprotocols.clear();
    spec.headers = {{"X-Who", "me"}};
    EXPECT_NE(core().target(server.url("/x"), spec).value(), plain);
    EXPECT_NE(core().target(server.url("/x"), spec).value(), with_subprotocols);
    (void)core().acquire(with_subprotocols, {.tag = 1});
    ASSERT_TRUE(run_until_seen(CoreEventKind::granted));
    EXPECT_EQ(core().subprotocol(last(CoreEventKind::granted).lease), "b");
    EXPECT_EQ(server.subprotocols_offered, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(core().stats().hosts.size(), 1u);
    EXPECT_EQ(core().stats().targets, 4u);
}

TEST_F(CoreTest, BadInputIsAnErrorValue) {
    TestServer& server = serve();
    start();
    for (const char* url :
         {"", "http://a/", "ws://", "ws://a:0x/", "ws://u:p@a/", "ws://a/#f", "wss://127.0.0.1/"})
        EXPECT_FALSE(core().target(url)) << url;
    TargetSpec spec;
    spec.headers = {{"X", "a\r\nInjected: yes"}};
    EXPECT_FALSE(core().target(server.url(), spec));
    spec.headers = {{"Host", "other"}};
    EXPECT_FALSE(core().target(server.url(), spec));
    spec.headers.clear();
    spec.subprotocols = {"no token"};
    EXPECT_FALSE(core().target(server.url(), spec));

    EXPECT_EQ(core().acquire({}, {}).error, ErrorCode::invalid);
    EXPECT_EQ(core().acquire({5, 3}, {}).error, ErrorCode::invalid);
    EXPECT_FALSE(core().cancel({}));
    EXPECT_FALSE(core().release({77, 0}));
    EXPECT_FALSE(core().discard({}));
    EXPECT_FALSE(core().unsubscribe({}));
    EXPECT_FALSE(core().pin({}));
    EXPECT_FALSE(core().unpin(target(server.url())));
    EXPECT_FALSE(core().subscribe({}, "t", "s", "u"));
    EXPECT_FALSE(core().subscribe(target(server.url()), "t", "\xff", "u"));
    const LeaseId held = lease(server.url());
    EXPECT_EQ(core().send(held, ws::Opcode::text, as_bytes("\xff")), SendOutcome::invalid);
    EXPECT_EQ(core().send(held, ws::Opcode::ping, {}), SendOutcome::invalid);
    EXPECT_EQ(send_once(server.url(), "\xc3", 1).error, ErrorCode::invalid);
    EXPECT_EQ(core().request(target(server.url()), "1", as_bytes("\xff"), {}).error,
              ErrorCode::invalid);
    CoreOptions bad;
    bad.subscriptions_per_connection = 0;
    EXPECT_FALSE(check(bad));
    bad = {};
    bad.host.connect_timeout = -1s;
    EXPECT_FALSE(check(bad));
}

TEST_F(CoreTest, TheTotalLimitHoldsOverAllHostsAndIdleOnesGiveWay) {
    CoreOptions options = quick_options();
    options.max_total_connections = 2;
    start(options);
    TestServer& first_server = serve();
    TestServer& second_server = serve();
    TestServer& third_server = serve();
    for (TestServer* server : {&first_server, &second_server, &third_server}) {
        const LeaseId held = lease(server->url());
        (void)core().release(held);
        EXPECT_LE(core().stats().ceiling.taken, 2u);
    }
    ASSERT_TRUE(run_until([&] { return core().stats().ceiling.evictions == 1; }));
    EXPECT_LE(core().stats().ceiling.peak, 2u);
}

TEST_F(CoreTest, AnUnusedTargetIsForgottenAndItsHostWithTheLast) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.host.idle_timeout = 10ms;
    options.forget_after = 30ms;
    start(options);
    const TargetId kept = target(server.url("/kept"));
    EXPECT_TRUE(core().pin(kept));
    const TargetId used = target(server.url("/used"));
    (void)core().release(lease(server.url("/used")));
    ASSERT_TRUE(run_until([&] { return core().stats().targets == 1; }));
    EXPECT_EQ(core().acquire(used, {}).error, ErrorCode::invalid);
    EXPECT_EQ(core().url(kept), server.url("/kept"));
    EXPECT_TRUE(core().unpin(kept));
    ASSERT_TRUE(run_until([&] { return core().stats().hosts.empty(); }));
    // It starts anew.
    (void)lease(server.url("/used"));
}

TEST_F(CoreTest, NoMoreTargetsAreKnownThanAllowedAndUnusedOnesMakeRoom) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.max_targets = 2;
    start(options);
    EXPECT_TRUE(core().pin(target(server.url("/1"))));
    const TargetId second = target(server.url("/2"));
    EXPECT_FALSE(core().target(server.url("/3")));
    turn();
    EXPECT_TRUE(core().target(server.url("/3")));
    EXPECT_EQ(core().acquire(second, {}).error, ErrorCode::invalid);
}

TEST_F(CoreTest, AWatchedDescriptorIsReported) {
    start();
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    ASSERT_TRUE(core().watch(ends[0], 42));
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    ASSERT_TRUE(run_until_seen(CoreEventKind::readable));
    EXPECT_EQ(last(CoreEventKind::readable).tag, 42u);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_F(CoreTest, DeadPeersAreFoundByPings) {
    TestServer& server = serve();
    CoreOptions options = quick_options();
    options.ping_interval = 30ms;
    options.ping_timeout = 50ms;
    start(options);
    const LeaseId held = lease(server.url());
    server.engine().pause(server.open.front());
    ASSERT_TRUE(run_until_seen(CoreEventKind::revoked));
    EXPECT_EQ(last(CoreEventKind::revoked).lease, held);
    EXPECT_EQ(last(CoreEventKind::revoked).error, ErrorCode::connection_lost);
    EXPECT_EQ(last(CoreEventKind::closed).lease, held);
}

TEST_F(CoreTest, DrainWaitsForLeasesAndThenNothingIsLeft) {
    TestServer& server = serve();
    start();
    const LeaseId held = lease(server.url());
    (void)send_once(server.url(), "on its way", 1);
    (void)core().acquire(target(refusing_url()), {.tag = 2});
    core().drain(core().now() + 5s);
    EXPECT_EQ(core().acquire(target(server.url()), {}).error, ErrorCode::pool_closed);
    EXPECT_FALSE(core().target("ws://127.0.0.1:1/new"));
    EXPECT_EQ(core().send(held, ws::Opcode::text, as_bytes("the last")), SendOutcome::queued);
    ASSERT_TRUE(run_until([&] { return messages().size() == 1; }));
    EXPECT_FALSE(core().is_drained());
    EXPECT_TRUE(core().release(held));
    ASSERT_TRUE(run_until_seen(CoreEventKind::drained));
    EXPECT_EQ(first(CoreEventKind::failed, 1)->error, ErrorCode::pool_closed);
    EXPECT_EQ(first(CoreEventKind::failed, 2)->error, ErrorCode::pool_closed);
    EXPECT_EQ(core().stats().connections, 0u);
    EXPECT_EQ(core().stats().counters.connections, 0u);
    core().drain(Instant::min());
    turn();
    EXPECT_EQ(count(CoreEventKind::drained), 1u);
    EXPECT_EQ(core().next_deadline(), never);
    EXPECT_TRUE(server.open.empty());
}

TEST_F(CoreTest, DrainRevokesWhatIsHeldBeyondItsDeadlineAndOutlastsAPeerThatDoesNotClose) {
    TestServer& server = serve();
    start();
    const LeaseId held = lease(server.url());
    server.engine().pause(server.open.front());
    core().drain(core().now() + 20ms);
    ASSERT_TRUE(run_until_seen(CoreEventKind::revoked));
    EXPECT_EQ(last(CoreEventKind::revoked).lease, held);
    EXPECT_EQ(last(CoreEventKind::revoked).error, ErrorCode::pool_closed);
    ASSERT_TRUE(run_until_seen(CoreEventKind::drained));
}

TEST_F(CoreTest, AnEmptyCoreDrainsAtOnce) {
    start();
    core().drain(Instant::min());
    EXPECT_TRUE(core().is_drained());
    ASSERT_TRUE(run_until_seen(CoreEventKind::drained));
}

TEST_F(CoreTest, IdsOfRepliesAreFoundAtTheTopLevelOnly) {
    EXPECT_EQ(find_reply_id(R"({"id":7})"), "7");
    EXPECT_EQ(find_reply_id(R"( { "a" : [1,{"id":2}], "id" : "x\"y" , )"), R"("x\"y")");
    for (const char* text : {"",
                             "7",
                             "[]",
                             "{}",
                             R"({"a":1})",
                             R"({"id")",
                             R"({"id":})",
                             R"({"a":1 "id":2})",
                             R"({"a":{"id":1}})"})
        EXPECT_EQ(find_reply_id(text), "") << text;
}

}  // namespace
}  // namespace wspool::client
