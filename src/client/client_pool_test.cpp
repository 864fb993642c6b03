// The blocking flavour over loopback, against servers on threads of their own.
#include "client/client_test_server.h"
#include "io/tls_test_certificates.h"

#include <gtest/gtest.h>
#include <wspool/client_pool.h>

#include <atomic>
#include <future>
#include <optional>

namespace wspool::client {
namespace {

using api::ClientPool;
using api::errc;
using namespace std::chrono_literals;

// A value that one thread sets and another waits for.
template <class T>
class Box {
  public:
    void put(T value) {
        const std::lock_guard lock(mutex_);
        if (!value_) value_.emplace(std::move(value));
        changed_.notify_all();
    }
    // Nothing: it did not come in time.
    std::optional<T> take() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, 20s, [this] { return value_.has_value(); });
        return std::exchange(value_, std::nullopt);
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<T> value_;
};

template <class T>
errc code_of(const api::Result<T>& result) {
    return result ? errc{} : result.error().value();
}

TEST(ClientPool, SendsAndHearsTheReply) {
    ThreadedServer server;
    Box<std::string> heard;
    ClientPool pool({.max_connections_per_host = 4, .connect_timeout = 5s});
    pool.on_message([&](std::string_view url, std::string_view message, bool is_binary) {
        heard.put(std::string(url) + " " + std::string(message) + (is_binary ? " binary" : ""));
    });
    ASSERT_TRUE(pool.send(server.url(), R"({"type":"ping"})"));
    EXPECT_EQ(heard.take(), server.url() + R"( {"type":"ping"})");
    const std::byte bytes[] = {std::byte{0xff}};
    ASSERT_TRUE(pool.send_binary(server.url(), bytes));
    EXPECT_EQ(heard.take(), server.url() + " \xff binary");
    EXPECT_EQ(server.accepted_count(), 1u);
}

TEST(ClientPool, LeaseSendsInOrderAndComesBackByItsDestructor) {
    ThreadedServer server;
    ClientPool pool({.max_connections_per_host = 1});
    {
        auto lease = pool.acquire(server.url());
        ASSERT_TRUE(lease) << lease.error().message();
        for (const char* text : {"one", "two", "three"}) ASSERT_TRUE(lease->send(text));
        EXPECT_EQ(pool.stats().hosts.at("ws://" + server.address()).active, 1u);
        EXPECT_EQ(code_of(pool.acquire(server.url(), {.timeout = 0s})), errc::capacity);
    }
    EXPECT_TRUE(pool.acquire(server.url(), {.timeout = 0s}));
    ASSERT_TRUE(server.wait_until([](auto& s) { return s.received().size() == 3; }));
    EXPECT_EQ(server.received(), (std::vector<std::string>{"one", "two", "three"}));
    EXPECT_EQ(server.accepted_count(), 1u);
}

TEST(ClientPool, WaitsForTheConnectionThatComesBack) {
    ThreadedServer server;
    ClientPool pool({.max_connections_per_host = 1});
    std::optional<api::Lease> first;
    first.emplace(std::move(*pool.acquire(server.url())));
    auto second = std::async(std::launch::async, [&] { return pool.acquire(server.url()); });
    ASSERT_TRUE(server.wait_until(
        [&](auto&) { return pool.stats().hosts.at("ws://" + server.address()).pending == 1; }));
    first.reset();
    EXPECT_TRUE(second.get());
    EXPECT_EQ(server.accepted_count(), 1u);
}

TEST(ClientPool, TellsHowLongAVainWaitTook) {
    ThreadedServer server;
    ClientPool pool({.max_connections_per_host = 1});
    auto lease = pool.acquire(server.url());
    ASSERT_TRUE(lease);
    const auto waited = pool.acquire(server.url(), {.timeout = 30ms});
    ASSERT_EQ(code_of(waited), errc::acquire_timeout);
    EXPECT_EQ(waited.error().code(), std::errc::timed_out);
    EXPECT_GE(waited.error().waited(), 30ms);
    EXPECT_FALSE(waited.error().message().empty());
}

TEST(ClientPool, RequestIsAnsweredByTheMessageWithItsId) {
    ThreadedServer server;
    ClientPool pool;
    const auto reply = pool.request(server.url(), "7", R"({"id":7,"what":"time"})");
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(*reply, R"({"id":7,"what":"time"})");
    ThreadedServer silent(ServerWay::is_silent);
    EXPECT_EQ(code_of(pool.request(silent.url(), "1", R"({"id":1})", {.timeout = 50ms})),
              errc::acquire_timeout);
}

TEST(ClientPool, SecondReleaseOfALeaseIsAnErrorAndNothingElse) {
    ThreadedServer server;
    ClientPool pool({.max_connections_per_host = 1});
    auto lease = pool.acquire(server.url());
    ASSERT_TRUE(lease);
    EXPECT_TRUE(lease->release());
    EXPECT_EQ(code_of(lease->release()), errc::lease_released);
    EXPECT_EQ(code_of(lease->send("too late")), errc::lease_released);
    auto next = pool.acquire(server.url(), {.timeout = 0s});
    ASSERT_TRUE(next);
    EXPECT_EQ(code_of(lease->discard()), errc::lease_released);
    EXPECT_TRUE(next->send("still mine"));
    EXPECT_EQ(server.accepted_count(), 1u);
}

TEST(ClientPool, DiscardedConnectionIsNotLentAgain) {
    ThreadedServer server;
    ClientPool pool({.max_connections_per_host = 1});
    EXPECT_TRUE(pool.acquire(server.url())->discard());
    EXPECT_TRUE(pool.acquire(server.url()));
    EXPECT_EQ(server.accepted_count(), 2u);
}

TEST(ClientPool, LeaseIsRevokedWhenItsConnectionEnds) {
    ThreadedServer server;
    Box<std::uint16_t> closed;
    Box<bool> revoked;
    ClientPool pool;
    pool.on_close(
        [&](std::string_view, std::uint16_t code, std::string_view) { closed.put(code); });
    auto lease = pool.acquire(server.url());
    ASSERT_TRUE(lease);
    const std::stop_callback told(lease->revoked(), [&] { revoked.put(true); });
    server.close_all(ws::CloseCode::going_away);
    EXPECT_EQ(closed.take(), 1001);
    EXPECT_EQ(revoked.take(), true);
    EXPECT_EQ(code_of(lease->send("x")), errc::connection_lost);
    EXPECT_EQ(code_of(lease->release()), errc::connection_lost);
    EXPECT_TRUE(pool.acquire(server.url()));
}

TEST(ClientPool, LeaseMayOutliveItsPool) {
    ThreadedServer server;
    std::optional<api::Lease> lease;
    {
        ClientPool pool;
        lease.emplace(std::move(*pool.acquire(server.url())));
    }
    EXPECT_TRUE(lease->revoked().stop_requested());
    EXPECT_EQ(code_of(lease->send("x")), errc::pool_closed);
    EXPECT_EQ(code_of(lease->release()), errc::pool_closed);
}

TEST(ClientPool, ClosedPoolAnswersEveryCall) {
    ThreadedServer server;
    Box<errc> posted;
    ClientPool pool;
    ASSERT_TRUE(pool.send(server.url(), "x"));
    pool.close_all();
    ASSERT_TRUE(server.wait_until([](auto& s) { return s.open_count() == 0; }));
    pool.close_all(1s);
    EXPECT_EQ(code_of(pool.send(server.url(), "x")), errc::pool_closed);
    EXPECT_EQ(code_of(pool.acquire(server.url())), errc::pool_closed);
    EXPECT_EQ(code_of(pool.request(server.url(), "1", "{}")), errc::pool_closed);
    EXPECT_EQ(code_of(pool.subscribe(server.url(), "a", "b")), errc::pool_closed);
    EXPECT_EQ(code_of(pool.unsubscribe(server.url(), "a")), errc::pool_closed);
    pool.post(server.url(), "x", {}, [&](auto result) { posted.put(code_of(result)); });
    EXPECT_EQ(posted.take(), errc::pool_closed);
    pool.on_message({});
    EXPECT_EQ(pool.stats().total, 0u);
}

TEST(ClientPool, WaitersLearnThatThePoolIsClosed) {
    ThreadedServer server;
    ClientPool pool({.max_connections_per_host = 1});
    auto lease = pool.acquire(server.url());
    ASSERT_TRUE(lease);
    auto waiting = std::async(std::launch::async, [&] { return pool.acquire(server.url()); });
    ASSERT_TRUE(server.wait_until(
        [&](auto&) { return pool.stats().hosts.at("ws://" + server.address()).pending == 1; }));
    pool.close_all();
    EXPECT_EQ(code_of(waiting.get()), errc::pool_closed);
    EXPECT_EQ(code_of(lease->send("x")), errc::pool_closed);
}

TEST(ClientPool, DrainLetsLeasesComeToTheirEnd) {
    ThreadedServer server;
    ClientPool pool;
    auto lease = pool.acquire(server.url());
    ASSERT_TRUE(lease);
    auto closing = std::async(std::launch::async, [&] { pool.close_all(20s); });
    ASSERT_TRUE(server.wait_until(
        [&](auto&) { return code_of(pool.acquire(server.url())) == errc::pool_closed; }));
    EXPECT_TRUE(lease->send("my last"));
    EXPECT_TRUE(lease->release());
    closing.get();
    EXPECT_EQ(server.received(), std::vector<std::string>{"my last"});
}

TEST(ClientPool, UnusableOptionsAreTheAnswerToEveryCall) {
    ThreadedServer server;
    ClientPool pool({.max_connections_per_host = 0});
    const auto lease = pool.acquire(server.url());
    ASSERT_EQ(code_of(lease), errc::bad_option);
    EXPECT_NE(lease.error().message().find("max_connections_per_host"), std::string::npos);
    EXPECT_EQ(code_of(pool.send(server.url(), "x")), errc::bad_option);
    EXPECT_EQ(code_of(pool.subscribe(server.url(), "a", "b")), errc::bad_option);
    pool.on_message([](std::string_view, std::string_view, bool) {});
    EXPECT_TRUE(pool.stats().hosts.empty());
    pool.close_all();
}

TEST(ClientPool, ChecksOptionsInOneSentence) {
    const auto is_bad = [](const api::Options& options, std::string_view word) {
        const auto checked = api::check(options);
        return code_of(checked) == errc::bad_option &&
               checked.error().message().find(word) != std::string::npos;
    };
    EXPECT_TRUE(api::check({}));
    EXPECT_TRUE(api::check({.max_connections_per_host = 1000, .acquire_timeout = api::infinite}));
    EXPECT_TRUE(is_bad({.max_size = 0}, "max_size"));
    EXPECT_TRUE(is_bad({.max_connections_per_host = 2, .min_idle = 3}, "min_idle"));
    EXPECT_TRUE(is_bad({.acquire_timeout = -1s}, "acquire_timeout"));
    EXPECT_TRUE(is_bad({.connect_timeout = 0s}, "connect_timeout"));
    EXPECT_TRUE(is_bad({.connect_timeout = api::infinite}, "connect_timeout"));
    EXPECT_TRUE(is_bad({.max_lifetime_jitter = 1.5}, "max_lifetime_jitter"));
    EXPECT_TRUE(is_bad({.max_connecting = 0}, "max_connecting"));
    EXPECT_TRUE(is_bad({.reconnect = {.multiplier = 0.5}}, "multiplier"));
    EXPECT_TRUE(is_bad({.headers = {{"Bad\r\nHeader", "x"}}}, "header"));
    EXPECT_TRUE(is_bad({.tls = {.ca_file = "/nowhere/ca.pem"}}, "/nowhere/ca.pem"));
    EXPECT_TRUE(is_bad({.pools = {{.name = ""}}}, "name"));
    EXPECT_TRUE(is_bad({.pools = {{.name = "a"}, {.name = "a"}}}, "twice"));
}

TEST(ClientPool, UnusableInputIsAnErrorValue) {
    ThreadedServer server;
    ClientPool pool;
    for (const char* url : {"", "x", "http://127.0.0.1/", "ws://", "ws://h:99999/", "ws://h/#f"}) {
        EXPECT_EQ(code_of(pool.acquire(url)), errc::bad_url) << url;
        EXPECT_EQ(code_of(pool.send(url, "x")), errc::bad_url) << url;
        EXPECT_EQ(code_of(pool.subscribe(url, "x", "y")), errc::bad_url) << url;
    }
    EXPECT_EQ(code_of(pool.send(server.url(), "\xff")), errc::bad_message);
    auto lease = pool.acquire(server.url());
    ASSERT_TRUE(lease);
    EXPECT_EQ(code_of(lease->send("\xff")), errc::bad_message);
    EXPECT_EQ(code_of(pool.acquire(server.url(), {.pool = "nobody's"})), errc::bad_option);
    EXPECT_EQ(code_of(pool.unsubscribe(server.url(), "x")), errc::unknown_subscription);
}

TEST(ClientPool, CallsThatWaitAreRefusedInHandlersAndOthersWork) {
    ThreadedServer server;
    Box<std::vector<errc>> seen;
    ClientPool pool;
    auto lease = pool.acquire(server.url());
    ASSERT_TRUE(lease);
    pool.on_message([&, is_first = true](std::string_view url, std::string_view, bool) mutable {
        if (!std::exchange(is_first, false)) return;
        std::vector<errc> codes = {code_of(pool.acquire(url)),
                                   code_of(pool.send(url, "x")),
                                   code_of(pool.request(url, "1", "{}"))};
        codes.push_back(code_of(lease->send("from the handler")));
        pool.post(url, "posted");
        codes.push_back(pool.stats().hosts.empty() ? errc::bad_option : errc{});
        codes.push_back(code_of(pool.subscribe(url, "topic", "subscribed")));
        pool.on_close({});
        seen.put(codes);
    });
    ASSERT_TRUE(lease->send("begin"));
    const errc deadlock = errc::would_deadlock;
    EXPECT_EQ(seen.take(), (std::vector<errc>{deadlock, deadlock, deadlock, {}, {}, {}}));
    EXPECT_TRUE(server.wait_until([](auto& s) { return s.received().size() == 4; }));
}

TEST(ClientPool, HandlerThatThrowsIsToldAndNothingIsLost) {
    ThreadedServer server;
    Box<std::string> told;
    ClientPool pool;
    pool.on_error([&](const api::Error& error) {
        told.put(error.message());
        throw 1;  // nor does this do any harm
    });
    pool.on_message(
        [](std::string_view, std::string_view, bool) { throw std::runtime_error("oh"); });
    ASSERT_TRUE(pool.send(server.url(), "x"));
    EXPECT_EQ(told.take(), "on_message() threw: oh");
    EXPECT_TRUE(pool.send(server.url(), "y"));
    EXPECT_GE(pool.stats().handler_errors, 2u);
}

TEST(ClientPool, MayBeDestroyedByItsHandler) {
    ThreadedServer server;
    Box<bool> gone;
    auto pool = std::make_unique<ClientPool>();
    pool->on_message([&](std::string_view, std::string_view, bool) {
        pool.reset();
        gone.put(true);
    });
    pool->post(server.url(), "x");
    EXPECT_EQ(gone.take(), true);
    EXPECT_TRUE(server.wait_until([](auto& s) { return s.open_count() == 0; }));
}

TEST(ClientPool, SaysWhyAHostCannotBeReached) {
    ClientPool pool({.reconnect = {.max_attempts = 0}});
    const auto refused = pool.acquire(dead_url(), {.timeout = 20s});
    EXPECT_EQ(code_of(refused), errc::connect_failed);
    EXPECT_FALSE(refused.error().last_connect_error().empty());
    ThreadedServer refusing(ServerWay::refuses);
    const auto status = pool.acquire(refusing.url(), {.timeout = 20s});
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message().find("503"), std::string::npos) << status.error().message();
    SilentListener silent;
    ClientPool hasty({.connect_timeout = 50ms, .reconnect = {.max_attempts = 0}});
    EXPECT_EQ(code_of(hasty.send(silent.url(), "x", {.timeout = 20s})), errc::connect_timeout);
}

TEST(ClientPool, APersistentLeaseIsBoundAnewAndSaysSo) {
    ThreadedServer server;
    ClientPool pool({.reconnect = {.initial_delay = 60ms}});
    auto lease = pool.acquire(server.url(), {.persistent_session = true});
    ASSERT_TRUE(lease);
    EXPECT_EQ(*lease->session(), 1u);
    ASSERT_TRUE(lease->send("one"));
    server.close_all(ws::CloseCode::service_restart);
    EXPECT_TRUE(server.wait_until([&](auto&) { return *lease->session() == 2; }));
    ASSERT_TRUE(lease->send("two"));
    EXPECT_FALSE(lease->revoked().stop_requested());
    EXPECT_EQ(server.received(), (std::vector<std::string>{"one", "two"}));
    EXPECT_TRUE(lease->release());
    EXPECT_EQ(code_of(lease->session()), errc::lease_released);
    auto plain = pool.acquire(server.url());
    pool.close_all();
    EXPECT_EQ(code_of(plain->session()), errc::pool_closed);
}

TEST(ClientPool, SubscriptionsAreReplayedWhenTheServerIsBack) {
    auto server = std::make_optional<ThreadedServer>();
    const std::string address = server->address();
    Box<std::uint32_t> back;
    ClientPool pool({.reconnect = {.initial_delay = 20ms, .max_attempts = api::unlimited}});
    pool.on_reconnect([&](std::string_view, std::uint32_t attempts) { back.put(attempts); });
    const std::string url = server->url();
    ASSERT_TRUE(pool.subscribe(url, "a", "subscribe a"));
    ASSERT_TRUE(pool.subscribe(url, "b", "subscribe b", "unsubscribe b"));
    ASSERT_TRUE(pool.subscribe(url, "c", "subscribe c"));
    ASSERT_TRUE(server->wait_until([](auto& s) { return s.received().size() == 3; }));
    ASSERT_TRUE(pool.unsubscribe(url, "b"));
    ASSERT_TRUE(server->wait_until([](auto& s) { return s.received().size() == 4; }));
    EXPECT_EQ(server->received().back(), "unsubscribe b");
    server.reset();
    server.emplace(ServerWay::echoes, address);
    EXPECT_TRUE(back.take());
    ASSERT_TRUE(server->wait_until([](auto& s) { return s.received().size() == 2; }));
    EXPECT_EQ(server->received(), (std::vector<std::string>{"subscribe a", "subscribe c"}));
}

TEST(ClientPool, SpeaksTlsToWhomItTrustsAlone) {
    ThreadedServer good(ServerWay::echoes, "127.0.0.1:0", &io::test_server());
    const std::string ca = io::test_certificates().ca_file();
    ClientPool pool({.tls = {.ca_file = ca}});
    EXPECT_TRUE(pool.send(good.url(), "secret"));
    ClientPool wary({.reconnect = {.max_attempts = 0}});
    const auto refused = wary.send(good.url(), "secret");
    EXPECT_EQ(code_of(refused), errc::connect_failed);
    EXPECT_EQ(good.received(), std::vector<std::string>{"secret"});
}

TEST(ClientPool, DedicatedPoolsTakeNothingFromEachOtherUnderOneCeiling) {
    ThreadedServer server;
    ClientPool pool({.max_size = 3,
                     .max_connections_per_host = 2,
                     .pools = {{.name = "market", .max_connections_per_host = 1}}});
    const std::string host = "ws://" + server.address();
    auto market = pool.acquire(server.url(), {.pool = "market"});
    ASSERT_TRUE(market) << market.error().message();
    EXPECT_EQ(code_of(pool.acquire(server.url(), {.timeout = 0s, .pool = "market"})),
              errc::capacity);
    auto first = pool.acquire(server.url());
    auto second = pool.acquire(server.url());
    ASSERT_TRUE(first && second);
    EXPECT_EQ(code_of(pool.acquire(server.url(), {.timeout = 0s})), errc::capacity);
    const api::Stats stats = pool.stats();
    EXPECT_EQ(stats.hosts.at("market " + host).active, 1u);
    EXPECT_EQ(stats.hosts.at(host).active, 2u);
    EXPECT_EQ(stats.total, 3u);
    EXPECT_TRUE(first->release());
    EXPECT_EQ(code_of(pool.acquire(server.url(), {.timeout = 30ms, .pool = "market"})),
              errc::acquire_timeout);
    EXPECT_TRUE(market->release());
    EXPECT_TRUE(pool.send(server.url(), "x", {.pool = "market"}));
}

// For the thread sanitizer above all: everything at once, and closed in the middle of it.
TEST(ClientPool, TakesCallsOfManyThreadsAtOnce) {
    ThreadedServer server;
    constexpr int threads = 8;
    constexpr int rounds = 60;
    std::atomic<int> heard = 0;
    auto pool = std::make_unique<ClientPool>(api::Options{.max_connections_per_host = 3});
    pool->on_message([&](std::string_view, std::string_view, bool) { ++heard; });
    std::atomic<int> sent = 0;
    std::vector<std::thread> all;
    for (int thread = 0; thread < threads; ++thread) {
        all.emplace_back([&, thread] {
            for (int round = 0; round < rounds; ++round) {
                if (round % 3 == 0) {
                    sent += pool->send(server.url(), "message") ? 1 : 0;
                } else if (auto lease = pool->acquire(server.url()); lease) {
                    sent += lease->send("by lease") ? 1 : 0;
                    if (round % 5 == 0) (void)lease->release();
                    if (round % 7 == 0) (void)lease->discard();
                }
                if (round % 10 == thread) (void)pool->stats();
                if (round % 10 == thread) pool->on_close({});
            }
        });
    }
    for (std::thread& thread : all) thread.join();
    EXPECT_EQ(sent, threads * rounds);
    EXPECT_TRUE(server.wait_until(
        [&](auto& s) { return s.received().size() == static_cast<std::size_t>(sent); }));
    EXPECT_LE(pool->stats().hosts.at("ws://" + server.address()).peak, 3u);
}

TEST(ClientPool, ClosesWhileManyThreadsUseIt) {
    ThreadedServer server;
    ClientPool pool({.max_connections_per_host = 2});
    std::vector<std::thread> all;
    std::atomic<int> closed = 0;
    for (int thread = 0; thread < 8; ++thread) {
        all.emplace_back([&] {
            for (;;) {
                auto lease = pool.acquire(server.url());
                const auto sent = lease ? lease->send("x") : api::Result<void>(lease.error());
                if (code_of(sent) != errc::pool_closed) continue;
                ++closed;
                return;
            }
        });
    }
    ASSERT_TRUE(server.wait_until([](auto& s) { return s.received().size() > 100; }));
    pool.close_all();
    for (std::thread& thread : all) thread.join();
    EXPECT_EQ(closed, 8);
    EXPECT_TRUE(server.wait_until([](auto& s) { return s.open_count() == 0; }));
}

}  // namespace
}  // namespace wspool::client
