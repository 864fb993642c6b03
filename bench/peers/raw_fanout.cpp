// Raw fan-out: what one connection sends goes to all others, as one send per socket and turn. With
// --send loop each is a system call; with --send ring 256 at a time are one submission. Whoever
// sends is the publisher; requests and replies differ by the mask bytes, as in raw echo.
#include "listener.h"
#include "ring.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

namespace wspool::bench {
namespace {

struct Connection {
    int fd;
    std::size_t position = 0;  // within the request that is being received
};

class Server {
  public:
    Server(int listener, ReplyCount replies, bool uses_ring)
        : listener_(listener), replies_(replies) {
        if (uses_ring) ring_ = std::make_unique<Ring>();
        epoll_event event{};
        event.events = EPOLLIN;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
    }
    [[noreturn]] void run() {
        epoll_event events[256];
        for (;;) {
            const int count = epoll_wait(epoll_, events, 256, -1);
            for (int i = 0; i < count; ++i) {
                auto* connection = static_cast<Connection*>(events[i].data.ptr);
                if (connection == nullptr) {
                    accept_all();
                } else {
                    on_readable(*connection);
                }
            }
        }
    }

  private:
    static constexpr std::size_t slice = 256;

    void accept_all() {
        for (int fd = accept_greeted(listener_); fd >= 0; fd = accept_greeted(listener_)) {
            auto connection = std::make_unique<Connection>();
            connection->fd = fd;
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.ptr = connection.get();
            epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
            connections_.push_back(connection.release());
        }
    }
    void on_readable(Connection& connection) {
        const ssize_t got = recv(connection.fd, scratch_.data(), scratch_.size(), 0);
        if (got <= 0) {
            std::erase(connections_, &connection);
            close(connection.fd);
            delete &connection;
            return;
        }
        const std::size_t due = replies_.add(connection.position, static_cast<std::size_t>(got));
        if (ring_ != nullptr) {
            publish_by_ring(connection, due);
        } else {
            publish_by_loop(connection, due);
        }
    }
    void publish_by_loop(const Connection& publisher, std::size_t size) {
        for (const Connection* member : connections_) {
            if (member == &publisher) continue;
            check(member->fd, send(member->fd, scratch_.data(), size, MSG_NOSIGNAL), size);
        }
    }
    void publish_by_ring(const Connection& publisher, std::size_t size) {
        for (std::size_t start = 0; start < connections_.size(); start += slice) {
            const std::size_t end = std::min(start + slice, connections_.size());
            for (std::size_t i = start; i < end; ++i) {
                if (connections_[i] == &publisher) continue;
                const int fd = connections_[i]->fd;
                ring_->send(fd, scratch_.data(), size, static_cast<std::uint64_t>(fd));
            }
            ring_->enter(0, 0, 0);
            ring_->drain([size](std::uint64_t fd, int result, unsigned) {
                check(static_cast<int>(fd), result, size);
            });
        }
    }
    // Members of this benchmark always read; one that is gone shows up as readable later.
    static void check(int fd, ssize_t sent, std::size_t size) {
        if (sent == static_cast<ssize_t>(size) || sent == -EPIPE || sent == -ECONNRESET) return;
        if (sent == -1 && (errno == EPIPE || errno == ECONNRESET)) return;
        fail("raw fan-out: member " + std::to_string(fd) + " does not read fast enough");
    }

    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    int listener_;
    ReplyCount replies_;
    std::unique_ptr<Ring> ring_;
    std::vector<Connection*> connections_;
    std::vector<char> scratch_ = std::vector<char>(256 * 1024);
};

[[noreturn]] void run(const Arguments& arguments) {
    const ReplyCount replies(arguments.count("request", 70), arguments.count("reply", 66));
    const bool uses_ring = arguments.text("send", "loop") == "ring";
    const int listener = open_listener();
    Server server(listener, replies, uses_ring);
    print_ready(port_of(listener), uses_ring ? "io_uring" : "send");
    server.run();
}

}  // namespace
}  // namespace wspool::bench

int main(int count, char** words) {
    wspool::bench::run(wspool::bench::Arguments(count, words));
}
