#include "app/bench_driver.h"

#include "http/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace wspool::app {

struct Driver::Peer {
    io::StreamId stream;
    State state = State::closed;
    bool is_marked = false;
    bool is_blocked = false;
    // What the last flush handed to the loop, to take back what it did not send.
    bool last_was_once = false;
    std::size_t once_sent = 0;  // of `once`
    std::size_t position = 0;   // in the frame of `run` that is being sent
    std::uint64_t owed = 0;     // bytes of `run`
    const FrameRun* run = nullptr;
    std::size_t last_size = 0;
    std::string once;  // request, joins, pongs
    ReplyReader reader;
    struct Handshake {
        ws::ClientHandshake request;
        std::string head;
        std::size_t scanned = 0;
    };
    std::unique_ptr<Handshake> handshake;
};

Driver::Driver(io::Loop& loop, Entropy& entropy, DriverHandler& handler, Headers headers)
    : loop_(loop), entropy_(entropy), handler_(handler), headers_(std::move(headers)) {}

Driver::~Driver() = default;

Result<PeerIndex> Driver::connect(const Destination& destination) {
    const auto index = static_cast<PeerIndex>(peers_.size());
    peers_.push_back(std::make_unique<Peer>());
    if (auto started = reconnect(index, destination); !started)
        return tl::unexpected(started.error());
    return index;
}

Result<void> Driver::reconnect(PeerIndex index, const Destination& destination) {
    Peer& peer = *peers_[index];
    WSPOOL_ASSERT(peer.state == State::closed);
    auto handshake = std::make_unique<Peer::Handshake>();
    handshake->request.host = destination.host;
    handshake->request.target = destination.target;
    handshake->request.key = ws::make_key(entropy_);
    handshake->request.headers = headers_;
    handshake->request.offer_deflate = false;
    auto request = ws::make_upgrade_request(handshake->request);
    if (!request) return tl::unexpected(request.error());
    io::ConnectOptions options;
    options.source = destination.source;
    const auto stream = loop_.connect(destination.address, index, options);
    if (!stream) return tl::unexpected(stream.error());
    const bool was_marked = peer.is_marked;  // still in the list
    peer = Peer{};
    peer.is_marked = was_marked;
    peer.stream = *stream;
    peer.state = State::connecting;
    peer.once = std::move(*request);
    peer.handshake = std::move(handshake);
    return {};
}

void Driver::close(PeerIndex index) {
    Peer& peer = *peers_[index];
    if (peer.state == State::closed) return;
    peer.state = State::closed;
    loop_.close(peer.stream, io::CloseMode::reset);
}

void Driver::mark(PeerIndex index) {
    Peer& peer = *peers_[index];
    if (peer.is_marked) return;
    peer.is_marked = true;
    marked_.push_back(index);
}

void Driver::send(PeerIndex index, const FrameRun& run, std::uint64_t count) {
    Peer& peer = *peers_[index];
    WSPOOL_ASSERT(peer.run == nullptr || peer.run == &run);
    peer.run = &run;
    peer.owed += count * run.frame_size();
    mark(index);
}

void Driver::send_text(PeerIndex index, std::string_view text) {
    append_masked_frame(peers_[index]->once, ws::Opcode::text, text, entropy_);
    mark(index);
}

void Driver::flush_peer(Peer& peer) {
    const bool has_once = peer.once_sent < peer.once.size();
    ByteView piece;
    peer.last_was_once = has_once && peer.position == 0;
    if (peer.last_was_once) {
        piece = as_bytes(peer.once).subspan(peer.once_sent);
        piece = piece.first(std::min(piece.size(), io::send_size_max));
        peer.once_sent += piece.size();
    } else {
        std::uint64_t size = std::min<std::uint64_t>(peer.owed, io::send_size_max);
        // A pong waits for the end of the frame, not of all that is owed.
        if (has_once) size = std::min<std::uint64_t>(size, peer.run->frame_size() - peer.position);
        piece = peer.run->slice(peer.position, static_cast<std::size_t>(size));
        peer.owed -= size;
        peer.position = (peer.position + static_cast<std::size_t>(size)) % peer.run->frame_size();
    }
    peer.last_size = piece.size();
    loop_.send(peer.stream, std::span(&piece, 1));
}

void Driver::flush() {
    flushing_.clear();
    std::swap(flushing_, marked_);
    for (const PeerIndex index : flushing_) {
        Peer& peer = *peers_[index];
        peer.is_marked = false;
        const bool may_send = peer.state == State::upgrading || peer.state == State::open;
        const bool has_any = peer.owed > 0 || peer.once_sent < peer.once.size();
        if (!may_send || peer.is_blocked || !has_any) continue;
        flush_peer(peer);
        if (peer.owed > 0 || peer.once_sent < peer.once.size()) mark(index);
    }
}

void Driver::settle_short_sends() {
    for (const io::ShortSend& sent : loop_.short_sends()) {
        const auto index = static_cast<PeerIndex>(sent.owner);
        Peer& peer = *peers_[index];
        if (peer.state == State::closed || peer.stream != sent.stream) continue;
        if (sent.error != 0) {
            // Broken. Why, the server may have said before: what can still be received tells, and
            // then its end is reported.
            peer.is_blocked = true;
            continue;
        }
        const std::size_t unsent = peer.last_size - sent.sent;
        if (peer.last_was_once) {
            peer.once_sent -= unsent;
        } else {
            const std::size_t frame = peer.run->frame_size();
            peer.owed += unsent;
            peer.position = (peer.position + frame - unsent % frame) % frame;
        }
        peer.is_blocked = true;
    }
}

void Driver::turn(Instant deadline) {
    flush();
    loop_.wait(marked_.empty() ? deadline : loop_.now());
    settle_short_sends();
    for (const PeerIndex index : flushing_) {
        Peer& peer = *peers_[index];
        if (peer.once_sent == peer.once.size() && !peer.once.empty()) {
            peer.once.clear();
            peer.once_sent = 0;
        }
    }
    io::Event event;
    while (loop_.next_event(event)) on_event(event);
}

void Driver::on_event(const io::Event& event) {
    const auto index = static_cast<PeerIndex>(event.owner);
    Peer& peer = *peers_[index];
    switch (event.kind) {
        case io::EventKind::connected:
            peer.state = State::upgrading;
            mark(index);
            return;
        case io::EventKind::received:
            return on_received(index, event.bytes);
        case io::EventKind::writable:
            peer.is_blocked = false;
            mark(index);
            return;
        case io::EventKind::ended:
            return lose(index, "the server ended the connection");
        case io::EventKind::failed:
            return lose(index,
                        fmt::format("{}: {}",
                                    peer.state == State::connecting ? "connecting failed"
                                                                    : "the connection broke",
                                    std::strerror(event.error)));
        case io::EventKind::accepted:
        case io::EventKind::accept_refused:
        case io::EventKind::accept_paused:
        case io::EventKind::readable:
            return;
    }
}

// True once the head is through; `bytes` is then what follows it.
bool Driver::on_head(PeerIndex index, ByteView& bytes) {
    Peer& peer = *peers_[index];
    Peer::Handshake& handshake = *peer.handshake;
    const std::size_t had = handshake.head.size();
    handshake.head.append(as_text(bytes));
    const auto parsed =
        http::parse_response_head(as_bytes(handshake.head), http::HeadLimits{}, handshake.scanned);
    if (const auto* more = std::get_if<http::NeedMore>(&parsed)) {
        handshake.scanned = more->scanned;
        return false;
    }
    if (const auto* refused = std::get_if<http::Refused>(&parsed)) {
        lose(index, "the answer to the upgrade is not HTTP: " + refused->message);
        return false;
    }
    const auto& head = std::get<http::ResponseHead>(parsed);
    const auto accepted = ws::check_upgrade_response(head.status, head.fields, handshake.request);
    if (!accepted) {
        std::string body = handshake.head.substr(head.size, 200);
        while (!body.empty() && (body.back() == '\n' || body.back() == '\r')) body.pop_back();
        lose(index, accepted.error().message + (body.empty() ? "" : " It said: " + body));
        return false;
    }
    bytes = bytes.subspan(head.size - had);
    peer.handshake.reset();
    peer.state = State::open;
    handler_.on_open(index);
    return true;
}

void Driver::on_received(PeerIndex index, ByteView bytes) {
    Peer& peer = *peers_[index];
    if (peer.state == State::upgrading && !on_head(index, bytes)) return;
    if (peer.state != State::open) return;
    const bool is_fine =
        peer.reader.feed(bytes, [&](ws::Opcode opcode, std::uint64_t size, ByteView payload) {
            if (opcode == ws::Opcode::text || opcode == ws::Opcode::binary) {
                handler_.on_message(index, size, payload);
            } else {
                on_control(index, opcode, payload);
            }
        });
    if (!is_fine) lose(index, "the server sent a frame that breaks the protocol");
}

void Driver::on_control(PeerIndex index, ws::Opcode opcode, ByteView payload) {
    Peer& peer = *peers_[index];
    if (opcode == ws::Opcode::ping) {
        append_masked_frame(peer.once, ws::Opcode::pong, as_text(payload), entropy_);
        mark(index);
    } else if (opcode == ws::Opcode::close) {
        const auto code = payload.size() < 2 ? 1005u
                                             : static_cast<unsigned>(payload[0]) << 8 |
                                                   static_cast<unsigned>(payload[1]);
        const auto text = payload.size() < 2 ? std::string_view() : as_text(payload.subspan(2));
        lose(index, fmt::format("the server closed the connection: {} {}", code, text));
    }
}

void Driver::lose(PeerIndex index, const std::string& why) {
    if (peers_[index]->state == State::closed) return;
    close(index);
    handler_.on_lost(index, why);
}

}  // namespace wspool::app
