#include "client/blocking_thread.h"

#include "io/clock.h"

#include <pthread.h>
#include <signal.h>

#include <system_error>

namespace wspool::client {

void BlockingThread::launch(const api::Options& options,
                            std::shared_ptr<BlockingThread> self,
                            std::weak_ptr<api::detail::LeaseOwner> owner) {
    if (auto checked = api::check(options); !checked) return refuse(checked.error());
    auto bell = io::Doorbell::make();
    if (!bell) return refuse({api::errc::not_running, bell.error().message});
    bell_.emplace(std::move(*bell));

    // Signals are for the program's own threads.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    Answer<void> started;
    try {
        thread_ = std::thread([self = std::move(self), &options, &owner, &started] {
            // Here, because a ring of io_uring belongs to the thread that made it.
            auto begun = self->begin(options, std::move(owner));
            const bool has_begun = begun.has_value();
            started.set(std::move(begun));
            if (has_begun) self->run();
        });
        if (auto begun = started.wait(); !begun) refuse(begun.error());
    } catch (const std::system_error& error) {
        refuse({api::errc::not_running,
                std::string("the pool's thread cannot be started: ") + error.what()});
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void BlockingThread::refuse(api::Error error) {
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(error);
}

api::Result<void> BlockingThread::begin(const api::Options& options,
                                        std::weak_ptr<api::detail::LeaseOwner> owner) {
    auto made = CallbackDriver::make(options);
    if (!made) return made.error();
    driver_ = std::move(*made);
    driver_->set_owner(std::move(owner));
    if (auto watched = driver_->watch(bell_->fd()); !watched) {
        return api::Error(api::errc::not_running, watched.error().message);
    }
    thread_id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    is_over_ = false;
    return {};
}

std::optional<api::Error> BlockingThread::post(Command command, Urgency urgency) {
    if (is_own_thread() && driver_ != nullptr) {
        command(*driver_);
        return std::nullopt;
    }
    bool is_first = false;
    {
        const std::lock_guard lock(mutex_);
        if (trouble_) return trouble_;
        if (is_over_) return api::Error(api::errc::pool_closed, "the pool was closed");
        if (urgency == Urgency::bounded && commands_.size() >= commands_max) {
            return api::Error(api::errc::capacity,
                              "too many calls wait for the pool's thread; call less often");
        }
        is_first = commands_.empty();
        commands_.push_back(std::move(command));
    }
    // Who leaves a command behind others was rung for by the first.
    if (is_first) bell_->ring();
    return std::nullopt;
}

void BlockingThread::run_commands() {
    {
        const std::lock_guard lock(mutex_);
        running_.swap(commands_);
    }
    for (Command& command : running_) command(*driver_);
    running_.clear();
}

void BlockingThread::run() {
    while (!driver_->is_closed()) {
        driver_->turn(never);
        bell_->silence();
        run_commands();
    }
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    // From here on nothing new comes. What came before learns that the pool is closed.
    run_commands();
    driver_->finish();
    {
        const std::lock_guard lock(mutex_);
        last_stats_ = driver_->stats();
        trouble_ = api::Error(api::errc::pool_closed, "the pool was closed");
    }
    driver_ = nullptr;
    const std::lock_guard lock(mutex_);
    thread_id_.store({}, std::memory_order_relaxed);
    has_ended_.notify_all();
}

void BlockingThread::cancel(api::CallNumber call) {
    // Refused: then it was answered, or is about to be.
    (void)post(
        [this, call](CallbackDriver& driver) {
            const auto found = calls_.find(call);
            if (found != calls_.end()) driver.cancel(found->second);
        },
        Urgency::always);
}

void BlockingThread::close(Duration drain) {
    (void)post([drain](CallbackDriver& driver) { driver.close_all(drain); }, Urgency::always);
}

void BlockingThread::wait_end() {
    std::unique_lock lock(mutex_);
    has_ended_.wait(lock, [this] { return trouble_.has_value(); });
}

void BlockingThread::join() {
    if (!thread_.joinable()) return;
    if (is_own_thread()) {
        thread_.detach();
    } else {
        thread_.join();
    }
}

api::Stats BlockingThread::last_stats() {
    const std::lock_guard lock(mutex_);
    return last_stats_;
}

}  // namespace wspool::client
