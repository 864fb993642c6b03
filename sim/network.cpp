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

void Network::arrive_after(Instant& last, std::function<void()> what) {
    last = std::max(last, now_ + latency());
    schedule(last, std::move(what));
}

void Network::wake(const End& end) {
    if (end.loop != nullptr) end.loop->on_change(end.index);
}

// ---- connecting

AcceptQueueRef Network::listen(io::Address& address, SimLoop& loop, std::uint32_t index) {
    if (address.family != io::Address::Family::unix_path && address.port == 0) {
        address.port = next_port_++;
    }
    std::vector<AcceptQueueRef>& queues = listeners_[key_of(address)];
    if (!queues.empty()) return nullptr;
    queues.push_back(std::make_shared<AcceptQueue>());
    queues.back()->address = address;
    queues.back()->places.push_back({&loop, index});
    return queues.back();
}

void Network::unlisten(const AcceptQueueRef& queue, SimLoop& loop, std::uint32_t index) {
    std::erase(queue->places, AcceptQueue::Place{&loop, index});
    drop(queue);
}

// One holder less; without any the socket is gone, and who waited is reset.
void Network::drop(const AcceptQueueRef& queue) {
    if (--queue->holders > 0) return;
    const auto found = listeners_.find(key_of(queue->address));
    WSPOOL_ASSERT(found != listeners_.end());
    std::erase(found->second, queue);
    if (found->second.empty()) listeners_.erase(found);
    for (const LinkRef& link : queue->backlog) close(link, 1, io::CloseMode::reset);
    queue->backlog.clear();
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
    const std::vector<AcceptQueueRef>& queues = found->second;
    const AcceptQueueRef& queue = queues[queues.size() == 1 ? 0 : prng_.below(queues.size())];
    queue->backlog.push_back(link);
    for (const AcceptQueue::Place& place : queue->places) place.loop->on_change(place.index);
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
    if (sender.error != 0 || (link->is_local && receiver.is_closed)) return {0, EPIPE};
    std::string bytes;
    for (const ByteView piece : pieces) bytes.append(as_text(piece));
    const std::size_t wanted = bytes.size();
    std::size_t taken = std::min(wanted, room(receiver));
    if (taken > 0 && prng_.chance(weather_.short_write)) taken = prng_.below(taken);
    if (link->is_local && local_tap_) {
        // A send that is full may have left something behind.
        const bool is_full = pieces.size() == io::send_pieces_max || wanted == io::send_size_max;
        local_tap_(link, side, bytes, taken == wanted && !is_full);
    }
    bytes.resize(taken);
    if (taken > 0) {
        receiver.in_flight += taken;
        if (!link->is_local) disturb(link, side);
        schedule(arrival(receiver, draw_stall(link->is_local)),
                 [this, link, side, text = std::move(bytes)] { arrive(link, 1 - side, text); });
    }
    if (taken < wanted) {
        sender.wants_room = true;
        if (room(receiver) > 0) promise_room(link, side);
    }
    return {taken, 0};
}

Duration Network::draw_stall(bool is_local) {
    if (!prng_.chance(is_local ? weather_.local_stall : weather_.stall)) return {};
    const Duration most = is_local ? weather_.local_stall_max : weather_.stall_max;
    return Duration(
        static_cast<Duration::rep>(prng_.below(static_cast<std::uint64_t>(most.count()) + 1)));
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
    if (end.is_closed) {
        return link->is_local ? break_local(link, 1 - side)
                              : break_later(link, 1 - side, ECONNRESET);
    }
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
    if (--end.holders > 0) return;
    --open_ends_;
    end.is_closed = true;
    end.loop = nullptr;
    if (end.error != 0) return;
    if (link->is_local && end.unread() > 0) {
        break_local(link, 1 - side);
    } else if (!link->is_local && (mode == io::CloseMode::reset || end.unread() > 0)) {
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

// The end of a socket pair whose peer did not read everything: told after all that came before.
void Network::break_local(const LinkRef& link, int side) {
    End& end = link->ends[static_cast<std::size_t>(side)];
    schedule(arrival(end, Duration::zero()), [link, side] {
        End& broken = link->ends[static_cast<std::size_t>(side)];
        if (broken.is_closed || broken.error != 0) return;
        broken.error = ECONNRESET;
        wake(broken);
    });
}

// ---- descriptors

std::array<int, 2> Network::make_pair() {
    auto link = std::make_shared<Link>();
    link->is_local = true;
    for (End& end : link->ends) {
        end.address.family = io::Address::Family::unix_path;
        end.is_connected = true;
    }
    open_ends_ += 2;
    const int first = hold({link, 0, nullptr});
    return {first, hold({link, 1, nullptr})};
}

int Network::open_listener(io::Address& address) {
    if (address.family != io::Address::Family::unix_path && address.port == 0) {
        address.port = next_port_++;
    }
    auto queue = std::make_shared<AcceptQueue>();
    queue->address = address;
    listeners_[key_of(address)].push_back(queue);
    return hold({nullptr, 0, queue});
}

int Network::hold(Held held) {
    held_.emplace(next_descriptor_, std::move(held));
    return next_descriptor_++;
}

std::optional<Held> Network::take(int fd) {
    const auto found = held_.find(fd);
    if (found == held_.end()) return std::nullopt;
    Held held = std::move(found->second);
    held_.erase(found);
    return held;
}

int Network::duplicate(int fd) {
    const auto found = held_.find(fd);
    WSPOOL_ASSERT(found != held_.end());
    const Held held = found->second;
    if (held.link) ++held.link->ends[static_cast<std::size_t>(held.side)].holders;
    if (held.queue) ++held.queue->holders;
    return hold(held);
}

const Held* Network::find(int fd) const {
    const auto found = held_.find(fd);
    return found != held_.end() ? &found->second : nullptr;
}

void Network::discard(int fd) {
    if (channels_.count(fd) > 0) return close_channel(fd);
    const std::optional<Held> held = take(fd);
    if (!held) return;
    if (held->link) close(held->link, held->side, io::CloseMode::graceful);
    if (held->queue) drop(held->queue);
}

// Descriptors that nobody received are closed with it.
void Network::close_channel(int fd) {
    const ChannelEnd end = channels_.at(fd);
    channels_.erase(fd);
    ChannelPair::Side& side = end.pair->sides[end.side];
    side.is_closed = true;
    side.loop = nullptr;
    for (const ChannelPair::Message& message : side.inbox) {
        if (message.fd >= 0) discard(message.fd);
    }
    side.inbox.clear();
    arrive_after(end.pair->sides[1 - end.side].last_arrival, [end] {
        ChannelPair::Side& other = end.pair->sides[1 - end.side];
        other.has_ended = true;
        if (other.loop != nullptr) other.loop->set_readable(other.fd, true);
    });
}

std::array<int, 2> Network::make_channel() {
    auto pair = std::make_shared<ChannelPair>();
    const int first = next_descriptor_++;
    const int second = next_descriptor_++;
    pair->sides[0].fd = first;
    pair->sides[1].fd = second;
    channels_.emplace(first, ChannelEnd{pair, 0});
    channels_.emplace(second, ChannelEnd{pair, 1});
    return {first, second};
}

std::unique_ptr<io::DescriptorChannel> Network::open_channel(int fd, SimLoop& loop) {
    const auto found = channels_.find(fd);
    WSPOOL_ASSERT(found != channels_.end());
    found->second.pair->sides[found->second.side].loop = &loop;
    return std::make_unique<SimChannel>(*this, found->second);
}

bool Network::is_channel_readable(int fd) const {
    const auto found = channels_.find(fd);
    return found != channels_.end() && found->second.pair->sides[found->second.side].is_readable();
}

}  // namespace wspool::sim
