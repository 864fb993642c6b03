// The world's clients: what they ask for, what they are told, and what they check of it at once.
#pragma once

#include "hub/exchange_test_world.h"

namespace wspool::hub {

inline void World::connect(std::size_t index) {
    Node& node = nodes_[index];
    const std::size_t number = connections_.size();
    Connection connection;
    connection.client = below(options_.ids);
    connection.id = id_name(connection.client);
    connection.node = index;
    connection.incarnation = node.incarnation;
    connection.session = {node.next_index++, 7};
    if (random_.chance(0.2)) {
        ClientId::TextBuffer buffer;
        connection.client = 1000 + number;
        node.exchange->register_anonymous(connection.session);
        connection.id = node.exchange->id_of(connection.session.index, buffer);
        connection.life = Life::open;
        connection.from = next_message();
        node.connections[connection.session.index] = number;
        connections_.push_back(std::move(connection));
        drain(index);
        return;
    }
    for (Connection& other : connections_) {
        if (other.id != connection.id || other.life == Life::closed) continue;
        connection.saw_holder = true;
        other.saw_holder = true;
    }
    node.connections[connection.session.index] = number;
    connections_.push_back(std::move(connection));
    Connection& added = connections_.back();
    const auto outcome = node.exchange->register_id(added.session, added.id, now_);
    if (outcome == Exchange::RegisterOutcome::granted) granted(added);
    drain(index);
}

inline void World::granted(Connection& connection) {
    connection.life = Life::open;
    connection.from = next_message();
    for (Connection& other : connections_) {
        if (&other == &connection || other.id != connection.id) continue;
        if (other.life == Life::registering) other.saw_holder = true;
        if (other.life == Life::open && options_.duplicate_id != DuplicateId::allow) {
            fail_with("I7: two open sessions of " + connection.id);
        }
    }
}

inline void World::close(Connection& connection) {
    if (connection.life == Life::closed) return;
    lose_connection(connection);
    nodes_[connection.node].connections.erase(connection.session.index);
    nodes_[connection.node].exchange->remove(connection.session, now_);
}

inline void World::join(Connection& connection, const std::string& group) {
    Node& node = nodes_[connection.node];
    if (connection.groups.count(group) != 0) return;
    JoinRequest request{.group = group, .has_offsets = true, .room = 400, .tag = "j"};
    connection.since.reset();
    auto& memory = memory_[connection.client];
    if (memory.count(group) != 0 && random_.chance(0.8)) {
        connection.since = memory[group].position;
        connection.remembered = memory[group];
        request.since = connection.since;
    }
    connection.joining = group;
    const JoinAnswer answer = node.exchange->join(connection.session, request, now_);
    if (answer.outcome == JoinAnswer::Outcome::pending) {
        connection.is_joining = true;
    } else if (answer.outcome == JoinAnswer::Outcome::joined) {
        on_joined(connection, answer.position, answer.is_recovered, answer.replay);
    } else {
        fail_with("a join was neither answered nor pending");
    }
    drain(connection.node);
}

inline void World::on_joined(Connection& connection,
                             const Position& position,
                             bool is_recovered,
                             std::span<const Replay> replay) {
    connection.is_joining = false;
    Stay stay;
    stay.position = position;
    stay.from = next_message();
    if (connection.since && is_recovered) {
        stay = connection.remembered;
        ++recovered;
        if (stay.position != position) fail_with("R18: recovered from elsewhere");
    }
    connection.groups[connection.joining] = stay;
    Stay& kept = connection.groups[connection.joining];
    kept.is_replaying = true;
    for (const Replay& message : replay) {
        const std::size_t number = number_of(message.payload);
        receive(connection, connection.joining, kept, number, message.offset);
    }
}

// What the same id has sent is left out of a replay (R21).
inline void World::skip_own(const Connection& connection,
                            const std::string& group,
                            Stay& stay,
                            std::uint64_t offset) {
    while (stay.position.offset + 1 < offset) {
        const auto found = agreed_.find({group, stay.position.epoch, stay.position.offset + 1});
        if (found != agreed_.end() &&
            connections_[messages_[found->second].sender].id != connection.id) {
            return;
        }
        ++stay.position.offset;
    }
}

inline void World::publish(Connection& connection, bool is_direct) {
    Node& node = nodes_[connection.node];
    const std::size_t number = next_message();
    Message message;
    message.sender = connection_number(connection);
    message.node = node.incarnation;
    message.is_direct = is_direct;
    message.name = is_direct ? id_name(below(options_.ids)) : group_name(below(options_.groups));
    messages_.push_back(message);
    const std::string text = std::to_string(number);
    const PublishRequest request{messages_.back().name, as_bytes(text), connection.session, text};
    const PublishAnswer answer = is_direct
                                     ? node.exchange->direct(request, wire::Kind::direct, now_)
                                     : node.exchange->broadcast(request, now_);
    if (answer.outcome == PublishAnswer::Outcome::sequenced) {
        deliver(connection.node, answer.delivery);
        acknowledge(number, answer.position);
    } else if (answer.outcome == PublishAnswer::Outcome::refused) {
        refuse(number, answer.refusal);
    } else if (answer.outcome == PublishAnswer::Outcome::paused) {
        connection.is_paused = true;
    }
    drain(connection.node);
}

inline void World::acknowledge(std::size_t number, const Position& position) {
    Message& message = messages_[number];
    if (message.is_answered) fail_with("R8: answered twice");
    message.is_answered = true;
    if (!message.is_direct) agree(message.name, position, number);
}

inline void World::refuse(std::size_t number, wire::Refusal refusal) {
    Message& message = messages_[number];
    if (message.is_answered) fail_with("R12: answered twice");
    message.is_answered = true;
    message.is_refused = true;
    if (refusal != wire::Refusal::unknown_target || !message.is_direct) {
        if (refusal != wire::Refusal::unavailable) fail_with("refused for no reason");
        return;
    }
    for (const Connection& connection : connections_) {
        if (connection.id == message.name && connection.life == Life::open &&
            connection.from <= number && !connection.is_evicted) {
            fail_with("R12: an id that is there was not found");
        }
    }
}

inline std::size_t World::connection_number(const Connection& connection) const {
    return static_cast<std::size_t>(&connection - connections_.data());
}

inline std::size_t World::number_of(ByteView payload) {
    return std::stoul(std::string(as_text(payload)));
}

// I1
inline void World::agree(const std::string& group, const Position& position, std::size_t number) {
    const auto [at, is_new] =
        agreed_.emplace(std::tuple(group, position.epoch, position.offset), number);
    if (!is_new && at->second != number) fail_with("I1: an offset means two messages");
}

// I3
inline void World::receive(Connection& connection,
                           const std::string& group,
                           Stay& stay,
                           std::size_t number,
                           std::uint64_t offset) {
    if (stay.is_replaying) skip_own(connection, group, stay, offset);
    if (stay.position.offset + 1 != offset) {
        fail_with("I3: member at " + std::to_string(stay.position.offset) + " of " + group +
                  " got offset " + std::to_string(offset));
    }
    stay.position.offset = offset;
    agree(group, stay.position, number);
    const Message& message = messages_[number];
    if (message.sender == connection_number(connection)) return;
    ++deliveries;
    if (!stay.got.insert(number).second) fail_with("I3: a message came twice");
    const auto last = stay.last.find(message.sender);
    if (last != stay.last.end() && last->second >= number) {
        fail_with("order of one publisher");
    }
    stay.last[message.sender] = number;
}

inline void World::deliver(std::size_t index, const Delivery& delivery) {
    Node& node = nodes_[index];
    const std::size_t number = number_of(delivery.payload);
    for (const Member& member : delivery.members) {
        Connection& connection = connections_[node.connections.at(member.index)];
        if (delivery.kind == wire::Kind::broadcast) {
            const std::string group(delivery.name);
            const auto stay = connection.groups.find(group);
            if (stay == connection.groups.end()) {
                fail_with("a delivery to who is no member");
                continue;
            }
            if (stay->second.position.epoch != delivery.position.epoch) {
                fail_with("R30: an epoch that members were not told");
            }
            receive(connection, group, stay->second, number, delivery.position.offset);
            stay->second.is_replaying = false;
        } else if (!connection.directs.insert(number).second) {
            fail_with("a direct came twice");
        } else if (std::string(delivery.name) != connection.id) {
            fail_with("a direct came to another id");
        }
    }
}

inline void World::on_position(std::size_t index, const Action& action) {
    Node& node = nodes_[index];
    for (const Member& member : action.members) {
        Connection& connection = connections_[node.connections.at(member.index)];
        Stay& stay = connection.groups[std::string(action.group)];
        if (!action.is_recovered) fail_with("I4: a hole in a merge");
        // What it has sent itself under the same id may stand at the end of what was replayed.
        if (stay.is_replaying) {
            skip_own(connection, std::string(action.group), stay, action.position.offset + 1);
        }
        if (stay.position.offset != action.position.offset) {
            fail_with("R30: a position that is not the member's");
        }
        stay.position = action.position;
    }
}

inline void World::drain(std::size_t index) {
    Node& node = nodes_[index];
    Action action;
    while (node.exchange->next_action(action)) {
        const auto found = node.connections.find(action.session.index);
        Connection* connection =
            found == node.connections.end() ? nullptr : &connections_[found->second];
        handle(index, action, connection);
    }
}

inline void World::handle(std::size_t index, const Action& action, Connection* connection) {
    Node& node = nodes_[index];
    switch (action.kind) {
        case ActionKind::deliver:
            deliver(index, action.delivery);
            return;
        case ActionKind::published:
            acknowledge(std::stoul(std::string(action.tag)), action.position);
            return;
        case ActionKind::refused:
            if (action.group.empty()) {
                refuse(std::stoul(std::string(action.tag)), action.refusal);
            } else {
                fail_with("a join was given up");
            }
            return;
        case ActionKind::position:
            on_position(index, action);
            return;
        case ActionKind::joined:
        case ActionKind::granted:
        case ActionKind::rejected:
        case ActionKind::evict:
        case ActionKind::check:
        case ActionKind::resume:
            break;
    }
    if (connection == nullptr) return;
    if (action.kind == ActionKind::joined) {
        if (action.group != connection->joining) fail_with("joined another group");
        on_joined(*connection, action.position, action.is_recovered, action.replay);
    } else if (action.kind == ActionKind::granted) {
        if (connection->life != Life::registering) fail_with("granted twice");
        granted(*connection);
    } else if (action.kind == ActionKind::rejected) {
        if (!connection->saw_holder && ghosts_.count(connection->id) == 0) {
            fail_with("R53: refused for a ghost");
        }
        connection->life = Life::closed;
        node.connections.erase(connection->session.index);
    } else if (action.kind == ActionKind::evict) {
        connection->is_evicted = true;
    } else if (action.kind == ActionKind::check) {
        node.exchange->held(connection->session, action.question);
    } else {
        connection->is_paused = false;
    }
}

}  // namespace wspool::hub
