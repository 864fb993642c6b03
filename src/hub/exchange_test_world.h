// World: N exchanges, the links between them, a master and clients, all in memory and moved by one
// seed. For tests: everything that may happen between two steps happens, and what docs/protocol/
// calls I1 … I8 is checked as it goes; calm() then lets everything come to rest and checks what is
// owed.
//
// How it works: a link is a queue of whole records for each direction. A crash keeps a random part
// of what had not left the process, makes the links of the dead readable to their end (R2), and
// loses what was sent to it. A violation is kept as a sentence in `fault`; nothing aborts but the
// assertions of the exchange itself.
#pragma once

#include "base/random.h"
#include "hub/exchange.h"
#include "wire/records.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace wspool::hub {

struct WorldOptions {
    std::size_t workers = 3;
    std::size_t groups = 3;
    std::size_t ids = 4;
    std::size_t steps = 1500;
    std::size_t crashes = 3;
    DuplicateId duplicate_id = DuplicateId::replace;
    std::uint32_t history = 8;
    std::uint32_t window_records = 6;
    bool freezes = true;
    double lag = 0.2;               // part of the links that are read seldom
    double second_death = 5;        // how much likelier the youngest home dies
    std::size_t link_capacity = 0;  // records of a dead process that can still be read; 0: drawn
    Plant plant;
};

class World {
  public:
    World(const WorldOptions& options, std::uint64_t seed) : options_(options), random_(seed) {
        key_ = {random_.next(), random_.next()};
        nodes_.resize(static_cast<std::size_t>(options.workers));
        crashes_left_ = options.crashes;
        draw_weights();
        for (std::size_t index = 0; index < options.workers; ++index) start_node(index);
    }

    void run() {
        for (std::size_t i = 0; i < options_.steps && fault.empty(); ++i) step();
        if (fault.empty()) calm();
    }

    std::string fault;  // empty: none was found
    std::uint64_t deliveries = 0;
    std::uint64_t recovered = 0;
    std::uint64_t openings = 0;

  private:
    static constexpr std::size_t nobody_sends = SIZE_MAX;
    struct Message {
        std::size_t sender = nobody_sends;  // connection
        wire::Incarnation node = 0;
        std::string name;
        bool is_direct = false;
        bool is_answered = false;
        bool is_refused = false;
        bool may_be_lost = false;  // poison
    };
    struct Stay {  // in a group
        Position position;
        std::size_t from = 0;                     // messages from here on are owed
        std::set<std::size_t> got;                // since the last join that was not recovered
        std::map<std::size_t, std::size_t> last;  // message, by sender
        bool is_replaying = false;                // what came may have left out own messages
    };
    enum class Life { registering, open, closed };
    struct Connection {
        std::size_t client = 0;
        std::string id;
        std::size_t node = 0;
        wire::Incarnation incarnation = 0;
        Session session;
        Life life = Life::registering;
        std::size_t from = 0;  // directs from here on are owed
        bool is_paused = false;
        bool is_joining = false;
        bool is_evicted = false;
        bool saw_holder = false;
        std::optional<Position> since;
        Stay remembered;
        std::string joining;
        bool has_offsets = true;
        std::map<std::string, Stay> groups;
        std::set<std::size_t> directs;
    };
    struct Arrival {
        wire::Incarnation peer = 0;
        std::uint16_t index = 0;
    };
    struct Node {
        wire::Incarnation incarnation = 0;  // 0: dead
        std::unique_ptr<SeededEntropy> entropy;
        std::unique_ptr<Exchange> exchange;
        std::deque<Arrival> master;
        std::set<wire::Incarnation> peers;
        std::map<std::uint32_t, std::size_t> connections;  // by session index
        std::map<std::string, Position> stands;            // I2
        std::uint32_t next_index = 0;
        bool is_frozen = false;
    };
    struct Link {
        std::deque<std::string> records;
        bool has_ended = false;
    };

    // ------------------------------------------------------------------------------- randomness

    [[nodiscard]] std::size_t below(std::size_t bound) { return random_.below(bound); }
    [[nodiscard]] bool is_alive(std::size_t node) const { return nodes_[node].incarnation != 0; }
    [[nodiscard]] bool runs(std::size_t node) const {
        return is_alive(node) && !nodes_[node].is_frozen;
    }
    void fail_with(const std::string& what) {
        if (fault.empty()) fault = what;
    }
    [[nodiscard]] std::string group_name(std::size_t i) const { return "g" + std::to_string(i); }
    [[nodiscard]] std::string id_name(std::size_t i) const { return "id" + std::to_string(i); }

    // ------------------------------------------------------------------------------- the master

    void start_node(std::size_t index) {
        Node& node = nodes_[index];
        node = Node{};
        node.incarnation = ++last_incarnation_;
        node.entropy = std::make_unique<SeededEntropy>(random_.next());
        ExchangeOptions options;
        options.incarnation = node.incarnation;
        options.index = static_cast<std::uint16_t>(index);
        options.index_count = static_cast<std::uint16_t>(options_.workers);
        options.key = key_;
        options.duplicate_id = options_.duplicate_id;
        options.history[0].messages = options_.history;
        options.window_records = options_.window_records;
        options.window_bytes = 4096;
        options.replay_bytes = 512;
        options.interest_linger = std::chrono::milliseconds(20);
        options.plant = options_.plant;
        node.exchange = std::make_unique<Exchange>(options, *node.entropy);
        for (std::size_t other = 0; other < options_.workers; ++other) {
            if (other == index || !is_alive(other)) continue;
            Node& peer = nodes_[other];
            links_[{peer.incarnation, node.incarnation}] = Link{};
            links_[{node.incarnation, peer.incarnation}] = Link{};
            node.exchange->add_peer(
                peer.incarnation, static_cast<std::uint16_t>(other), true, now_);
            node.peers.insert(peer.incarnation);
            peer.master.push_back({node.incarnation, static_cast<std::uint16_t>(index)});
        }
        node.exchange->become_home(now_);
        drain(index);
    }

    void hear_master(std::size_t index) {
        Node& node = nodes_[index];
        if (node.master.empty()) return;
        const Arrival arrival = node.master.front();
        node.master.pop_front();
        node.exchange->add_peer(arrival.peer, arrival.index, true, now_);
        node.peers.insert(arrival.peer);
        drain(index);
    }

    // The process may end anywhere in a turn, also while it writes; and a link holds no more than
    // its capacity, the rest lay in an outbox.
    void crash(std::size_t index) {
        Node& node = nodes_[index];
        const wire::Incarnation dead = node.incarnation;
        const bool is_writing = random_.chance(0.7);
        if (is_writing) {
            node.exchange->flush(now_);
            drain(index);
        }
        for (std::size_t other = 0; other < options_.workers; ++other) {
            if (other == index || !is_alive(other)) continue;
            const wire::Incarnation peer = nodes_[other].incarnation;
            Link& link = links_[{dead, peer}];
            const std::size_t written = std::min(link.records.size(), link_capacity_);
            if (is_writing) {
                for (std::string& record : take_outgoing(node, peer)) {
                    link.records.push_back(std::move(record));
                }
            }
            const std::size_t fits = std::min(link.records.size(), link_capacity_);
            link.records.resize(written + below(fits - written + 1));
            link.has_ended = true;
        }
        std::erase_if(links_, [&](const auto& entry) { return entry.first.second == dead; });
        for (const auto& [session, connection] : node.connections) {
            lose_connection(connections_[connection]);
        }
        openings += node.exchange->figures().openings_total;
        node = Node{};
    }

    void lose_connection(Connection& connection) {
        if (connection.life == Life::closed) return;
        // Its register may still be read, and take the place of a newer one (R2, R52).
        if (connection.life == Life::registering) ghosts_.insert(connection.id);
        for (auto& [group, stay] : connection.groups) memory_[connection.client][group] = stay;
        connection.life = Life::closed;
    }

    // -------------------------------------------------------------------------------- the links

    [[nodiscard]] std::vector<std::string> take_outgoing(Node& node, wire::Incarnation peer) {
        std::vector<std::string> records;
        ByteBuffer* out = node.exchange->outgoing(peer);
        if (out == nullptr) return records;
        ByteView rest = out->view();
        wire::Header header;
        int gots = 0;
        while (wire::read_header(rest, UINT32_MAX, header) == wire::HeaderOutcome::ok) {
            records.emplace_back(as_text(rest.first(header.size)));
            if (header.type == wire::RecordType::got) ++gots;
            rest = rest.subspan(header.size);
        }
        if (!rest.empty()) fail_with("R1: half a record in an outbox");
        if (gots > 1) fail_with("R9, R60: more than one got in a turn");
        out->clear();
        return records;
    }

    void end_turn(std::size_t index) {
        Node& node = nodes_[index];
        node.exchange->flush(now_);
        drain(index);
        for (const wire::Incarnation peer : node.peers) {
            std::vector<std::string> records = take_outgoing(node, peer);
            const auto link = links_.find({node.incarnation, peer});
            if (link == links_.end()) continue;  // EPIPE
            for (std::string& record : records) link->second.records.push_back(std::move(record));
        }
        node.exchange->check_invariants();
        check_bounds(index);
    }

    // R60, R62: what is unstable holds window of those who published it; a home's own publishers
    // get theirs back before the receivers hear of it.
    void check_bounds(std::size_t index) {
        const std::size_t processes = last_incarnation_;
        const std::size_t bound = 2 * processes * options_.window_records * options_.workers;
        if (nodes_[index].exchange->figures().log_records > bound) {
            fail_with("R60: more unstable messages than all windows allow");
        }
    }

    // Reads one record, or the end. False when there is nothing to read.
    bool read_link(wire::Incarnation from, std::size_t index) {
        Node& node = nodes_[index];
        if (node.peers.count(from) == 0) return false;
        const auto found = links_.find({from, node.incarnation});
        if (found == links_.end()) return false;
        Link& link = found->second;
        if (link.records.empty()) {
            if (!link.has_ended) return false;
            links_.erase(found);
            node.peers.erase(from);
            node.exchange->on_peer_ended(from, now_);
            drain(index);
            return true;
        }
        const std::string record = std::move(link.records.front());
        link.records.pop_front();
        note_poison(as_bytes(record));
        const Result<void> result = node.exchange->on_record(from, as_bytes(record), now_);
        if (!result) fail_with("a record was refused: " + result.error().message);
        drain(index);
        return true;
    }

    // R32: what three homes have died over may be dropped, even if it was acknowledged before.
    void note_poison(ByteView record) {
        wire::AnnounceResend resend;
        if (!wire::decode(record, resend) || resend.publish.attempt < 3) return;
        messages_[number_of(resend.publish.payload)].may_be_lost = true;
    }

    // ------------------------------------------------------------------------------ the clients

    void connect(std::size_t index) {
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

    void granted(Connection& connection) {
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

    void close(Connection& connection) {
        if (connection.life == Life::closed) return;
        lose_connection(connection);
        nodes_[connection.node].connections.erase(connection.session.index);
        nodes_[connection.node].exchange->remove(connection.session, now_);
    }

    void join(Connection& connection, const std::string& group) {
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

    void on_joined(Connection& connection,
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
    void skip_own(const Connection& connection,
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

    void publish(Connection& connection, bool is_direct) {
        Node& node = nodes_[connection.node];
        const std::size_t number = next_message();
        Message message;
        message.sender = connection_number(connection);
        message.node = node.incarnation;
        message.is_direct = is_direct;
        message.name =
            is_direct ? id_name(below(options_.ids)) : group_name(below(options_.groups));
        messages_.push_back(message);
        const std::string text = std::to_string(number);
        const PublishRequest request{
            messages_.back().name, as_bytes(text), connection.session, text};
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

    void acknowledge(std::size_t number, const Position& position) {
        Message& message = messages_[number];
        if (message.is_answered) fail_with("R8: answered twice");
        message.is_answered = true;
        if (!message.is_direct) agree(message.name, position, number);
    }

    void refuse(std::size_t number, wire::Refusal refusal) {
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

    // ------------------------------------------------------------------------------ what is said

    [[nodiscard]] std::size_t next_message() const { return messages_.size(); }
    [[nodiscard]] std::size_t connection_number(const Connection& connection) const {
        return static_cast<std::size_t>(&connection - connections_.data());
    }
    [[nodiscard]] static std::size_t number_of(ByteView payload) {
        return std::stoul(std::string(as_text(payload)));
    }

    // I1
    void agree(const std::string& group, const Position& position, std::size_t number) {
        const auto [at, is_new] =
            agreed_.emplace(std::tuple(group, position.epoch, position.offset), number);
        if (!is_new && at->second != number) fail_with("I1: an offset means two messages");
    }

    // I3
    void receive(Connection& connection,
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

    void deliver(std::size_t index, const Delivery& delivery) {
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

    void on_position(std::size_t index, const Action& action) {
        Node& node = nodes_[index];
        for (const Member& member : action.members) {
            Connection& connection = connections_[node.connections.at(member.index)];
            Stay& stay = connection.groups[std::string(action.group)];
            if (!action.is_recovered) fail_with("I4: a hole in a merge");
            if (stay.position.offset != action.position.offset) {
                fail_with("R30: a position that is not the member's");
            }
            stay.position = action.position;
        }
    }

    void drain(std::size_t index) {
        Node& node = nodes_[index];
        Action action;
        while (node.exchange->next_action(action)) {
            const auto found = node.connections.find(action.session.index);
            Connection* connection =
                found == node.connections.end() ? nullptr : &connections_[found->second];
            handle(index, action, connection);
        }
    }

    void handle(std::size_t index, const Action& action, Connection* connection) {
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

    // ---------------------------------------------------------------------------------- steps

    // What happens how often differs from seed to seed, so that each reaches states of its own.
    void draw_weights() {
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

    template <std::size_t count>
    [[nodiscard]] std::size_t draw(const std::array<std::size_t, count>& weights) {
        std::size_t sum = 0;
        for (const std::size_t weight : weights) sum += weight;
        std::size_t left = below(sum);
        std::size_t at = 0;
        while (left >= weights[at]) left -= weights[at++];
        return at;
    }

    void step() {
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

    void step_node(std::size_t index) {
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

    void whole_turn(std::size_t index) {
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

    [[nodiscard]] bool lags(wire::Incarnation from, std::size_t index) {
        std::size_t writer = 0;
        while (writer < nodes_.size() && nodes_[writer].incarnation != from) ++writer;
        if (writer == nodes_.size()) return random_.chance(0.5);
        return is_lagging_[index * options_.workers + writer] && random_.chance(0.95);
    }

    void read_some(std::size_t index, std::size_t count) {
        const std::set<wire::Incarnation> peers = nodes_[index].peers;
        if (peers.empty()) return;
        auto at = peers.begin();
        std::advance(at, below(peers.size()));
        if (lags(*at, index)) return;
        while (count-- > 0 && read_link(*at, index)) {
        }
    }

    void step_client(std::size_t index) {
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

    // ----------------------------------------------------------------------------------- at rest

    void calm() {
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

    void settle() {
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

    void close_evicted(std::size_t index) {
        const auto here = nodes_[index].connections;
        for (const auto& [session, number] : here) {
            if (connections_[number].is_evicted) close(connections_[number]);
        }
        drain(index);
    }

    [[nodiscard]] std::string unrest() const {
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

    [[nodiscard]] bool is_quiet() const {
        for (const auto& [ends, link] : links_) {
            if (!link.records.empty()) return false;
        }
        return std::all_of(nodes_.begin(), nodes_.end(), [](const Node& node) {
            return node.exchange->is_open() && node.exchange->is_at_rest();
        });
    }

    void check_rest() {
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

    [[nodiscard]] bool is_owed(const Message& message) const {
        return lives(message) && !message.is_refused && !message.may_be_lost;
    }

    [[nodiscard]] bool lives(const Message& message) const {
        return std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
            return node.incarnation == message.node;
        });
    }

    void check_stay(std::size_t connection, const std::string& group, const Stay& stay) {
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
    void check_positions() {
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
    void probe_ids() {
        const std::size_t before = next_message();
        for (std::size_t id = 0; id < options_.ids; ++id) {
            Message message;
            message.node = nodes_[0].incarnation;
            message.name = id_name(id);
            message.is_direct = true;
            messages_.push_back(message);
            const std::string text = std::to_string(before + id);
            const PublishRequest request{messages_.back().name, as_bytes(text), {}, text};
            const PublishAnswer answer =
                nodes_[0].exchange->direct(request, wire::Kind::direct, now_);
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

    WorldOptions options_;
    Prng random_;
    HashKey key_;
    Instant now_{};
    std::array<std::size_t, 11> weights_{};
    std::array<std::size_t, 6> client_weights_{};
    double crash_chance_ = 0;
    double thaw_chance_ = 0;
    std::size_t link_capacity_ = 0;  // what of a dead process can still be read
    std::vector<bool> is_lagging_;   // by reader and writer: links that are read seldom
    bool is_calm_ = false;
    std::size_t crashes_left_ = 0;
    std::size_t latest_ = 0;  // the node that was started last
    wire::Incarnation last_incarnation_ = 0;
    std::vector<Node> nodes_;
    std::map<std::pair<wire::Incarnation, wire::Incarnation>, Link> links_;
    std::vector<Connection> connections_;
    std::vector<Message> messages_;
    std::set<std::string> ghosts_;
    std::map<std::size_t, std::map<std::string, Stay>> memory_;
    std::map<std::tuple<std::string, std::uint64_t, std::uint64_t>, std::size_t> agreed_;
};

}  // namespace wspool::hub
