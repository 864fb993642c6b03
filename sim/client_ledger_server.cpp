// What the servers see.
#include "sim/client_ledger.h"

#include <algorithm>
#include <charconv>

namespace wspool::sim {

namespace {

// Senders in the order of a connection: a lease, or the target for what is sent without one.
constexpr std::uint64_t without_lease = 1ull << 62;

bool parse_number(std::string_view text, std::size_t at, std::uint64_t& number) {
    if (at >= text.size()) return false;
    const auto result = std::from_chars(text.data() + at, text.data() + text.size(), number);
    return result.ec == std::errc();
}

}  // namespace

int ClientLedger::on_accepted(std::size_t host) {
    connections.emplace_back();
    connections.back().host = host;
    connections.back().accepted_at = journal_.now();
    return static_cast<int>(connections.size()) - 1;
}

void ClientLedger::on_opened(int connection, int target) {
    ConnectionRecord& record = connections[static_cast<std::size_t>(connection)];
    record.is_open = true;
    record.target = target;
}

void ClientLedger::on_ended(int connection, bool is_clean) {
    ConnectionRecord& record = connections[static_cast<std::size_t>(connection)];
    record.is_open = false;
    if (!is_clean) last_unclean_[record.host] = journal_.now();
}

void ClientLedger::on_text(int connection, std::string_view text) {
    std::uint64_t number = 0;
    const bool is_request = text.substr(0, 6) == "{\"id\":";
    if (text.size() < 2 || !parse_number(text, is_request ? 6 : 2, number)) {
        return violate("a server got what nobody sent: " + excerpt(text));
    }
    if (text[0] == 's') return on_subscribe_arrived(connection, number);
    if (text[0] == 'u') return on_unsubscribe_arrived(connection, number);
    ++counts_delivered;
    if (const auto lease_text = lease_texts_.find(number); lease_text != lease_texts_.end()) {
        return on_lease_text_arrived(connection, number, lease_text->second, text);
    }
    CallRecord* call = find_call(number);
    if (call == nullptr || call->kind == CallRecord::Kind::acquire) {
        return violate("a server got text " + std::to_string(number) + ", which was never sent");
    }
    on_call_arrived(connection, *call, text);
}

void ClientLedger::check_order(int connection, std::uint64_t sender, std::uint64_t number) {
    std::uint64_t& last = connections[static_cast<std::size_t>(connection)].last_of[sender];
    if (number < last) {
        violate("text " + std::to_string(number) + " arrived after " + std::to_string(last) +
                " of the same sender");
    }
    last = number;
}

void ClientLedger::on_call_arrived(int connection, CallRecord& call, std::string_view text) {
    const ConnectionRecord& record = connections[static_cast<std::size_t>(connection)];
    const std::string name = "text " + std::to_string(call.number);
    const bool is_message = call.kind == CallRecord::Kind::message;
    if (call.connection >= 0) return violate(name + " arrived twice");
    call.connection = connection;
    if (record.target != static_cast<int>(call.target)) violate(name + " came to another target");
    if (text !=
        (is_message ? make_text(call.number, call.size) : make_request(call.number, call.size))) {
        violate(name + " arrived changed: " + excerpt(text));
    }
    if (!may_have_left(call)) violate(name + " arrived although it had failed or was cancelled");
    if (is_message) check_order(connection, without_lease + call.target, call.number);
    // Whoever holds a connection alone sees no other's messages on it.
    for (const std::size_t index : record.leases) {
        const LeaseRecord& lease = leases[index];
        if (lease.granted < call.begun && call.ended <= lease.ended && call.ended != not_yet) {
            violate(name + " went over the connection of lease " + std::to_string(lease.call));
        }
    }
}

void ClientLedger::on_lease_text_arrived(int connection,
                                         std::uint64_t number,
                                         LeaseText& sent,
                                         std::string_view text) {
    ConnectionRecord& record = connections[static_cast<std::size_t>(connection)];
    LeaseRecord& lease = leases[sent.lease];
    const std::string name = "text " + std::to_string(number);
    if (sent.connection >= 0) return violate(name + " arrived twice");
    sent.connection = connection;
    if (record.target != static_cast<int>(lease.target)) violate(name + " came to another target");
    if (text != make_text(number, sent.size)) violate(name + " arrived changed: " + excerpt(text));
    if (lease.connection >= 0 && lease.connection != connection) {
        violate("lease " + std::to_string(lease.call) + " speaks over two connections");
    }
    check_order(connection, sent.lease, number);
    if (lease.connection >= 0) return;
    lease.connection = connection;
    record.leases.push_back(sent.lease);
    check_lent_once(connection, sent.lease);
    check_crowding(record.host);
}

// No connection is lent to two at a time, but to one client.
void ClientLedger::check_lent_once(int connection, std::size_t index) {
    const ConnectionRecord& record = connections[static_cast<std::size_t>(connection)];
    const LeaseRecord& lease = leases[index];
    for (const std::size_t other_index : record.leases) {
        const LeaseRecord& other = leases[other_index];
        if (other_index == index || other.ended < lease.granted || lease.ended < other.granted) {
            continue;
        }
        const bool is_shared = !lease.client.empty() && lease.client == other.client &&
                               swarm_.core.host.affinity == pool::Affinity::shared;
        if (!is_shared) {
            violate("leases " + std::to_string(lease.call) + " and " + std::to_string(other.call) +
                    " have one connection");
        }
    }
}

// Connections over which something came, and which the user's side still has.
void ClientLedger::check_crowding(std::size_t host) {
    std::uint32_t held = 0;
    for (const std::size_t index : live_) {
        const LeaseRecord& lease = leases[index];
        if (targets[lease.target].host != host || lease.connection < 0) continue;
        const bool is_first = std::none_of(live_.begin(), live_.find(index), [&](auto other) {
            return leases[other].connection == lease.connection;
        });
        held += is_first ? 1 : 0;
    }
    if (held > swarm_.core.host.max_size) {
        violate(swarm_.hosts[host].name + ": " + std::to_string(held) +
                " connections are lent at a time");
    }
}

void ClientLedger::on_subscribe_arrived(int connection, std::uint64_t number) {
    ConnectionRecord& record = connections[static_cast<std::size_t>(connection)];
    const std::string name = "subscription " + std::to_string(number);
    const auto found = std::find_if(subscriptions.begin(),
                                    subscriptions.end(),
                                    [number](const auto& other) { return other.number == number; });
    if (found == subscriptions.end()) return violate(name + " was never asked for");
    if (record.target != static_cast<int>(found->target)) violate(name + " came to another target");
    // It may have been on its way when it was not wanted any more.
    if (found->ended_at < record.accepted_at) violate(name + " is not wanted, and was replayed");
    if (!record.subscriptions.insert(number).second) violate(name + " came twice");
    if (record.subscriptions.size() > 1 && number < record.last_subscription) {
        violate(name + " came after " + std::to_string(record.last_subscription));
    }
    record.last_subscription = number;
    if (record.subscriptions.size() > swarm_.core.subscriptions_per_connection) {
        violate("a connection has more subscriptions than it may");
    }
    for (const std::size_t index : record.leases) {
        if (leases[index].is_live() && found->is_wanted()) {
            violate(name + " came over the connection of lease " +
                    std::to_string(leases[index].call));
        }
    }
}

void ClientLedger::on_unsubscribe_arrived(int connection, std::uint64_t number) {
    ConnectionRecord& record = connections[static_cast<std::size_t>(connection)];
    const std::string name = "subscription " + std::to_string(number);
    if (record.subscriptions.erase(number) == 0) violate(name + " was ended where it was not");
    for (const SubscriptionRecord& subscription : subscriptions) {
        if (subscription.number == number && subscription.is_wanted()) {
            violate(name + " was ended although it is wanted");
        }
    }
}

}  // namespace wspool::sim
