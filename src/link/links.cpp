#include "link/links.h"

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace wspool::link {

namespace {

// An owner: owner_bit, channel_bit, generation in bits 32–61, index below.
constexpr std::uint64_t channel_bit = std::uint64_t{1} << 62;
constexpr std::uint32_t generation_mask = (1u << 30) - 1;
// Descriptors received in one visit of a channel; the others are reported again.
constexpr int receives_max = 16;

// How many records the buffer holds. What is no sequence of whole records is the encoder's fault.
std::uint64_t count_records(ByteView bytes) {
    std::uint64_t count = 0;
    while (!bytes.empty()) {
        WSPOOL_ASSERT(bytes.size() >= record_header_size);
        const std::size_t size = declared_size(bytes.data());
        WSPOOL_ASSERT(size != 0 && size <= bytes.size());
        bytes = bytes.subspan(size);
        ++count;
    }
    return count;
}

}  // namespace

struct Links::Link {
    explicit Link(std::size_t record_size_max) : reader(record_size_max) {}

    Peer peer = 0;
    std::uint32_t index = 0;
    io::StreamId stream;
    io::StreamId watch;
    std::unique_ptr<io::DescriptorChannel> channel;
    RecordReader reader;
    RecordQueue queue;
    std::size_t in_flight = 0;  // of the queue, given to the loop for the next wait()
    std::uint64_t handed_over = 0;
    std::uint64_t written = 0;
    int receives_left = 0;  // of the channel, in this visit
    bool is_blocked = false;
    bool takes_more = true;  // no write has failed
    bool has_stream_ended = false;
    bool has_channel_ended = false;
    std::string reason;  // why the stream ended
};

Links::Links(io::Loop& loop, const LinkOptions& options) : loop_(loop), options_(options) {}

Links::~Links() {
    for (const auto& link : links_) {
        if (link != nullptr) forget(*link);
    }
}

// ---- who is linked

Result<void> Links::add(Peer peer, int stream_fd, int channel_fd) {
    WSPOOL_ASSERT(peer != 0 && !has(peer));
    const auto free = std::find(links_.begin(), links_.end(), nullptr);
    const auto index = static_cast<std::uint32_t>(free - links_.begin());
    if (free == links_.end()) {
        links_.emplace_back();
        generations_.push_back(0);
    }
    auto link = std::make_unique<Link>(options_.record_size_max);
    link->peer = peer;
    link->index = index;
    link->channel = loop_.open_channel(channel_fd);
    const std::uint64_t owner = owner_of(index);
    const auto stream = loop_.adopt(stream_fd, owner);
    if (!stream) {
        loop_.discard(stream_fd);
        return tl::unexpected(stream.error());
    }
    const auto watch = loop_.watch(channel_fd, owner | channel_bit);
    if (!watch) {
        loop_.close(*stream);
        return tl::unexpected(watch.error());
    }
    link->stream = *stream;
    link->watch = *watch;
    links_[index] = std::move(link);
    ++figures_.links;
    return {};
}

void Links::remove(Peer peer) {
    if (Link* link = find(peer)) forget(*link);
}

// Closes what is open; the owner's last word about it, if any, was or will be told.
void Links::forget(Link& link) {
    const std::uint32_t index = link.index;
    stop_writing(link);
    if (!link.has_stream_ended) loop_.close(link.stream);
    if (!link.has_channel_ended) loop_.close(link.watch);
    if (reading_ == index) {
        reading_ = UINT32_MAX;
        input_ = {};
    }
    std::erase(readable_, index);
    generations_[index] = (generations_[index] + 1) & generation_mask;
    links_[index].reset();
    --figures_.links;
}

Links::Link* Links::find(Peer peer) const {
    for (const auto& link : links_) {
        if (link != nullptr && link->peer == peer) return link.get();
    }
    return nullptr;
}

std::uint64_t Links::owner_of(std::uint32_t index) const {
    return owner_bit | std::uint64_t{generations_[index]} << 32 | index;
}

Links::Link* Links::find_owner(std::uint64_t owner) const {
    const auto index = static_cast<std::uint32_t>(owner);
    if (index >= links_.size() || links_[index] == nullptr) return nullptr;
    return owner_of(index) == (owner & ~channel_bit) ? links_[index].get() : nullptr;
}

bool Links::has(Peer peer) const {
    return find(peer) != nullptr;
}

// ---- out

void Links::send(Peer peer, ByteBuffer& records) {
    Link* link = find(peer);
    if (link != nullptr) link->handed_over += records.size();
    if (link == nullptr || !link->takes_more) {
        figures_.bytes_lost += records.size();
        records.clear();
        return;
    }
    figures_.records_out += count_records(records.view());
    figures_.queued += records.size();
    link->queue.push(records);
    figures_.queued_peak = std::max<std::uint64_t>(figures_.queued_peak, link->queue.size());
    if (link->queue.size() > options_.queue_size_max) {
        cut(*link,
            "the peer does not take what is sent: " + std::to_string(link->queue.size()) +
                " bytes are waiting");
    }
}

io::ChannelSend Links::send_descriptor(Peer peer, int fd, ByteView message) {
    Link* link = find(peer);
    if (link == nullptr || link->has_channel_ended) return io::ChannelSend::gone;
    const io::ChannelSend outcome = link->channel->send(fd, message);
    if (outcome == io::ChannelSend::sent) ++figures_.descriptors_out;
    return outcome;
}

void Links::flush() {
    for (const auto& link : links_) {
        if (link == nullptr) continue;
        settle(*link);
        if (link->is_blocked || link->queue.empty()) continue;
        std::array<ByteView, io::send_pieces_max> pieces;
        const std::size_t count = link->queue.front(pieces, io::send_size_max);
        for (std::size_t i = 0; i < count; ++i) link->in_flight += pieces[i].size();
        loop_.send(link->stream, std::span(pieces).first(count));
    }
}

bool Links::wants_turn() const {
    if (reading_ != UINT32_MAX || !readable_.empty() || !ended_.empty()) return true;
    return std::any_of(links_.begin(), links_.end(), [](const auto& link) {
        return link != nullptr && !link->is_blocked && link->queue.size() > link->in_flight;
    });
}

// After a wait(), what was in flight and not reported short was taken whole.
void Links::settle(Link& link) {
    const std::size_t taken = std::exchange(link.in_flight, 0);
    if (taken == 0) return;
    link.queue.pop(taken);
    figures_.queued -= taken;
    figures_.bytes_out += taken;
    link.written += taken;
}

void Links::on_short_send(const io::ShortSend& short_send) {
    Link* link = find_owner(short_send.owner);
    if (link == nullptr || link->has_stream_ended) return;
    link->in_flight = short_send.sent;
    settle(*link);
    link->is_blocked = true;
    if (short_send.error != 0) stop_writing(*link);
}

// For good. What the peer has said before is still to be read.
void Links::stop_writing(Link& link) {
    settle(link);
    link.takes_more = false;
    figures_.queued -= link.queue.size();
    figures_.bytes_lost += link.queue.size();
    link.queue.clear();
}

// ---- in

void Links::on_event(const io::Event& event) {
    WSPOOL_ASSERT(reading_ == UINT32_MAX && readable_.empty());
    Link* link = find_owner(event.owner);
    if (link == nullptr) return;
    switch (event.kind) {
        case io::EventKind::received:
            reading_ = link->index;
            input_ = event.bytes;
            figures_.bytes_in += event.bytes.size();
            return;
        case io::EventKind::writable:
            link->is_blocked = false;
            return;
        case io::EventKind::readable:
            link->receives_left = receives_max;
            readable_.push_back(link->index);
            return;
        case io::EventKind::ended:
            return end_stream(*link, "the peer has ended");
        case io::EventKind::failed:
            if ((event.owner & channel_bit) != 0) return end_channel(*link);
            return end_stream(*link,
                              std::string("the peer has ended: ") + std::strerror(event.error));
        case io::EventKind::accepted:
        case io::EventKind::accept_refused:
        case io::EventKind::accept_paused:
        case io::EventKind::connected:
            break;
    }
    WSPOOL_UNREACHABLE();
}

bool Links::next(Event& event) {
    while (reading_ != UINT32_MAX) {
        if (next_record(event)) return true;
    }
    while (!readable_.empty()) {
        if (next_descriptor(event)) return true;
    }
    if (ended_.empty()) return false;
    told_ = std::move(ended_.front().reason);
    event = Event{EventKind::ended, ended_.front().peer, {}, -1, told_, ended_.front().is_cut};
    ended_.pop_front();
    return true;
}

bool Links::next_record(Event& event) {
    Link& link = *links_[reading_];
    ByteView record;
    switch (link.reader.next(input_, record)) {
        case ReadOutcome::record:
            ++figures_.records_in;
            event = Event{EventKind::record, link.peer, record, -1, {}, false};
            return true;
        case ReadOutcome::more:
            reading_ = UINT32_MAX;
            input_ = {};
            return false;
        case ReadOutcome::broken:
            cut(link, link.reader.sentence());
            return false;
    }
    WSPOOL_UNREACHABLE();
}

bool Links::next_descriptor(Event& event) {
    Link& link = *links_[readable_.back()];
    io::ChannelMessage message;
    const bool may_receive = link.receives_left-- > 0;
    switch (may_receive ? link.channel->receive(message) : io::ChannelReceive::nothing) {
        case io::ChannelReceive::received:
            if (message.fd >= 0) ++figures_.descriptors_in;
            event = Event{EventKind::descriptor, link.peer, message.message, message.fd, {}, false};
            return true;
        case io::ChannelReceive::nothing:
            readable_.pop_back();
            return false;
        case io::ChannelReceive::ended:
            readable_.pop_back();
            end_channel(link);
            return false;
        case io::ChannelReceive::broken:
            cut(link, "the peer sent descriptors in a way that is none of ours");
            return false;
    }
    WSPOOL_UNREACHABLE();
}

// ---- ends

void Links::end_stream(Link& link, std::string reason) {
    link.has_stream_ended = true;
    link.reason = std::move(reason);
    loop_.close(link.stream);
    stop_writing(link);
    if (link.has_channel_ended) finish(link, std::move(link.reason), false);
}

// Watched no more: an end is readable for ever.
void Links::end_channel(Link& link) {
    link.has_channel_ended = true;
    loop_.close(link.watch);
    if (link.has_stream_ended) finish(link, std::move(link.reason), false);
}

void Links::cut(Link& link, std::string reason) {
    finish(link, std::move(reason), true);
}

void Links::finish(Link& link, std::string reason, bool is_cut) {
    ended_.push_back({link.peer, std::move(reason), is_cut});
    ++figures_.links_ended;
    forget(link);
}

// ---- checks

std::size_t Links::queued(Peer peer) const {
    const Link* link = find(peer);
    return link != nullptr ? link->queue.size() - link->in_flight : 0;
}

Progress Links::progress(Peer peer) const {
    const Link* link = find(peer);
    if (link == nullptr) return {};
    return {link->handed_over, link->written, link->in_flight > 0};
}

std::size_t Links::memory() const {
    std::size_t sum = 0;
    for (const auto& link : links_) {
        if (link != nullptr) sum += link->queue.memory() + link->reader.memory();
    }
    return sum;
}

void Links::check_invariants() const {
    std::uint64_t queued = 0;
    std::uint64_t count = 0;
    for (const auto& link : links_) {
        if (link == nullptr) continue;
        ++count;
        queued += link->queue.size();
        link->queue.check_invariants();
        WSPOOL_ASSERT(link->in_flight <= link->queue.size());
        WSPOOL_ASSERT(!link->is_blocked || link->in_flight == 0);
        WSPOOL_ASSERT(link->takes_more || link->queue.empty());
        WSPOOL_ASSERT(!link->has_stream_ended || !link->has_channel_ended);
    }
    WSPOOL_ASSERT(queued == figures_.queued);
    WSPOOL_ASSERT(count == figures_.links);
}

}  // namespace wspool::link
