#include "worker/worker.h"

#include "worker/worker_state.h"

#include <algorithm>
#include <string>

namespace wspool::worker {
namespace {

using metrics::CloseReason;
using metrics::RejectReason;

[[nodiscard]] bool is_priority(std::string_view text) {
    return text == "critical" || text == "high" || text == "normal" || text == "low";
}

// wspool.v1 where it is offered, else a token that was passed as a subprotocol, else none.
[[nodiscard]] std::string_view select_subprotocol(const std::vector<std::string_view>& offered) {
    for (const std::string_view name : offered) {
        if (name == subprotocol_name) return name;
    }
    for (const std::string_view name : offered) {
        if (name.substr(0, 7) == "bearer.") return name;
    }
    return {};
}

[[nodiscard]] bool is_echo_path(std::string_view path) {
    return path == "/echo" || path.substr(0, 6) == "/echo/";
}

[[nodiscard]] hub::HubOptions hub_options(const WorkerOptions& options) {
    hub::HubOptions result;
    result.groups_per_member_max = options.groups_per_client_max;
    return result;
}

}  // namespace

Worker::State::State(io::Loop& loop, const WorkerOptions& options_in, Entropy& entropy)
    : options(options_in),
      engine(loop, options.engine, entropy, counters),
      hub(hub_options(options), entropy),
      directory(entropy),
      parser({.depth_max = options.json_depth_max}),
      jitter(entropy.next_u64()) {
    hub.set_prefix(protocol::append_broadcast_prefix);
}

void Worker::State::handle(const session::Event& event) {
    switch (event.kind) {
        case session::EventKind::message:
            on_message(event);
            return;
        case session::EventKind::opening:
            on_opening(event);
            return;
        case session::EventKind::plain:
            on_plain(event);
            return;
        case session::EventKind::closed:
            if (event.session.index < clients.size()) {
                Client& client = clients[event.session.index];
                if (client.session == event.session) deactivate(client);
            }
            return;
        case session::EventKind::readable:
            readable.push_back(event.tag);
            return;
        case session::EventKind::opened:
        case session::EventKind::failed:
        case session::EventKind::pong:
        case session::EventKind::released:
        case session::EventKind::stream:
            WSPOOL_UNREACHABLE();  // the worker opens no connection itself
    }
}

// ------------------------------------------------------------------------------------------
// admission

void Worker::State::refuse(const session::Event& event,
                           int status,
                           std::string_view body,
                           RejectReason reason) {
    std::string headers;
    if (status == 503) {
        // Jittered, so that who was refused together does not return together.
        headers = "Retry-After: " + std::to_string(1 + jitter.below(10)) + "\r\n";
    }
    engine.refuse(event.session, status, body, reason, headers);
}

void Worker::State::on_plain(const session::Event& event) {
    if (event.request->method == "GET" && http::path_of(event.request->target) == "/healthz") {
        if (is_draining) {
            engine.answer(event.session, 503, "draining\n");
        } else {
            engine.answer(event.session, 200, "ok\n");
        }
        return;
    }
    engine.refuse(event.session,
                  426,
                  "This is a WebSocket endpoint: connect with ws://, or ask for /healthz.\n",
                  RejectReason::upgrade,
                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
}

void Worker::State::on_opening(const session::Event& event) {
    if (is_draining) {
        refuse(event, 503, "This server is being restarted.\n", RejectReason::draining);
        return;
    }
    if (counters.connections >= options.connections_max) {
        refuse(event, 503, "Server at capacity.\n", RejectReason::capacity);
        return;
    }
    if (options.echo && is_echo_path(http::path_of(event.request->target))) {
        admit(event, {}, true);
        return;
    }
    const std::optional<std::string> id = identify(event);
    if (id && make_way(event, *id)) admit(event, *id, false);
}

std::optional<std::string> Worker::State::identify(const session::Event& event) {
    const http::QueryValue priority = http::query_value(event.request->target, "priority");
    if (priority.found && (!priority.ok || !is_priority(priority.value))) {
        refuse(
            event, 400, "priority is critical, high, normal or low.\n", RejectReason::bad_priority);
        return std::nullopt;
    }
    http::QueryValue id = http::query_value(event.request->target, "clientId");
    if (!id.found) {
        for (const HeaderField& field : event.request->fields) {
            if (!equals_ignoring_case(field.name, "X-Client-Id")) continue;
            id.found = true;
            id.value = field.value;
            break;
        }
    }
    if (!id.found) return std::string();
    if (!id.ok || !protocol::is_valid_name(id.value)) {
        refuse(event,
               400,
               "A client id is 1 to 128 bytes of UTF-8 without control characters.\n",
               RejectReason::bad_name);
        return std::nullopt;
    }
    return std::move(id.value);
}

// Applies the policy for an id that is taken. False: the request was refused.
bool Worker::State::make_way(const session::Event& event, std::string_view id) {
    if (id.empty() || options.duplicate_id == DuplicateId::allow) return true;
    const std::uint32_t other = directory.find(id);
    if (other == IndexTable::none) return true;
    if (options.duplicate_id == DuplicateId::reject) {
        refuse(event, 409, "This client id is connected already.\n", RejectReason::duplicate_id);
        return false;
    }
    Client& old = clients[other];
    deactivate(old);
    engine.close(old.session,
                 ws::CloseCode::replaced,
                 "replaced by a newer connection of the same id",
                 CloseReason::replaced);
    return true;
}

void Worker::State::admit(const session::Event& event, std::string_view id, bool is_echo) {
    const std::uint32_t index = event.session.index;
    clients.grow_to(index);
    Client& client = clients[index];
    deactivate(client);  // of an earlier session, if its end was not reported yet
    client.session = event.session;
    client.bad_messages = 0;
    client.is_active = true;
    client.is_echo = is_echo;
    const std::string_view subprotocol = select_subprotocol(event.upgrade->subprotocols);
    engine.accept(event.session, subprotocol, 0);
    if (is_echo) return;
    if (id.empty()) {
        directory.add_anonymous(index);
    } else {
        directory.add(index, id);
    }
    if (subprotocol != subprotocol_name) return;
    hub::ClientId::TextBuffer buffer;
    scratch.clear();
    protocol::append_welcome(scratch, directory.id_of(index, buffer));
    answer(client);
}

// Takes a client out of groups and directory. Its session may go on closing.
void Worker::State::deactivate(Client& client) {
    if (!client.is_active) return;
    client.is_active = false;
    if (client.is_echo) return;
    hub.leave_all(client.memberships, engine.now());
    counters.groups = hub.group_count();
    directory.remove(client.session.index);
}

// ----------------------------------------------------------------------------------------------
// drain

// Closes whoever is due by now; returns when the next one is.
Instant Worker::State::drain_step() {
    const Duration passed = engine.now() - drain_started;
    while (!to_drain.empty()) {
        const auto done = static_cast<Duration::rep>(drain_count - to_drain.size());
        const Duration due = options.drain_time / static_cast<Duration::rep>(drain_count) * done;
        if (due > passed) return drain_started + due;
        const session::SessionId id = to_drain.back();
        to_drain.pop_back();
        Client& client = clients[id.index];
        if (client.session != id || !client.is_active) continue;
        if (!client.is_echo) {
            scratch.clear();
            protocol::append_draining(scratch, 500 + jitter.below(4500));
            answer(client);
        }
        engine.close(id, ws::CloseCode::service_restart, "restart", CloseReason::drained);
    }
    return never;
}

// ---------------------------------------------------------------------------------------------
// Worker

Worker::Worker(io::Loop& loop, const WorkerOptions& options, Entropy& entropy)
    : state_(std::make_unique<State>(loop, options, entropy)) {}

Worker::~Worker() = default;

Result<io::Address> Worker::listen(const io::Address& address) {
    return state_->engine.listen(address);
}

Result<io::Address> Worker::listen_on(int fd) {
    return state_->engine.listen_on(fd);
}

Result<void> Worker::watch(int fd, std::uint64_t tag) {
    return state_->engine.watch(fd, tag);
}

void Worker::unwatch(std::uint64_t tag) {
    state_->engine.unwatch(tag);
}

std::span<const std::uint64_t> Worker::turn(Instant deadline) {
    State& state = *state_;
    state.readable.clear();
    if (!state.to_drain.empty()) deadline = std::min(deadline, state.drain_step());
    state.engine.wait(deadline);
    session::Event event;
    while (state.engine.next(event)) state.handle(event);
    return state.readable;
}

void Worker::begin_drain() {
    State& state = *state_;
    if (state.is_draining) return;
    state.is_draining = true;
    state.drain_started = state.engine.now();
    for (std::uint32_t index = 0; index < state.clients.size(); ++index) {
        if (state.clients[index].is_active) state.to_drain.push_back(state.clients[index].session);
    }
    state.drain_count = state.to_drain.size();
    for (std::size_t i = state.drain_count; i > 1; --i) {
        std::swap(state.to_drain[i - 1], state.to_drain[state.jitter.below(i)]);
    }
    (void)state.drain_step();
}

void Worker::shut_down() {
    State& state = *state_;
    state.is_draining = true;
    state.to_drain.clear();
    for (std::uint32_t index = 0; index < state.clients.size(); ++index) {
        if (!state.clients[index].is_active) continue;
        state.engine.close(state.clients[index].session,
                           ws::CloseCode::going_away,
                           "shutdown",
                           CloseReason::shutdown);
    }
}

bool Worker::is_draining() const {
    return state_->is_draining;
}

bool Worker::is_finished() const {
    return state_->is_draining && state_->engine.session_count() == 0;
}

const metrics::Counters& Worker::counters() const {
    return state_->counters;
}

void Worker::check_invariants() const {
    state_->engine.check_invariants();
    state_->hub.check_invariants();
}

}  // namespace wspool::worker
