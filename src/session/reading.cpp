// Frames in: from the bytes of one receive to events, and the answers the protocol itself demands.
#include "session/engine_state.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace wspool::session {
namespace {

struct Walked {
    std::uint64_t size;
    bool is_close;
};

// The client's frame that begins at `at`; nothing before its head is there. What is wrong with it
// is found when it is read.
[[nodiscard]] std::optional<Walked> frame_at(ByteView bytes, std::uint64_t at) {
    constexpr std::uint64_t mask_size = 4;
    const auto byte = [&](std::uint64_t i) {
        return std::to_integer<std::uint64_t>(bytes[at + i]);
    };
    if (at + 2 > bytes.size()) return std::nullopt;
    std::uint64_t head = 2;
    std::uint64_t size = byte(1) & 0x7F;
    if (size >= 126) {
        const std::uint64_t length_size = size == 126 ? 2 : 8;
        head += length_size;
        if (at + head > bytes.size()) return std::nullopt;
        size = 0;
        for (std::uint64_t i = 0; i < length_size; ++i) size = size << 8 | byte(2 + i);
        if (size > std::uint64_t{1} << 62) return std::nullopt;
    }
    constexpr std::uint64_t close_opcode = 8;
    return Walked{head + mask_size + size, (byte(0) & 0x0F) == close_opcode};
}

}  // namespace

void Engine::State::set_input(Session& session, MutableBytes bytes) {
    WSPOOL_ASSERT(input.empty());
    reading = id_of(session);
    input = bytes;
}

// Reads on in `input` until there is an event for the caller (true) or nothing is left (false).
bool Engine::State::read(Event& event) {
    for (;;) {
        Session* session = find(reading);
        if (session == nullptr ||
            (session->phase != Phase::open && session->phase != Phase::closing)) {
            input = {};
            return false;
        }
        const bool owns_inflater = session->extra && session->extra->inflater;
        codec.inflater = owns_inflater ? session->extra->inflater.get() : &inflater;
        const ws::Event frame = session->connection.read(input, codec);
        if (frame.kind == ws::EventKind::none) {
            input = {};
            if (session->extra && !session->extra->head.empty()) {
                session->extra->head.release();
                drop_spent_extra(*session);
            }
            note_progress(*session);
            return false;
        }
        if (on_frame_event(*session, frame, event)) return true;
    }
}

// ---- pausing

// Bytes that were received already wait in the session; those behind them in the socket.
void Engine::State::pause(Session& session) {
    if (session.is_paused || session.phase != Phase::open) return;
    session.is_paused = true;
    Extra& more = extra(session);
    more.paused_since = tick;
    if (!session.is_throttled) loop.pause(session.stream);
    if (input.empty() || reading != id_of(session)) return;
    WSPOOL_ASSERT(more.unread.empty());
    more.unread.append(input);
    input = {};
}

// A held session is received from all the same, so that its end is seen: who waits for something is
// to be forgotten when it goes.
void Engine::State::hold(Session& session) {
    if (session.is_paused || session.phase != Phase::open) return;
    session.is_paused = true;
    session.is_held = true;
    Extra& more = extra(session);
    more.paused_since = tick;
    more.walked = 0;
    ByteView bytes{};
    if (reading == id_of(session)) bytes = std::exchange(input, {});
    on_held_bytes(session, bytes);  // also what came behind the request
}

void Engine::State::on_held_bytes(Session& session, ByteView bytes) {
    Extra& more = *session.extra;
    more.unread.append(bytes);
    const ByteView said = more.unread.view();
    while (const auto frame = frame_at(said, more.walked)) {
        if (frame->is_close) return on_peer_close(session, ws::CloseCode::normal, {});
        more.walked += frame->size;
    }
    if (said.size() >= hold_size_max && !session.is_throttled) loop.pause(session.stream);
}

void Engine::State::resume(Session& session) {
    if (!session.is_paused) return;
    session.is_paused = false;
    session.is_held = false;
    const Tick stood = tick - session.extra->paused_since;
    session.received_at += stood;
    for (Tick* since : {&session.frame_since, &session.message_since, &session.ping_sent_at}) {
        if (*since != 0) *since += stood;
    }
    if (!session.is_throttled) loop.resume(session.stream);
    if (!session.extra->unread.empty()) {
        note_unread(session);
    } else {
        drop_spent_extra(session);
    }
    arm(session);
}

// An idle session costs no buffer. A client's may hold its handshake and its inflater.
void Engine::State::drop_spent_extra(Session& session) {
    const Extra& more = *session.extra;
    if (session.is_client || session.is_paused || more.has_pong) return;
    if (more.head.empty() && more.unread.empty() && more.response.empty()) session.extra.reset();
}

void Engine::State::note_unread(Session& session) {
    unread.push_back(id_of(session));
    has_chores = true;
}

// The session was adopted with its request, or resumed behind a message; it may have ended, or been
// paused again, since.
bool Engine::State::read_unread(SessionId id, Event& event) {
    Session* session = find(id);
    if (session == nullptr || session->is_paused || !session->extra) return false;
    if (session->phase == Phase::request) return on_request_bytes(*session, {}, event);
    if (session->phase != Phase::open && session->phase != Phase::closing) return false;
    unread_input = ByteBuffer(std::move(session->extra->unread));
    drop_spent_extra(*session);
    set_input(*session, unread_input.bytes());
    return false;
}

bool Engine::State::on_frame_event(Session& session, const ws::Event& frame, Event& event) {
    switch (frame.kind) {
        case ws::EventKind::message:
            if (session.phase != Phase::open) return false;  // we closed; RFC 6455 section 1.4
            ++counters.messages_received;
            event.kind = EventKind::message;
            event.session = id_of(session);
            event.tag = session.tag;
            event.opcode = frame.opcode;
            // By its halves: copied whole, the pair would be loaded as one word of 16 bytes right
            // behind the two stores that made it, which no processor forwards.
            event.payload = MutableBytes(frame.payload.data(), frame.payload.size());
            session.frame_since = 0;
            session.message_since = 0;
            return true;
        case ws::EventKind::ping:
            on_ping(session, frame.payload);
            return false;
        case ws::EventKind::pong:
            return on_pong(session, event);
        case ws::EventKind::close:
            on_peer_close(session, frame.code, frame.payload);
            return false;
        case ws::EventKind::failed:
            on_failure(session, frame.failure);
            return false;
        case ws::EventKind::none:
            return false;
    }
    return false;
}

// Only the last ping needs its pong (RFC 6455 section 5.5.3): while blocked, one pong waits,
// whatever comes.
void Engine::State::on_ping(Session& session, ByteView payload) {
    if (!charge_control(session)) return;
    if (session.phase != Phase::open) return;
    if (session.is_blocked) {
        Extra& more = extra(session);
        more.pong.clear();
        more.pong.append(payload);
        more.has_pong = true;
        return;
    }
    send_control(session, ws::Opcode::pong, payload);
}

// A pong nobody asked for is no more than a sign of life (RFC 6455 section 5.5.3).
bool Engine::State::on_pong(Session& session, Event& event) {
    if (!charge_control(session) || !session.wants_pong) return false;
    session.wants_pong = false;
    // It may have come in pieces, and read() may not come back here while there is no more input.
    note_progress(session);
    event.kind = EventKind::pong;
    event.session = id_of(session);
    event.tag = session.tag;
    return true;
}

// Takes one token for a control frame of the peer; without one left the session is closed.
bool Engine::State::charge_control(Session& session) {
    if (options.control_frames_per_second == 0) return true;
    const std::uint64_t passed = std::min<Tick>(tick - session.control_at, 1'000'000);
    const std::uint64_t earned =
        passed * options.control_frames_per_second * 4295 / 1000;  // 2^24 ns × 256
    const std::uint64_t full = std::uint64_t{options.control_frames_burst} * 256;
    session.control_at = tick;
    session.control_tokens =
        static_cast<std::uint16_t>(std::min(full, session.control_tokens + earned));
    if (session.control_tokens >= 256) {
        session.control_tokens = static_cast<std::uint16_t>(session.control_tokens - 256);
        return true;
    }
    if (session.phase == Phase::open) {
        fail_open(session,
                  ws::CloseCode::policy,
                  "too many control frames",
                  metrics::CloseReason::control_rate);
    }
    return false;
}

// Starts and stops the clocks of unfinished frames and messages. A frame's clock runs from its
// first byte to its last, whatever arrives in between.
void Engine::State::note_progress(Session& session) {
    const ws::Progress progress = session.connection.progress();
    if (progress == ws::Progress::idle) {
        session.frame_since = 0;
        session.message_since = 0;
        return;
    }
    if (progress == ws::Progress::in_message) {
        session.frame_since = 0;
        if (session.message_since == 0) session.message_since = tick;
    } else if (session.frame_since == 0) {
        session.frame_since = tick;
    }
    arm(session);
}

}  // namespace wspool::session
