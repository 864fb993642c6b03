// Raw TCP echo the plain way: level-triggered epoll, recv, send at once. The limit that echo rows
// name.
#include "listener.h"

#include <sys/epoll.h>

#include <memory>
#include <string>
#include <vector>

namespace wspool::bench {
namespace {

struct Connection {
    int fd;
    std::size_t position = 0;  // within the request that is being received
    std::string rest;          // of a reply the kernel did not take; nothing is read meanwhile
};

class Server {
  public:
    Server(int listener, ReplyCount replies) : listener_(listener), replies_(replies) {
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
                } else if ((events[i].events & EPOLLOUT) != 0) {
                    on_writable(*connection);
                } else {
                    on_readable(*connection);
                }
            }
        }
    }

  private:
    void accept_all() {
        for (int fd = accept_greeted(listener_); fd >= 0; fd = accept_greeted(listener_)) {
            auto connection = std::make_unique<Connection>();
            connection->fd = fd;
            watch(*connection.release(), EPOLL_CTL_ADD, EPOLLIN);
        }
    }
    void watch(Connection& connection, int operation, unsigned mask) {
        epoll_event event{};
        event.events = mask;
        event.data.ptr = &connection;
        epoll_ctl(epoll_, operation, connection.fd, &event);
    }
    void on_readable(Connection& connection) {
        const ssize_t got = recv(connection.fd, scratch_.data(), scratch_.size(), 0);
        if (got <= 0) {
            close(connection.fd);
            delete &connection;
            return;
        }
        const std::size_t due = replies_.add(connection.position, static_cast<std::size_t>(got));
        const std::size_t sent = send_some(connection.fd, scratch_.data(), due);
        if (sent == due) return;
        connection.rest.assign(scratch_.data() + sent, due - sent);
        watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
    }
    void on_writable(Connection& connection) {
        const std::size_t sent =
            send_some(connection.fd, connection.rest.data(), connection.rest.size());
        connection.rest.erase(0, sent);
        if (connection.rest.empty()) watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    }
    static std::size_t send_some(int fd, const char* bytes, std::size_t size) {
        const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        return sent < 0 ? 0 : static_cast<std::size_t>(sent);
    }

    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    int listener_;
    ReplyCount replies_;
    std::vector<char> scratch_ = std::vector<char>(256 * 1024);
};

[[noreturn]] void run(const Arguments& arguments) {
    const ReplyCount replies(arguments.count("request", 70), arguments.count("reply", 66));
    const int listener = open_listener();
    Server server(listener, replies);
    print_ready(port_of(listener), "epoll");
    server.run();
}

}  // namespace
}  // namespace wspool::bench

int main(int count, char** words) {
    wspool::bench::run(wspool::bench::Arguments(count, words));
}
