#include "io/socket.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>

namespace wspool::io {

namespace {

tl::unexpected<Error> refuse(std::string_view what, const Address& address, int error) {
    std::string message(what);
    message.append(" ").append(format_address(address)).append(": ").append(std::strerror(error));
    return fail(std::move(message), error);
}

bool set_option(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

int open_socket(const SocketAddress& address) {
    return ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

bool set_listener_options(int fd, const Address& address, const ListenOptions& options) {
    if (options.send_buffer > 0 && !set_option(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer)) {
        return false;
    }
    if (address.family == Address::Family::unix_path) return true;
    if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return false;
    if (!set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1)) return false;
    if (address.family == Address::Family::ipv6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
        return false;
    }
    const auto timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(options.user_timeout).count();
    if (timeout <= 0) return true;
    const auto bounded = std::min<long long>(timeout, std::numeric_limits<int>::max());
    return set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(bounded));
}

// True for a socket file that nobody listens on: its owner was killed. Anything else at that path,
// a file or a living server, is not ours to remove.
bool is_stale_socket(const Address& address, const SocketAddress& socket_address) {
    struct stat status {};
    if (lstat(address.host.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
    const int probe = open_socket(socket_address);
    if (probe < 0) return false;
    const bool refused =
        ::connect(probe, socket_address.get(), socket_address.size) != 0 && errno == ECONNREFUSED;
    ::close(probe);
    return refused;
}

bool bind_socket(int fd, const Address& address, const SocketAddress& socket_address) {
    if (::bind(fd, socket_address.get(), socket_address.size) == 0) return true;
    if (errno != EADDRINUSE || address.family != Address::Family::unix_path) return false;
    if (!is_stale_socket(address, socket_address)) {
        errno = EADDRINUSE;
        return false;
    }
    if (::unlink(address.host.c_str()) != 0) return false;
    return ::bind(fd, socket_address.get(), socket_address.size) == 0;
}

}  // namespace

Result<SocketAddress> to_socket_address(const Address& address) {
    SocketAddress result;
    if (address.family == Address::Family::unix_path) {
        sockaddr_un out{};
        if (address.host.size() >= sizeof out.sun_path) {
            return refuse("the path is too long:", address, ENAMETOOLONG);
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
        return refuse("no numeric address:", address, EINVAL);
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

Result<int> open_listener(const Address& address, const ListenOptions& options) {
    auto socket_address = to_socket_address(address);
    if (!socket_address) return tl::unexpected(socket_address.error());
    const int fd = open_socket(*socket_address);
    if (fd < 0) return refuse("no socket to listen on", address, errno);
    if (set_listener_options(fd, address, options) && bind_socket(fd, address, *socket_address) &&
        ::listen(fd, options.backlog) == 0) {
        return fd;
    }
    const int error = errno;
    ::close(fd);
    return refuse("cannot listen on", address, error);
}

Result<Connecting> begin_connect(const Address& address) {
    auto socket_address = to_socket_address(address);
    if (!socket_address) return tl::unexpected(socket_address.error());
    const int fd = open_socket(*socket_address);
    if (fd < 0) return refuse("no socket to connect to", address, errno);
    if (address.family != Address::Family::unix_path) set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (::connect(fd, socket_address->get(), socket_address->size) == 0)
        return Connecting{fd, 0, true};
    if (errno == EINPROGRESS) return Connecting{fd, 0, false};
    const int error = errno;
    ::close(fd);
    return Connecting{-1, error, false};
}

int take_socket_error(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
    return error;
}

}  // namespace wspool::io
