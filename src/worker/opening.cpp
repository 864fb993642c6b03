// Who comes and goes: requests judged, ids registered, clients admitted and forgotten.
#include "worker/worker_state.h"

#include <string>

namespace wspool::worker {
namespace {

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

}  // namespace

void Worker::State::refuse(session::SessionId session,
                           int status,
                           std::string_view body,
                           RejectReason reason) {
    std::string headers;
    if (status == 503) {
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
    if (counters.connections + registering_count >= options.connections_max) {
        refuse(event.session, 503, "Server at capacity.\n", RejectReason::capacity);
        return;
    }
    const std::string_view subprotocol = select_subprotocol(event.upgrade->subprotocols);
    if (options.echo && is_echo_path(http::path_of(event.request->target))) {
        Client& client = begin(event.session);
        client.is_echo = true;
        activate(client, subprotocol);
        return;
    }
    const std::optional<std::string> id = identify(event);
    if (!id) return;
    Client& client = begin(event.session);
    client.is_greeted = subprotocol == subprotocol_name;
    const hub::Session session = to_hub(event.session);
    if (id->empty()) {
        exchange.register_anonymous(session);
        activate(client, subprotocol);
        return;
    }
    if (exchange.register_id(session, *id, engine.now()) ==
        hub::Exchange::RegisterOutcome::granted) {
        activate(client, subprotocol);
    } else {
        engine.defer(event.session, subprotocol);
    }
}

std::optional<std::string> Worker::State::identify(const session::Event& event) {
    const http::QueryValue priority = http::query_value(event.request->target, "priority");
    if (priority.found && (!priority.ok || !is_priority(priority.value))) {
        refuse(event.session,
               400,
               "priority is critical, high, normal or low.\n",
               RejectReason::bad_priority);
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
        refuse(event.session,
               400,
               "A client id is 1 to 128 bytes of UTF-8 without control characters.\n",
               RejectReason::bad_name);
        return std::nullopt;
    }
    return std::move(id.value);
}

void Worker::State::set_state(Client& client, ClientState state) {
    using enum ClientState;
    WSPOOL_ASSERT(state != registering || client.state == absent);
    WSPOOL_ASSERT(state != active || client.state == registering);
    if (client.state == registering) --registering_count;
    if (state == registering) ++registering_count;
    client.state = state;
}

Client& Worker::State::begin(session::SessionId session) {
    clients.grow_to(session.index);
    Client& client = clients[session.index];
    deactivate(client);  // of an earlier session, if its end was not reported yet
    run_actions();
    client = Client{};
    client.session = session;
    set_state(client, ClientState::registering);
    return client;
}

void Worker::State::activate(Client& client, std::string_view subprotocol) {
    if (is_draining) {
        turn_away(client);
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

// Its id was still being registered when the drain began.
void Worker::State::turn_away(Client& client) {
    deactivate(client);
    refuse_draining(client.session);
}

// Takes a client out of groups and directory. Its session may go on closing.
void Worker::State::deactivate(Client& client) {
    if (client.state == ClientState::absent) return;
    set_state(client, ClientState::absent);
    if (!client.is_echo) exchange.remove(to_hub(client.session), engine.now());
}

}  // namespace wspool::worker
