#include "client/blocking_thread.h"

#include <wspool/client_pool.h>

namespace wspool::api {

using client::BlockingThread;
using client::CallbackDriver;

static_assert(ClientPool::calls_max == BlockingThread::commands_max);

class ClientPool::State final : public detail::LeaseOwner, public detail::AsyncPool {
  public:
    [[nodiscard]] BlockingThread& thread() const { return *thread_; }
    void launch(const Options& options, std::weak_ptr<LeaseOwner> self) {
        thread_->launch(options, thread_, std::move(self));
    }

    // ---- LeaseOwner
    Result<void> send(detail::LeaseNumber lease, std::string_view data, bool is_binary) override {
        if (thread_->is_own_thread()) {
            return thread_->ask<void>(
                [&](CallbackDriver& driver) { return driver.lease_send(lease, data, is_binary); });
        }
        return thread_->wait_for<void>([&](CallbackDriver& driver, auto done) {
            driver.lease_write(lease, data, is_binary, std::move(done));
        });
    }
    Result<void> give_back(detail::LeaseNumber lease,
                           bool may_be_lent_again,
                           bool asks_why) override {
        const auto work = [=](CallbackDriver& driver) {
            return driver.give_back(lease, may_be_lent_again);
        };
        if (asks_why) return thread_->ask<void>(work);
        auto refused = thread_->post([work](CallbackDriver& driver) { (void)work(driver); },
                                     BlockingThread::Urgency::always);
        if (refused) return std::move(*refused);
        return {};
    }

    Result<std::uint32_t> session(detail::LeaseNumber lease) override {
        return thread_->ask<std::uint32_t>(
            [=](CallbackDriver& driver) { return driver.lease_session(lease); });
    }

    // ---- AsyncPool
    CallNumber new_call() override { return thread_->new_call(); }
    void start_acquire(CallNumber call,
                       const std::string& url,
                       const AcquireOptions& options,
                       std::function<void(Result<Lease>)> done) override {
        thread_->start<Lease>(
            call,
            std::move(done),
            [url, options = client::KeptOptions(options)](
                CallbackDriver& driver, CallNumber number, client::AcquireDone answer) {
                driver.acquire(number, url, options.get(), std::move(answer));
            });
    }
    void start_send(CallNumber call,
                    const std::string& url,
                    const std::string& message,
                    const SendOptions& options,
                    std::function<void(Result<void>)> done) override {
        thread_->start<void>(
            call,
            std::move(done),
            [url, message, options = client::KeptOptions(options)](
                CallbackDriver& driver, CallNumber number, client::SendDone answer) {
                driver.send(number, url, message, options.get(), std::move(answer));
            });
    }
    void start_request(CallNumber call,
                       const std::string& url,
                       const std::string& id,
                       const std::string& message,
                       const SendOptions& options,
                       std::function<void(Result<std::string>)> done) override {
        thread_->start<std::string>(
            call,
            std::move(done),
            [url, id, message, options = client::KeptOptions(options)](
                CallbackDriver& driver, CallNumber number, client::RequestDone answer) {
                driver.request(number, url, id, message, options.get(), std::move(answer));
            });
    }
    void cancel_call(CallNumber call) override { thread_->cancel(call); }

  private:
    std::shared_ptr<BlockingThread> thread_ = std::make_shared<BlockingThread>();
};

ClientPool::ClientPool(const Options& options) : state_(std::make_shared<State>()) {
    state_->launch(options, state_);
}

ClientPool::~ClientPool() {
    // Whatever the handlers use may be gone by now.
    (void)state_->thread().post([](CallbackDriver& driver) { driver.drop_handlers(); },
                                BlockingThread::Urgency::always);
    close_all();
    state_->thread().join();
}

Result<Lease> ClientPool::acquire(std::string_view url, const AcquireOptions& options) {
    return state_->thread().wait_for<Lease>([&](CallbackDriver& driver, auto done) {
        driver.acquire(driver.new_call(), url, options, std::move(done));
    });
}

Result<void> ClientPool::send(std::string_view url,
                              std::string_view message,
                              const SendOptions& options) {
    return state_->thread().wait_for<void>([&](CallbackDriver& driver, auto done) {
        driver.send(driver.new_call(), url, message, options, std::move(done));
    });
}

Result<void> ClientPool::send_binary(std::string_view url,
                                     std::span<const std::byte> message,
                                     SendOptions options) {
    options.binary = true;
    return send(url, {reinterpret_cast<const char*>(message.data()), message.size()}, options);
}

void ClientPool::post(std::string_view url,
                      std::string_view message,
                      const SendOptions& options,
                      const std::function<void(Result<void>)>& done) {
    auto refused = state_->thread().post([url = std::string(url),
                                          message = std::string(message),
                                          options = client::KeptOptions(options),
                                          done](CallbackDriver& driver) {
        driver.send(driver.new_call(), url, message, options.get(), client::SendDone(done));
    });
    if (refused && done) done(std::move(*refused));
}

Result<std::string> ClientPool::request(std::string_view url,
                                        std::string_view id,
                                        std::string_view message,
                                        const SendOptions& options) {
    return state_->thread().wait_for<std::string>([&](CallbackDriver& driver, auto done) {
        driver.request(driver.new_call(), url, id, message, options, std::move(done));
    });
}

Awaitable<Lease> ClientPool::async_acquire(std::string url, const AcquireOptions& options) {
    return detail::await_acquire(state_, std::move(url), options);
}

Awaitable<void> ClientPool::async_send(std::string url,
                                       std::string message,
                                       const SendOptions& options) {
    return detail::await_send(state_, std::move(url), std::move(message), options);
}

Awaitable<std::string> ClientPool::async_request(std::string url,
                                                 std::string id,
                                                 std::string message,
                                                 const SendOptions& options) {
    return detail::await_request(
        state_, std::move(url), std::move(id), std::move(message), options);
}

Result<void> ClientPool::subscribe(std::string_view url,
                                   std::string_view topic,
                                   std::string_view frame,
                                   std::string_view farewell) {
    return state_->thread().ask<void>(
        [&](CallbackDriver& driver) { return driver.subscribe(url, topic, frame, farewell); });
}

Result<void> ClientPool::unsubscribe(std::string_view url, std::string_view topic) {
    return state_->thread().ask<void>(
        [&](CallbackDriver& driver) { return driver.unsubscribe(url, topic); });
}

namespace {

// Waits until it is set, so that the one before is not called any more. A closed pool calls
// nobody.
template <class Handler>
void set_handler(BlockingThread& thread, Handler& handler) {
    (void)thread.ask<void>([&](CallbackDriver& driver) {
        driver.set_handler(std::move(handler));
        return Result<void>();
    });
}

}  // namespace

void ClientPool::on_message(MessageHandler handler) {
    set_handler(state_->thread(), handler);
}

void ClientPool::on_close(CloseHandler handler) {
    set_handler(state_->thread(), handler);
}

void ClientPool::on_reconnect(ReconnectHandler handler) {
    set_handler(state_->thread(), handler);
}

void ClientPool::on_error(ErrorHandler handler) {
    set_handler(state_->thread(), handler);
}

void ClientPool::close_all(std::chrono::nanoseconds drain) {
    state_->thread().close(drain);
    if (!state_->thread().is_own_thread()) state_->thread().wait_end();
}

Stats ClientPool::stats() const {
    auto stats = state_->thread().ask<Stats>(
        [](CallbackDriver& driver) { return Result<Stats>(driver.stats()); });
    return stats ? std::move(*stats) : state_->thread().last_stats();
}

}  // namespace wspool::api
