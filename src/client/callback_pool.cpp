#include "client/callback_driver.h"
#include "io/clock.h"

#include <wspool/callback_pool.h>

#include <algorithm>

namespace wspool::api {

using client::CallbackDriver;

// A pool whose driver could not be made answers all calls with the reason, in its turns as any
// other. The state stays until the last lease is gone; the driver goes with the pool, or, when that
// is destroyed by a callback, at the end of the turn.
class CallbackPool::State final : public detail::LeaseOwner, public detail::AsyncPool {
  public:
    explicit State(const Options& options) {
        if (auto checked = check(options); !checked) {
            trouble_ = checked.error();
        } else if (auto made = CallbackDriver::make(options); made) {
            driver_ = std::move(*made);
        } else {
            trouble_ = made.error();
        }
    }

    [[nodiscard]] CallbackDriver* driver() const { return driver_.get(); }
    [[nodiscard]] const Error& trouble() const { return trouble_; }

    // What there is to say without a driver is said in the next turn.
    void later(std::function<void()> callback) { owed_.push_back(std::move(callback)); }

    Result<void> run_until(Instant limit, bool is_polling) {
        if (is_turning_) {
            return Error(errc::would_deadlock,
                         "this pool is being run already, and calls this from a callback; "
                         "return from that instead");
        }
        is_turning_ = true;
        bool is_first = true;
        while (!is_gone_ && !std::exchange(is_stopped_, false)) {
            if (driver_ == nullptr) {
                for (const auto& callback : std::exchange(owed_, {})) contain(callback);
                break;
            }
            if (driver_->is_closed() || (!is_first && (is_polling || io::read_clock() >= limit))) {
                break;
            }
            driver_->turn(is_polling ? Instant::min() : limit);
            is_first = false;
        }
        is_turning_ = false;
        if (is_gone_) {
            const auto self = std::move(self_);
            end();
            return {};
        }
        if (!trouble_.message().empty()) return trouble_;
        return {};
    }

    void stop() { is_stopped_ = true; }

    // The pool is gone; so are its connections, at once. `self` is kept to the end of a turn.
    void abandon(std::shared_ptr<State> self) {
        is_gone_ = true;
        if (!is_turning_) return end();
        self_ = std::move(self);
    }

    // ---- LeaseOwner
    Result<void> send(detail::LeaseNumber lease, std::string_view data, bool is_binary) override {
        if (driver_ == nullptr) return trouble_;
        return driver_->lease_send(lease, data, is_binary);
    }
    Result<void> give_back(detail::LeaseNumber lease, bool may_be_lent_again, bool) override {
        if (driver_ == nullptr) return trouble_;
        return driver_->give_back(lease, may_be_lent_again);
    }

    Result<std::uint32_t> session(detail::LeaseNumber lease) override {
        if (driver_ == nullptr) return trouble_;
        return driver_->lease_session(lease);
    }

    // ---- AsyncPool
    CallNumber new_call() override {
        return driver_ == nullptr ? CallNumber{} : driver_->new_call();
    }
    void start_acquire(CallNumber call,
                       const std::string& url,
                       const AcquireOptions& options,
                       std::function<void(Result<Lease>)> done) override {
        acquire(call, url, options, std::move(done));
    }
    void start_send(CallNumber call,
                    const std::string& url,
                    const std::string& message,
                    const SendOptions& options,
                    std::function<void(Result<void>)> done) override {
        send(call, url, message, options, std::move(done));
    }
    void start_request(CallNumber call,
                       const std::string& url,
                       const std::string& id,
                       const std::string& message,
                       const SendOptions& options,
                       std::function<void(Result<std::string>)> done) override {
        request(call, url, id, message, options, std::move(done));
    }
    void cancel_call(CallNumber call) override {
        if (driver_ != nullptr) driver_->cancel(call);
    }

    void acquire(CallNumber call,
                 std::string_view url,
                 const AcquireOptions& options,
                 std::function<void(Result<Lease>)>&& done) {
        if (driver_ != nullptr) return driver_->acquire(call, url, options, std::move(done));
        later([done = std::move(done), error = trouble_] { done(error); });
    }
    void send(CallNumber call,
              std::string_view url,
              std::string_view message,
              const SendOptions& options,
              std::function<void(Result<void>)>&& done) {
        if (driver_ != nullptr) return driver_->send(call, url, message, options, std::move(done));
        if (done) later([done = std::move(done), error = trouble_] { done(error); });
    }
    void request(CallNumber call,
                 std::string_view url,
                 std::string_view id,
                 std::string_view message,
                 const SendOptions& options,
                 std::function<void(Result<std::string>)>&& done) {
        if (driver_ != nullptr) {
            return driver_->request(call, url, id, message, options, std::move(done));
        }
        later([done = std::move(done), error = trouble_] { done(error); });
    }

  private:
    // As the driver does, which is not there.
    static void contain(const std::function<void()>& callback) {
        try {
            callback();
        } catch (...) {
            // The pool is unusable, and says so: nothing more can be told.
            return;
        }
    }

    void end() {
        if (driver_ == nullptr) return;
        // Whatever the handlers use may be gone by now.
        driver_->drop_handlers();
        driver_->close_all(Duration::zero());
        // A last turn sends the close frames. Nobody waits for the answers.
        is_turning_ = true;
        driver_->turn(Instant::min());
        driver_->finish();
        trouble_ = Error(errc::pool_closed, "the pool of this lease is gone");
        driver_ = nullptr;
        is_turning_ = false;
    }

    std::unique_ptr<CallbackDriver> driver_;
    Error trouble_{errc::not_running, ""};  // without a driver: the answer to everything
    std::vector<std::function<void()>> owed_;
    bool is_turning_ = false;
    bool is_stopped_ = false;
    bool is_gone_ = false;
    std::shared_ptr<State> self_;  // while a callback has destroyed the pool, and has not returned
};

CallbackPool::CallbackPool(const Options& options) : state_(std::make_shared<State>(options)) {
    if (state_->driver() != nullptr) state_->driver()->set_owner(state_);
}

CallbackPool::~CallbackPool() {
    // A copy: handlers that are called at the end may still call the pool, which is there until
    // then.
    state_->abandon(state_);
}

Result<void> CallbackPool::run() {
    return state_->run_until(never, false);
}

Result<void> CallbackPool::run_for(std::chrono::nanoseconds time) {
    const Instant now = io::read_clock();
    return state_->run_until(time >= never - now ? never : now + time, false);
}

Result<void> CallbackPool::poll() {
    return state_->run_until(never, true);
}

void CallbackPool::stop() {
    state_->stop();
}

CallNumber CallbackPool::acquire(std::string_view url,
                                 const AcquireOptions& options,
                                 std::function<void(Result<Lease>)> done) {
    const CallNumber call = state_->new_call();
    state_->acquire(call, url, options, std::move(done));
    return call;
}

CallNumber CallbackPool::send(std::string_view url,
                              std::string_view message,
                              const SendOptions& options,
                              std::function<void(Result<void>)> done) {
    const CallNumber call = state_->new_call();
    state_->send(call, url, message, options, std::move(done));
    return call;
}

CallNumber CallbackPool::request(std::string_view url,
                                 std::string_view id,
                                 std::string_view message,
                                 const SendOptions& options,
                                 std::function<void(Result<std::string>)> done) {
    const CallNumber call = state_->new_call();
    state_->request(call, url, id, message, options, std::move(done));
    return call;
}

bool CallbackPool::cancel(CallNumber call) {
    return state_->driver() != nullptr && state_->driver()->cancel(call);
}

Awaitable<Lease> CallbackPool::async_acquire(std::string url, const AcquireOptions& options) {
    return detail::await_acquire(state_, std::move(url), options);
}

Awaitable<void> CallbackPool::async_send(std::string url,
                                         std::string message,
                                         const SendOptions& options) {
    return detail::await_send(state_, std::move(url), std::move(message), options);
}

Awaitable<std::string> CallbackPool::async_request(std::string url,
                                                   std::string id,
                                                   std::string message,
                                                   const SendOptions& options) {
    return detail::await_request(
        state_, std::move(url), std::move(id), std::move(message), options);
}

Result<void> CallbackPool::subscribe(std::string_view url,
                                     std::string_view topic,
                                     std::string_view frame,
                                     std::string_view farewell) {
    if (state_->driver() == nullptr) return state_->trouble();
    return state_->driver()->subscribe(url, topic, frame, farewell);
}

Result<void> CallbackPool::unsubscribe(std::string_view url, std::string_view topic) {
    if (state_->driver() == nullptr) return state_->trouble();
    return state_->driver()->unsubscribe(url, topic);
}

void CallbackPool::on_message(MessageHandler handler) {
    if (state_->driver() != nullptr) state_->driver()->set_handler(std::move(handler));
}

void CallbackPool::on_close(CloseHandler handler) {
    if (state_->driver() != nullptr) state_->driver()->set_handler(std::move(handler));
}

void CallbackPool::on_reconnect(ReconnectHandler handler) {
    if (state_->driver() != nullptr) state_->driver()->set_handler(std::move(handler));
}

void CallbackPool::on_error(ErrorHandler handler) {
    if (state_->driver() != nullptr) state_->driver()->set_handler(std::move(handler));
}

void CallbackPool::close_all(std::chrono::nanoseconds drain) {
    if (state_->driver() != nullptr) state_->driver()->close_all(drain);
}

Stats CallbackPool::stats() const {
    return state_->driver() == nullptr ? Stats() : state_->driver()->stats();
}

}  // namespace wspool::api
