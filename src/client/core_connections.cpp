// Connections: what the pools ask for, and what sessions tell.
#include "client/core_state.h"

#include <utility>

namespace wspool::client {

void Core::State::touch(std::uint32_t host) {
    ++hosts[host].changes;
    if (!std::exchange(hosts[host].is_touched, true)) touched.push_back(host);
}

void Core::State::settle() {
    for (;;) {
        while (!touched.empty()) {
            const std::uint32_t index = touched.back();
            touched.pop_back();
            Host& host = hosts[index];
            host.is_touched = false;
            if (!std::exchange(host.has_stale_deadline, true)) stale.push_back(index);
            pool::PoolAction action;
            while (host.pool->next_action(action)) on_action(index, action);
        }
        pool::CeilingAction action;
        if (ceiling == nullptr || !ceiling->next_action(action)) return;
        const auto host = static_cast<std::uint32_t>(action.tag);
        if (action.kind == pool::CeilingAction::Kind::wake) {
            hosts[host].pool->on_permit(now());
        } else {
            hosts[host].pool->evict_idle(now());
        }
        touch(host);
    }
}

void Core::State::on_action(std::uint32_t host_index, const pool::PoolAction& action) {
    Host& host = hosts[host_index];
    const std::uint32_t call = find(id_of<CallId>(action.tag), calls, call_indexes);
    const bool is_for_acquire = call != none && calls[call].kind == Call::Kind::acquire;
    switch (action.kind) {
        case pool::PoolAction::Kind::connect:
            return connect(host_index, action);
        case pool::PoolAction::Kind::validate:
            return engine.ping(connections[connection_of(host, action.slot)].session);
        case pool::PoolAction::Kind::close:
            return close_slot(host_index, action);
        case pool::PoolAction::Kind::granted:
            return on_granted(call, action.lease, action.slot);
        case pool::PoolAction::Kind::failed:
            return on_refused(call, code_of(host, action.error));
        case pool::PoolAction::Kind::revoked:
            return on_revoked(call, code_of(host, action.error));
        case pool::PoolAction::Kind::notice:
            if (is_for_acquire) {
                CoreEvent& event = tell(CoreEventKind::notice, calls[call].target, calls[call].tag);
                event.lease = {call, calls[call].generation};
                event.deadline = action.deadline;
                event.delay = action.delay;
            } else if (calls[call].kind == Call::Kind::shard) {
                on_shard_lost(call);
            }
            return;
        case pool::PoolAction::Kind::leaked:
            if (is_for_acquire) {
                CoreEvent& event = tell(CoreEventKind::leaked, calls[call].target, calls[call].tag);
                event.lease = {call, calls[call].generation};
                event.delay = action.delay;
            }
            return;
        case pool::PoolAction::Kind::drained:
            host.is_drained = true;
            return note_drained();
    }
}

std::uint32_t Core::State::connection_of(const Host& host, pool::SlotId slot) const {
    WSPOOL_ASSERT(slot.index < host.connections.size());
    const std::uint32_t index = host.connections[slot.index];
    WSPOOL_ASSERT(index != none && connections[index].slot == slot);
    return index;
}

void Core::State::close_slot(std::uint32_t host_index, const pool::PoolAction& action) {
    Host& host = hosts[host_index];
    const std::uint32_t index = connection_of(host, action.slot);
    Connection& connection = connections[index];
    switch (connection.state) {
        case Connection::State::resolving:
        case Connection::State::racing:
            give_up_connect(index);
            on_gone(index);
            host.pool->on_closed(action.slot, now());
            return;
        case Connection::State::open:
            connection.state = Connection::State::closing;
            tell_closed(connection, action.end, ws::CloseCode::normal, {});
            engine.close(
                connection.session, ws::CloseCode::normal, {}, metrics::CloseReason::shutdown);
            break;
        case Connection::State::closing:
        case Connection::State::free:
            break;
    }
    if (action.is_abort) engine.abort(connection.session);
}

// ---- what sessions tell

void Core::State::tell_closed(const Connection& connection,
                              pool::SlotEnd end,
                              ws::CloseCode code,
                              std::string_view text) {
    CoreEvent& event = tell(CoreEventKind::closed, connection.target, 0, std::string(text));
    event.end = end;
    event.code = code;
    for (std::uint32_t i = connection.holders.front(); i != none; i = calls[i].links.next) {
        if (calls[i].kind != Call::Kind::acquire) continue;
        event.lease = {i, calls[i].generation};
        return;
    }
}

// Its session is open no more, and nobody here asked for that.
void Core::State::on_closed(std::uint32_t index, const session::Event& event) {
    Connection& connection = connections[index];
    if (connection.state != Connection::State::open || event.session != connection.session) return;
    connection.state = Connection::State::closing;
    const std::string_view text =
        event.text.empty() ? metrics::name(event.reason) : std::string_view(event.text);
    tell_closed(connection, pool::SlotEnd::lost, event.code, text);
    Target& target = targets[connection.target];
    target.was_lost = true;
    // Whoever was replaced, or is not wanted, would only fight for the place by coming back.
    if (event.code == ws::CloseCode::replaced || event.code == ws::CloseCode::unauthenticated ||
        event.code == ws::CloseCode::forbidden) {
        target.is_stopped = true;
        CoreEvent& stopped = tell(CoreEventKind::stopped, connection.target, 0, std::string(text));
        stopped.code = event.code;
    }
    const std::uint32_t host = target.host;
    hosts[host].pool->on_lost(connection.slot, now());
    touch(host);
}

// Nothing is left of it; the caller tells the pool. What it still had to send is lost.
void Core::State::on_gone(std::uint32_t index) {
    Connection& connection = connections[index];
    WSPOOL_ASSERT(connection.holders.is_empty());
    for (std::size_t i = 0; i < connection.sends.size(); ++i) {
        tell(CoreEventKind::failed,
             connection.target,
             connection.sends[i].tag,
             explain(connection.target, ErrorCode::connection_lost))
            .error = ErrorCode::connection_lost;
    }
    Target& target = targets[connection.target];
    target.used_at = now();
    Host& host = hosts[target.host];
    host.messages_sent += connection.pushed;
    host.bytes_sent += connection.pushed_bytes;
    host.connections[connection.slot.index] = none;
    if (connection.is_tracked) std::erase(tracked, index);
    const std::uint32_t generation = connection.generation + 1;
    connection = Connection{};
    connection.generation = generation;
    connection_indexes.give_back(index);
}

}  // namespace wspool::client
