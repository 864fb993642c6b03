// Accepting: the listeners' half of ReadinessLoop, and what happens when descriptors run out.
//
// A listener that cannot accept stays readable, and a loop that ignores that spins. So one
// descriptor is held in reserve: it is given up to take the connection, say why it is refused, and
// close it. When even that does not work the listener rests for a moment, or until a stream is
// closed.
#include "base/assert.h"
#include "io/listener.h"
#include "io/readiness_loop.h"
#include "io/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace wspool::io {

namespace {

constexpr Duration rest_time = std::chrono::milliseconds(100);

enum class AcceptError : std::uint8_t { drained, transient, no_descriptor, no_memory, fatal };

AcceptError judge(int error) {
    switch (error) {
        case EAGAIN:
            return AcceptError::drained;
        // accept(2): what befell the new connection, not the listener.
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case EPERM:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case EOPNOTSUPP:
        case ENETUNREACH:
            return AcceptError::transient;
        case EMFILE:
        case ENFILE:
            return AcceptError::no_descriptor;
        case ENOBUFS:
        case ENOMEM:
            return AcceptError::no_memory;
        default:
            return AcceptError::fatal;
    }
}

int accept_one(int fd) {
    return ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

}  // namespace

Result<StreamId> ReadinessLoop::listen(const Address& address,
                                       const ListenOptions& options,
                                       std::uint64_t owner) {
    if (options.tls != nullptr) return refuse_tls();
    auto fd = open_listener(address, options);
    if (!fd) return tl::unexpected(fd.error());
    const bool has_file = address.family == Address::Family::unix_path;
    auto id = add_listener(
        *fd, Listener{{}, options.refusal, has_file ? address.host : "", never}, owner);
    if (!id) ::close(*fd);
    return id;
}

Result<StreamId> ReadinessLoop::adopt_listener(int fd,
                                               const ListenOptions& options,
                                               std::uint64_t owner) {
    if (options.tls != nullptr) return refuse_tls();
    if (auto ready = prepare_adoption(fd, SocketRole::listener); !ready) {
        return tl::unexpected(ready.error());
    }
    // Its file, where it has one, is whose it was.
    auto id = add_listener(fd, Listener{{}, options.refusal, "", never}, owner);
    if (id) table_[id->index].set(StreamFlag::shared);
    return id;
}

// On an error the descriptor is still the caller's.
Result<StreamId> ReadinessLoop::add_listener(int fd, Listener listener, std::uint64_t owner) {
    const StreamId id = add(StreamKind::listener, fd, owner);
    if (arm(id, fd, StreamKind::listener) == Armed::no_memory) {
        table_.retire(id.index);
        return fail("no memory to watch one more listener", ENOMEM);
    }
    table_[id.index].set(StreamFlag::armed);
    listener.id = id;
    listeners_.push_back(std::move(listener));
    return id;
}

bool ReadinessLoop::visit_listener(std::uint32_t index, Event& event) {
    Slot& slot = table_[index];
    const bool is_off = slot.has(StreamFlag::paused) || slot.has(StreamFlag::resting);
    if (slot.has(StreamFlag::failed) || is_off || !slot.has(StreamFlag::readable)) {
        leave_front();
        return check_error(index, event);
    }
    while (accepts_in_visit_ < accepts_max) {
        ++accepts_in_visit_;
        const int fd = accept_one(slot.fd);
        if (fd >= 0) return take_accepted(index, fd, event);
        const int error = errno;
        switch (judge(error)) {
            case AcceptError::transient:
                continue;
            case AcceptError::drained:
                break;
            case AcceptError::no_descriptor:
            case AcceptError::no_memory:
                if (accept_without_descriptors(index, error, event)) return true;
                break;
            case AcceptError::fatal:
                leave_front();
                accepts_in_visit_ = 0;
                fail_stream(event, index, error);
                return true;
        }
        slot.clear(StreamFlag::readable);
        break;
    }
    leave_front();
    accepts_in_visit_ = 0;
    if (slot.has(StreamFlag::readable)) ready_.push_back(index);
    return false;
}

bool ReadinessLoop::take_accepted(std::uint32_t index, int fd, Event& event) {
    const std::uint64_t owner = table_[index].owner;
    const StreamId id = add(StreamKind::stream, fd, owner);
    if (arm(id, fd, StreamKind::stream) == Armed::no_memory) {
        table_.retire(id.index);
        answer_and_close(fd, listener_of(index));
        fill(event, EventKind::accept_refused, index, ENOMEM);
        return true;
    }
    table_[id.index].set(StreamFlag::armed);
    fill(event, EventKind::accepted, id.index);
    event.listener = table_.id(index);
    return true;
}

// False when it turned out that nobody waits: the kernel looks for a descriptor before it looks for
// a connection.
bool ReadinessLoop::accept_without_descriptors(std::uint32_t index, int error, Event& event) {
    Refused outcome = Refused::impossible;
    if (judge(error) == AcceptError::no_descriptor) {
        outcome = refuse_one(table_[index], listener_of(index));
    }
    switch (outcome) {
        case Refused::answered:
            fill(event, EventKind::accept_refused, index, error);
            return true;
        case Refused::nobody_there:
            return false;
        case Refused::impossible:
            rest(index, event);
            event.error = error;
            return true;
    }
    WSPOOL_UNREACHABLE();
}

ReadinessLoop::Refused ReadinessLoop::refuse_one(const Slot& slot, const Listener& listener) {
    if (reserve_ < 0) open_reserve();
    if (reserve_ < 0) return Refused::impossible;
    ::close(reserve_);
    reserve_ = -1;
    const int fd = accept_one(slot.fd);
    const bool is_drained = fd < 0 && errno == EAGAIN;
    if (fd >= 0) answer_and_close(fd, listener);
    open_reserve();
    if (fd >= 0) return Refused::answered;
    return is_drained ? Refused::nobody_there : Refused::impossible;
}

void ReadinessLoop::answer_and_close(int fd, const Listener& listener) {
    static_cast<void>(
        ::send(fd, listener.refusal.data(), listener.refusal.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    ::shutdown(fd, SHUT_WR);
    // Closing over unread bytes resets the connection, and a reset may overtake the answer. What
    // has arrived is thrown away, in bounds; what comes later is the client's own loss.
    static_cast<void>(::recv(fd, scratch_.get(), receive_max, MSG_DONTWAIT));
    ::close(fd);
}

void ReadinessLoop::rest(std::uint32_t index, Event& event) {
    Slot& slot = table_[index];
    leave_front();
    accepts_in_visit_ = 0;
    slot.set(StreamFlag::resting);
    ++resting_count_;
    listener_of(index).rest_until = now_ + rest_time;
    fill(event, EventKind::accept_paused, index);
}

void ReadinessLoop::wake_listeners(Instant due) {
    for (Listener& listener : listeners_) {
        Slot& slot = table_[listener.id.index];
        if (!slot.has(StreamFlag::resting) || listener.rest_until > due) continue;
        slot.clear(StreamFlag::resting);
        --resting_count_;
        listener.rest_until = never;
        if (reserve_ < 0) open_reserve();
        slot.set(StreamFlag::readable);
        ready_.push_back(listener.id.index);
    }
}

void ReadinessLoop::open_reserve() {
    reserve_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

ReadinessLoop::Listener& ReadinessLoop::listener_of(std::uint32_t index) {
    const auto at = std::find_if(listeners_.begin(), listeners_.end(), [&](const Listener& l) {
        return l.id.index == index;
    });
    WSPOOL_ASSERT(at != listeners_.end());
    return *at;
}

void ReadinessLoop::forget_listener(StreamId id) {
    if (table_[id.index].has(StreamFlag::resting)) --resting_count_;
    const auto at = std::find_if(
        listeners_.begin(), listeners_.end(), [&](const Listener& l) { return l.id == id; });
    WSPOOL_ASSERT(at != listeners_.end());
    if (!at->path.empty()) ::unlink(at->path.c_str());
    listeners_.erase(at);
}

}  // namespace wspool::io
