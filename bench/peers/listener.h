// What the C++ peers share: a listening socket on a port of the kernel's choice, and the line that
// tells compare.py where they serve. Every raw connection is greeted with one byte, so that the
// load generator knows that it has been accepted.
#pragma once

#include "arguments.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace wspool::bench {

inline constexpr char greeting = 'R';

// TCP_NODELAY is inherited by every accepted socket.
inline int open_listener() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(fd, 4096) != 0) {
        fail("cannot listen on 127.0.0.1");
    }
    return fd;
}

inline int port_of(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
}

inline void print_ready(int port, const std::string& version) {
    std::printf("ready port=%d pid=%d version=%s\n", port, getpid(), version.c_str());
    std::fflush(stdout);
}

// Accepts and greets; -1 when nobody waits.
inline int accept_greeted(int listener) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) send(fd, &greeting, 1, MSG_NOSIGNAL);
    return fd;
}

// How many reply bytes a stream owes: requests and replies differ by the mask of four bytes that
// only a client's WebSocket frames carry, and the raw peers are to move the same bytes as the
// others.
class ReplyCount {
  public:
    ReplyCount(std::size_t request_size, std::size_t reply_size)
        : request_size_(request_size), reply_size_(reply_size) {}
    // The reply bytes that became due with `received` more request bytes; never more than
    // `received`.
    [[nodiscard]] std::size_t add(std::size_t& position, std::size_t received) const {
        const std::size_t before = owed(position);
        position += received;
        const std::size_t due = owed(position) - before;
        position %= request_size_;
        return due;
    }

  private:
    [[nodiscard]] std::size_t owed(std::size_t position) const {
        const std::size_t rest = position % request_size_;
        return position / request_size_ * reply_size_ + (rest < reply_size_ ? rest : reply_size_);
    }
    std::size_t request_size_;
    std::size_t reply_size_;
};

}  // namespace wspool::bench
