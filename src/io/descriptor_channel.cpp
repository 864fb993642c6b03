#include "io/descriptor_channel.h"

#include "base/assert.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace wspool::io {

namespace {

// One descriptor; aligned as the kernel wants its headers.
struct alignas(cmsghdr) Control {
    std::array<std::byte, CMSG_SPACE(sizeof(int))> bytes{};
};

// The padding of a control message has room for more descriptors than one, and the kernel fills
// it: whatever was installed is either handed out or closed. False when that was not one at most.
bool take_descriptor(msghdr& header, int& fd) {
    bool is_single = true;
    fd = -1;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int one = -1;
            std::memcpy(&one, CMSG_DATA(part) + i * sizeof(int), sizeof one);
            if (fd < 0) {
                fd = one;
            } else {
                is_single = false;
                ::close(one);
            }
        }
    }
    return is_single;
}

}  // namespace

SocketChannel::~SocketChannel() {
    ::close(fd_);
}

ChannelSend SocketChannel::send(int fd, ByteView message) {
    WSPOOL_ASSERT(!message.empty() && message.size() <= channel_message_max);
    iovec piece{const_cast<std::byte*>(message.data()), message.size()};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    Control control;
    if (fd >= 0) {
        header.msg_control = control.bytes.data();
        header.msg_controllen = control.bytes.size();
        cmsghdr* part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
    }
    for (;;) {
        if (::sendmsg(fd_, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return ChannelSend::sent;
        switch (errno) {
            case EINTR:
                continue;
            case EPIPE:
            case ECONNRESET:
            case ENOTCONN:
                return ChannelSend::gone;
            case EAGAIN:
            case ENOBUFS:
            case ENOMEM:
            case ETOOMANYREFS:  // too many descriptors of this user are under way
                return ChannelSend::full;
            default:
                WSPOOL_ASSERT(errno != EBADF && errno != EINVAL);  // not ours to send
                return ChannelSend::full;
        }
    }
}

ChannelReceive SocketChannel::receive(ChannelMessage& received) {
    received = {};
    iovec piece{buffer_.data(), buffer_.size()};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    Control control;
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    ssize_t size = 0;
    // That the peer ended without having read all of ours is said first, and once: what it sent
    // before is still there.
    do {
        size = ::recvmsg(fd_, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (size < 0 && (errno == EINTR || errno == ECONNRESET));
    if (size < 0) {
        const bool is_empty = errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS;
        return is_empty ? ChannelReceive::nothing : ChannelReceive::ended;
    }
    // Without a descriptor left the kernel drops what was sent and says that something is missing.
    const bool is_single = take_descriptor(header, received.fd);
    if (size == 0 && received.fd < 0) return ChannelReceive::ended;
    const auto count = static_cast<std::size_t>(size);
    if (!is_single || size == 0 || count > channel_message_max) {
        if (received.fd >= 0) ::close(received.fd);
        received.fd = -1;
        return ChannelReceive::broken;
    }
    received.message = ByteView(buffer_.data(), count);
    return ChannelReceive::received;
}

Result<std::array<int, 2>> make_socket_pair(PairKind kind) {
    const int type = kind == PairKind::stream ? SOCK_STREAM : SOCK_SEQPACKET;
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0) {
        return ends;
    }
    const int error = errno;
    return fail(std::string("the kernel gives no pair of sockets: ") + std::strerror(error), error);
}

}  // namespace wspool::io
