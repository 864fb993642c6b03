#include "load/exchange.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

namespace wspool::bench {
namespace {

constexpr std::size_t receive_max = 256 * 1024;
constexpr std::int64_t patience_ns = 10'000'000'000;
constexpr std::uint64_t send_bit = 1;

std::uint64_t tag_of(std::size_t index) {
    return static_cast<std::uint64_t>(index) << 1;
}

std::string repeat(const std::string& text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace

Exchange::Exchange(ExchangePlan plan, const std::vector<int>& sockets, const ServerProcess& server)
    : plan_(std::move(plan)),
      server_(server),
      burst_(repeat(plan_.request, plan_.in_flight)),
      answers_(repeat(plan_.reply, plan_.in_flight)),
      scratch_(receive_max) {
    for (const int fd : sockets) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        ring_.poll(fd, tag_of(peers_.size()));
        Peer peer;
        peer.fd = fd;
        peer.is_compared = !plan_.compares;
        peers_.push_back(peer);
    }
}

Window Exchange::run() {
    now_ns_ = clock_ns();
    const std::size_t senders = plan_.is_fanout ? 1 : peers_.size();
    for (std::size_t i = 0; i < senders; ++i) start_burst(i);

    const std::int64_t start = now_ns_ + static_cast<std::int64_t>(plan_.warmup_seconds * 1e9);
    while (now_ns_ < start) turn();

    latency_ns_.clear();
    const std::size_t bytes_before = bytes_received_;
    const std::int64_t server_before = server_.cpu_ns();
    const std::int64_t own_before = own_cpu_ns();
    const std::int64_t begin = clock_ns();
    const std::int64_t end = begin + static_cast<std::int64_t>(plan_.seconds * 1e9);
    while (now_ns_ < end) turn();

    Window window;
    window.server_cpu_ns = server_.cpu_ns() - server_before;
    window.load_cpu_ns = own_cpu_ns() - own_before;
    window.seconds = static_cast<double>(clock_ns() - begin) / 1e9;
    window.messages = static_cast<double>(bytes_received_ - bytes_before) /
                      static_cast<double>(plan_.reply.size());
    window.latency_ns = latency_ns_;
    finish_outstanding();
    return window;
}

// A connection that is closed with unread bytes resets; not every server under test survives that.
void Exchange::finish_outstanding() {
    is_stopping_ = true;
    while (bursts_open_ > 0) turn();
}

void Exchange::start_burst(std::size_t index) {
    Peer& peer = peers_[index];
    peer.sent = 0;
    peer.received = 0;
    peer.started_ns = now_ns_;
    ++bursts_open_;
    if (plan_.is_fanout) {
        members_done_ = 0;
        for (Peer& member : peers_) member.received = 0;
    }
    queue_send(index);
}

void Exchange::queue_send(std::size_t index) {
    const Peer& peer = peers_[index];
    ring_.send(
        peer.fd, burst_.data() + peer.sent, burst_.size() - peer.sent, tag_of(index) | send_bit);
}

void Exchange::turn() {
    ring_.enter(1, 0, patience_ns);
    now_ns_ = clock_ns();
    const unsigned count = ring_.drain([this](std::uint64_t tag, int result, unsigned flags) {
        if ((tag & send_bit) != 0) {
            on_short_send(tag >> 1, result);
        } else {
            on_poll(tag >> 1, result, (flags & IORING_CQE_F_MORE) == 0);
        }
    });
    if (count == 0) fail("the server has not answered for 10 s");
}

void Exchange::on_short_send(std::size_t index, int result) {
    if (result < 0 && result != -EAGAIN) fail("the server closed a connection that was written to");
    Peer& peer = peers_[index];
    peer.sent += result > 0 ? static_cast<std::size_t>(result) : 0;
    peer.is_blocked = true;
}

void Exchange::on_poll(std::size_t index, int result, bool is_last) {
    Peer& peer = peers_[index];
    if (is_last) ring_.poll(peer.fd, tag_of(index));
    if ((result & POLLOUT) != 0 && peer.is_blocked) {
        peer.is_blocked = false;
        queue_send(index);
    }
    if ((result & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)) != 0) receive(index);
}

// MSG_TRUNC throws a TCP stream's bytes away without copying them: what was compared once need not
// be seen again, and the load generator is to be cheaper than any server.
void Exchange::receive(std::size_t index) {
    Peer& peer = peers_[index];
    for (;;) {
        const int flags = MSG_DONTWAIT | (peer.is_compared ? MSG_TRUNC : 0);
        const ssize_t got = recv(peer.fd, scratch_.data(), scratch_.size(), flags);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) fail("the server closed a connection that waits for answers");
        on_received(index, static_cast<std::size_t>(got));
        if (static_cast<std::size_t>(got) < scratch_.size()) return;
    }
}

void Exchange::on_received(std::size_t index, std::size_t size) {
    Peer& peer = peers_[index];
    const std::size_t after = peer.received + size;
    if (after > answers_.size()) fail("the server sent more than was asked of it");
    if (!peer.is_compared && answers_.compare(peer.received, size, scratch_.data(), size) != 0) {
        fail("the server sent other bytes than expected");
    }
    const std::size_t messages = after / plan_.reply.size() - peer.received / plan_.reply.size();
    const std::int64_t started_ns = peers_[plan_.is_fanout ? 0 : index].started_ns;
    latency_ns_.record(static_cast<std::uint64_t>(now_ns_ - started_ns), messages);
    bytes_received_ += size;
    peer.received = after;
    if (after == answers_.size()) finish_answers(index);
}

void Exchange::finish_answers(std::size_t index) {
    peers_[index].is_compared = true;
    if (plan_.is_fanout && ++members_done_ + 1 < peers_.size()) return;
    --bursts_open_;
    if (!is_stopping_) start_burst(plan_.is_fanout ? 0 : index);
}

}  // namespace wspool::bench
