// ClientPool: connections to WebSocket servers, pooled per host, for any number of threads. It has
// a thread of its own, which does all the work; calls wait for what they asked for.
//
//   wspool::ClientPool pool({.max_connections_per_host = 4, .connect_timeout = 5s});
//   pool.on_message([](std::string_view url, std::string_view message, bool is_binary) { … });
//   auto sent = pool.send("ws://127.0.0.1:9000/", R"({"type":"ping"})");
//   auto lease = pool.acquire("ws://127.0.0.1:9000/", {.timeout = 1s});
//
// The destructor is close_all(), but that no handler is called any more. Errors are values; input
// that cannot be used is one of them.
//
// Threads: all calls from any thread, also at the same time. Handlers are called on the pool's
// thread. From there, calls that would wait answer errc::would_deadlock at once, and the others
// (post(), subscribe(), stats(), a lease's send() and release(), …) do their work directly. The
// pool may be destroyed from a handler; its thread then ends by itself. Limits: Options; calls
// waiting for the pool's thread: calls_max, beyond it errc::capacity.
#pragma once

#include "wspool/coroutine.h"
#include "wspool/handlers.h"
#include "wspool/lease.h"
#include "wspool/options.h"
#include "wspool/result.h"
#include "wspool/stats.h"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace wspool::api {

class ClientPool {
  public:
    static constexpr std::size_t calls_max = 65536;

    explicit ClientPool(const Options& options = {});
    ~ClientPool();
    ClientPool(const ClientPool&) = delete;
    ClientPool& operator=(const ClientPool&) = delete;

    // ---- connections
    // Lends a connection to `url` (ws:// or wss://); waits for it as long as the options say.
    // Errors: acquire_timeout, capacity, connect_failed, connect_timeout, circuit_open,
    // already_leased, bad_url, bad_option, pool_closed, not_running, would_deadlock.
    [[nodiscard]] Result<Lease> acquire(std::string_view url, const AcquireOptions& options = {});
    // Sends one message over any connection to `url`, and waits until it is written: until the
    // kernel has taken it. Errors: as acquire(), and bad_message, message_queue_full,
    // connection_lost (outcome unknown).
    Result<void> send(std::string_view url,
                      std::string_view message,
                      const SendOptions& options = {});
    Result<void> send_binary(std::string_view url,
                             std::span<const std::byte> message,
                             SendOptions options = {});
    // The same without waiting, also from handlers; what comes of it, `done` is told on the pool's
    // thread. Without `done`, errors are told to on_error().
    void post(std::string_view url,
              std::string_view message,
              const SendOptions& options = {},
              const std::function<void(Result<void>)>& done = {});
    // Sends `message`, and waits for the text message whose JSON member "id" is `id`, as JSON
    // writes it (7, "seven"), which it returns whole. Errors: as send();
    // acquire_timeout also when the reply did not come in time: outcome unknown.
    [[nodiscard]] Result<std::string> request(std::string_view url,
                                              std::string_view id,
                                              std::string_view message,
                                              const SendOptions& options = {});

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

    // ---- what it tells: wspool/handlers.h. One of each; another takes its place. When the call
    // returns, the one before is not called any more.
    void on_message(MessageHandler handler);
    void on_close(CloseHandler handler);
    void on_reconnect(ReconnectHandler handler);
    void on_error(ErrorHandler handler);

    // ---- the end, and what is
    // Nothing new is begun, and whoever waits gets errc::pool_closed. Leases, and requests that
    // were sent, have `drain` to come to their end; then connections are closed, for which peers
    // get a second. Returns when all is closed; called from a handler, at once. Every later call is
    // answered with pool_closed.
    void close_all(std::chrono::nanoseconds drain = {});
    // After the end, the last figures.
    [[nodiscard]] Stats stats() const;

  private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace wspool::api
