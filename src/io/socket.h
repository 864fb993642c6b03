// Sockets as the kernel has them: conversions of addresses, and how a socket of ours begins. All
// descriptors are non-blocking and close-on-exec. Only io/ uses this.
#pragma once

#include "base/result.h"
#include "io/address.h"
#include "io/loop.h"

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string_view>

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

struct Connecting {
    int fd = -1;    // -1 when `error`
    int error = 0;  // why the connect failed at once
    bool is_connected = false;
};

// Begins to connect. The error of the Result is about us (no descriptor); one about the peer is a
// value.
[[nodiscard]] Result<Connecting> begin_connect(const Address& address,
                                               const std::optional<Address>& source);

[[nodiscard]] int open_stream_socket(const SocketAddress& address);
bool set_socket_option(int fd, int level, int name, int value);
[[nodiscard]] Result<Address> bound_address(int fd);
// "`what` `address`: the sentence of `error`".
[[nodiscard]] tl::unexpected<Error> refuse_address(std::string_view what,
                                                   const Address& address,
                                                   int error);

enum class SocketRole : std::uint8_t { stream, listener };
// Makes a descriptor that others opened as ours are; an error when it is no such socket.
[[nodiscard]] Result<void> prepare_adoption(int fd, SocketRole role);

// SO_ERROR, which reading clears.
[[nodiscard]] int take_socket_error(int fd);

}  // namespace wspool::io
