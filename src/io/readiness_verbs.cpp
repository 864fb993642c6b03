// The owner's verbs: the half of ReadinessLoop that is called from outside a turn's events. They
// queue; what they queue happens in the next wait().
#include "base/assert.h"
#include "io/descriptor_channel.h"
#include "io/readiness_loop.h"
#include "io/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace wspool::io {

StreamId ReadinessLoop::add(StreamKind kind, int fd, std::uint64_t owner) {
    return table_.id(table_.acquire(kind, fd, owner));
}

Result<StreamId> ReadinessLoop::connect(const Address& address,
                                        std::uint64_t owner,
                                        const ConnectOptions& options) {
    if (options.tls != nullptr) return refuse_tls();
    auto begun = begin_connect(address, options.source);
    if (!begun) return tl::unexpected(begun.error());
    const int fd = begun->error != 0 ? -begun->error : begun->fd;
    const StreamId id = add(StreamKind::connecting, fd, owner);
    Slot& slot = table_[id.index];
    if (begun->error != 0) {
        ready_.push_back(id.index);
        return id;
    }
    if (begun->is_connected) {
        slot.set(StreamFlag::writable);
        ready_.push_back(id.index);
    }
    if (arm(id, fd, slot.kind) == Armed::no_memory) {
        table_.retire(id.index);
        ::close(fd);
        return fail("no memory to watch one more connection", ENOMEM);
    }
    slot.set(StreamFlag::armed);
    return id;
}

Result<StreamId> ReadinessLoop::adopt(int fd, std::uint64_t owner) {
    if (auto ready = prepare_adoption(fd, SocketRole::stream); !ready) {
        return tl::unexpected(ready.error());
    }
    const StreamId id = add(StreamKind::stream, fd, owner);
    Slot& slot = table_[id.index];
    // Arming reports what is there already.
    if (arm(id, fd, slot.kind) == Armed::no_memory) {
        table_.retire(id.index);
        return fail("no memory to watch one more connection", ENOMEM);
    }
    slot.set(StreamFlag::armed);
    slot.set(StreamFlag::shared);
    return id;
}

Result<int> ReadinessLoop::release(StreamId stream) {
    Slot* slot = table_.find(stream);
    if (slot == nullptr || slot->kind != StreamKind::stream) {
        return fail("only a connected stream can be given away, and this one is not or is closed");
    }
    WSPOOL_ASSERT(!slot->has(StreamFlag::sent));
    const int fd = slot->fd;
    if (slot->has(StreamFlag::armed)) disarm(stream, fd, Afterwards::stays_open);
    table_.retire(stream.index);
    return fd;
}

std::unique_ptr<DescriptorChannel> ReadinessLoop::open_channel(int fd) {
    return std::make_unique<SocketChannel>(fd);
}

void ReadinessLoop::discard(int fd) {
    ::close(fd);
}

Result<StreamId> ReadinessLoop::watch(int fd, std::uint64_t owner) {
    if (::fcntl(fd, F_GETFD) < 0) {
        return fail("descriptor " + std::to_string(fd) + " is not open and cannot be watched",
                    EBADF);
    }
    const StreamId id = add(StreamKind::watch, fd, owner);
    Slot& slot = table_[id.index];
    switch (arm(id, fd, StreamKind::watch)) {
        case Armed::yes:
            slot.set(StreamFlag::armed);
            break;
        case Armed::always_ready:
            slot.set(StreamFlag::always);
            ready_.push_back(id.index);
            break;
        case Armed::no_memory:
            table_.retire(id.index);
            return fail("descriptor " + std::to_string(fd) +
                            " cannot be watched: it is watched already, or there is no memory",
                        ENOMEM);
    }
    return id;
}

Result<Address> ReadinessLoop::local_address(StreamId stream) const {
    const Slot* slot = table_.find(stream);
    if (slot == nullptr) return fail("the stream is closed and has no address");
    return bound_address(slot->fd);
}

Result<Address> ReadinessLoop::peer_address(StreamId stream) const {
    SocketAddress address;
    address.size = sizeof address.storage;
    const Slot* slot = table_.find(stream);
    if (slot == nullptr) return fail("the stream is closed and has no peer");
    if (getpeername(slot->fd, address.get(), &address.size) != 0) {
        return fail(std::string("the stream has no peer: ") + std::strerror(errno), errno);
    }
    return from_socket_address(address);
}

void ReadinessLoop::set_owner(StreamId stream, std::uint64_t owner) {
    if (Slot* slot = table_.find(stream)) slot->owner = owner;
}

void ReadinessLoop::send(StreamId stream, std::span<const ByteView> pieces) {
    Slot* slot = table_.find(stream);
    if (slot == nullptr) return;
    WSPOOL_ASSERT(slot->kind == StreamKind::stream);
    WSPOOL_ASSERT(!slot->has(StreamFlag::sent));
    WSPOOL_ASSERT(!slot->has(StreamFlag::blocked));
    WSPOOL_ASSERT(pieces.size() <= send_pieces_max);
    std::array<ByteView, send_pieces_max> filled;
    std::size_t count = 0;
    std::size_t size = 0;
    for (const ByteView piece : pieces) {
        if (piece.empty()) continue;
        filled[count++] = piece;
        size += piece.size();
    }
    WSPOOL_ASSERT(size <= wrapped_send_size_max);
    if (count == 0) return;
    slot->set(StreamFlag::sent);
    sent_.push_back(stream.index);
    queue_send(stream, slot->fd, std::span<const ByteView>(filled.data(), count));
}

void ReadinessLoop::pause(StreamId stream) {
    Slot* slot = table_.find(stream);
    if (slot == nullptr || slot->has(StreamFlag::paused)) return;
    slot->set(StreamFlag::paused);
    if (slot->kind != StreamKind::watch || watch_style_ == WatchStyle::oneshot) return;
    if (!slot->has(StreamFlag::armed)) return;
    slot->clear(StreamFlag::armed);
    disarm(stream, slot->fd, Afterwards::stays_open);
}

void ReadinessLoop::resume(StreamId stream) {
    Slot* slot = table_.find(stream);
    if (slot == nullptr || !slot->has(StreamFlag::paused)) return;
    slot->clear(StreamFlag::paused);
    if (slot->kind != StreamKind::watch) {
        if (slot->has(StreamFlag::readable)) ready_.push_back(stream.index);
        return;
    }
    if (slot->has(StreamFlag::always)) return ready_.push_back(stream.index);
    if (slot->has(StreamFlag::armed)) return;
    slot->set(StreamFlag::armed);
    if (arm(stream, slot->fd, slot->kind) == Armed::no_memory) on_arm_failed(stream);
}

void ReadinessLoop::shutdown_write(StreamId stream) {
    const Slot* slot = table_.find(stream);
    if (slot == nullptr || slot->kind != StreamKind::stream) return;
    if (slot->has(StreamFlag::sent)) {
        shutdowns_.push_back(stream);
    } else {
        ::shutdown(slot->fd, SHUT_WR);
    }
}

void ReadinessLoop::close(StreamId stream, CloseMode mode) {
    Slot* slot = table_.find(stream);
    if (slot == nullptr) return;
    if (slot->kind == StreamKind::listener) forget_listener(stream);
    const bool is_ours = slot->kind != StreamKind::watch && slot->fd >= 0;
    // A listener hands its options on to what others accept.
    if (mode == CloseMode::reset && is_ours && slot->kind != StreamKind::listener) {
        const linger at_once{1, 0};
        setsockopt(slot->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    if (slot->has(StreamFlag::armed)) {
        const bool stays = !is_ours || slot->has(StreamFlag::shared);
        disarm(stream, slot->fd, stays ? Afterwards::stays_open : Afterwards::closes);
    }
    if (is_ours) closings_.push_back(slot->fd);
    table_.retire(stream.index);
}

}  // namespace wspool::io
