// Sockets as the kernel has them: conversions of addresses, and the two ways a socket of ours
// begins. All descriptors are non-blocking and close-on-exec. Only the loops use this.
#pragma once

#include "base/result.h"
#include "io/address.h"
#include "io/loop.h"

#include <sys/socket.h>

namespace wspool::io {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

[[nodiscard]] Result<SocketAddress> to_socket_address(const Address& address);
// An unnamed unix socket (a client's end) becomes an empty path.
[[nodiscard]] Address from_socket_address(const SocketAddress& address);

// A listening socket. Options of the streams to come are set here once: the kernel hands them on.
// The socket file of a listener that is gone is replaced; one where somebody listens is left alone.
[[nodiscard]] Result<int> open_listener(const Address& address, const ListenOptions& options);

struct Connecting {
    int fd = -1;    // -1 when `error`
    int error = 0;  // why the connect failed at once
    bool is_connected = false;
};

// Begins to connect. The error of the Result is about us (no descriptor); one about the peer is a
// value.
[[nodiscard]] Result<Connecting> begin_connect(const Address& address);

// SO_ERROR, which reading clears.
[[nodiscard]] int take_socket_error(int fd);

}  // namespace wspool::io
