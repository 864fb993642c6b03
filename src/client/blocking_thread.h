// BlockingThread: a CallbackDriver on a thread of its own, and the way to it from other threads:
// commands in a queue, which the thread runs between its turns, and a bell that wakes it.
//
// How it works: post() leaves a command; call() waits for what it answers. On the thread itself,
// that is in handlers, commands run at once. When the driver has closed everything the thread
// answers what is still owed, and ends; commands are refused from then on.
//
// Ownership: held by shared_ptr, by the pool, its leases, and the thread, which may be the last to
// go. Threads: everything is for any thread, but for what says otherwise. Limits: commands_max
// waiting; releases of leases are always taken, since there are no more than leases.
#pragma once

#include "client/callback_driver.h"
#include "io/doorbell.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace wspool::client {

class BlockingThread {
  public:
    using Command = std::function<void(CallbackDriver&)>;
    enum class Urgency : std::uint8_t { bounded, always };

    static constexpr std::size_t commands_max = 65536;

    // Starts the thread, with leases of `owner`. If that cannot be done, every call says why.
    void launch(const api::Options& options,
                std::shared_ptr<BlockingThread> self,
                std::weak_ptr<api::detail::LeaseOwner> owner);

    [[nodiscard]] bool is_own_thread() const {
        return std::this_thread::get_id() == thread_id_.load(std::memory_order_relaxed);
    }
    // Why the command will not run; nothing: it will.
    [[nodiscard]] std::optional<api::Error> post(Command command,
                                                 Urgency urgency = Urgency::bounded);

    // Runs `begin(driver, done)` on the thread and waits until `done` was called with the answer.
    // From a handler: would_deadlock.
    template <class T, class Begin>
    [[nodiscard]] api::Result<T> wait_for(Begin&& begin);
    // Runs `work(driver)` on the thread and waits for what it returns, which it does at once. From
    // a handler as well.
    template <class T, class Work>
    [[nodiscard]] api::Result<T> ask(Work&& work);

    // ---- calls that are not waited for, by numbers of ours: `begin(driver, number, done)`
    [[nodiscard]] api::CallNumber new_call() {
        return static_cast<api::CallNumber>(last_call_.fetch_add(1) + 1);
    }
    template <class T, class Begin>
    void start(api::CallNumber call, std::function<void(api::Result<T>)> done, Begin begin);
    void cancel(api::CallNumber call);

    void close(Duration drain);
    // When close() is done, and the thread touches nothing any more but itself.
    void wait_end();
    void join();
    [[nodiscard]] api::Stats last_stats();

  private:
    // What one caller waits for, on its stack.
    template <class T>
    class Answer {
      public:
        void set(api::Result<T> result) {
            const std::lock_guard lock(mutex_);
            result_.emplace(std::move(result));
            // Under the lock: once it is open, this object may be gone.
            is_there_.notify_one();
        }
        [[nodiscard]] api::Result<T> wait() {
            std::unique_lock lock(mutex_);
            is_there_.wait(lock, [this] { return result_.has_value(); });
            return std::move(*result_);
        }

      private:
        std::mutex mutex_;
        std::condition_variable is_there_;
        std::optional<api::Result<T>> result_;
    };

    [[nodiscard]] api::Result<void> begin(const api::Options& options,
                                          std::weak_ptr<api::detail::LeaseOwner> owner);
    void refuse(api::Error error);
    void run();
    void run_commands();

    std::unique_ptr<CallbackDriver> driver_;  // the thread's
    std::optional<io::Doorbell> bell_;
    std::thread thread_;
    std::atomic<std::thread::id> thread_id_{};

    std::mutex mutex_;
    std::condition_variable has_ended_;
    std::vector<Command> commands_;
    bool is_over_ = true;  // not started, or ended
    std::optional<api::Error> trouble_;
    api::Stats last_stats_;
    std::atomic<std::uint64_t> last_call_ = 0;
    // The thread's:
    std::vector<Command> running_;
    std::unordered_map<api::CallNumber, api::CallNumber> calls_;  // ours to the driver's
};

template <class T, class Begin>
api::Result<T> BlockingThread::wait_for(Begin&& begin) {
    if (is_own_thread()) {
        return api::Error(api::errc::would_deadlock,
                          "this call waits for the pool's thread, and comes from a handler, which "
                          "runs on it; use post(), a coroutine, or another thread");
    }
    Answer<T> answer;
    auto refused = post([&](CallbackDriver& driver) {
        begin(driver, [&answer](api::Result<T> result) { answer.set(std::move(result)); });
    });
    if (refused) return std::move(*refused);
    return answer.wait();
}

template <class T, class Work>
api::Result<T> BlockingThread::ask(Work&& work) {
    if (is_own_thread() && driver_ != nullptr) return work(*driver_);
    Answer<T> answer;
    auto refused = post([&](CallbackDriver& driver) { answer.set(work(driver)); });
    if (refused) return std::move(*refused);
    return answer.wait();
}

template <class T, class Begin>
void BlockingThread::start(api::CallNumber call,
                           std::function<void(api::Result<T>)> done,
                           Begin begin) {
    auto refused = post([this, call, done, begin = std::move(begin)](CallbackDriver& driver) {
        const api::CallNumber number = driver.new_call();
        calls_.emplace(call, number);
        begin(driver, number, [this, call, done](api::Result<T> result) {
            calls_.erase(call);
            if (done) done(std::move(result));
        });
    });
    if (refused && done) done(std::move(*refused));
}

}  // namespace wspool::client
