#include "sim/client_servers.h"

#include <algorithm>
#include <array>
#include <utility>

namespace wspool::sim {

namespace {

constexpr std::uint64_t listener_flag = 1ull << 32;

std::string frame_bytes(std::uint8_t first_byte, std::string_view payload) {
    ws::FrameHeader header;
    header.payload_size = payload.size();
    std::array<std::byte, ws::frame_header_size_max> head{};
    const std::size_t size = ws::write_frame_header(header, head.data());
    head[0] = static_cast<std::byte>(first_byte);
    std::string bytes(as_text(ByteView(head.data(), size)));
    return bytes.append(payload);
}

}  // namespace

ClientServers::ClientServers(Network& network,
                             const ClientSwarm& swarm,
                             ClientLedger& ledger,
                             Journal& journal,
                             ClientPlant& plant,
                             std::uint64_t seed)
    : network_(network),
      swarm_(swarm),
      ledger_(ledger),
      journal_(journal),
      plant_(plant),
      loop_(network, Waiting::yields),
      prng_(seed),
      hosts_(swarm.hosts.size()) {
    codec_.limits.message_size_max = 1024 * 1024;
    codec_.inflater = &inflater_;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        hosts_[i].listeners.resize(swarm_.hosts[i].live.size());
        listen(i);
        for (const io::Address& hole : swarm_.hosts[i].holes) network_.set_silent(hole, true);
    }
}

// ---- moods

void ClientServers::listen(std::size_t host) {
    for (std::size_t i = 0; i < hosts_[host].listeners.size(); ++i) {
        if (hosts_[host].listeners[i]) continue;
        const auto stream =
            loop_.listen(swarm_.hosts[host].live[i], io::ListenOptions{}, host | listener_flag);
        WSPOOL_ASSERT(stream.has_value());
        hosts_[host].listeners[i] = *stream;
    }
}

void ClientServers::unlisten(std::size_t host) {
    for (auto& listener : hosts_[host].listeners) {
        if (listener) loop_.close(*listener, io::CloseMode::reset);
        listener.reset();
    }
}

void ClientServers::set_silent(std::size_t host, bool is_silent) {
    for (const io::Address& address : swarm_.hosts[host].live) {
        network_.set_silent(address, is_silent);
    }
    if (!is_silent) return;
    for (const std::size_t index : alive_) {
        Connection& connection = connections_[index];
        if (connection.host != host) continue;
        loop_.vanish(connection.stream);
        connection.is_deaf = true;
    }
}

void ClientServers::set_mood(std::size_t host, Mood mood) {
    journal_.note(swarm_.hosts[host].name + " has mood " + std::to_string(static_cast<int>(mood)));
    if (hosts_[host].mood == Mood::vanished) set_silent(host, false);
    hosts_[host].mood = mood;
    if (mood == Mood::refuses) {
        unlisten(host);
        drop_all(host, Drop::reset, {});
    } else {
        listen(host);
    }
    if (mood == Mood::vanished) set_silent(host, true);
}

// Connections that would hold out without being of use are ended.
void ClientServers::calm_down() {
    is_stormy_ = false;
    for (std::size_t i = 0; i < hosts_.size(); ++i) set_mood(i, Mood::healthy);
    for (const std::size_t index : std::vector<std::size_t>(alive_)) {
        Connection& connection = connections_[index];
        const bool is_well = connection.mood == Mood::healthy && !connection.is_deaf &&
                             !loop_.was_disturbed(connection.stream);
        if (!is_well) leave(connection, io::CloseMode::reset, false);
    }
}

void ClientServers::drop_all(std::size_t host, Drop way, ws::CloseCode code) {
    for (const std::size_t index : std::vector<std::size_t>(alive_)) {
        Connection& connection = connections_[index];
        if (connection.host != host) continue;
        if (way == Drop::close_frame && connection.state == State::open) {
            begin_close(connection, code);
        } else {
            leave(connection,
                  way == Drop::reset ? io::CloseMode::reset : io::CloseMode::graceful,
                  false);
        }
    }
}

void ClientServers::close_everything() {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        unlisten(i);
        drop_all(i, Drop::reset, {});
    }
}

// Whether all that came was told to the ledger.
bool ClientServers::is_heard(const Connection& connection) {
    return !connection.is_deaf && !connection.has_unread && connection.mood != Mood::mute;
}

// ---- turns

bool ClientServers::wants_turn(const Connection& connection) const {
    if (connection.state == State::gone || connection.is_blocked || connection.is_deaf) {
        return false;
    }
    return !connection.out.empty() || (connection.state == State::finishing &&
                                       connection.late == 0 && !connection.waits_for_peer);
}

Instant ClientServers::next_turn_time() const {
    const bool wants = std::any_of(alive_.begin(), alive_.end(), [this](std::size_t index) {
        return wants_turn(connections_[index]);
    });
    return wants ? network_.now() : loop_.next_turn_time();
}

void ClientServers::flush(Connection& connection) {
    if (!wants_turn(connection)) return;
    if (connection.out.empty()) return finish(connection);
    connection.sending = std::min(connection.out.size(), io::send_size_max);
    const ByteView piece = as_bytes(std::string_view(connection.out).substr(0, connection.sending));
    loop_.send(connection.stream, {&piece, 1});
}

void ClientServers::turn() {
    for (const std::size_t index : std::vector<std::size_t>(alive_)) flush(connections_[index]);
    loop_.wait(never);
    for (const io::ShortSend& send : loop_.short_sends()) {
        Connection& connection = connections_[send.owner];
        connection.out.erase(0, send.sent);
        connection.sending = 0;
        connection.is_blocked = true;
    }
    for (const std::size_t index : alive_) {
        Connection& connection = connections_[index];
        connection.out.erase(0, std::exchange(connection.sending, 0));
    }
    for (io::Event event{}; loop_.next_event(event);) handle(event);
}

void ClientServers::handle(const io::Event& event) {
    if (event.kind == io::EventKind::accepted) return accept(event);
    if ((event.owner & listener_flag) != 0) return;
    Connection& connection = connections_[event.owner];
    if (event.kind == io::EventKind::received) {
        if (!connection.is_deaf) read(connection, event.bytes);
    } else if (event.kind == io::EventKind::writable) {
        connection.is_blocked = false;
    } else if (event.kind == io::EventKind::ended) {
        leave(connection, io::CloseMode::graceful, is_heard(connection));
    } else {
        leave(connection, io::CloseMode::reset, false);
    }
}

void ClientServers::accept(const io::Event& event) {
    const auto host = static_cast<std::size_t>(event.owner & ~listener_flag);
    connections_.emplace_back();
    alive_.push_back(connections_.size() - 1);
    Connection& connection = connections_.back();
    connection.number = ledger_.on_accepted(host);
    connection.host = host;
    connection.stream = event.stream;
    connection.mood = hosts_[host].mood;
    connection.lie = static_cast<Lie>(prng_.below(static_cast<std::uint64_t>(Lie::count_)));
    loop_.set_owner(event.stream, connections_.size() - 1);
    journal_.note(swarm_.hosts[host].name + " accepts " + std::to_string(connection.number));
    if (connection.mood == Mood::closes_at_once) {
        leave(
            connection, prng_.chance(0.5) ? io::CloseMode::reset : io::CloseMode::graceful, false);
    }
    connection.is_deaf = connection.mood == Mood::silent || connection.mood == Mood::vanished;
}

void ClientServers::leave(Connection& connection, io::CloseMode mode, bool is_clean) {
    if (connection.state == State::gone) return;
    connection.state = State::gone;
    journal_.note("connection " + std::to_string(connection.number) + " ends");
    ledger_.on_ended(connection.number, is_clean);
    loop_.close(connection.stream, mode);
    const auto is_it = [&](std::size_t index) { return &connections_[index] == &connection; };
    alive_.erase(std::find_if(alive_.begin(), alive_.end(), is_it));
}

// ---- saying

std::string ClientServers::close_payload(ws::CloseCode code) {
    if (code == ws::CloseCode::no_status) return {};
    const auto number = static_cast<std::uint16_t>(code);
    return {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
}

Duration ClientServers::lateness() {
    return Duration(static_cast<Duration::rep>(
        prng_.below(static_cast<std::uint64_t>(swarm_.lateness_max.count()) + 1)));
}

void ClientServers::say(Connection& connection, std::string bytes) {
    if (connection.is_deaf || connection.state == State::gone) return;
    if (connection.mood != Mood::slow && connection.late == 0) {
        connection.out.append(bytes);
        return;
    }
    const Duration delay = is_stormy_ ? lateness() : Duration::zero();
    connection.says_no_earlier = std::max(connection.says_no_earlier, network_.now() + delay);
    ++connection.late;
    network_.schedule(connection.says_no_earlier, [&connection, text = std::move(bytes)] {
        --connection.late;
        connection.out.append(text);
    });
}

void ClientServers::say_frame(Connection& connection, ws::Opcode opcode, std::string_view payload) {
    std::uint8_t first = static_cast<std::uint8_t>(0x80 | static_cast<std::uint8_t>(opcode));
    ByteBuffer compressed;
    if (connection.has_deflate && opcode == ws::Opcode::text && prng_.chance(0.5)) {
        deflater_.compress(as_bytes(payload), compressed);
        payload = as_text(compressed.view());
        first |= 0x40;
    }
    say(connection, frame_bytes(first, payload));
}

void ClientServers::push(Connection& connection) {
    if (connection.is_deaf || connection.state != State::open) return;
    ConnectionRecord& record = ledger_.connections[static_cast<std::size_t>(connection.number)];
    say_frame(connection,
              ws::Opcode::text,
              "p " + std::to_string(connection.number) + " " + std::to_string(++record.pushes));
}

void ClientServers::begin_close(Connection& connection, ws::CloseCode code) {
    if (connection.state != State::open) return;
    say_frame(connection, ws::Opcode::close, close_payload(code));
    connection.state = State::finishing;
    connection.waits_for_peer = prng_.chance(0.5);
    ledger_.on_ended(connection.number, false);
}

// All is said: the stream ends, and with it what the client still sends.
void ClientServers::finish(Connection& connection) {
    leave(connection, io::CloseMode::graceful, is_heard(connection));
}

}  // namespace wspool::sim
