// Coroutines over both flavours, cancelled at every point at which they wait.
#include "client/client_test_server.h"

#include <gtest/gtest.h>
#include <wspool/callback_pool.h>
#include <wspool/client_pool.h>

#include <coroutine>
#include <latch>
#include <optional>
#include <utility>

namespace wspool::client {
namespace {

using api::CallbackPool;
using api::ClientPool;
using api::errc;
using namespace std::chrono_literals;

// Begins at once, and is destroyed with the object, wherever it waits.
class Task {
  public:
    struct promise_type {
        Task get_return_object() {
            return Task(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { throw; }
    };
    explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
    Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (coroutine_) coroutine_.destroy();
    }
    [[nodiscard]] bool is_done() const { return coroutine_.done(); }

  private:
    std::coroutine_handle<promise_type> coroutine_;
};

bool run_until(CallbackPool& pool, const std::function<bool()>& is_so) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!is_so()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        (void)pool.run_for(5ms);
    }
    return true;
}

template <class Pool>
Task converse(Pool& pool, std::string url, std::vector<std::string>& said) {
    auto sent = co_await pool.async_send(url, "by any connection");
    said.push_back(sent ? "sent" : sent.error().message());
    auto reply = co_await pool.async_request(url, "\"a\"", R"({"id":"a"})");
    said.push_back(reply ? *reply : reply.error().message());
    auto lease = co_await pool.async_acquire(url);
    said.push_back(lease ? "lease" : lease.error().message());
    if (lease && !lease->send("by lease")) said.push_back("not sent");
    auto refused = co_await pool.async_acquire("nonsense");
    said.push_back(refused ? "lease" : "no lease");
}

TEST(Coroutine, ConversesOverTheCallbackFlavour) {
    ThreadedServer server;
    CallbackPool pool;
    std::vector<std::string> said;
    const Task task = converse(pool, server.url(), said);
    EXPECT_TRUE(said.empty());
    ASSERT_TRUE(run_until(pool, [&] { return task.is_done(); }));
    EXPECT_EQ(said, (std::vector<std::string>{"sent", R"({"id":"a"})", "lease", "no lease"}));
    EXPECT_TRUE(server.wait_until([](auto& s) { return s.received().size() == 3; }));
}

Task converse_and_tell(ClientPool& pool,
                       std::string url,
                       std::vector<std::string>& said,
                       std::latch& done) {
    struct Told {
        std::latch& latch;
        ~Told() { latch.count_down(); }
    };
    {
        auto reply = co_await pool.async_request(url, "1", R"({"id":1})");
        said.push_back(reply ? *reply : reply.error().message());
        auto lease = co_await pool.async_acquire(url);
        said.push_back(lease ? "lease" : lease.error().message());
        const auto blocking = pool.acquire(url);
        said.push_back(blocking ? "blocked" : blocking.error().code().message());
    }
    const Told told{done};
}

TEST(Coroutine, ConversesOverTheBlockingFlavour) {
    ThreadedServer server;
    std::vector<std::string> said;
    std::latch done(1);
    ClientPool pool;
    {
        const Task task = converse_and_tell(pool, server.url(), said, done);
        done.wait();
        pool.close_all();  // the thread is not in the coroutine any more
    }
    EXPECT_EQ(said,
              (std::vector<std::string>{
                  R"({"id":1})", "lease", make_error_code(errc::would_deadlock).message()}));
}

Task hold(CallbackPool& pool, std::string url, std::optional<api::Lease>& lease) {
    auto got = co_await pool.async_acquire(url);
    if (got) lease.emplace(std::move(*got));
}

// heph#238: what is given to somebody who will never look at it must come back.
TEST(Coroutine, LeaseGivenToADestroyedCoroutineComesBack) {
    ThreadedServer server;
    CallbackPool pool({.max_connections_per_host = 1});
    const auto is_free = [&] {
        bool has_lease = false;
        pool.acquire(server.url(), {.timeout = 0s}, [&](auto got) { has_lease = bool(got); });
        (void)pool.poll();
        return has_lease;
    };
    std::optional<api::Lease> lease;
    // While it connects.
    { const Task task = hold(pool, server.url(), lease); }
    ASSERT_TRUE(run_until(pool, is_free));
    // When the lease was given, and nobody has run since.
    { const Task task = hold(pool, server.url(), lease); }
    ASSERT_TRUE(run_until(pool, is_free));
    // While it waits behind another, who then goes.
    std::optional<api::Lease> first;
    const Task holder = hold(pool, server.url(), first);
    ASSERT_TRUE(run_until(pool, [&] { return first.has_value(); }));
    {
        const Task task = hold(pool, server.url(), lease);
        (void)pool.poll();
        EXPECT_EQ(pool.stats().hosts.at("ws://" + server.address()).pending, 1u);
    }
    (void)pool.poll();
    EXPECT_EQ(pool.stats().hosts.at("ws://" + server.address()).pending, 0u);
    // Between the hand-off and the resumption.
    {
        const Task task = hold(pool, server.url(), lease);
        (void)pool.poll();
        first.reset();
    }
    ASSERT_TRUE(run_until(pool, is_free));
    EXPECT_FALSE(lease);
    EXPECT_EQ(server.accepted_count(), 1u);
}

Task hold_for_ever(ClientPool& pool, std::string url) {
    auto got = co_await pool.async_acquire(url);
    if (got) co_await std::suspend_always();
}

TEST(Coroutine, DestroyedFromAnotherThreadWhileItWaitsLosesNothing) {
    ThreadedServer server;
    ClientPool pool({.max_connections_per_host = 1});
    for (int round = 0; round < 50; ++round) {
        auto lease = pool.acquire(server.url());
        ASSERT_TRUE(lease) << lease.error().message();
        const Task task = hold_for_ever(pool, server.url());
        if (round % 2 == 0) (void)pool.stats();  // the thread has seen the call by then
    }
    EXPECT_TRUE(pool.acquire(server.url()));
    EXPECT_EQ(server.accepted_count(), 1u);
}

TEST(Coroutine, PoolThatEndsResumesWhoWaits) {
    ThreadedServer server;
    std::vector<std::string> said;
    std::optional<Task> task;
    std::optional<api::Lease> lease;
    {
        CallbackPool pool({.max_connections_per_host = 1});
        const Task holder = hold(pool, server.url(), lease);
        ASSERT_TRUE(run_until(pool, [&] { return lease.has_value(); }));
        const auto wait = [](CallbackPool& on, std::string url, auto& told) -> Task {
            auto got = co_await on.async_acquire(url);
            told.push_back(got ? "lease" : got.error().code().message());
        };
        task.emplace(wait(pool, server.url(), said));
    }
    EXPECT_TRUE(task->is_done());
    EXPECT_EQ(said, std::vector<std::string>{make_error_code(errc::pool_closed).message()});
}

}  // namespace
}  // namespace wspool::client
