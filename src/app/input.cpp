#include "app/input.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace wspool::app {

LineInput::~LineInput() {
    if (thread_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            is_stopping_ = true;
        }
        has_room_.notify_one();
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(stop_fd_, &one, sizeof one);
        thread_.join();
    }
    if (event_fd_ >= 0) ::close(event_fd_);
    if (stop_fd_ >= 0) ::close(stop_fd_);
}

Result<void> LineInput::start() {
    event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    stop_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd_ < 0 || stop_fd_ < 0) {
        const int error = errno;
        return fail(fmt::format("reading the input cannot be prepared: {}", std::strerror(error)),
                    error);
    }
    thread_ = std::thread([this] { read_all(); });
    return {};
}

void LineInput::ring() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(event_fd_, &one, sizeof one);
}

void LineInput::acknowledge() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto read = ::read(event_fd_, &count, sizeof count);
}

std::optional<std::string> LineInput::take() {
    const std::lock_guard lock(mutex_);
    if (lines_.empty()) return {};
    std::string line = std::move(lines_.front());
    lines_.pop_front();
    queued_size_ -= line.size() + 1;
    has_room_.notify_one();
    return line;
}

std::optional<std::size_t> LineInput::next_size() {
    const std::lock_guard lock(mutex_);
    if (lines_.empty()) return {};
    return lines_.front().size();
}

bool LineInput::is_at_end() {
    const std::lock_guard lock(mutex_);
    return is_finished_ && lines_.empty();
}

std::string LineInput::error() {
    const std::lock_guard lock(mutex_);
    return error_;
}

void LineInput::finish(std::string error) {
    {
        const std::lock_guard lock(mutex_);
        is_finished_ = true;
        error_ = std::move(error);
    }
    ring();
}

bool LineInput::push(std::string line) {
    {
        std::unique_lock lock(mutex_);
        has_room_.wait(lock, [this] { return is_stopping_ || queued_size_ < queue_size_max; });
        if (is_stopping_) return false;
        queued_size_ += line.size() + 1;
        lines_.push_back(std::move(line));
    }
    ring();
    return true;
}

bool LineInput::wait_readable() const {
    std::array<pollfd, 2> waited = {{{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}}};
    while (::poll(waited.data(), waited.size(), -1) < 0) {
        if (errno != EINTR) return false;
    }
    return waited[1].revents == 0;
}

bool LineInput::add(std::string_view bytes, std::string& line) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        line.append(bytes.substr(0, end));
        if (line.size() > line_size_max) {
            finish("a line of the input is longer than 16 MiB");
            return false;
        }
        if (end == std::string_view::npos) return true;
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (!push(std::move(line))) return false;
        line.clear();
        bytes.remove_prefix(end + 1);
    }
    return true;
}

void LineInput::read_all() {
    // Signals are for the thread that runs the loop.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::array<char, 64 * 1024> chunk;
    std::string line;
    while (wait_readable()) {
        const ssize_t size = ::read(fd_, chunk.data(), chunk.size());
        if (size < 0) {
            if (errno == EINTR || errno == EAGAIN) continue;
            return finish(fmt::format("the input cannot be read: {}", std::strerror(errno)));
        }
        if (size == 0) {
            // A last line may lack its end.
            if (!line.empty() && !push(std::move(line))) return;
            return finish({});
        }
        if (!add({chunk.data(), static_cast<std::size_t>(size)}, line)) return;
    }
    finish({});
}

}  // namespace wspool::app
