// Raw TCP echo on io_uring, with the loop that wspool uses but without WebSocket: multishot poll,
// direct recv, all sends of a turn in one submission with the wait, and, with --batch-wait, a wait
// for more events under load.
#include "listener.h"
#include "ring.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace wspool::bench {
namespace {

constexpr std::size_t receive_max = 256 * 1024;

struct Connection {
    int fd;
    std::size_t position = 0;  // within the request that is being received
    std::size_t sending = 0;   // bytes queued in this turn
    const char* bytes = nullptr;
    std::string rest;  // of a reply the kernel did not take; nothing is read meanwhile
    bool is_ready = false;
    bool is_open = true;  // else only its poll's last completion is awaited
};

// How many events are likely to come within the batching wait, from the rate of the last turns.
class EventRate {
  public:
    explicit EventRate(unsigned wait_us) : wait_us_(wait_us) {}
    [[nodiscard]] unsigned expected() const {
        if (wait_us_ == 0 || events_ * wait_us_ < 3 * time_us_) return 1;
        return static_cast<unsigned>(events_ * wait_us_ / time_us_);
    }
    void add(unsigned events) {
        const auto now = std::chrono::steady_clock::now();
        const double elapsed_us = std::chrono::duration<double, std::micro>(now - last_).count();
        last_ = now;
        events_ = events_ * memory + events;
        time_us_ = time_us_ * memory + elapsed_us;
    }

  private:
    static constexpr double memory = 0.9;
    unsigned wait_us_;
    double events_ = 0;
    double time_us_ = 1;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

class Server {
  public:
    Server(int listener, ReplyCount replies, unsigned batch_wait_us)
        : rate_(batch_wait_us),
          listener_(listener),
          replies_(replies),
          batch_wait_us_(batch_wait_us) {
        ring_.poll(listener_, 0);
    }
    [[noreturn]] void run() {
        for (;;) {
            ring_.enter(ready_.empty() ? rate_.expected() : 0, batch_wait_us_, 1'000'000'000);
            scratch_used_ = 0;
            rate_.add(ring_.drain([this](std::uint64_t tag, int result, unsigned flags) {
                on_completion(tag, result, flags);
            }));
            std::vector<Connection*> ready;
            ready.swap(ready_);
            for (std::size_t i = 0; i < ready.size(); ++i) {
                if (scratch_used_ + receive_max > scratch_.size()) {
                    ready_.insert(
                        ready_.end(), ready.begin() + static_cast<std::ptrdiff_t>(i), ready.end());
                    break;
                }
                ready[i]->is_ready = false;
                receive(*ready[i]);
            }
        }
    }

  private:
    static constexpr std::uint64_t send_bit = 1;

    void on_completion(std::uint64_t tag, int result, unsigned flags) {
        if (tag == 0) {
            accept_all();
            if ((flags & IORING_CQE_F_MORE) == 0) ring_.poll(listener_, 0);
            return;
        }
        auto& connection = *reinterpret_cast<Connection*>(tag & ~send_bit);
        if ((tag & send_bit) != 0) {
            const std::size_t sent = result > 0 ? static_cast<std::size_t>(result) : 0;
            connection.rest.assign(connection.bytes + sent, connection.sending - sent);
            return;
        }
        const bool is_last = (flags & IORING_CQE_F_MORE) == 0;
        if (!connection.is_open) {
            if (is_last) {
                close(connection.fd);
                delete &connection;
            }
            return;
        }
        if (is_last) arm(connection);
        if ((result & POLLOUT) != 0 && !connection.rest.empty()) send_rest(connection);
        if ((result & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)) != 0) make_ready(connection);
    }
    void send_rest(Connection& connection) {
        const ssize_t sent = send(connection.fd,
                                  connection.rest.data(),
                                  connection.rest.size(),
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
        connection.rest.erase(0, sent > 0 ? static_cast<std::size_t>(sent) : 0);
        if (connection.rest.empty()) make_ready(connection);
    }
    void make_ready(Connection& connection) {
        if (connection.is_ready) return;
        connection.is_ready = true;
        ready_.push_back(&connection);
    }
    void arm(Connection& connection) {
        ring_.poll(connection.fd, reinterpret_cast<std::uintptr_t>(&connection));
    }
    void accept_all() {
        for (int fd = accept_greeted(listener_); fd >= 0; fd = accept_greeted(listener_)) {
            auto connection = std::make_unique<Connection>();
            connection->fd = fd;
            arm(*connection.release());
        }
    }
    void receive(Connection& connection) {
        if (!connection.rest.empty() || !connection.is_open) return;
        char* at = scratch_.data() + scratch_used_;
        const ssize_t got = recv(connection.fd, at, receive_max, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            connection.is_open = false;
            ring_.cancel_poll(reinterpret_cast<std::uintptr_t>(&connection));
            return;
        }
        scratch_used_ += static_cast<std::size_t>(got);
        const std::size_t due = replies_.add(connection.position, static_cast<std::size_t>(got));
        connection.bytes = at;
        connection.sending = due;
        if (due > 0) {
            ring_.send(
                connection.fd, at, due, reinterpret_cast<std::uintptr_t>(&connection) | send_bit);
        }
        if (static_cast<std::size_t>(got) == receive_max) make_ready(connection);
    }

    Ring ring_;
    EventRate rate_;
    int listener_;
    ReplyCount replies_;
    unsigned batch_wait_us_;
    std::vector<Connection*> ready_;
    std::vector<char> scratch_ = std::vector<char>(1024 * 1024);
    std::size_t scratch_used_ = 0;
};

[[noreturn]] void run(const Arguments& arguments) {
    const ReplyCount replies(arguments.count("request", 70), arguments.count("reply", 66));
    const auto batch_wait_us = static_cast<unsigned>(arguments.count("batch-wait", 0));
    const int listener = open_listener();
    Server server(listener, replies, batch_wait_us);
    print_ready(port_of(listener), "io_uring");
    server.run();
}

}  // namespace
}  // namespace wspool::bench

int main(int count, char** words) {
    wspool::bench::run(wspool::bench::Arguments(count, words));
}
