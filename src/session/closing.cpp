// Ends: closing handshakes, lost peers, deadlines, and the release of a session.
#include "session/engine_state.h"
#include "ws/close.h"

#include <algorithm>

namespace wspool::session {
namespace {

using metrics::CloseReason;

[[nodiscard]] CloseReason close_reason(ws::Failure failure) {
    switch (failure) {
        case ws::Failure::bad_mask:
            return CloseReason::bad_mask;
        case ws::Failure::bad_reserved_bits:
            return CloseReason::bad_reserved_bits;
        case ws::Failure::bad_opcode:
            return CloseReason::bad_opcode;
        case ws::Failure::bad_control_frame:
            return CloseReason::bad_control_frame;
        case ws::Failure::bad_continuation:
            return CloseReason::bad_continuation;
        case ws::Failure::bad_length:
            return CloseReason::bad_length;
        case ws::Failure::bad_close_frame:
            return CloseReason::bad_close_frame;
        case ws::Failure::bad_utf8:
            return CloseReason::bad_utf8;
        case ws::Failure::bad_deflate:
            return CloseReason::bad_deflate;
        case ws::Failure::too_big:
            return CloseReason::too_big;
        case ws::Failure::inflated_too_big:
            return CloseReason::inflated_too_big;
        case ws::Failure::too_many_fragments:
            return CloseReason::too_many_fragments;
        case ws::Failure::none:
            break;
    }
    WSPOOL_UNREACHABLE();
}

}  // namespace

void Engine::State::change_phase(Session& session, Phase phase) {
    const Phase from = session.phase;
    if (from == Phase::judging && phase != Phase::open && session.extra &&
        !session.extra->response.empty()) {
        session.extra->response = {};
        abandoned.push_back(id_of(session));
        has_chores = true;
    }
    if (session.is_put_off) {
        session.is_put_off = false;
        abandoned.push_back(id_of(session));
        has_chores = true;
    }
    switch (phase) {
        case Phase::connecting:
        case Phase::request:
            WSPOOL_ASSERT(from == Phase::released);
            break;
        case Phase::judging:
            WSPOOL_ASSERT(from == Phase::request);
            break;
        case Phase::response:
            WSPOOL_ASSERT(from == Phase::connecting);
            break;
        case Phase::open:
            WSPOOL_ASSERT(from == Phase::judging || from == Phase::response);
            break;
        case Phase::closing:
            WSPOOL_ASSERT(from == Phase::open);
            break;
        case Phase::lingering:
            WSPOOL_ASSERT(from != Phase::released && from != Phase::lingering);
            break;
        case Phase::released:
            WSPOOL_ASSERT(from != Phase::released);
            break;
    }
    session.phase = phase;
    session.phase_since = tick;
}

// -------------------------------------------------------------------------------------------
// closing

void Engine::State::close(Session& session,
                          ws::CloseCode code,
                          std::string_view reason_text,
                          CloseReason reason) {
    if (session.phase != Phase::open) return;
    send_close(session, code, reason_text);
    change_phase(session, Phase::closing);
    report_closed(session, reason, code, reason_text);
    throttle(session);
    resume(session);  // the peer's half of the closing is to be seen
    arm(session);
}

void Engine::State::send_close(Session& session, ws::CloseCode code, std::string_view reason_text) {
    std::array<std::byte, ws::control_payload_size_max> payload;
    std::size_t size = 0;
    if (code != ws::CloseCode::none && code != ws::CloseCode::no_status) {
        const auto number = static_cast<std::uint16_t>(code);
        payload[0] = static_cast<std::byte>(number >> 8);
        payload[1] = static_cast<std::byte>(number & 0xFF);
        const std::string_view fitting = ws::fit_close_reason(reason_text);
        std::copy_n(as_bytes(fitting).begin(), fitting.size(), payload.begin() + 2);
        size = 2 + fitting.size();
    }
    send_control(session, ws::Opcode::close, std::span(payload).first(size));
}

// Tells the caller that a session that was opened is open no more. Once per session.
void Engine::State::report_closed(Session& session,
                                  CloseReason reason,
                                  ws::CloseCode code,
                                  std::string_view reason_text) {
    if (!session.is_counted) return;
    session.is_counted = false;
    --counters.connections;
    counters.add(reason);
    closed.push_back({id_of(session), session.tag, reason, code, std::string(reason_text)});
}

void Engine::State::on_peer_close(Session& session, ws::CloseCode code, ByteView reason_text) {
    if (session.phase == Phase::open) {
        send_close(session, code, {});
        report_closed(session, CloseReason::by_peer, code, as_text(reason_text));
    }
    linger(session, !session.is_client);
}

void Engine::State::on_failure(Session& session, ws::Failure failure) {
    if (session.phase == Phase::open) {
        fail_open(session, ws::close_code(failure), ws::name(failure), close_reason(failure));
    } else {
        linger(session, true);
    }
}

// Ends an open session without waiting for the peer's half of the closing handshake (RFC 6455
// section 7.1.7).
void Engine::State::fail_open(Session& session,
                              ws::CloseCode code,
                              std::string_view reason_text,
                              CloseReason reason) {
    send_close(session, code, reason_text);
    report_closed(session, reason, code, reason_text);
    linger(session, true);
}

// The peer has sent its FIN.
void Engine::State::on_ended(Session& session) {
    session.has_ended = true;
    switch (session.phase) {
        case Phase::open:
            report_closed(session, CloseReason::peer_lost, ws::CloseCode::abnormal, {});
            linger(session, true);
            return;
        case Phase::closing:
            linger(session, true);
            return;
        case Phase::request:
            counters.add(metrics::RejectReason::peer_lost);
            release(session, io::CloseMode::graceful);
            return;
        case Phase::connecting:
        case Phase::response:
            client_failures.push_back({id_of(session),
                                       session.tag,
                                       "the server closed the connection during the handshake"});
            release(session, io::CloseMode::graceful);
            return;
        case Phase::lingering:
            finish_lingering(session);
            return;
        case Phase::judging:
        case Phase::released:
            return;
    }
}

// The stream is broken in both directions; `sentence` says why where the loop knows.
void Engine::State::on_lost(Session& session, std::string_view sentence) {
    if (session.phase == Phase::request || session.phase == Phase::judging) {
        counters.add(metrics::RejectReason::peer_lost);
    }
    if (session.phase == Phase::connecting || session.phase == Phase::response) {
        if (sentence.empty()) sentence = "the connection was reset during the handshake";
        client_failures.push_back({id_of(session), session.tag, std::string(sentence)});
    }
    report_closed(session, CloseReason::peer_lost, ws::CloseCode::abnormal, {});
    release(session, io::CloseMode::reset);
}

void Engine::State::linger(Session& session, bool shuts_write) {
    change_phase(session, Phase::lingering);
    session.shuts_write = shuts_write;
    if (session.is_throttled || session.is_paused) {
        // Read again: the peer's end is waited for, and what it says before is thrown away.
        session.is_throttled = false;
        session.is_paused = false;
        session.is_held = false;
        loop.resume(session.stream);
    }
    arm(session);
    if (session.outbox == nullptr) finish_lingering(session);
}

void Engine::State::finish_lingering(Session& session) {
    // To be flushed first; a stream that is blocked holds bytes of ours even when all were taken.
    if (session.outbox != nullptr || session.is_blocked) return;
    if (session.has_ended) {
        release(session, io::CloseMode::graceful);
    } else if (session.shuts_write) {
        session.shuts_write = false;
        loop.shutdown_write(session.stream);
    }
}

void Engine::State::release(Session& session, io::CloseMode mode) {
    loop.close(session.stream, mode);
    forget(session);
}

void Engine::State::forget(Session& session) {
    const std::uint32_t index = session.index;
    drop_outbox(session);
    if (session.was_opened) released.push_back({id_of(session), session.tag});
    wheel.cancel(index);
    const std::uint32_t generation = (session.generation + 1) & ((1u << 30) - 1);
    change_phase(session, Phase::released);
    // The queue entries of this index stay; they are passed over because `queue` says none.
    session = Session{};
    session.generation = generation;
    pool.give_back(index);
}

// -----------------------------------------------------------------------------------------
// deadlines

// When something about this session becomes due, whatever happens until then.
Tick Engine::State::next_due(const Session& session) const {
    switch (session.phase) {
        case Phase::connecting:
        case Phase::request:
        case Phase::response:
        case Phase::judging:
            return session.phase_since + to_ticks(options.handshake_timeout);
        case Phase::closing:
        case Phase::lingering:
            return session.phase_since + to_ticks(options.close_timeout);
        case Phase::open:
        case Phase::released:
            break;
    }
    Tick due =
        tick + to_ticks(std::chrono::hours(1));  // nothing: looked at now and then all the same
    const auto at = [&](Tick candidate) {
        if (static_cast<std::int32_t>(candidate - due) < 0) due = candidate;
    };
    // While the caller does not let it be read, nothing can be held against a peer but that it does
    // not read itself.
    if (session.frame_since != 0 && !session.is_paused) {
        at(session.frame_since + to_ticks(options.frame_timeout));
    }
    if (session.message_since != 0 && !session.is_paused) {
        at(session.message_since + to_ticks(options.message_timeout));
    }
    if (session.is_blocked) {
        at(session.blocked_since + to_ticks(options.write_timeout));
    } else if (session.is_paused) {
        return due;
    } else if (session.ping_sent_at != 0) {
        at(session.ping_sent_at + to_ticks(options.pong_timeout));
    } else if (options.ping_interval.count() > 0) {
        // ± 10 %, fixed per session, so that sessions opened together do not ping together.
        const auto interval = static_cast<std::int64_t>(to_ticks(options.ping_interval));
        const std::int64_t spread =
            static_cast<std::int64_t>((session.index * 2654435761u) >> 16) % 2049 - 1024;
        at(session.received_at +
           static_cast<Tick>(std::max<std::int64_t>(1, interval + interval * spread / 10240)));
    }
    return due;
}

// The wheel holds a time not later than the next due; firing early only means looking again.
void Engine::State::arm(Session& session) {
    const Tick due = next_due(session);
    if (session.timer.is_linked() && static_cast<std::int32_t>(session.timer.due - due) <= 0)
        return;
    wheel.schedule(session.index, due);
}

void Engine::State::on_deadline(std::uint32_t index) {
    Session& session = sessions[index];
    if (session.phase == Phase::released || session.timer.is_linked()) return;
    if (!is_past(next_due(session))) {
        arm(session);
        return;
    }
    switch (session.phase) {
        case Phase::connecting:
        case Phase::request:
        case Phase::response:
            on_handshake_deadline(session);
            return;
        case Phase::closing:
        case Phase::lingering:
            // What the peer has not taken or answered by now it is not waiting for.
            ++counters.close_timeouts;
            release(session, io::CloseMode::reset);
            return;
        case Phase::open:
            on_open_deadline(session);
            return;
        case Phase::judging:  // deferred: others are judged within one event
            refuse(session,
                   503,
                   "This server could not decide in time; try again.\n",
                   metrics::RejectReason::timeout,
                   "Retry-After: 1\r\n");
            return;
        case Phase::released:
            return;
    }
}

void Engine::State::on_handshake_deadline(Session& session) {
    if (session.phase == Phase::request) {
        refuse(session,
               408,
               "The request was not complete in time.\n",
               metrics::RejectReason::timeout,
               {});
        return;
    }
    client_failures.push_back(
        {id_of(session), session.tag, "the server did not complete the handshake in time"});
    release(session, io::CloseMode::reset);
}

void Engine::State::on_open_deadline(Session& session) {
    const auto passed = [&](Tick since, Duration limit) {
        return since != 0 && !session.is_paused && is_past(since + to_ticks(limit));
    };
    if (passed(session.frame_since, options.frame_timeout) ||
        passed(session.message_since, options.message_timeout)) {
        fail_open(session,
                  ws::CloseCode::policy,
                  "message not finished in time",
                  CloseReason::partial_timeout);
        return;
    }
    if (session.is_blocked) {
        report_closed(session, CloseReason::write_timeout, ws::CloseCode::abnormal, {});
        release(session, io::CloseMode::reset);
        return;
    }
    if (session.is_paused) return arm(session);
    if (passed(session.ping_sent_at, options.pong_timeout)) {
        close(session, ws::CloseCode::going_away, "no answer to a ping", CloseReason::pong_timeout);
        return;
    }
    if (options.ping_interval.count() > 0) {
        session.ping_sent_at = tick;
        send_control(session, ws::Opcode::ping, {});
    }
    arm(session);
}

}  // namespace wspool::session
