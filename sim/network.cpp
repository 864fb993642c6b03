#include "sim/network.h"

#include "sim/sim_loop.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace wspool::sim {

namespace {

// Not io::format_address: a test world may hold any text as its host.
std::string key_of(const io::Address& address) {
    return address.host + "|" + std::to_string(address.port);
}

}  // namespace

Network::Network(std::uint64_t seed) : prng_(seed) {}

// ---- time

bool Network::is_later(const Entry& a, const Entry& b) {
    return std::pair(a.at, a.number) > std::pair(b.at, b.number);
}

void Network::schedule(Instant at, std::function<void()> what) {
    queue_.push_back(Entry{std::max(at, now_), next_number_++, std::move(what)});
    std::push_heap(queue_.begin(), queue_.end(), is_later);
}

Instant Network::next_event_time() const {
    return queue_.empty() ? never : queue_.front().at;
}

void Network::run_next() {
    std::pop_heap(queue_.begin(), queue_.end(), is_later);
    const Entry entry = std::move(queue_.back());
    queue_.pop_back();
    now_ = entry.at;
    entry.what();
}

void Network::advance(Instant to) {
    while (next_event_time() <= to) run_next();
    now_ = std::max(now_, to);
}

Duration Network::latency() {
    const auto spread = (weather_.latency_max - weather_.latency_min).count();
    if (spread <= 0) return weather_.latency_min;
    return weather_.latency_min +
           Duration(static_cast<Duration::rep>(prng_.below(static_cast<std::uint64_t>(spread))));
}

Instant Network::arrival(End& end, Duration extra) {
    end.last_arrival = std::max(end.last_arrival, now_ + latency() + extra);
    return end.last_arrival;
}

void Network::wake(const End& end) {
    if (end.loop != nullptr) end.loop->on_change(end.index);
}

// ---- connecting

bool Network::listen(io::Address& address, SimLoop& loop, std::uint32_t index) {
    if (address.family != io::Address::Family::unix_path && address.port == 0) {
        address.port = next_port_++;
    }
    return listeners_.emplace(key_of(address), Listener{&loop, index}).second;
}

void Network::unlisten(const io::Address& address) {
    listeners_.erase(key_of(address));
}

LinkRef Network::connect(const io::Address& to, SimLoop& loop, std::uint32_t index) {
    auto link = std::make_shared<Link>();
    link->ends[0].loop = &loop;
    link->ends[0].index = index;
    link->ends[0].address = io::Address{to.family, to.host, next_port_++};
    link->ends[1].address = to;
    ++open_ends_;
    schedule(now_ + latency(), [this, link, to] { arrive_syn(link, to); });
    return link;
}

void Network::set_silent(const io::Address& address, bool is_silent) {
    if (is_silent) {
        silent_.insert(key_of(address));
    } else {
        silent_.erase(key_of(address));
    }
}

void Network::arrive_syn(const LinkRef& link, const io::Address& to) {
    if (link->ends[0].is_closed || silent_.count(key_of(to)) > 0) return;
    const auto found = listeners_.find(key_of(to));
    if (found == listeners_.end() || prng_.chance(weather_.refuse)) {
        schedule(now_ + latency(), [this, link] { break_now(link, 0, ECONNREFUSED); });
        return;
    }
    ++open_ends_;
    link->ends[1].is_connected = true;
    found->second.loop->on_incoming(found->second.index, link);
    schedule(arrival(link->ends[0], Duration::zero()), [link] {
        link->ends[0].is_connected = true;
        wake(link->ends[0]);
    });
}

// ---- bytes

std::size_t Network::room(const End& receiver) const {
    const std::size_t used = receiver.in_flight + receiver.unread();
    return used >= weather_.buffer_size ? 0 : weather_.buffer_size - used;
}

Network::Sent Network::send(const LinkRef& link, int side, std::span<const ByteView> pieces) {
    End& sender = link->ends[static_cast<std::size_t>(side)];
    End& receiver = link->ends[static_cast<std::size_t>(1 - side)];
    if (sender.error != 0) return {0, EPIPE};
    std::string bytes;
    for (const ByteView piece : pieces) bytes.append(as_text(piece));
    const std::size_t wanted = bytes.size();
    std::size_t taken = std::min(wanted, room(receiver));
    if (taken > 0 && prng_.chance(weather_.short_write)) taken = prng_.below(taken);
    bytes.resize(taken);
    if (taken > 0) {
        receiver.in_flight += taken;
        disturb(link, side);
        Duration stall{};
        if (prng_.chance(weather_.stall)) {
            stall = Duration(static_cast<Duration::rep>(
                prng_.below(static_cast<std::uint64_t>(weather_.stall_max.count()) + 1)));
        }
        schedule(arrival(receiver, stall),
                 [this, link, side, text = std::move(bytes)] { arrive(link, 1 - side, text); });
    }
    if (taken < wanted) {
        sender.wants_room = true;
        if (room(receiver) > 0) promise_room(link, side);
    }
    return {taken, 0};
}

void Network::disturb(const LinkRef& link, int sender) {
    if (prng_.chance(weather_.reset)) {
        link->was_disturbed = true;
        break_later(link, sender, ECONNRESET);
        break_later(link, 1 - sender, ECONNRESET);
    } else if (prng_.chance(weather_.vanish)) {
        link->was_disturbed = true;
        link->has_vanished = true;
    }
}

void Network::arrive(const LinkRef& link, int side, const std::string& bytes) {
    if (link->has_vanished) return;
    End& end = link->ends[static_cast<std::size_t>(side)];
    end.in_flight -= bytes.size();
    if (end.error != 0) return;
    if (end.is_closed) return break_later(link, 1 - side, ECONNRESET);
    end.inbox.append(bytes);
    wake(end);
}

std::size_t Network::receive(const LinkRef& link, int side, MutableBytes out) {
    End& end = link->ends[static_cast<std::size_t>(side)];
    std::size_t size = std::min(out.size(), end.unread());
    WSPOOL_ASSERT(size > 0);
    if (prng_.chance(weather_.short_read)) size = 1 + prng_.below(std::min<std::size_t>(size, 300));
    std::memcpy(out.data(), end.inbox.data() + end.read, size);
    end.read += size;
    if (end.read == end.inbox.size() || end.read > 64 * 1024) {
        end.inbox.erase(0, end.read);
        end.read = 0;
    }
    if (link->ends[static_cast<std::size_t>(1 - side)].wants_room) promise_room(link, 1 - side);
    return size;
}

void Network::promise_room(const LinkRef& link, int side) {
    schedule(now_ + latency(), [this, link, side] {
        End& sender = link->ends[static_cast<std::size_t>(side)];
        if (!sender.wants_room || link->has_vanished || sender.loop == nullptr) return;
        if (room(link->ends[static_cast<std::size_t>(1 - side)]) == 0) return;
        sender.wants_room = false;
        sender.loop->on_room(sender.index);
    });
}

// ---- ending

void Network::shutdown_write(const LinkRef& link, int side) {
    End& end = link->ends[static_cast<std::size_t>(side)];
    if (end.is_shut || end.error != 0) return;
    end.is_shut = true;
    End& receiver = link->ends[static_cast<std::size_t>(1 - side)];
    schedule(arrival(receiver, Duration::zero()),
             [this, link, side] { arrive_end(link, 1 - side); });
}

void Network::arrive_end(const LinkRef& link, int side) {
    if (link->has_vanished) return;
    End& end = link->ends[static_cast<std::size_t>(side)];
    if (end.is_closed || end.error != 0) return;
    end.has_ended = true;
    wake(end);
}

void Network::close(const LinkRef& link, int side, io::CloseMode mode) {
    End& end = link->ends[static_cast<std::size_t>(side)];
    WSPOOL_ASSERT(!end.is_closed);
    WSPOOL_ASSERT(open_ends_ > 0);
    --open_ends_;
    end.is_closed = true;
    end.loop = nullptr;
    if (end.error != 0) return;
    if (mode == io::CloseMode::reset || end.unread() > 0) {
        break_later(link, 1 - side, ECONNRESET);
    } else {
        shutdown_write(link, side);
    }
    end.inbox.clear();
    end.read = 0;
}

void Network::break_later(const LinkRef& link, int side, int error) {
    schedule(now_ + latency(), [this, link, side, error] { break_now(link, side, error); });
}

void Network::break_now(const LinkRef& link, int side, int error) {
    if (link->has_vanished) return;
    End& end = link->ends[static_cast<std::size_t>(side)];
    if (end.is_closed || end.error != 0) return;
    end.error = error;
    end.inbox.clear();
    end.read = 0;
    wake(end);
}

}  // namespace wspool::sim
