// Connecting: from what a pool asks to an open session, or a sentence that says why not. One
// deadline, the pool's, covers the name, the race of its addresses, TLS and the upgrade.
#include "client/core_state.h"

#include <algorithm>
#include <optional>

namespace wspool::client {
namespace {

std::optional<io::Address> numeric_address(const ws::Url& url) {
    const std::string host = url.is_ipv6 ? "[" + url.host + "]" : url.host;
    auto address = io::parse_address(host + ":" + std::to_string(url.port));
    if (!address) return std::nullopt;
    return std::move(*address);
}

std::string milliseconds(Duration duration) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) +
           " ms";
}

}  // namespace

void Core::State::connect(std::uint32_t host_index, const pool::PoolAction& action) {
    Host& host = hosts[host_index];
    const std::uint32_t index = connection_indexes.take();
    connections.grow_to(index);
    Connection& connection = connections[index];
    connection.target = host.targets[static_cast<std::uint32_t>(action.key)];
    connection.slot = action.slot;
    connection.deadline = action.deadline;
    connection.state = Connection::State::resolving;
    if (host.connections.size() <= action.slot.index)
        host.connections.resize(action.slot.index + 1, none);
    WSPOOL_ASSERT(host.connections[action.slot.index] == none);
    host.connections[action.slot.index] = index;
    Target& target = targets[connection.target];
    if (target.attempts < UINT32_MAX) ++target.attempts;
    if (auto address = numeric_address(target.parsed)) return start_race(index, {*address});
    const auto started =
        resolver.start(target.parsed.host, target.parsed.port, tag_of_connection(index));
    if (!started) return fail_connect(index, started.error().message);
    connection.resolution = *started;
}

void Core::State::on_resolved(const io::Resolution& resolution) {
    const std::uint32_t index = find_connection(resolution.tag);
    if (index == none || connections[index].state != Connection::State::resolving ||
        connections[index].resolution != resolution.id)
        return;
    if (!resolution.addresses) return fail_connect(index, resolution.addresses.error().message);
    start_race(index, io::interleave_families(*resolution.addresses));
}

void Core::State::start_race(std::uint32_t index, std::vector<io::Address> addresses) {
    Connection& connection = connections[index];
    connection.state = Connection::State::racing;
    connection.addresses = std::move(addresses);
    start_attempt(index);
}

// The next address, and one more after connect_stagger if nothing came of it by then.
void Core::State::start_attempt(std::uint32_t index) {
    Connection& connection = connections[index];
    const Target& target = targets[connection.target];
    staggers.remove(index);
    ws::ClientHandshake handshake;
    handshake.host = target.parsed.authority();
    handshake.target = target.parsed.target;
    handshake.key = ws::make_key(entropy);
    handshake.subprotocols = target.spec.subprotocols;
    handshake.headers = target.spec.headers;
    handshake.offer_deflate = options.compression;
    io::ConnectOptions connect_options;
    if (target.parsed.is_secure)
        connect_options = {.tls = target.spec.tls.get(), .server_name = target.parsed.host};
    while (connection.next_address < connection.addresses.size()) {
        const io::Address& address = connection.addresses[connection.next_address++];
        const auto session =
            engine.connect(address, handshake, tag_of_connection(index), connect_options);
        if (!session) {
            connection.error = io::format_address(address) + ": " + session.error().message;
            continue;
        }
        connection.attempts.push_back(*session);
        if (connection.next_address < connection.addresses.size())
            staggers.insert(index, now() + io::connect_stagger);
        return;
    }
    if (connection.attempts.empty()) fail_connect(index, connection.error);
}

void Core::State::on_attempt_failed(std::uint32_t index, const session::Event& event) {
    Connection& connection = connections[index];
    if (std::erase(connection.attempts, event.session) == 0) return;
    connection.error = event.text;
    start_attempt(index);
}

void Core::State::on_opened(std::uint32_t index, const session::Event& event) {
    Connection& connection = connections[index];
    if (std::erase(connection.attempts, event.session) == 0) {
        engine.abort(event.session);
        return;
    }
    give_up_connect(index);
    connection.state = Connection::State::open;
    connection.session = event.session;
    connection.subprotocol = event.text;
    Target& target = targets[connection.target];
    const std::uint32_t host_index = target.host;
    Host& host = hosts[host_index];
    host.connect_error.clear();
    host.has_timed_out = false;
    target.is_down = false;
    if (target.was_lost) {
        target.was_lost = false;
        ++host.reconnects;
        tell(CoreEventKind::reconnected, connection.target, 0).attempts = target.attempts;
    }
    target.attempts = 0;
    host.pool->on_connected(connection.slot, now());
    touch(host_index);
}

// Nothing came of it; whoever waited through all attempts is told with this sentence.
void Core::State::fail_connect(std::uint32_t index, const std::string& sentence) {
    Connection& connection = connections[index];
    const std::uint32_t host_index = targets[connection.target].host;
    Host& host = hosts[host_index];
    host.connect_error = host.name + ": " + sentence;
    host.has_timed_out = false;
    const pool::SlotId slot = connection.slot;
    give_up_connect(index);
    on_gone(index);
    host.pool->on_connect_failed(slot, Error{host.connect_error}, now());
    touch(host_index);
}

// Ends everything that is under way for a connection that is not open yet, without a word.
void Core::State::give_up_connect(std::uint32_t index) {
    Connection& connection = connections[index];
    if (connection.state == Connection::State::resolving) resolver.cancel(connection.resolution);
    staggers.remove(index);
    for (const session::SessionId attempt : connection.attempts) engine.abort(attempt);
    connection.attempts.clear();
    connection.addresses.clear();
    connection.next_address = 0;
    connection.error.clear();
}

// Before the pool gives up what is not open in time: why, for those who wait.
void Core::State::explain_timeouts(std::uint32_t host_index) {
    Host& host = hosts[host_index];
    for (const std::uint32_t index : host.connections) {
        if (index == none) continue;
        const Connection& connection = connections[index];
        const bool is_resolving = connection.state == Connection::State::resolving;
        if (connection.deadline > now() ||
            (!is_resolving && connection.state != Connection::State::racing))
            continue;
        host.has_timed_out = true;
        host.connect_error = host.name + ": not open within " +
                             milliseconds(options.host.connect_timeout) +
                             (is_resolving ? ", its name is still being looked up"
                                           : ", it does not answer, or not to the end");
        if (!connection.error.empty()) host.connect_error += " (" + connection.error + ")";
    }
}

}  // namespace wspool::client
