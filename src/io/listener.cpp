#include "io/listener.h"

#include "base/assert.h"
#include "io/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace wspool::io {

namespace {

// Whether others may listen on the same port. Who binds first does it alone, so that a port that
// somebody else has is refused even where he would share it, and shares before it listens.
enum class Port : std::uint8_t { alone, first_of_several, one_more };

bool set_listener_options(int fd, const Address& address, const ListenOptions& options) {
    if (options.send_buffer > 0 &&
        !set_socket_option(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer)) {
        return false;
    }
    if (address.family == Address::Family::unix_path) return true;
    if (!set_socket_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return false;
    if (!set_socket_option(fd, IPPROTO_TCP, TCP_NODELAY, 1)) return false;
    if (address.family == Address::Family::ipv6 &&
        !set_socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
        return false;
    }
    const auto timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(options.user_timeout).count();
    if (timeout <= 0) return true;
    const auto bounded = std::min<long long>(timeout, std::numeric_limits<int>::max());
    return set_socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(bounded));
}

// True for a socket file that nobody listens on: its owner was killed. Anything else at that path,
// a file or a living server, is not ours to remove.
bool is_stale_socket(const Address& address, const SocketAddress& socket_address) {
    struct stat status {};
    if (lstat(address.host.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
    const int probe = open_stream_socket(socket_address);
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

bool bind_and_listen(int fd,
                     const Address& address,
                     const SocketAddress& socket_address,
                     const ListenOptions& options,
                     Port port) {
    const auto share = [fd] { return set_socket_option(fd, SOL_SOCKET, SO_REUSEPORT, 1); };
    if (!set_listener_options(fd, address, options)) return false;
    if (port == Port::one_more && !share()) return false;
    if (!bind_socket(fd, address, socket_address)) return false;
    if (port == Port::first_of_several && !share()) return false;
    return ::listen(fd, options.backlog) == 0;
}

Result<int> open_one(const Address& address, const ListenOptions& options, Port port) {
    auto socket_address = to_socket_address(address);
    if (!socket_address) return tl::unexpected(socket_address.error());
    const int fd = open_stream_socket(*socket_address);
    if (fd < 0) return refuse_address("no socket to listen on", address, errno);
    if (bind_and_listen(fd, address, *socket_address, options, port)) return fd;
    const int error = errno;
    ::close(fd);
    return refuse_address("cannot listen on", address, error);
}

// One more descriptor for the same queue, or one more queue on the same port.
Result<int> open_another(const Listening& first, const ListenOptions& options) {
    if (first.address.family != Address::Family::unix_path) {
        return open_one(first.address, options, Port::one_more);
    }
    const int fd = ::fcntl(first.descriptors.front(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return refuse_address("no descriptor to listen on", first.address, errno);
    return fd;
}

}  // namespace

Result<int> open_listener(const Address& address, const ListenOptions& options) {
    return open_one(address, options, Port::alone);
}

Result<Listening> open_listeners(const Address& address,
                                 const ListenOptions& options,
                                 std::size_t count) {
    WSPOOL_ASSERT(count > 0);
    const bool has_port = address.family != Address::Family::unix_path;
    const bool is_shared = has_port && count > 1;
    auto first = open_one(address, options, is_shared ? Port::first_of_several : Port::alone);
    if (!first) return tl::unexpected(first.error());
    Listening result;
    result.descriptors.push_back(*first);
    const auto give_up = [&result](const Error& error) {
        for (const int fd : result.descriptors) ::close(fd);
        return tl::unexpected<Error>(error);
    };
    auto bound = bound_address(*first);
    if (!bound) return give_up(bound.error());
    result.address = *bound;
    while (result.descriptors.size() < count) {
        auto another = open_another(result, options);
        if (!another) return give_up(another.error());
        result.descriptors.push_back(*another);
    }
    return result;
}

void remove_socket_file(const Address& address) {
    if (address.family == Address::Family::unix_path) ::unlink(address.host.c_str());
}

}  // namespace wspool::io
