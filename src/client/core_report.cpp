// What is, for those who look from outside: figures, and whether all tables agree.
#include "client/core_state.h"

namespace wspool::client {

CoreStats Core::State::stats() const {
    CoreStats stats;
    for (std::uint32_t i = 0; i < host_indexes.end(); ++i) {
        const Host& host = hosts[i];
        if (host.pool == nullptr) continue;
        HostStats& out = stats.hosts.emplace_back();
        out.host = host.name;
        out.pool = host.pool->report(now());
        out.breaker = host.pool->breaker_state();
        out.last_connect_error = host.connect_error;
        out.reconnects = host.reconnects;
        out.messages_sent = host.messages_sent;
        out.bytes_sent = host.bytes_sent;
        for (const std::uint32_t connection : host.connections) {
            if (connection == none) continue;
            out.messages_sent += connections[connection].pushed;
            out.bytes_sent += connections[connection].pushed_bytes;
        }
        out.messages_received = host.messages_received;
        out.bytes_received = host.bytes_received;
        out.queued_messages = host.queued_messages;
        out.queued_bytes = host.queued_bytes;
        out.requests = host.requests;
        out.subscriptions = host.subscriptions;
        out.dropped_messages = host.dropped_messages;
    }
    stats.connections = static_cast<std::uint32_t>(connection_indexes.used());
    stats.targets = static_cast<std::uint32_t>(target_indexes.used());
    if (ceiling != nullptr) stats.ceiling = ceiling->figures();
    stats.counters = counters;
    return stats;
}

void Core::State::check_invariants() const {
    engine.check_invariants();
    if (ceiling != nullptr) ceiling->check_invariants();
    host_deadlines.check_invariants();
    call_deadlines.check_invariants();
    staggers.check_invariants();
    WSPOOL_ASSERT(touched.empty());
    std::size_t used = 0;
    for (std::uint32_t i = 0; i < host_indexes.end(); ++i) {
        const Host& host = hosts[i];
        if (host.pool == nullptr) continue;
        host.pool->check_invariants();
        std::uint32_t slots = 0;
        for (std::uint32_t slot = 0; slot < host.connections.size(); ++slot) {
            if (host.connections[slot] == none) continue;
            ++slots;
            const Connection& connection = connections[host.connections[slot]];
            WSPOOL_ASSERT(connection.slot.index == slot);
            WSPOOL_ASSERT(targets[connection.target].host == i);
        }
        WSPOOL_ASSERT(slots == host.pool->size());
        used += slots;
    }
    WSPOOL_ASSERT(used == connection_indexes.used());
    check_connections();
    check_calls();
}

void Core::State::check_connections() const {
    for (std::uint32_t i = 0; i < connection_indexes.end(); ++i) {
        const Connection& connection = connections[i];
        if (connection.state == Connection::State::free) continue;
        const pool::SlotState slot = host_of_target(connection.target).pool->state(connection.slot);
        switch (connection.state) {
            case Connection::State::resolving:
            case Connection::State::racing:
                WSPOOL_ASSERT(slot == pool::SlotState::connecting);
                WSPOOL_ASSERT(connection.holders.is_empty());
                break;
            case Connection::State::open:
                WSPOOL_ASSERT(slot == pool::SlotState::idle || slot == pool::SlotState::leased ||
                              slot == pool::SlotState::validating);
                WSPOOL_ASSERT((slot == pool::SlotState::leased) != connection.holders.is_empty());
                break;
            case Connection::State::closing:
                WSPOOL_ASSERT(slot == pool::SlotState::closing);
                WSPOOL_ASSERT(connection.holders.is_empty());
                break;
            case Connection::State::free:
                break;
        }
    }
}

void Core::State::check_calls() const {
    std::size_t used = 0;
    std::vector<std::uint32_t> queued(host_indexes.end());
    std::vector<std::uint32_t> requests(host_indexes.end());
    std::vector<std::uint32_t> subscribed(host_indexes.end());
    for (std::uint32_t i = 0; i < call_indexes.end(); ++i) {
        const Call& call = calls[i];
        if (call.state == Call::State::free) continue;
        ++used;
        const Target& target = targets[call.target];
        WSPOOL_ASSERT(target.host != none);
        WSPOOL_ASSERT((call.state == Call::State::leased) == (call.connection != none));
        WSPOOL_ASSERT((call.state == Call::State::queued) == (call.kind == Call::Kind::message));
        WSPOOL_ASSERT(call.state != Call::State::idle || call.kind == Call::Kind::courier);
        if (call.state == Call::State::leased) {
            WSPOOL_ASSERT(connections[call.connection].target == call.target);
            WSPOOL_ASSERT(hosts[target.host].pool->slot_of(call.lease) ==
                          connections[call.connection].slot);
        }
        queued[target.host] += call.kind == Call::Kind::message;
        requests[target.host] += call.kind == Call::Kind::request;
        if (call.kind == Call::Kind::courier) WSPOOL_ASSERT(target.courier == i);
        if (call.kind != Call::Kind::shard) continue;
        subscribed[target.host] += call.subscriptions.size();
        WSPOOL_ASSERT(!call.subscriptions.is_empty());
        WSPOOL_ASSERT(call.subscriptions.size() <= options.subscriptions_per_connection);
    }
    WSPOOL_ASSERT(used == call_indexes.used());
    std::size_t subscriptions_used = 0;
    for (std::uint32_t i = 0; i < host_indexes.end(); ++i) {
        WSPOOL_ASSERT(hosts[i].queued_messages == queued[i]);
        WSPOOL_ASSERT(hosts[i].requests == requests[i]);
        WSPOOL_ASSERT(hosts[i].subscriptions == subscribed[i]);
        subscriptions_used += subscribed[i];
    }
    WSPOOL_ASSERT(subscriptions_used == subscription_indexes.used());
    for (std::uint32_t i = 0; i < target_indexes.end(); ++i) {
        const Target& target = targets[i];
        if (target.host == none || target.queue.is_empty()) continue;
        // Somebody carries the line.
        WSPOOL_ASSERT(!target.shards.empty() ||
                      (target.courier != none && calls[target.courier].state != Call::State::idle));
    }
}

}  // namespace wspool::client
