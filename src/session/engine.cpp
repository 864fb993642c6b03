// The engine's turn, what the loop reports, and the callers' verbs. Opening handshakes are in
// opening.cpp, frames in reading.cpp and writing.cpp, ends and deadlines in closing.cpp.
#include "session/engine.h"

#include "session/engine_state.h"

#include <algorithm>

namespace wspool::session {

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
    codec.inflater = &inflater;
    set_options(options_in);
}

void Engine::State::set_options(const EngineOptions& options_in) {
    options = options_in;
    options.control_frames_burst = std::min(options.control_frames_burst, 255u);
    codec.limits = options.limits;
    for (std::uint32_t index = 0; index < pool.end(); ++index) {
        if (sessions[index].phase != Phase::released) arm(sessions[index]);
    }
}

// ----------------------------------------------------------------------------------------------
// turn

void Engine::State::wait(Instant deadline) {
    WSPOOL_ASSERT(judged.index == UINT32_MAX);  // an opening was neither accepted nor refused
    flush();
    foreign_short_sends.clear();
    const bool has_more = !replies.empty() || !fanout.empty() || !closed.empty() ||
                          !client_failures.empty() || !released.empty() || !unread.empty() ||
                          !abandoned.empty();
    if (has_more || needs_settling || !input.empty()) {
        deadline = Instant::min();
    } else if (wheel.size() > 0) {
        deadline = std::min(deadline, start_of(wheel.now() + wheel.ticks_to_next()));
    }
    loop.wait(deadline);
    tick = tick_of(loop.now());
    has_chores = true;
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
        if (has_chores) {
            if (do_chores(event)) return true;
            continue;
        }
        if (unflushed > unflushed_max) return false;
        io::Event io_event{};
        if (!loop.next_event(io_event)) return false;
        if (on_loop_event(io_event, event)) return true;
    }
}

// What waits for no event: openings that need no answer any more, bytes that were received already,
// then what is due.
bool Engine::State::do_chores(Event& event) {
    if (!abandoned.empty()) {
        event.kind = EventKind::abandoned;
        event.session = abandoned.front();
        abandoned.pop_front();
        return true;
    }
    if (!unread.empty()) {
        const SessionId id = unread.front();
        unread.pop_front();
        return read_unread(id, event);
    }
    has_chores = false;
    wheel.advance(tick, [this](std::uint32_t index) { on_deadline(index); });
    return false;
}

bool Engine::State::on_loop_event(const io::Event& io_event, Event& event) {
    if (io_event.owner >= owner_watch) return on_other_event(io_event, event);
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

// A stream of somebody else, a watched descriptor, or a listener.
bool Engine::State::on_other_event(const io::Event& io_event, Event& event) {
    if (io_event.owner >= foreign_owner) {
        foreign_event = io_event;
        event.kind = EventKind::stream;
        event.stream = &foreign_event;
        return true;
    }
    if (io_event.owner < owner_listener) {
        event.kind = EventKind::readable;
        event.tag = io_event.owner & ~owner_watch;
        return true;
    }
    if (io_event.kind == io::EventKind::accepted) {
        if (options.sessions_max != 0 && pool.used() >= options.sessions_max) {
            counters.add(metrics::RejectReason::capacity);
            loop.close(io_event.stream, io::CloseMode::reset);
            return false;
        }
        make_session(io_event.stream, false, Phase::request);
    } else if (io_event.kind == io::EventKind::accept_refused) {
        counters.add(metrics::RejectReason::descriptors);
    } else if (io_event.kind == io::EventKind::accept_paused) {
        ++counters.accept_pauses;
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
            if (session.is_held) {
                on_held_bytes(session, bytes);
            } else {
                set_input(session, bytes);
            }
            return false;
        case Phase::request:
            return on_request_bytes(session, bytes, event);
        case Phase::response:
            return on_response_bytes(session, bytes, event);
        case Phase::lingering: {
            Extra& more = extra(session);
            more.discarded += bytes.size();
            // Who is refused in the middle of its body is to read why.
            if (more.discarded > linger_discard_max + options.head.body_size_max) {
                release(session, io::CloseMode::reset);
            }
            return false;
        }
        case Phase::released:
        case Phase::connecting:
        case Phase::judging:
            return false;
    }
    return false;
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

void Engine::set_options(const EngineOptions& options) {
    state_->set_options(options);
}

Instant Engine::now() const {
    return state_->loop.now();
}

io::ListenOptions listen_options(const EngineOptions& options, const io::TlsServer* tls) {
    io::ListenOptions result;
    result.tls = tls;
    result.send_buffer = options.send_buffer;
    result.user_timeout = options.write_timeout + std::chrono::seconds(10);
    result.refusal = http::make_response(
        503, "No descriptor is left; try again shortly.\n", "Retry-After: 1\r\n");
    return result;
}

Result<io::Address> Engine::listen(const io::Address& address, const io::TlsServer* tls) {
    const auto listener =
        state_->loop.listen(address, listen_options(state_->options, tls), owner_listener);
    if (!listener) return tl::unexpected(listener.error());
    return state_->loop.local_address(*listener);
}

Result<io::Address> Engine::listen_on(int fd, const io::TlsServer* tls) {
    const auto listener =
        state_->loop.adopt_listener(fd, listen_options(state_->options, tls), owner_listener);
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
    WSPOOL_ASSERT((tag | owner_watch) < owner_listener);
    const auto stream = state_->loop.watch(fd, owner_watch | tag);
    if (!stream) return tl::unexpected(stream.error());
    state_->watches.emplace_back(tag, *stream);
    return {};
}

void Engine::unwatch(std::uint64_t tag) {
    std::erase_if(state_->watches, [&](const auto& watch) {
        if (watch.first == tag) state_->loop.close(watch.second);
        return watch.first == tag;
    });
}

void Engine::wait(Instant deadline) {
    state_->wait(deadline);
}
bool Engine::next(Event& event) {
    return state_->next(event);
}
std::span<const io::ShortSend> Engine::foreign_short_sends() const {
    return state_->foreign_short_sends;
}

Result<SessionId> Engine::adopt(int fd, ByteView bytes, const AdoptOptions& options) {
    return state_->adopt(fd, bytes, options);
}

Result<Released> Engine::release(SessionId id, std::size_t bytes_max) {
    if (state_->judged != id || id.index == UINT32_MAX) {
        return fail("only a session whose request waits for its answer can be given away");
    }
    if (state_->judged_bytes.size() > bytes_max) {
        return fail("more was read of this connection than can be given away with it");
    }
    return state_->give_away(*state_->find(id));
}

void Engine::accept(SessionId id, std::string_view subprotocol, std::uint64_t tag) {
    if (Session* session = state_->find(id)) state_->accept(*session, subprotocol, tag);
}

void Engine::defer(SessionId id, std::string_view subprotocol) {
    if (Session* session = state_->find(id)) state_->defer(*session, subprotocol);
}

void Engine::refuse(SessionId id,
                    int status,
                    std::string_view body,
                    metrics::RejectReason reason,
                    std::string_view headers) {
    Session* session = state_->find(id);
    if (session == nullptr || session->phase != Phase::judging) return;
    session->is_put_off = false;
    state_->refuse(*session, status, body, reason, headers);
}

void Engine::put_off(SessionId id) {
    if (Session* session = state_->find(id)) state_->put_off(*session);
}

void Engine::answer(SessionId id,
                    int status,
                    std::string_view body,
                    std::string_view headers,
                    std::string_view content_type) {
    Session* session = state_->find(id);
    if (session == nullptr || session->phase != Phase::judging) return;
    session->is_put_off = false;
    state_->finish_with_response(*session,
                                 http::make_response(status, body, headers, content_type));
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
    if (Session* session = state_->find(id)) state_->pause(*session);
}

void Engine::hold(SessionId id) {
    if (Session* session = state_->find(id)) state_->hold(*session);
}

void Engine::resume(SessionId id) {
    if (Session* session = state_->find(id)) state_->resume(*session);
}

Result<io::Address> Engine::peer_address(SessionId id) const {
    const Session* session = state_->find(id);
    if (session == nullptr) return fail("the session has ended and has no peer");
    return state_->loop.peer_address(session->stream);
}

bool Engine::is_open(SessionId id) const {
    const Session* session = state_->find(id);
    return session != nullptr && session->phase == Phase::open;
}

bool Engine::is_paused(SessionId id) const {
    const Session* session = state_->find(id);
    return session != nullptr && session->is_paused;
}

Duration Engine::open_for(SessionId id) const {
    const Session* session = state_->find(id);
    if (session == nullptr || session->phase != Phase::open) return Duration::zero();
    return Duration(std::int64_t{state_->tick - session->phase_since} << 24);
}

bool Engine::was_heard_within(SessionId id, Duration time) const {
    const Session* session = state_->find(id);
    return session != nullptr && state_->tick - session->received_at <= to_ticks(time);
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
        // Open ones by the caller's wish, judged ones while they are deferred.
        WSPOOL_ASSERT(!session.is_paused || session.extra);
        WSPOOL_ASSERT(!session.is_paused || session.phase == Phase::open ||
                      session.phase == Phase::judging);
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
