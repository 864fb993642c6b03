// Opening handshakes, either role: from the first bytes of a head to an open session or a refusal.
#include "session/engine_state.h"

#include <algorithm>

namespace wspool::session {
namespace {

[[nodiscard]] std::uint64_t session_owner(const Session& session) {
    return std::uint64_t{session.generation} << 32 | session.index;
}

[[nodiscard]] metrics::RejectReason reject_reason(std::string_view label) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(metrics::RejectReason::count_); ++i) {
        const auto reason = static_cast<metrics::RejectReason>(i);
        if (metrics::name(reason) == label) return reason;
    }
    return metrics::RejectReason::malformed;
}

}  // namespace

std::uint32_t Engine::State::make_session(io::StreamId stream, bool is_client, Phase phase) {
    const std::uint32_t index = pool.take();
    sessions.grow_to(index);
    Session& session = sessions[index];
    WSPOOL_ASSERT(session.phase == Phase::released);
    session.index = index;
    session.stream = stream;
    session.is_client = is_client;
    session.received_at = tick;
    change_phase(session, phase);
    loop.set_owner(stream, session_owner(session));
    arm(session);
    return index;
}

Result<SessionId> Engine::State::adopt(int fd, ByteView bytes, const AdoptOptions& how) {
    const auto stream = loop.adopt(fd, 0);
    if (!stream) return tl::unexpected(stream.error());
    Session& session = sessions[make_session(*stream, false, Phase::request)];
    session.tag = how.tag;
    session.phase_since -= std::min(to_ticks(how.waited), to_ticks(options.handshake_timeout)) - 1;
    arm(session);
    if (!bytes.empty()) {
        extra(session).head.append(bytes);
        note_unread(session);
    }
    return id_of(session);
}

Result<Released> Engine::State::give_away(Session& session) {
    WSPOOL_ASSERT(session.phase == Phase::judging && session.outbox == nullptr);
    const auto fd = loop.release(session.stream);
    if (!fd) return tl::unexpected(fd.error());
    Released result;
    result.fd = *fd;
    result.bytes.append(judged_bytes);
    result.waited = to_duration(tick - judged_accepted);
    judged = SessionId{};
    if (session.extra) judged_head = std::move(session.extra->head);
    forget(session);
    return result;
}

bool Engine::State::on_request_bytes(Session& session, MutableBytes bytes, Event& event) {
    ByteBuffer* held =
        session.extra && !session.extra->head.empty() ? &session.extra->head : nullptr;
    MutableBytes head = bytes;
    std::size_t scanned = 0;
    if (held != nullptr) {
        held->append(bytes);
        // A body that comes byte by byte costs no look at the head for each of them.
        if (held->size() < session.extra->awaited) return false;
        head = held->bytes();
        scanned = session.extra->scanned;
    }
    parsed = http::parse_request_head(head, options.head, scanned);
    if (const auto* more = std::get_if<http::NeedMore>(&parsed)) {
        if (held == nullptr) extra(session).head.append(bytes);
        session.extra->scanned = more->scanned;
        return false;
    }
    if (const auto* refused = std::get_if<http::Refused>(&parsed)) {
        refuse(session, refused->status, refused->message, reject_reason(refused->reason), {});
        return false;
    }
    const auto& request = std::get<http::RequestHead>(parsed);
    session.is_head = request.method == "HEAD";
    if (head.size() < request.size + request.body_size) {
        await_body(session, held == nullptr ? bytes : MutableBytes(), request);
        return false;
    }
    judged_bytes = head;
    behind_head = head.subspan(request.size);
    return judge_request(session, event);
}

// `bytes` are those that are not kept yet. Whoever waits for leave to send its body gets it: a
// body that is not wanted was refused by its head.
void Engine::State::await_body(Session& session,
                               MutableBytes bytes,
                               const http::RequestHead& request) {
    if (equals_ignoring_case(request.field("Expect"), "100-continue")) {
        push_raw(session, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    Extra& more = extra(session);
    more.awaited = request.size + request.body_size;
    more.head.append(bytes);
}

bool Engine::State::judge_request(Session& session, Event& event) {
    const auto& request = std::get<http::RequestHead>(parsed);
    auto checked = ws::check_upgrade(request.method, request.fields, options.allow_deflate);
    event.session = id_of(session);
    event.tag = session.tag;
    event.request = &request;
    if (!checked) {
        const ws::Refusal& refusal = checked.error();
        const bool is_plain = refusal.status == 426 && refusal.reason == "upgrade";
        if (!is_plain) {
            refuse(session,
                   refusal.status,
                   refusal.message,
                   reject_reason(refusal.reason),
                   refusal.extra);
            return false;
        }
        event.kind = EventKind::plain;
        event.payload = behind_head.first(request.body_size);
    } else {
        upgrade = std::move(*checked);
        event.kind = EventKind::opening;
        event.upgrade = &upgrade;
    }
    judged_accepted = session.phase_since;
    change_phase(session, Phase::judging);
    judged = event.session;
    return true;
}

void Engine::State::prepare_connection(Session& session) {
    session.connection = ws::Connection(ws::Role::server, upgrade.deflate.has_value());
    if (upgrade.deflate)
        session.deflate_bits = static_cast<std::uint8_t>(upgrade.deflate->server_max_window_bits);
}

// The views of the event point into the head until the next event: it is moved, not freed.
void Engine::State::defer(Session& session, std::string_view subprotocol) {
    prepare_connection(session);
    Extra& more = extra(session);
    more.unread.append(behind_head);
    more.response = ws::make_upgrade_response(upgrade, subprotocol);
    set_aside(session);
}

void Engine::State::put_off(Session& session) {
    session.is_put_off = true;
    set_aside(session);
}

void Engine::State::set_aside(Session& session) {
    WSPOOL_ASSERT(session.phase == Phase::judging && judged == id_of(session));
    judged = SessionId{};
    Extra& more = extra(session);
    more.paused_since = tick;
    judged_head = std::move(more.head);
    session.is_paused = true;
    loop.pause(session.stream);
}

void Engine::State::accept(Session& session, std::string_view subprotocol, std::uint64_t tag) {
    WSPOOL_ASSERT(session.phase == Phase::judging);
    const bool was_deferred = session.extra && !session.extra->response.empty();
    if (was_deferred) {
        push_raw(session, session.extra->response);
        session.extra->response = {};
    } else {
        judged = SessionId{};
        push_raw(session, ws::make_upgrade_response(upgrade, subprotocol));
        prepare_connection(session);
    }
    session.tag = tag;
    session.is_counted = true;
    ++counters.connections_opened;
    counters.connections_peak = std::max(counters.connections_peak, ++counters.connections);
    change_phase(session, Phase::open);
    session.control_tokens = static_cast<std::uint16_t>(options.control_frames_burst * 256);
    session.control_at = tick;
    if (was_deferred) {
        resume(session);
        return;
    }
    arm(session);
    if (!behind_head.empty()) {
        set_input(session, behind_head);
    } else if (session.extra) {
        judged_head = std::move(session.extra->head);
        session.extra.reset();
    }
}

void Engine::State::refuse(Session& session,
                           int status,
                           std::string_view body,
                           metrics::RejectReason reason,
                           std::string_view headers) {
    counters.add(reason);
    finish_with_response(session, http::make_response(status, body, headers));
}

void Engine::State::finish_with_response(Session& session, std::string_view response) {
    if (judged == id_of(session)) judged = SessionId{};
    if (session.is_head) response = response.substr(0, response.find("\r\n\r\n") + 4);
    push_raw(session, response);
    linger(session, true);
}

bool Engine::State::on_connected(Session& session, Event& event) {
    auto request = ws::make_upgrade_request(session.extra->handshake);
    if (!request) return fail_client(session, request.error().message, event);
    push_raw(session, *request);
    change_phase(session, Phase::response);
    arm(session);
    return false;
}

bool Engine::State::on_response_bytes(Session& session, MutableBytes bytes, Event& event) {
    Extra& more = extra(session);
    more.head.append(bytes);
    const auto answer = http::parse_response_head(more.head.view(), options.head, more.scanned);
    if (const auto* need = std::get_if<http::NeedMore>(&answer)) {
        more.scanned = need->scanned;
        return false;
    }
    if (const auto* refused = std::get_if<http::Refused>(&answer)) {
        return fail_client(session, "the server's answer is no HTTP: " + refused->message, event);
    }
    const auto& response = std::get<http::ResponseHead>(answer);
    auto accepted = ws::check_upgrade_response(response.status, response.fields, more.handshake);
    if (!accepted) {
        // A refusal's body says why; what came with the head of it is enough for a sentence.
        constexpr std::size_t shown_max = 200;
        std::string sentence = accepted.error().message;
        auto body = as_text(more.head.view().subspan(response.size)).substr(0, shown_max);
        while (!body.empty() && (body.back() == '\n' || body.back() == '\r')) body.remove_suffix(1);
        if (!body.empty()) sentence.append(" It said: ").append(body);
        return fail_client(session, std::move(sentence), event);
    }

    session.connection = ws::Connection(ws::Role::client, accepted->deflate.has_value());
    if (accepted->deflate)
        session.deflate_bits = static_cast<std::uint8_t>(accepted->deflate->client_max_window_bits);
    if (accepted->deflate && !accepted->deflate->server_no_context_takeover) {
        more.inflater = std::make_unique<ws::Inflater>(true);
    }
    session.is_counted = true;
    session.was_opened = true;
    ++counters.connections_opened;
    counters.connections_peak = std::max(counters.connections_peak, ++counters.connections);
    change_phase(session, Phase::open);
    session.control_tokens = static_cast<std::uint16_t>(options.control_frames_burst * 256);
    session.control_at = tick;
    arm(session);
    set_input(session, more.head.bytes().subspan(response.size));
    event.kind = EventKind::opened;
    event.session = id_of(session);
    event.tag = session.tag;
    text = std::move(accepted->subprotocol);
    event.text = text;
    return true;
}

bool Engine::State::fail_client(Session& session, std::string sentence, Event& event) {
    event.kind = EventKind::failed;
    event.session = id_of(session);
    event.tag = session.tag;
    text = std::move(sentence);
    event.text = text;
    release(session, io::CloseMode::graceful);
    return true;
}

}  // namespace wspool::session
