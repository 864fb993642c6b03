#include "io/socket.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace wspool::io {

tl::unexpected<Error> refuse_address(std::string_view what, const Address& address, int error) {
    std::string message(what);
    message.append(" ").append(format_address(address)).append(": ").append(std::strerror(error));
    return fail(std::move(message), error);
}

bool set_socket_option(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

int open_stream_socket(const SocketAddress& address) {
    return ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

Result<SocketAddress> to_socket_address(const Address& address) {
    SocketAddress result;
    if (address.family == Address::Family::unix_path) {
        sockaddr_un out{};
        if (address.host.size() >= sizeof out.sun_path) {
            return refuse_address("the path is too long:", address, ENAMETOOLONG);
        }
        out.sun_family = AF_UNIX;
        std::memcpy(out.sun_path, address.host.data(), address.host.size());
        result.size =
            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.host.size() + 1);
        std::memcpy(&result.storage, &out, result.size);
        return result;
    }
    const bool is_v4 = address.family == Address::Family::ipv4;
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    v4.sin_family = AF_INET;
    v6.sin6_family = AF_INET6;
    v4.sin_port = v6.sin6_port = htons(address.port);
    void* binary = is_v4 ? static_cast<void*>(&v4.sin_addr) : static_cast<void*>(&v6.sin6_addr);
    if (inet_pton(is_v4 ? AF_INET : AF_INET6, address.host.c_str(), binary) != 1) {
        return refuse_address("no numeric address:", address, EINVAL);
    }
    result.size = is_v4 ? sizeof v4 : sizeof v6;
    std::memcpy(
        &result.storage, is_v4 ? static_cast<void*>(&v4) : static_cast<void*>(&v6), result.size);
    return result;
}

Address from_socket_address(const SocketAddress& address) {
    Address result;
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.storage.ss_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &address.storage, sizeof in);
        inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size());
        return {Address::Family::ipv4, text.data(), ntohs(in.sin_port)};
    }
    if (address.storage.ss_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, &address.storage, sizeof in);
        inet_ntop(AF_INET6, &in.sin6_addr, text.data(), text.size());
        return {Address::Family::ipv6, text.data(), ntohs(in.sin6_port)};
    }
    result.family = Address::Family::unix_path;
    const std::size_t head = offsetof(sockaddr_un, sun_path);
    if (address.size <= head) return result;
    sockaddr_un un{};
    std::memcpy(&un, &address.storage, std::min(sizeof un, std::size_t{address.size}));
    result.host.assign(un.sun_path, strnlen(un.sun_path, address.size - head));
    return result;
}

namespace {

// A port is drawn when it is known where to: else one address would do for 28,000 connections in
// all.
Result<void> bind_source(int fd, const Address& source) {
    const auto socket_address = to_socket_address(source);
    if (!socket_address) return tl::unexpected(socket_address.error());
    if (source.port == 0) set_socket_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (::bind(fd, socket_address->get(), socket_address->size) == 0) return {};
    return refuse_address("cannot connect from", source, errno);
}

}  // namespace

Result<Connecting> begin_connect(const Address& address, const std::optional<Address>& source) {
    auto socket_address = to_socket_address(address);
    if (!socket_address) return tl::unexpected(socket_address.error());
    const int fd = open_stream_socket(*socket_address);
    if (fd < 0) return refuse_address("no socket to connect to", address, errno);
    if (address.family != Address::Family::unix_path)
        set_socket_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (source) {
        if (auto bound = bind_source(fd, *source); !bound) {
            ::close(fd);
            return tl::unexpected(bound.error());
        }
    }
    if (::connect(fd, socket_address->get(), socket_address->size) == 0)
        return Connecting{fd, 0, true};
    if (errno == EINPROGRESS) return Connecting{fd, 0, false};
    const int error = errno;
    ::close(fd);
    return Connecting{-1, error, false};
}

Result<Address> bound_address(int fd) {
    SocketAddress address;
    address.size = sizeof address.storage;
    if (getsockname(fd, address.get(), &address.size) != 0) {
        return fail(std::string("the socket has no local address: ") + std::strerror(errno), errno);
    }
    return from_socket_address(address);
}

Result<void> prepare_adoption(int fd, SocketRole role) {
    int type = 0;
    int listens = 0;
    socklen_t size = sizeof type;
    const bool is_socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
                           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0;
    const int error = is_socket ? EINVAL : errno;
    const bool fits = (listens != 0) == (role == SocketRole::listener) && type == SOCK_STREAM;
    if (!is_socket || !fits) {
        return fail("descriptor " + std::to_string(fd) + " is no " +
                        (role == SocketRole::listener ? "listening" : "connected") +
                        " stream socket and cannot be taken over",
                    error);
    }
    const int status = ::fcntl(fd, F_GETFL);
    const int flags = ::fcntl(fd, F_GETFD);
    if (::fcntl(fd, F_SETFL, status | O_NONBLOCK) == 0 &&
        ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == 0) {
        return {};
    }
    return fail("descriptor " + std::to_string(fd) + " cannot be made non-blocking", errno);
}

int take_socket_error(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
    return error;
}

}  // namespace wspool::io
