// The engine's turn, what the loop reports, and the opening handshakes. Frames are in reading.cpp
// and writing.cpp, ends and deadlines in closing.cpp.
#include "session/engine.h"

#include "session/engine_state.h"

#include <algorithm>

namespace wspool::session {
namespace {

// What an io owner value stands for: the kind in the top two bits.
constexpr std::uint64_t owner_kind_mask = std::uint64_t{3} << 62;
constexpr std::uint64_t owner_session = 0;
constexpr std::uint64_t owner_watch = std::uint64_t{1} << 62;
constexpr std::uint64_t owner_listener = std::uint64_t{2} << 62;
constexpr std::uint32_t generation_mask = (1u << 30) - 1;

[[nodiscard]] std::uint64_t session_owner(const Session& session) {
    return owner_session | std::uint64_t{session.generation} << 32 | session.index;
}

[[nodiscard]] metrics::RejectReason reject_reason(std::string_view label) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(metrics::RejectReason::count_); ++i) {
        const auto reason = static_cast<metrics::RejectReason>(i);
        if (metrics::name(reason) == label) return reason;
    }
    return metrics::RejectReason::malformed;
}

}  // namespace

Engine::State::State(io::Loop& loop_in,
                     const EngineOptions& options_in,
                     Entropy& entropy_in,
                     metrics::Counters& counters_in)
    : loop(loop_in),
      options(options_in),
      entropy(entropy_in),
      counters(counters_in),
      wheel(NodeOf{&sessions}, tick_of(loop_in.now())),
      tick(tick_of(loop_in.now())),
      jitter(entropy_in.next_u64()) {
    codec.limits = options.limits;
    codec.inflater = &inflater;
    options.control_frames_burst = std::min(options.control_frames_burst, 255u);
}

// ----------------------------------------------------------------------------------------------
// turn

void Engine::State::wait(Instant deadline) {
    WSPOOL_ASSERT(judged.index == UINT32_MAX);  // an opening was neither accepted nor refused
    flush();
    const bool has_more = !replies.empty() || !fanout.empty() || !closed.empty() ||
                          !client_failures.empty() || !released.empty();
    if (has_more || needs_settling || !input.empty()) {
        deadline = Instant::min();
    } else if (wheel.size() > 0) {
        deadline = std::min(deadline, start_of(wheel.now() + wheel.ticks_to_next()));
    }
    loop.wait(deadline);
    tick = tick_of(loop.now());
    timers_ran = false;
    settle();
    release_arenas();
    ++turn;
}

// When tick `due` begins; relative to the current one, as ticks wrap.
Instant Engine::State::start_of(Tick due) const {
    const std::int64_t now = loop.now().time_since_epoch().count() >> 24;
    const auto ahead = static_cast<std::int32_t>(due - tick_of(loop.now()));
    return Instant(Duration((now + ahead) * (std::int64_t{1} << 24)));
}

bool Engine::State::next(Event& event) {
    WSPOOL_ASSERT(judged.index == UINT32_MAX);
    for (;;) {
        if (!input.empty()) {
            if (read(event)) return true;
            continue;
        }
        if (!closed.empty()) {
            reported = std::move(closed.front());
            closed.pop_front();
            event.kind = EventKind::closed;
            event.session = reported.session;
            event.tag = reported.tag;
            event.reason = reported.reason;
            event.code = reported.code;
            event.text = reported.text;
            return true;
        }
        if (!client_failures.empty()) {
            event.kind = EventKind::failed;
            event.session = client_failures.front().session;
            event.tag = client_failures.front().tag;
            text = std::move(client_failures.front().sentence);
            event.text = text;
            client_failures.pop_front();
            return true;
        }
        if (!released.empty()) {
            event.kind = EventKind::released;
            event.session = released.front().session;
            event.tag = released.front().tag;
            released.pop_front();
            return true;
        }
        if (!timers_ran) {
            timers_ran = true;
            wheel.advance(tick, [this](std::uint32_t index) { on_deadline(index); });
            continue;
        }
        if (unflushed > unflushed_max) return false;
        io::Event io_event{};
        if (!loop.next_event(io_event)) return false;
        if (on_loop_event(io_event, event)) return true;
    }
}

bool Engine::State::on_loop_event(const io::Event& io_event, Event& event) {
    const std::uint64_t kind = io_event.owner & owner_kind_mask;
    if (kind == owner_watch) {
        event.kind = EventKind::readable;
        event.tag = io_event.owner & ~owner_kind_mask;
        return true;
    }
    if (kind == owner_listener) {
        if (io_event.kind == io::EventKind::accepted) {
            make_session(io_event.stream, false, Phase::request);
        } else if (io_event.kind == io::EventKind::accept_refused) {
            counters.add(metrics::RejectReason::descriptors);
        } else if (io_event.kind == io::EventKind::accept_paused) {
            ++counters.accept_pauses;
        }
        return false;
    }
    Session* session = find_owner(io_event.owner);
    if (session == nullptr) return false;
    switch (io_event.kind) {
        case io::EventKind::received:
            return on_received(*session, io_event.bytes, event);
        case io::EventKind::connected:
            return on_connected(*session, event);
        case io::EventKind::ended:
            on_ended(*session);
            return false;
        case io::EventKind::failed:
            if (session->phase == Phase::connecting) {
                std::string sentence = io_event.text.empty() ? std::string("connecting failed: ") +
                                                                   std::strerror(io_event.error)
                                                             : std::string(io_event.text);
                return fail_client(*session, std::move(sentence), event);
            }
            on_lost(*session, io_event.text);
            return false;
        case io::EventKind::writable:
            on_writable(*session);
            return false;
        case io::EventKind::accepted:
        case io::EventKind::accept_refused:
        case io::EventKind::accept_paused:
        case io::EventKind::readable:
            return false;
    }
    return false;
}

bool Engine::State::on_received(Session& session, MutableBytes bytes, Event& event) {
    counters.bytes_received += bytes.size();
    session.received_at = tick;
    if (session.ping_sent_at != 0) {
        session.ping_sent_at = 0;
        arm(session);  // the next ping may be due before that pong would have been
    }
    switch (session.phase) {
        case Phase::open:
        case Phase::closing:
            set_input(session, bytes);
            return false;
        case Phase::request:
            return on_request_bytes(session, bytes, event);
        case Phase::response:
            return on_response_bytes(session, bytes, event);
        case Phase::lingering: {
            Extra& more = extra(session);
            more.discarded += bytes.size();
            if (more.discarded > linger_discard_max) release(session, io::CloseMode::reset);
            return false;
        }
        case Phase::released:
        case Phase::connecting:
        case Phase::judging:
            return false;
    }
    return false;
}

// -------------------------------------------------------------------------------------------
// opening

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

bool Engine::State::on_request_bytes(Session& session, MutableBytes bytes, Event& event) {
    ByteBuffer* held =
        session.extra && !session.extra->head.empty() ? &session.extra->head : nullptr;
    MutableBytes head = bytes;
    std::size_t scanned = 0;
    if (held != nullptr) {
        held->append(bytes);
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
    behind_head = head.subspan(std::get<http::RequestHead>(parsed).size);
    return judge_request(session, event);
}

bool Engine::State::judge_request(Session& session, Event& event) {
    const auto& request = std::get<http::RequestHead>(parsed);
    auto checked = ws::check_upgrade(request.method, request.fields, options.allow_deflate);
    event.session = id_of(session);
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
    } else {
        upgrade = std::move(*checked);
        event.kind = EventKind::opening;
        event.upgrade = &upgrade;
    }
    change_phase(session, Phase::judging);
    judged = event.session;
    return true;
}

void Engine::State::accept(Session& session, std::string_view subprotocol, std::uint64_t tag) {
    WSPOOL_ASSERT(session.phase == Phase::judging);
    judged = SessionId{};
    push_raw(session, ws::make_upgrade_response(upgrade, subprotocol));
    session.connection = ws::Connection(ws::Role::server, upgrade.deflate.has_value());
    if (upgrade.deflate)
        session.deflate_bits = static_cast<std::uint8_t>(upgrade.deflate->server_max_window_bits);
    session.tag = tag;
    session.is_counted = true;
    ++counters.connections_opened;
    counters.connections_peak = std::max(counters.connections_peak, ++counters.connections);
    change_phase(session, Phase::open);
    session.control_tokens = static_cast<std::uint16_t>(options.control_frames_burst * 256);
    session.control_at = tick;
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

Session* Engine::State::find(SessionId id) {
    if (id.index >= pool.end()) return nullptr;
    Session& session = sessions[id.index];
    return session.generation == id.generation && session.phase != Phase::released ? &session
                                                                                   : nullptr;
}

Session* Engine::State::find_owner(std::uint64_t owner) {
    return find({static_cast<std::uint32_t>(owner),
                 static_cast<std::uint32_t>(owner >> 32) & generation_mask});
}

// --------------------------------------------------------------------------------------------
// Engine

Engine::Engine(io::Loop& loop,
               const EngineOptions& options,
               Entropy& entropy,
               metrics::Counters& counters)
    : state_(std::make_unique<State>(loop, options, entropy, counters)) {}

Engine::~Engine() = default;

// Sessions may be left, and with them what they had to send; the loop closes their streams.
Engine::State::~State() {
    for (std::uint32_t index = 0; index < pool.end(); ++index) delete sessions[index].outbox;
    for (Block* block : turn_blocks) drop_reference(block);
}

Instant Engine::now() const {
    return state_->loop.now();
}

Result<io::Address> Engine::listen(const io::Address& address, const io::TlsServer* tls) {
    io::ListenOptions options;
    options.tls = tls;
    options.send_buffer = state_->options.send_buffer;
    options.user_timeout = state_->options.write_timeout + std::chrono::seconds(10);
    options.refusal = http::make_response(
        503, "No descriptor is left; try again shortly.\n", "Retry-After: 1\r\n");
    const auto listener = state_->loop.listen(address, options, owner_listener);
    if (!listener) return tl::unexpected(listener.error());
    return state_->loop.local_address(*listener);
}

Result<SessionId> Engine::connect(const io::Address& address,
                                  const ws::ClientHandshake& handshake,
                                  std::uint64_t tag,
                                  const io::ConnectOptions& options) {
    auto request = ws::make_upgrade_request(handshake);
    if (!request) return tl::unexpected(request.error());
    const auto stream = state_->loop.connect(address, 0, options);
    if (!stream) return tl::unexpected(stream.error());
    Session& session = state_->sessions[state_->make_session(*stream, true, Phase::connecting)];
    session.tag = tag;
    state_->extra(session).handshake = handshake;
    return State::id_of(session);
}

Result<void> Engine::watch(int fd, std::uint64_t tag) {
    WSPOOL_ASSERT((tag & owner_kind_mask) == 0);
    const auto stream = state_->loop.watch(fd, owner_watch | tag);
    if (!stream) return tl::unexpected(stream.error());
    return {};
}

void Engine::wait(Instant deadline) {
    state_->wait(deadline);
}
bool Engine::next(Event& event) {
    return state_->next(event);
}

void Engine::accept(SessionId id, std::string_view subprotocol, std::uint64_t tag) {
    if (Session* session = state_->find(id)) state_->accept(*session, subprotocol, tag);
}

void Engine::refuse(SessionId id,
                    int status,
                    std::string_view body,
                    metrics::RejectReason reason,
                    std::string_view headers) {
    if (Session* session = state_->find(id))
        state_->refuse(*session, status, body, reason, headers);
}

void Engine::answer(SessionId id, int status, std::string_view body) {
    if (Session* session = state_->find(id)) {
        state_->finish_with_response(*session, http::make_response(status, body));
    }
}

SendOutcome Engine::send(SessionId id, ws::Opcode opcode, ByteView payload) {
    return send(id, opcode, std::span(&payload, 1));
}

SendOutcome Engine::send(SessionId id, ws::Opcode opcode, std::span<const ByteView> pieces) {
    Session* session = state_->find(id);
    return session != nullptr ? state_->send(*session, opcode, pieces) : SendOutcome::gone;
}

Frame Engine::frame(ws::Opcode opcode, std::span<const ByteView> pieces) {
    return state_->frame(opcode, pieces);
}

SendOutcome Engine::send_frame(SessionId id, Frame& frame) {
    Session* session = state_->find(id);
    return session != nullptr ? state_->send_frame(*session, frame) : SendOutcome::gone;
}

SendOutcome Engine::send_raw(SessionId id, ByteView frames, std::uint32_t messages) {
    Session* session = state_->find(id);
    return session != nullptr ? state_->send_raw(*session, frames, messages) : SendOutcome::gone;
}

void Engine::close(SessionId id,
                   ws::CloseCode code,
                   std::string_view text,
                   metrics::CloseReason reason) {
    if (Session* session = state_->find(id)) state_->close(*session, code, text, reason);
}

void Engine::abort(SessionId id) {
    Session* session = state_->find(id);
    if (session == nullptr) return;
    if (state_->judged == id) state_->judged = SessionId{};
    state_->report_closed(
        *session, metrics::CloseReason::shutdown, ws::CloseCode::abnormal, "given up");
    state_->release(*session, io::CloseMode::reset);
}

void Engine::ping(SessionId id) {
    Session* session = state_->find(id);
    if (session == nullptr || session->phase != Phase::open) return;
    session->wants_pong = true;
    state_->send_control(*session, ws::Opcode::ping, {});
}

void Engine::pause(SessionId id) {
    Session* session = state_->find(id);
    if (session == nullptr || session->is_paused) return;
    session->is_paused = true;
    if (!session->is_throttled) state_->loop.pause(session->stream);
}

void Engine::resume(SessionId id) {
    Session* session = state_->find(id);
    if (session == nullptr || !session->is_paused) return;
    session->is_paused = false;
    if (!session->is_throttled) state_->loop.resume(session->stream);
}

bool Engine::is_open(SessionId id) const {
    const Session* session = state_->find(id);
    return session != nullptr && session->phase == Phase::open;
}

std::size_t Engine::session_count() const {
    return state_->pool.used();
}

bool Engine::has_unflushed() const {
    return state_->unflushed > 0;
}

std::optional<std::uint32_t> Engine::unsent_messages(SessionId id) const {
    const Session* session = state_->find(id);
    if (session == nullptr) return std::nullopt;
    return session->outbox != nullptr ? session->outbox->messages() : 0;
}

std::size_t Engine::outbox_size(SessionId id) const {
    const Session* session = state_->find(id);
    return session != nullptr && session->outbox != nullptr ? session->outbox->size() : 0;
}

void Engine::check_invariants() const {
    std::size_t bytes = 0;
    std::uint64_t counted = 0;
    std::uint64_t queued = 0;
    for (std::uint32_t index = 0; index < state_->pool.end(); ++index) {
        const Session& session = state_->sessions[index];
        if (session.is_counted) ++counted;
        WSPOOL_ASSERT(session.phase != Phase::released || session.outbox == nullptr);
        WSPOOL_ASSERT(session.phase != Phase::released || !session.timer.is_linked());
        WSPOOL_ASSERT(session.phase == Phase::released || session.timer.is_linked());
        if (session.outbox == nullptr) continue;
        session.outbox->check_invariants();
        WSPOOL_ASSERT(!session.outbox->empty());
        WSPOOL_ASSERT(session.is_blocked || session.queue != Queue::none);
        bytes += session.outbox->size();
        queued += session.outbox->messages();
    }
    WSPOOL_ASSERT(bytes == state_->counters.outbox_bytes);
    WSPOOL_ASSERT(queued == state_->counters.queued);
    WSPOOL_ASSERT(counted == state_->counters.connections);
    WSPOOL_ASSERT(state_->counters.is_conserved());
}

}  // namespace wspool::session
