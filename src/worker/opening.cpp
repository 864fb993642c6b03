// Who comes and goes: ids registered, clients admitted and forgotten.
#include "worker/worker_state.h"

#include <optional>
#include <string>
#include <utility>

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

void Worker::State::refuse_draining(session::SessionId session) {
    refuse(session, 503, "This server is being restarted.\n", RejectReason::draining);
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
        refuse_draining(event.session);
        return;
    }
    std::string block;
    if (!knock(event, block)) return;
    const std::string_view path = http::path_of(event.request->target);
    const bool is_echo = options.echo && is_echo_path(path);
    std::optional<Arrival> arrival = judge(event);
    if (!arrival) return;
    if (is_echo) arrival->id.clear();  // nobody is known there
    const std::size_t pool = choose_pool(options.seats, path, arrival->priority, arrival->pool);
    if (pass_on(event, {static_cast<std::uint8_t>(pool), arrival->priority})) return;
    Client& client = begin(event.session, block, rate_class_of(pool, arrival->rate_class));
    client.is_echo = is_echo;
    client.is_greeted = !is_echo && arrival->subprotocol == subprotocol_name;
    client.pool = static_cast<std::uint8_t>(pool);
    remember_token(client, *arrival);
    admit(client, std::move(*arrival));
}

// Gives a seated client its id: at once, or when its home has answered.
void Worker::State::enroll(Client& client, const Arrival& arrival) {
    const hub::Session session = to_hub(client.session);
    if (client.is_echo || arrival.id.empty()) {
        // One that waited was given its own when it was told it.
        if (!client.is_echo && !client.is_open) exchange.register_anonymous(session);
        activate(client, arrival.subprotocol);
        return;
    }
    if (exchange.register_id(session, arrival.id, engine.now()) ==
        hub::Exchange::RegisterOutcome::granted) {
        activate(client, arrival.subprotocol);
    } else if (!client.is_open && !client.is_deferred) {
        engine.defer(client.session, arrival.subprotocol);
        client.is_deferred = true;
    }
}

void Worker::State::set_state(Client& client, ClientState state) {
    using enum ClientState;
    WSPOOL_ASSERT(state != arriving || client.state == absent);
    WSPOOL_ASSERT(state != waiting || client.state == arriving);
    WSPOOL_ASSERT(state != registering || client.state == arriving || client.state == waiting);
    WSPOOL_ASSERT(state != active || client.state == registering);
    client.state = state;
    if (state != absent) return;
    forget_token(client);
    if (addresses) addresses->leave(client.session.index);
    if (throttle) throttle->leave(client.session.index);
}

Client& Worker::State::begin(session::SessionId session,
                             const std::string& address_block,
                             std::uint8_t rate_class) {
    clients.grow_to(session.index);
    Client& client = clients[session.index];
    deactivate(client);  // of an earlier session, if its end was not reported yet
    run_actions();
    client = Client{};
    client.session = session;
    set_state(client, ClientState::arriving);
    if (addresses) addresses->enter(session.index, address_block, engine.now());
    if (throttle) throttle->enter(session.index, rate_class, engine.now());
    return client;
}

void Worker::State::open(Client& client, std::string_view subprotocol) {
    engine.accept(client.session, subprotocol, 0);
    client.is_open = true;
}

void Worker::State::greet(Client& client, std::string_view id) {
    scratch.clear();
    protocol::append_welcome(scratch, id);
    answer(client);
}

void Worker::State::activate(Client& client, std::string_view subprotocol) {
    if (is_draining) {
        refuse_draining(client);
        return;
    }
    set_state(client, ClientState::active);
    if (client.is_open) {  // it has waited
        if (client.is_greeted) {
            scratch.clear();
            scratch.append(protocol::admitted);
            answer(client);
        }
        engine.resume(client.session);
        return;
    }
    open(client, subprotocol);
    if (!client.is_greeted) return;
    hub::ClientId::TextBuffer buffer;
    greet(client, exchange.id_of(client.session.index, buffer));
}

// Its id was still being registered when the drain began.
void Worker::State::refuse_draining(Client& client) {
    deactivate(client);
    if (client.is_open) {
        engine.close(client.session,
                     ws::CloseCode::service_restart,
                     "restart",
                     metrics::CloseReason::drained);
        return;
    }
    refuse_draining(client.session);
}

// Takes a client out of groups and directory. Its session may go on closing.
void Worker::State::deactivate(Client& client) {
    if (client.state == ClientState::absent) return;
    give_seat_back(client);
    set_state(client, ClientState::absent);
    if (!commanded_joins.empty()) {
        end_commanded_join(client, {}, wire::Refusal::unknown_target);
    }
    if (!client.is_echo) exchange.remove(to_hub(client.session), engine.now());
}

}  // namespace wspool::worker
