// Who comes and goes: ids registered, clients admitted and forgotten.
#include "worker/worker_state.h"

#include <string>

namespace wspool::worker {
namespace {

using metrics::RejectReason;

[[nodiscard]] bool is_echo_path(std::string_view path) {
    return path == "/echo" || path.substr(0, 6) == "/echo/";
}

}  // namespace

void Worker::State::refuse(session::SessionId session,
                           int status,
                           std::string_view body,
                           RejectReason reason) {
    std::string headers;
    if (status == 503 || status == 429) {
        // Jittered, so that who was refused together does not return together.
        headers = "Retry-After: " + std::to_string(1 + jitter.below(10)) + "\r\n";
    }
    engine.refuse(session, status, body, reason, headers);
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
        refuse(event.session, 503, "This server is being restarted.\n", RejectReason::draining);
        return;
    }
    std::string block;
    if (!knock(event, block)) return;
    if (counters.connections + registering_count >= options.connections_max) {
        refuse(event.session, 503, "Server at capacity.\n", RejectReason::capacity);
        return;
    }
    if (options.echo && is_echo_path(http::path_of(event.request->target))) {
        const std::optional<Arrival> arrival = judge(event);
        if (!arrival) return;
        Client& client = begin(event.session, block);
        client.is_echo = true;
        remember_token(client, *arrival);
        activate(client, arrival->subprotocol);
        return;
    }
    const std::optional<Arrival> arrival = judge(event);
    if (!arrival) return;
    Client& client = begin(event.session, block);
    client.is_greeted = arrival->subprotocol == subprotocol_name;
    remember_token(client, *arrival);
    enroll(client, *arrival);
}

// Gives the client its id: at once, or when its home has answered.
void Worker::State::enroll(Client& client, const Arrival& arrival) {
    const hub::Session session = to_hub(client.session);
    if (arrival.id.empty()) {
        exchange.register_anonymous(session);
        activate(client, arrival.subprotocol);
        return;
    }
    if (exchange.register_id(session, arrival.id, engine.now()) ==
        hub::Exchange::RegisterOutcome::granted) {
        activate(client, arrival.subprotocol);
    } else {
        engine.defer(client.session, arrival.subprotocol);
    }
}

void Worker::State::set_state(Client& client, ClientState state) {
    using enum ClientState;
    WSPOOL_ASSERT(state != registering || client.state == absent);
    WSPOOL_ASSERT(state != active || client.state == registering);
    if (client.state == registering) --registering_count;
    if (state == registering) ++registering_count;
    client.state = state;
}

Client& Worker::State::begin(session::SessionId session, const std::string& address_block) {
    clients.grow_to(session.index);
    Client& client = clients[session.index];
    deactivate(client);  // of an earlier session, if its end was not reported yet
    run_actions();
    client = Client{};
    client.session = session;
    set_state(client, ClientState::registering);
    if (addresses) addresses->enter(session.index, address_block, engine.now());
    if (throttle) throttle->enter(session.index, engine.now());
    return client;
}

void Worker::State::activate(Client& client, std::string_view subprotocol) {
    if (is_draining) {  // it began while its id was being registered
        deactivate(client);
        refuse(client.session, 503, "This server is being restarted.\n", RejectReason::draining);
        return;
    }
    set_state(client, ClientState::active);
    engine.accept(client.session, subprotocol, 0);
    if (!client.is_greeted) return;
    hub::ClientId::TextBuffer buffer;
    scratch.clear();
    protocol::append_welcome(scratch, exchange.id_of(client.session.index, buffer));
    answer(client);
}

// Takes a client out of groups and directory. Its session may go on closing.
void Worker::State::deactivate(Client& client) {
    if (client.state == ClientState::absent) return;
    set_state(client, ClientState::absent);
    forget_token(client);
    if (addresses) addresses->leave(client.session.index);
    if (throttle) throttle->leave(client.session.index);
    if (!client.is_echo) exchange.remove(to_hub(client.session), engine.now());
}

}  // namespace wspool::worker
