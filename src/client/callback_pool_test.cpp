// The callback flavour over loopback.
#include "client/client_test_server.h"

#include <gtest/gtest.h>
#include <wspool/callback_pool.h>

#include <optional>

namespace wspool::client {
namespace {

using api::CallbackPool;
using api::errc;
using namespace std::chrono_literals;

template <class T>
errc code_of(const api::Result<T>& result) {
    return result ? errc{} : result.error().value();
}

// Runs the pool until `is_so`; false when that takes too long.
bool run_until(CallbackPool& pool, const std::function<bool()>& is_so) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!is_so()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        (void)pool.run_for(5ms);
    }
    return true;
}

TEST(CallbackPool, AnswersEachCallOnceAndNeverFromWithinIt) {
    ThreadedServer server;
    CallbackPool pool;
    int acquired = 0;
    int sent = 0;
    int failed = 0;
    pool.acquire(server.url(), {}, [&](auto lease) { acquired += lease.has_value() ? 1 : 0; });
    pool.send(server.url(), "x", {}, [&](auto result) { sent += result.has_value() ? 1 : 0; });
    pool.acquire("no url", {}, [&](auto lease) { failed += code_of(lease) == errc::bad_url; });
    EXPECT_EQ(acquired + sent + failed, 0);
    ASSERT_TRUE(run_until(pool, [&] { return acquired + sent + failed == 3; }));
    ASSERT_TRUE(pool.run_for(20ms));
    EXPECT_EQ(acquired, 1);
    EXPECT_EQ(sent, 1);
    EXPECT_EQ(failed, 1);
}

TEST(CallbackPool, RunsUntilItIsStopped) {
    ThreadedServer server;
    CallbackPool pool;
    std::string heard;
    pool.on_message([&](std::string_view, std::string_view message, bool) {
        heard = message;
        pool.stop();
    });
    pool.acquire(server.url(), {}, [](auto lease) { EXPECT_TRUE(lease->send("hello")); });
    ASSERT_TRUE(pool.run());
    EXPECT_EQ(heard, "hello");
    pool.close_all();
    ASSERT_TRUE(pool.run());  // until all is closed
    EXPECT_TRUE(server.wait_until([](auto& s) { return s.open_count() == 0; }));
}

TEST(CallbackPool, PollsWithoutWaiting) {
    ThreadedServer server(ServerWay::is_silent);
    CallbackPool pool;
    std::optional<api::Lease> lease;
    pool.acquire(server.url(), {}, [&](auto got) { lease.emplace(std::move(*got)); });
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!lease && std::chrono::steady_clock::now() < limit) ASSERT_TRUE(pool.poll());
    ASSERT_TRUE(lease);
    EXPECT_TRUE(lease->send("x"));
    ASSERT_TRUE(pool.poll());
    EXPECT_TRUE(server.wait_until([](auto& s) { return s.received().size() == 1; }));
}

TEST(CallbackPool, CancelledCallIsToldSoAndLosesNothing) {
    ThreadedServer server;
    CallbackPool pool({.max_connections_per_host = 1});
    std::optional<api::Lease> lease;
    pool.acquire(server.url(), {}, [&](auto got) { lease.emplace(std::move(*got)); });
    ASSERT_TRUE(run_until(pool, [&] { return lease.has_value(); }));
    std::vector<errc> codes;
    const auto waiting =
        pool.acquire(server.url(), {}, [&](auto got) { codes.push_back(code_of(got)); });
    pool.acquire(server.url(), {}, [&](auto got) { codes.push_back(code_of(got)); });
    EXPECT_TRUE(pool.cancel(waiting));
    EXPECT_FALSE(pool.cancel(waiting));
    ASSERT_TRUE(pool.poll());
    EXPECT_EQ(codes, std::vector<errc>{errc::cancelled});
    lease.reset();
    ASSERT_TRUE(run_until(pool, [&] { return codes.size() == 2; }));
    EXPECT_EQ(codes.back(), errc{});
}

TEST(CallbackPool, CallbackThatThrowsIsToldAndItsLeaseComesBack) {
    ThreadedServer server;
    CallbackPool pool({.max_connections_per_host = 1});
    std::string told;
    pool.on_error([&](const api::Error& error) { told = error.message(); });
    pool.acquire(server.url(), {}, [](auto) { throw std::runtime_error("my fault"); });
    ASSERT_TRUE(run_until(pool, [&] { return !told.empty(); }));
    EXPECT_EQ(told, "a callback of acquire() threw: my fault");
    EXPECT_EQ(pool.stats().handler_errors, 1u);
    bool has_lease = false;
    pool.acquire(server.url(), {.timeout = 0s}, [&](auto got) { has_lease = got.has_value(); });
    ASSERT_TRUE(pool.poll());
    EXPECT_TRUE(has_lease);
    pool.send(server.url(), "x", {}, [](auto) { throw 42; });
    ASSERT_TRUE(run_until(pool, [&] { return pool.stats().handler_errors == 2; }));
    EXPECT_EQ(told, "a callback of send() threw: something that is no std::exception");
}

TEST(CallbackPool, MayBeCalledButNotRunByItsCallbacks) {
    ThreadedServer server;
    CallbackPool pool;
    std::vector<errc> codes;
    int heard = 0;
    pool.on_message([&](std::string_view url, std::string_view, bool) {
        if (++heard > 1) return;
        codes.push_back(code_of(pool.run()));
        codes.push_back(code_of(pool.poll()));
        codes.push_back(code_of(pool.subscribe(url, "topic", "again")));
        pool.on_message([&](std::string_view, std::string_view, bool) { ++heard; });
    });
    pool.send(server.url(), "x");
    ASSERT_TRUE(run_until(pool, [&] { return heard == 2; }));
    EXPECT_EQ(codes, (std::vector<errc>{errc::would_deadlock, errc::would_deadlock, {}}));
}

TEST(CallbackPool, MessagesWithoutACallbackTellTheirErrors) {
    CallbackPool pool({.reconnect = {.max_attempts = 0}});
    std::vector<errc> told;
    pool.on_error([&](const api::Error& error) { told.push_back(error.value()); });
    pool.send("nonsense", "x");
    pool.send(dead_url(), "x");
    ASSERT_TRUE(run_until(pool, [&] { return told.size() == 2; }));
    EXPECT_EQ(told, (std::vector<errc>{errc::bad_url, errc::connect_failed}));
}

TEST(CallbackPool, DestructorAnswersWhatIsOwed) {
    ThreadedServer server(ServerWay::is_silent);
    std::vector<errc> codes;
    std::optional<api::Lease> lease;
    {
        CallbackPool pool({.max_connections_per_host = 1});
        pool.acquire(server.url(), {}, [&](auto got) { lease.emplace(std::move(*got)); });
        ASSERT_TRUE(run_until(pool, [&] { return lease.has_value(); }));
        pool.acquire(server.url(), {}, [&](auto got) { codes.push_back(code_of(got)); });
        pool.send(server.url(), "x", {}, [&](auto got) { codes.push_back(code_of(got)); });
        pool.send("nonsense", "x", {}, [&](auto got) { codes.push_back(code_of(got)); });
    }
    std::sort(codes.begin(), codes.end());
    EXPECT_EQ(codes, (std::vector<errc>{errc::pool_closed, errc::pool_closed, errc::bad_url}));
    EXPECT_TRUE(lease->revoked().stop_requested());
    EXPECT_EQ(code_of(lease->send("x")), errc::pool_closed);
    EXPECT_TRUE(server.wait_until([](auto& s) { return s.open_count() == 0; }));
}

TEST(CallbackPool, MayBeDestroyedByItsCallback) {
    ThreadedServer server;
    auto pool = std::make_unique<CallbackPool>();
    bool is_told = false;
    pool->acquire(server.url(), {}, [&](auto lease) {
        EXPECT_TRUE(lease);
        pool.reset();
        is_told = true;
    });
    auto* running = pool.get();
    EXPECT_TRUE(running->run());
    EXPECT_TRUE(is_told);
    EXPECT_TRUE(server.wait_until([](auto& s) { return s.open_count() == 0; }));
}

TEST(CallbackPool, UnusableOptionsAreTheAnswerToEveryCall) {
    CallbackPool pool({.connect_timeout = 0s});
    std::vector<errc> codes;
    pool.acquire("ws://h/", {}, [&](auto got) { codes.push_back(code_of(got)); });
    pool.send("ws://h/", "x", {}, [&](auto got) { codes.push_back(code_of(got)); });
    pool.request("ws://h/", "1", "x", {}, [](auto) { throw 1; });
    EXPECT_EQ(code_of(pool.run()), errc::bad_option);
    EXPECT_EQ(codes, (std::vector<errc>{errc::bad_option, errc::bad_option}));
    EXPECT_EQ(code_of(pool.subscribe("ws://h/", "x", "y")), errc::bad_option);
    EXPECT_FALSE(pool.cancel(api::CallNumber{7}));
    pool.close_all();
    EXPECT_TRUE(pool.stats().hosts.empty());
}

TEST(CallbackPool, SharesAreGivenByPriority) {
    ThreadedServer server;
    CallbackPool pool({.max_connections_per_host = 1});
    std::optional<api::Lease> lease;
    pool.acquire(server.url(), {}, [&](auto got) { lease.emplace(std::move(*got)); });
    ASSERT_TRUE(run_until(pool, [&] { return lease.has_value(); }));
    std::string order;
    pool.acquire(server.url(), {.priority = api::Priority::low}, [&](auto) { order += "low "; });
    pool.acquire(
        server.url(), {.priority = api::Priority::critical}, [&](auto) { order += "critical "; });
    lease.reset();
    ASSERT_TRUE(run_until(pool, [&] { return order.size() > 10; }));
    EXPECT_EQ(order, "critical low ");
}

}  // namespace
}  // namespace wspool::client
