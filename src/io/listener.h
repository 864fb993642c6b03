// Listening sockets without a loop: for the process that opens and keeps them while others accept
// (Loop::adopt_listener). All descriptors are non-blocking and close-on-exec; whoever asks owns
// them.
#pragma once

#include "base/result.h"
#include "io/address.h"
#include "io/loop.h"

#include <cstddef>
#include <vector>

namespace wspool::io {

// A listening socket. Options of the streams to come are set here once: the kernel hands them on.
// The socket file of a listener that is gone is replaced; one where somebody listens is left alone.
[[nodiscard]] Result<int> open_listener(const Address& address, const ListenOptions& options);

struct Listening {
    Address address;  // with the port that was taken
    std::vector<int> descriptors;
};

// `count` descriptors to accept from in as many processes. Over TCP each is a socket with a queue
// of its own, and the kernel spreads connections over them (SO_REUSEPORT); a unix path has one
// queue, which all share. An address that another program listens on is refused in any case.
[[nodiscard]] Result<Listening> open_listeners(const Address& address,
                                               const ListenOptions& options,
                                               std::size_t count);

// The file of a unix listener that goes; nothing for other addresses.
void remove_socket_file(const Address& address);

}  // namespace wspool::io
