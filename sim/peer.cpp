#include "sim/peer.h"

#include "ws/mask.h"

#include <algorithm>
#include <utility>

namespace wspool::sim {

Peer::Peer(SimLoop& loop, Prng& prng, PeerOwner& owner, std::uint64_t loop_owner)
    : loop_(loop), prng_(prng), owner_(owner), loop_owner_(loop_owner) {
    codec_.limits.message_size_max = 1024 * 1024;
    codec_.inflater = &inflater_;
}

void Peer::connect(const io::Address& address, const ws::ClientHandshake& handshake) {
    handshake_ = handshake;
    auto request = ws::make_upgrade_request(handshake);
    WSPOOL_ASSERT(request.has_value());
    connect_raw(address, std::move(*request));
}

void Peer::connect_raw(const io::Address& address, std::string bytes) {
    out_ = std::move(bytes);
    auto stream = loop_.connect(address, loop_owner_);
    WSPOOL_ASSERT(stream.has_value());
    stream_ = *stream;
}

// ---- writing

void Peer::write_frame(std::uint8_t first_byte, std::string_view payload) {
    ws::FrameHeader header;
    header.payload_size = payload.size();
    header.is_masked = true;
    const std::uint64_t mask = prng_.next();
    std::memcpy(header.mask.data(), &mask, header.mask.size());
    std::array<std::byte, ws::frame_header_size_max> head{};
    const std::size_t head_size = ws::write_frame_header(header, head.data());
    head[0] = static_cast<std::byte>(first_byte);
    out_.append(as_text(ByteView(head.data(), head_size)));
    const std::size_t at = out_.size();
    out_.append(payload);
    for (std::size_t i = at; i < out_.size(); ++i) {
        out_[i] = static_cast<char>(static_cast<std::uint8_t>(out_[i]) ^
                                    static_cast<std::uint8_t>(header.mask[(i - at) % 4]));
    }
}

void Peer::write_message(ws::Opcode opcode, std::string_view payload, const FrameStyle& style) {
    ByteBuffer compressed;
    std::uint8_t first = static_cast<std::uint8_t>(opcode);
    if (style.is_compressed && has_deflate_) {
        deflater_.compress(as_bytes(payload), compressed, deflate_bits_);
        payload = as_text(compressed.view());
        first |= 0x40;
    }
    for (int i = 1; i < style.fragments; ++i) {
        const std::size_t size = prng_.below(payload.size() + 1);
        write_frame(first, payload.substr(0, size));
        payload.remove_prefix(size);
        first = 0;
        if (prng_.chance(0.02)) write_control(ws::Opcode::pong, "between fragments");
    }
    write_frame(first | 0x80, payload);
}

void Peer::write_control(ws::Opcode opcode, std::string_view payload) {
    write_frame(static_cast<std::uint8_t>(0x80 | static_cast<std::uint8_t>(opcode)), payload);
}

// ---- turns

bool Peer::wants_turn() const {
    if (state_ == State::gone || !is_connected_ || is_blocked_ || sending_ > 0) return false;
    return !out_.empty() || (shuts_ && !has_shut_);
}

void Peer::flush() {
    if (!wants_turn()) return;
    if (out_.empty()) {
        has_shut_ = true;
        loop_.shutdown_write(stream_);
        return;
    }
    sending_ = std::min(out_.size(), io::send_size_max);
    const ByteView piece = as_bytes(std::string_view(out_).substr(0, sending_));
    loop_.send(stream_, {&piece, 1});
}

void Peer::settle(const io::ShortSend* short_send) {
    std::size_t taken = std::exchange(sending_, 0);
    if (short_send != nullptr) {
        taken = short_send->sent;
        is_blocked_ = true;
    }
    out_.erase(0, taken);
}

void Peer::handle(const io::Event& event) {
    switch (event.kind) {
        case io::EventKind::connected:
            is_connected_ = true;
            state_ = State::answer_awaited;
            return;
        case io::EventKind::received:
            if (state_ == State::open) return read_frames(event.bytes);
            if (state_ == State::answer_awaited) return read_head(event.bytes);
            return;
        case io::EventKind::writable:
            is_blocked_ = false;
            return;
        case io::EventKind::ended:
            return leave(Ending::ended, io::CloseMode::graceful);
        case io::EventKind::failed:
            return leave(Ending::failed, io::CloseMode::reset);
        case io::EventKind::accepted:
        case io::EventKind::accept_refused:
        case io::EventKind::accept_paused:
        case io::EventKind::readable:
            WSPOOL_UNREACHABLE();
    }
}

void Peer::leave(Ending ending, io::CloseMode mode) {
    was_disturbed_ = loop_.was_disturbed(stream_);
    state_ = State::gone;
    loop_.close(stream_, mode);
    owner_.on_gone(ending);
}

void Peer::close(io::CloseMode mode) {
    if (state_ != State::gone) leave(Ending::by_us, mode);
}

void Peer::stop_reading() {
    if (state_ != State::gone) loop_.pause(stream_);
}

void Peer::resume_reading() {
    if (state_ != State::gone) loop_.resume(stream_);
}

// ---- reading

void Peer::read_head(MutableBytes bytes) {
    head_.append(as_text(bytes));
    const auto answer = http::parse_response_head(as_bytes(head_), http::HeadLimits{});
    if (std::holds_alternative<http::NeedMore>(answer)) return;
    if (const auto* refused = std::get_if<http::Refused>(&answer)) {
        return owner_.on_bad_server("its answer is no HTTP: " + refused->message);
    }
    const auto& response = std::get<http::ResponseHead>(answer);
    if (response.status != 101) {
        state_ = State::refused;
        return owner_.on_refused(response.status);
    }
    const auto accepted = ws::check_upgrade_response(response.status, response.fields, handshake_);
    if (!accepted) return owner_.on_bad_server(accepted.error().message);
    has_deflate_ = accepted->deflate.has_value();
    if (has_deflate_) deflate_bits_ = accepted->deflate->client_max_window_bits;
    connection_ = ws::Connection(ws::Role::client, has_deflate_);
    state_ = State::open;
    std::string rest = head_.substr(response.size);
    owner_.on_open();
    if (!rest.empty()) {
        read_frames({reinterpret_cast<std::byte*>(rest.data()), rest.size()});
    }
}

void Peer::read_frames(MutableBytes bytes) {
    while (state_ == State::open) {
        const ws::Event event = connection_.read(bytes, codec_);
        switch (event.kind) {
            case ws::EventKind::none:
                return;
            case ws::EventKind::message:
                if (has_close_frame_)
                    return owner_.on_bad_server("a message after its close frame");
                owner_.on_message(event.opcode, as_text(event.payload));
                break;
            case ws::EventKind::ping:
                if (!is_silent_ && !shuts_) write_control(ws::Opcode::pong, as_text(event.payload));
                break;
            case ws::EventKind::pong:
                owner_.on_pong(as_text(event.payload));
                break;
            case ws::EventKind::close:
                has_close_frame_ = true;
                owner_.on_close_frame(event.code);
                break;
            case ws::EventKind::failed:
                return owner_.on_bad_server("a bad frame: " + std::string(ws::name(event.failure)));
        }
    }
}

}  // namespace wspool::sim
