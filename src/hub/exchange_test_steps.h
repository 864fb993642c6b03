// The world's steps, drawn from the seed; the calm behind them, and what must hold at rest.
#pragma once

#include "hub/exchange_test_world.h"

namespace wspool::hub {

// What happens how often differs from seed to seed, so that each reaches states of its own.
inline void World::draw_weights() {
    crash_chance_ = 0.001 * static_cast<double>(1 + below(8));
    static constexpr std::array<std::size_t, 4> capacities = {1, 3, 10, 1000};
    link_capacity_ = capacities[below(capacities.size())];
    if (options_.link_capacity > 0) link_capacity_ = options_.link_capacity;
    is_lagging_.assign(options_.workers * options_.workers, false);
    for (std::size_t i = 0; i < is_lagging_.size(); ++i)
        is_lagging_[i] = random_.chance(options_.lag);
    thaw_chance_ = random_.chance(0.5) ? 0.2 : 0.01;
    for (std::size_t& weight : weights_) weight = 1 + below(12);
    for (std::size_t& weight : client_weights_) weight = 1 + below(10);
}

inline void World::step() {
    now_ += std::chrono::microseconds(below(2000));
    const std::size_t index = below(nodes_.size());
    if (!is_alive(index)) {
        if (!random_.chance(0.3)) return;
        start_node(index);
        latest_ = index;
        return;
    }
    Node& node = nodes_[index];
    if (node.is_frozen) {
        node.is_frozen = !random_.chance(thaw_chance_);
        return;
    }
    if (options_.freezes && random_.chance(0.005)) {
        node.is_frozen = true;
        return;
    }
    // Two deaths in a row are where old and new numbers meet (R29).
    const bool is_latest = index == latest_ && openings > 0 && node.exchange->is_open();
    const double chance = is_latest ? crash_chance_ * options_.second_death : crash_chance_;
    if (crashes_left_ > 0 && random_.chance(chance)) {
        --crashes_left_;
        crash(index);
        return;
    }
    step_node(index);
}

inline void World::step_node(std::size_t index) {
    Node& node = nodes_[index];
    switch (draw(weights_)) {
        case 0:
            hear_master(index);
            return;
        case 1:
        case 2:
        case 3:
            read_some(index, 1 + below(4));
            return;
        case 4:
        case 5:
            end_turn(index);
            return;
        case 6:
            node.exchange->on_time(now_);
            drain(index);
            return;
        case 8:
            whole_turn(index);
            return;
        case 7:
            if (node.connections.size() < 6 || random_.chance(0.1)) connect(index);
            return;
        default:
            step_client(index);
    }
}

inline void World::whole_turn(std::size_t index) {
    Node& node = nodes_[index];
    while (!node.master.empty()) hear_master(index);
    const std::set<wire::Incarnation> peers = node.peers;
    for (const wire::Incarnation peer : peers) {
        if (!is_calm_ && lags(peer, index)) continue;
        while (fault.empty() && read_link(peer, index)) {
        }
    }
    node.exchange->on_time(now_);
    drain(index);
    end_turn(index);
}

inline bool World::lags(wire::Incarnation from, std::size_t index) {
    std::size_t writer = 0;
    while (writer < nodes_.size() && nodes_[writer].incarnation != from) ++writer;
    if (writer == nodes_.size()) return random_.chance(0.5);
    return is_lagging_[index * options_.workers + writer] && random_.chance(0.95);
}

inline void World::read_some(std::size_t index, std::size_t count) {
    const std::set<wire::Incarnation> peers = nodes_[index].peers;
    if (peers.empty()) return;
    auto at = peers.begin();
    std::advance(at, below(peers.size()));
    if (lags(*at, index)) return;
    while (count-- > 0 && read_link(*at, index)) {
    }
}

inline void World::step_client(std::size_t index) {
    const auto& here = nodes_[index].connections;
    if (here.empty()) return;
    auto at = here.begin();
    std::advance(at, below(here.size()));
    Connection& connection = connections_[at->second];
    if (connection.is_evicted || random_.chance(0.02)) {
        close(connection);
        drain(index);
        return;
    }
    if (connection.life != Life::open || connection.is_paused || connection.is_joining) return;
    const std::string group = group_name(below(options_.groups));
    switch (draw(client_weights_)) {
        case 0:
        case 1:
            join(connection, group);
            return;
        case 2:
            if (connection.groups.erase(group) != 0 &&
                !nodes_[index].exchange->leave(connection.session, group, now_)) {
                fail_with("left a group twice");
            }
            drain(index);
            return;
        case 3:
            publish(connection, true);
            return;
        default:
            publish(connection, false);
    }
}

inline void World::calm() {
    is_calm_ = true;
    for (std::size_t index = 0; index < options_.workers; ++index) {
        if (is_alive(index) && nodes_[index].is_frozen) crash(index);  // the health check
    }
    for (std::size_t index = 0; index < options_.workers; ++index) {
        if (!is_alive(index)) start_node(index);
    }
    settle();
    if (!fault.empty()) return;
    check_rest();
    probe_ids();
    for (const Node& node : nodes_) openings += node.exchange->figures().openings_total;
}

inline void World::settle() {
    for (std::size_t round = 0; round < 400 && fault.empty(); ++round) {
        now_ += std::chrono::milliseconds(1);
        for (std::size_t index = 0; index < options_.workers; ++index) {
            close_evicted(index);
            whole_turn(index);
        }
        if (round > 60 && is_quiet()) return;
    }
    if (fault.empty()) fail_with("does not come to rest: " + unrest());
}

inline void World::close_evicted(std::size_t index) {
    const auto here = nodes_[index].connections;
    for (const auto& [session, number] : here) {
        if (connections_[number].is_evicted) close(connections_[number]);
    }
    drain(index);
}

inline std::string World::unrest() const {
    std::string text;
    for (const auto& [ends, link] : links_) {
        if (!link.records.empty()) text += "a link is not empty; ";
    }
    for (const Node& node : nodes_) {
        if (!node.exchange->is_open()) text += "a home is not open; ";
        const ExchangeFigures figures = node.exchange->figures();
        text += std::to_string(figures.log_records) + " logged, " +
                std::to_string(figures.window_records) + " unfinished, " +
                std::to_string(figures.parked) + " parked, " +
                std::to_string(figures.joins_waiting) + " joining; ";
    }
    return text;
}

inline bool World::is_quiet() const {
    for (const auto& [ends, link] : links_) {
        if (!link.records.empty()) return false;
    }
    return std::all_of(nodes_.begin(), nodes_.end(), [](const Node& node) {
        return node.exchange->is_open() && node.exchange->is_at_rest();
    });
}

inline void World::check_rest() {
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        const Connection& connection = connections_[i];
        if (connection.life == Life::closed) continue;
        if (connection.life == Life::registering) fail_with("a register without answer");
        if (connection.is_joining) fail_with("R20: a join without answer");
        if (connection.is_paused) fail_with("R6: a session waits for ever");
        for (const auto& [group, stay] : connection.groups) {
            check_stay(i, group, stay);
        }
    }
    for (std::size_t number = 0; number < messages_.size(); ++number) {
        const Message& message = messages_[number];
        if (lives(message) && !message.is_answered) fail_with("R8: a publish without answer");
        if (!message.is_direct || !is_owed(message)) continue;
        for (const Connection& connection : connections_) {
            if (connection.life != Life::open || connection.id != message.name) continue;
            if (connection.from > number) continue;
            if (connection.directs.count(number) == 0) {
                fail_with("a direct was lost");
            }
        }
    }
    check_positions();
}

inline bool World::is_owed(const Message& message) const {
    return lives(message) && !message.is_refused && !message.may_be_lost;
}

inline bool World::lives(const Message& message) const {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
        return node.incarnation == message.node;
    });
}

inline void World::check_stay(std::size_t connection, const std::string& group, const Stay& stay) {
    for (std::size_t number = stay.from; number < next_message(); ++number) {
        const Message& message = messages_[number];
        if (message.is_direct || message.name != group || !is_owed(message)) continue;
        if (message.sender == connection) continue;
        if (connections_[message.sender].id == connections_[connection].id) continue;
        if (stay.got.count(number) == 0) {
            fail_with("message " + std::to_string(number) + " to " + group +
                      " was lost for connection " + std::to_string(connection));
        }
    }
}

// Everybody stands at the same place of a group.
inline void World::check_positions() {
    std::map<std::string, Position> stands;
    for (const Connection& connection : connections_) {
        if (connection.life != Life::open) continue;
        for (const auto& [group, stay] : connection.groups) {
            Position& stand = stands[group];
            if (stay.position.offset >= stand.offset) stand = stay.position;
        }
    }
    for (const Connection& connection : connections_) {
        if (connection.life != Life::open) continue;
        for (const auto& [group, stay] : connection.groups) {
            Stay end = stay;
            if (end.is_replaying) skip_own(connection, group, end, stands[group].offset + 1);
            if (end.position == stands[group]) continue;
            fail_with("at rest, members of " + group + " stand at different places");
        }
    }
}

// I8: the home knows exactly the open sessions.
inline void World::probe_ids() {
    const std::size_t before = next_message();
    for (std::size_t id = 0; id < options_.ids; ++id) {
        Message message;
        message.node = nodes_[0].incarnation;
        message.name = id_name(id);
        message.is_direct = true;
        messages_.push_back(message);
        const std::string text = std::to_string(before + id);
        const PublishRequest request{messages_.back().name, as_bytes(text), {}, text};
        const PublishAnswer answer = nodes_[0].exchange->direct(request, wire::Kind::direct, now_);
        if (answer.outcome == PublishAnswer::Outcome::sequenced) {
            deliver(0, answer.delivery);
            acknowledge(before + id, answer.position);
        } else if (answer.outcome == PublishAnswer::Outcome::refused) {
            refuse(before + id, answer.refusal);
        }
        drain(0);
    }
    settle();
    for (std::size_t id = 0; id < options_.ids && fault.empty(); ++id) {
        const bool is_open =
            std::any_of(connections_.begin(), connections_.end(), [&](const auto& connection) {
                return connection.life == Life::open && connection.id == id_name(id) &&
                       connection.directs.count(before + id) != 0;
            });
        if (is_open == messages_[before + id].is_refused) fail_with("I8: a ghost holds an id");
    }
}

}  // namespace wspool::hub
