// What the servers of a client pool hear, and what they answer.
#include "http/head.h"
#include "sim/client_servers.h"
#include "ws/handshake.h"

#include <array>
#include <charconv>

namespace wspool::sim {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view switching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

// What a server may give as its reason; the last are those after which nobody should come back.
constexpr std::array<ws::CloseCode, 8> close_codes = {ws::CloseCode::normal,
                                                      ws::CloseCode::going_away,
                                                      ws::CloseCode::internal_error,
                                                      ws::CloseCode::service_restart,
                                                      ws::CloseCode::try_again_later,
                                                      ws::CloseCode::policy,
                                                      ws::CloseCode::forbidden,
                                                      ws::CloseCode::replaced};

}  // namespace

void ClientServers::read(Connection& connection, MutableBytes bytes) {
    switch (connection.state) {
        case State::head:
            return read_head(connection, bytes);
        case State::open:
            return read_frames(connection, bytes);
        case State::finishing:
            connection.has_unread = true;
            connection.waits_for_peer = false;
            return;
        case State::gone:
            return;
    }
}

int ClientServers::find_target(std::size_t host, std::string_view path) const {
    for (std::size_t i = 0; i < ledger_.targets.size(); ++i) {
        if (ledger_.targets[i].host == host && ledger_.targets[i].path == path) {
            return static_cast<int>(i);
        }
    }
    return -1;
}

void ClientServers::read_head(Connection& connection, MutableBytes bytes) {
    connection.head.append(as_text(bytes));
    const auto parsed = http::parse_request_head(as_bytes(connection.head), http::HeadLimits{});
    if (std::holds_alternative<http::NeedMore>(parsed)) return;
    if (std::holds_alternative<http::Refused>(parsed)) {
        return ledger_.violate("a handshake that is no HTTP: " + excerpt(connection.head));
    }
    const auto& request = std::get<http::RequestHead>(parsed);
    const auto upgrade = ws::check_upgrade(request.method, request.fields, true);
    if (!upgrade) return ledger_.violate("a bad handshake: " + upgrade.error().message);
    if (connection.mood == Mood::lies && connection.lie <= Lie::half_head) {
        return tell_lie(connection, upgrade->key);
    }
    const std::string variant(request.field("x-variant"));
    const int target = find_target(
        connection.host, std::string(request.target) + (variant.empty() ? "" : "#" + variant));
    if (request.field("host") != swarm_.hosts[connection.host].name || target < 0) {
        // A name was resolved wrongly, and this is the wrong server.
        say(connection, http::make_response(421, "not here"));
        connection.state = State::finishing;
        return;
    }
    const std::size_t rest = request.size;
    connection.has_deflate = upgrade->deflate.has_value();
    say(connection, ws::make_upgrade_response(*upgrade, ""));
    connection.reader = ws::Connection(ws::Role::server, connection.has_deflate);
    connection.state = State::open;
    ledger_.on_opened(connection.number, target);
    end_later(connection);
    if (connection.mood == Mood::lies) lie_after_head(connection);
    std::string tail = connection.head.substr(rest);
    connection.head.clear();
    if (!tail.empty()) {
        read_frames(connection, {reinterpret_cast<std::byte*>(tail.data()), tail.size()});
    }
}

// Whoever breaks off soon has upgraded: it looks well for a moment.
void ClientServers::end_later(Connection& connection) {
    if (connection.mood != Mood::breaks_soon && connection.mood != Mood::closes_soon) return;
    const Duration delay = prng_.chance(0.5) ? Duration::zero() : lateness();
    const auto code = prng_.chance(0.1) ? static_cast<ws::CloseCode>(3000 + prng_.below(2000))
                                        : close_codes[prng_.below(close_codes.size())];
    const bool is_reset = prng_.chance(0.5);
    network_.schedule(network_.now() + delay, [this, &connection, code, is_reset] {
        if (connection.state != State::open) return;
        if (connection.mood == Mood::closes_soon) return begin_close(connection, code);
        leave(connection, is_reset ? io::CloseMode::reset : io::CloseMode::graceful, false);
    });
}

void ClientServers::tell_lie(Connection& connection, std::string_view key) {
    const std::string accept = "Sec-WebSocket-Accept: " + ws::accept_key(key) + "\r\n";
    connection.state = State::finishing;
    switch (connection.lie) {
        case Lie::wrong_key:
            return say(connection,
                       std::string(switching) + "Sec-WebSocket-Accept: " + ws::accept_key("wrong") +
                           "\r\n\r\n");
        case Lie::status_200:
            return say(connection, http::make_response(200, "hello"));
        case Lie::status_503:
            return say(connection, http::make_response(503, "later"));
        case Lie::garbage:
            return say(connection, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
        case Lie::bad_extension:
            return say(connection,
                       std::string(switching) + accept + "Sec-WebSocket-Extensions: x-mux\r\n\r\n");
        case Lie::bad_protocol:
            return say(connection,
                       std::string(switching) + accept + "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
        case Lie::half_head:
            connection.state = State::head;
            say(connection, std::string(switching));
            connection.mood = Mood::silent;
            return;
        case Lie::masked_frame:
        case Lie::bad_opcode:
        case Lie::bad_close_code:
        case Lie::count_:
            return;
    }
}

void ClientServers::lie_after_head(Connection& connection) {
    if (connection.lie == Lie::masked_frame) {
        say(connection, std::string("\x81\x82\0\0\0\0hi", 8));
    } else if (connection.lie == Lie::bad_opcode) {
        say(connection, std::string("\x83\0", 2));
    } else {
        say(connection, std::string("\x88\x02\x03\xec", 4));  // 1004
    }
}

void ClientServers::read_frames(Connection& connection, MutableBytes bytes) {
    while (connection.state == State::open && !connection.is_deaf) {
        const ws::Event event = connection.reader.read(bytes, codec_);
        switch (event.kind) {
            case ws::EventKind::none:
                return;
            case ws::EventKind::message:
                if (connection.mood != Mood::mute) {
                    on_message(connection, as_text(event.payload));
                }
                break;
            case ws::EventKind::ping:
                if (connection.mood == Mood::mute) break;
                say_frame(connection, ws::Opcode::pong, as_text(event.payload));
                break;
            case ws::EventKind::pong:
                break;
            case ws::EventKind::close:
                if (connection.mood == Mood::mute) return;
                say_frame(connection, ws::Opcode::close, close_payload(event.code));
                connection.state = State::finishing;
                return;
            case ws::EventKind::failed:
                return ledger_.violate("the client sent a bad frame: " +
                                       std::string(ws::name(event.failure)));
        }
    }
    if (!bytes.empty()) connection.has_unread = true;
}

void ClientServers::on_message(Connection& connection, std::string_view received) {
    const bool is_subscription = received.substr(0, 2) == "s ";
    const bool is_text = received.substr(0, 2) == "m ";
    std::string text(received);
    if (is_text && plant_.strikes(ClientPlantKind::lose_message)) return;
    if (is_text && plant_.strikes(ClientPlantKind::change_message)) text.back() ^= 1;
    if ((is_text && plant_.strikes(ClientPlantKind::double_message)) ||
        (is_subscription && plant_.strikes(ClientPlantKind::replay_twice))) {
        pass_on(connection, text);
    }
    pass_on(connection, text);
}

void ClientServers::pass_on(Connection& connection, std::string_view text) {
    journal_.note("connection " + std::to_string(connection.number) + " gets " + excerpt(text));
    ledger_.on_text(connection.number, text);
    if (text.substr(0, 6) == "{\"id\":") {
        std::uint64_t number = 0;
        std::from_chars(text.data() + 6, text.data() + text.size(), number);
        if (is_stormy_ && prng_.chance(swarm_.answers_late * 0.3)) return;  // never
        const std::string answer = "{\"id\":" + std::to_string(number) + ",\"ok\":true}";
        Duration delay = Duration::zero();
        if (is_stormy_ && prng_.chance(swarm_.answers_late)) delay = lateness();
        network_.schedule(network_.now() + delay, [this, &connection, answer] {
            if (connection.state == State::open) say_frame(connection, ws::Opcode::text, answer);
        });
    }
    if (prng_.chance(swarm_.server_pushes)) push(connection);
}

}  // namespace wspool::sim
