#include "io/epoll_loop.h"

#include "base/assert.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <limits>

namespace wspool::io {

namespace {

// A wait reports at most this many; the kernel hands the others out next, in turn.
constexpr int events_max = 64;

std::uint64_t pack(StreamId id) {
    return id.index | (std::uint64_t{id.generation} << 32);
}
StreamId unpack(std::uint64_t data) {
    return {static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(data >> 32)};
}

timespec to_timespec(Duration duration) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
    return {static_cast<time_t>(seconds.count()), static_cast<long>((duration - seconds).count())};
}

// Rounded up: waking before the deadline would mean to spin until it.
int to_milliseconds(Duration duration) {
    constexpr long long longest = std::numeric_limits<int>::max();
    return static_cast<int>(std::min<long long>(
        std::chrono::ceil<std::chrono::milliseconds>(duration).count(), longest));
}

}  // namespace

Result<std::unique_ptr<Loop>> EpollLoop::make(Duration batch_wait) {
    const int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) {
        const int error = errno;
        return fail(std::string("the kernel gives no epoll: ") + std::strerror(error), error);
    }
    return std::unique_ptr<Loop>(new EpollLoop(fd, batch_wait));
}

EpollLoop::EpollLoop(int epoll_fd, Duration batch_wait)
    : ReadinessLoop(batch_wait, WatchStyle::level), epoll_fd_(epoll_fd) {
    // The default slack of 50 µs would double the batching wait.
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

EpollLoop::~EpollLoop() {
    ::close(epoll_fd_);
}

Armed EpollLoop::arm(StreamId id, int fd, StreamKind kind) {
    epoll_event event{};
    event.events = kind == StreamKind::watch ? EPOLLIN : (EPOLLET | poll_events);
    event.data.u64 = pack(id);
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0) return Armed::yes;
    // epoll refuses what can never block.
    return errno == EPERM ? Armed::always_ready : Armed::no_memory;
}

// A socket leaves epoll when its last descriptor is closed, wherever that is.
void EpollLoop::disarm(StreamId, int fd, Afterwards afterwards) {
    if (afterwards == Afterwards::stays_open) epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

void EpollLoop::queue_send(StreamId id, int fd, std::span<const ByteView> pieces) {
    std::size_t size = 0;
    for (const ByteView piece : pieces) size += piece.size();
    const msghdr* message = pieces.size() > 1 ? arena_.add(pieces) : nullptr;
    sends_.push_back(QueuedSend{id, fd, pieces[0], message, size});
}

void EpollLoop::run_queued() {
    constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    for (const QueuedSend& send : sends_) {
        ssize_t n = 0;
        do {
            n = send.message != nullptr
                    ? ::sendmsg(send.fd, send.message, flags)
                    : ::send(send.fd, send.bytes.data(), send.bytes.size(), flags);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
            on_short_send(send.id, -errno);
        } else if (static_cast<std::size_t>(n) < send.size) {
            on_short_send(send.id, static_cast<int>(n));
        }
    }
    sends_.clear();
    arena_.reset();
}

void EpollLoop::wait_for_events(Duration timeout, unsigned expected) {
    run_queued();
    if (has_short_sends()) timeout = Duration::zero();
    if (expected > 1 && timeout > Duration::zero()) {
        // What is there already need not be waited for: under full load the pause would only cost.
        const unsigned ready = collect(Duration::zero());
        if (ready >= expected) return;
        const timespec pause = to_timespec(std::min(batch_wait(), timeout));
        nanosleep(&pause, nullptr);
        if (ready > 0) timeout = Duration::zero();
    }
    (void)collect(timeout);
}

// Waits for reports and makes them; returns how many there were.
unsigned EpollLoop::collect(Duration timeout) {
    std::array<epoll_event, events_max> events;
    const timespec limit = timeout == no_timeout ? timespec{} : to_timespec(timeout);
    int count = -1;
    if (has_pwait2_) {
        count = epoll_pwait2(epoll_fd_,
                             events.data(),
                             events_max,
                             timeout == no_timeout ? nullptr : &limit,
                             nullptr);
        if (count < 0 && (errno == ENOSYS || errno == EPERM)) has_pwait2_ = false;
    }
    if (!has_pwait2_) {
        count = epoll_wait(epoll_fd_,
                           events.data(),
                           events_max,
                           timeout == no_timeout ? -1 : to_milliseconds(timeout));
    }
    WSPOOL_ASSERT(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        on_ready(unpack(event.data.u64), event.events);
    }
    return count > 0 ? static_cast<unsigned>(count) : 0;
}

}  // namespace wspool::io
