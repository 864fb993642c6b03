// Awaitable<T>: what the async_… calls of a pool return, for C++20 coroutines of any kind.
//
//   wspool::Result<wspool::Lease> lease = co_await pool.async_acquire(url, {.timeout = 1s});
//
// The call begins when it is awaited, and the coroutine goes on, on the thread of the pool, with
// the Result. It is cancelled by destroying the coroutine while it waits: what it would have got, a
// lease for example, goes back to the pool.
//
// Threads: a coroutine over a CallbackPool is awaited, resumed and destroyed on the thread that
// runs the pool. Over a ClientPool it goes on on the pool's own thread, whatever thread it came
// from: it must not block there, and blocking calls say would_deadlock. A coroutine that waits for
// a ClientPool may be destroyed from any thread, but not while it is being resumed: that is a race
// of its owner's.
#pragma once

#include "wspool/lease.h"
#include "wspool/options.h"
#include "wspool/result.h"

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace wspool::api {

// Names one call that is under way, for cancel(); never used again.
enum class CallNumber : std::uint64_t {};

namespace detail {

// A pool as Awaitable sees it: calls with a number given before they begin, so that they can be
// cancelled from the moment on in which they might be answered.
class AsyncPool {
  public:
    virtual ~AsyncPool() = default;
    [[nodiscard]] virtual CallNumber new_call() = 0;
    virtual void start_acquire(CallNumber call,
                               const std::string& url,
                               const AcquireOptions& options,
                               std::function<void(Result<Lease>)> done) = 0;
    virtual void start_send(CallNumber call,
                            const std::string& url,
                            const std::string& message,
                            const SendOptions& options,
                            std::function<void(Result<void>)> done) = 0;
    virtual void start_request(CallNumber call,
                               const std::string& url,
                               const std::string& id,
                               const std::string& message,
                               const SendOptions& options,
                               std::function<void(Result<std::string>)> done) = 0;
    virtual void cancel_call(CallNumber call) = 0;
};

}  // namespace detail

template <class T>
class [[nodiscard]] Awaitable {
  public:
    using Start = std::function<void(
        detail::AsyncPool& pool, CallNumber call, std::function<void(Result<T>)> done)>;

    Awaitable(std::shared_ptr<detail::AsyncPool> pool, Start start)
        : pool_(std::move(pool)), start_(std::move(start)) {}
    Awaitable(const Awaitable&) = delete;
    Awaitable& operator=(const Awaitable&) = delete;
    ~Awaitable() {
        if (wait_ && wait_->move(Phase::waiting, Phase::abandoned)) pool_->cancel_call(call_);
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) {
        wait_ = std::make_shared<Wait>();
        wait_->coroutine = coroutine;
        call_ = pool_->new_call();
        // The answer may come, and this object be gone, before start returns.
        const auto pool = pool_;
        const auto start = std::move(start_);
        start(*pool, call_, [wait = wait_](Result<T> result) {
            // Of one that was abandoned the result ends here: a lease goes back.
            if (!wait->move(Phase::waiting, Phase::answered)) return;
            wait->result.emplace(std::move(result));
            wait->coroutine.resume();
        });
    }
    [[nodiscard]] Result<T> await_resume() { return std::move(*wait_->result); }

  private:
    enum class Phase : std::uint8_t { waiting, answered, abandoned };
    struct Wait {
        bool move(Phase from, Phase to) { return phase.compare_exchange_strong(from, to); }
        std::atomic<Phase> phase = Phase::waiting;
        std::coroutine_handle<> coroutine;
        std::optional<Result<T>> result;
    };

    std::shared_ptr<detail::AsyncPool> pool_;
    Start start_;
    CallNumber call_{};
    std::shared_ptr<Wait> wait_;
};

namespace detail {

[[nodiscard]] Awaitable<Lease> await_acquire(std::shared_ptr<AsyncPool> pool,
                                             std::string url,
                                             const AcquireOptions& options);
[[nodiscard]] Awaitable<void> await_send(std::shared_ptr<AsyncPool> pool,
                                         std::string url,
                                         std::string message,
                                         const SendOptions& options);
[[nodiscard]] Awaitable<std::string> await_request(std::shared_ptr<AsyncPool> pool,
                                                   std::string url,
                                                   std::string id,
                                                   std::string message,
                                                   const SendOptions& options);

}  // namespace detail

}  // namespace wspool::api
