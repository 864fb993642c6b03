// CallbackPool: the client pool for programs with a thread of their own for it. It has no thread:
// whoever calls run(), run_for() or poll() does its work, and all callbacks come from there.
//
//   wspool::CallbackPool pool({.max_connections_per_host = 2});
//   pool.acquire(url, {}, [&](wspool::Result<wspool::Lease> lease) {
//       if (lease) lease->send("text");
//       pool.stop();
//   });
//   pool.run();
//
// Each call with a callback is answered by exactly one call of it, never from within the call
// itself. A callback may call the pool, except run(), run_for() and poll(). If it throws, the
// exception is caught, told to on_error(), and counted; a lease that it was given goes back.
// The destructor closes everything, calls no handler any more, and answers calls that are still
// owed an answer with errc::pool_closed: what their callbacks use has to outlive the pool.
//
// Threads: all calls, and the destructor, come from the thread that made the pool. Limits: Options.
// Errors are values: those of input that cannot be used come to the callback as well.
#pragma once

#include "wspool/coroutine.h"
#include "wspool/handlers.h"
#include "wspool/lease.h"
#include "wspool/options.h"
#include "wspool/result.h"
#include "wspool/stats.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace wspool::api {

class CallbackPool {
  public:
    explicit CallbackPool(const Options& options = {});
    ~CallbackPool();
    CallbackPool(const CallbackPool&) = delete;
    CallbackPool& operator=(const CallbackPool&) = delete;

    // ---- its turns
    // Works until stop(), or until close_all() is done. Errors: would_deadlock (from a callback),
    // and what kept the pool from being started, once all callbacks were told.
    Result<void> run();
    // The same, but no longer than `time`.
    Result<void> run_for(std::chrono::nanoseconds time);
    // Does what can be done without waiting.
    Result<void> poll();
    // run() and run_for() return when the callback that calls this has returned; outside of them,
    // the next one returns at once.
    void stop();

    // ---- connections
    // Lends a connection to `url` (ws:// or wss://). Errors: acquire_timeout, capacity,
    // connect_failed, connect_timeout, circuit_open, already_leased, bad_url, bad_option,
    // cancelled, pool_closed, not_running.
    CallNumber acquire(std::string_view url,
                       const AcquireOptions& options,
                       std::function<void(Result<Lease>)> done);
    // Sends one message over any connection to `url`: done when the kernel has taken it. Those to
    // one URL leave in the order of the calls as long as one connection serves them. Errors: as
    // acquire(), and bad_message, message_queue_full, connection_lost (outcome unknown). Without
    // `done`, errors are told to on_error().
    CallNumber send(std::string_view url,
                    std::string_view message,
                    const SendOptions& options = {},
                    std::function<void(Result<void>)> done = {});
    // Sends `message`, and waits for the text message whose JSON member "id" is `id`, as JSON
    // writes it (7, "seven"); `done` gets it whole. Errors: as send();
    // acquire_timeout also when the reply did not come in time: outcome unknown.
    CallNumber request(std::string_view url,
                       std::string_view id,
                       std::string_view message,
                       const SendOptions& options,
                       std::function<void(Result<std::string>)> done);
    // True: its callback gets errc::cancelled, in the next turn. False: it is answered already, or
    // what it sends is on its way.
    bool cancel(CallNumber call);

    // For coroutines: wspool/coroutine.h.
    Awaitable<Lease> async_acquire(std::string url, const AcquireOptions& options = {});
    Awaitable<void> async_send(std::string url,
                               std::string message,
                               const SendOptions& options = {});
    Awaitable<std::string> async_request(std::string url,
                                         std::string id,
                                         std::string message,
                                         const SendOptions& options = {});

    // ---- subscriptions
    // Keeps a connection to `url` open, and sends `frame` on it, now and whenever it had to be
    // opened anew; in the order of the calls, before messages that wait. A topic that is subscribed
    // stays as it is. `farewell` is sent by unsubscribe(); empty: nothing. Errors: bad_url,
    // bad_message, capacity, pool_closed, not_running.
    Result<void> subscribe(std::string_view url,
                           std::string_view topic,
                           std::string_view frame,
                           std::string_view farewell = {});
    // Error: unknown_subscription.
    Result<void> unsubscribe(std::string_view url, std::string_view topic);

    // ---- what it tells: wspool/handlers.h. One of each; another takes its place.
    void on_message(MessageHandler handler);
    void on_close(CloseHandler handler);
    void on_reconnect(ReconnectHandler handler);
    void on_error(ErrorHandler handler);

    // ---- the end, and what is
    // Nothing new is begun, and whoever waits gets errc::pool_closed. Leases, and requests that
    // were sent, have `drain` to come to their end. run() does it, and returns when it is done.
    // Every later call is answered with pool_closed.
    void close_all(std::chrono::nanoseconds drain = {});
    [[nodiscard]] Stats stats() const;

  private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace wspool::api
