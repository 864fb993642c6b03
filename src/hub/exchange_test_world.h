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

    void connect(std::size_t index);

    void granted(Connection& connection);

    void close(Connection& connection);

    void join(Connection& connection, const std::string& group);

    void on_joined(Connection& connection,
                   const Position& position,
                   bool is_recovered,
                   std::span<const Replay> replay);

    void skip_own(const Connection& connection,
                  const std::string& group,
                  Stay& stay,
                  std::uint64_t offset);

    void publish(Connection& connection, bool is_direct);

    void acknowledge(std::size_t number, const Position& position);

    void refuse(std::size_t number, wire::Refusal refusal);

    // ------------------------------------------------------------------------------ what is said

    [[nodiscard]] std::size_t next_message() const { return messages_.size(); }
    [[nodiscard]] std::size_t connection_number(const Connection& connection) const;
    [[nodiscard]] static std::size_t number_of(ByteView payload);

    void agree(const std::string& group, const Position& position, std::size_t number);

    void receive(Connection& connection,
                 const std::string& group,
                 Stay& stay,
                 std::size_t number,
                 std::uint64_t offset);

    void deliver(std::size_t index, const Delivery& delivery);

    void on_position(std::size_t index, const Action& action);

    void drain(std::size_t index);

    void handle(std::size_t index, const Action& action, Connection* connection);

    // ---------------------------------------------------------------------------------- steps

    void draw_weights();

    template <std::size_t count>
    [[nodiscard]] std::size_t draw(const std::array<std::size_t, count>& weights) {
        std::size_t sum = 0;
        for (const std::size_t weight : weights) sum += weight;
        std::size_t left = below(sum);
        std::size_t at = 0;
        while (left >= weights[at]) left -= weights[at++];
        return at;
    }

    void step();

    void step_node(std::size_t index);

    void whole_turn(std::size_t index);

    [[nodiscard]] bool lags(wire::Incarnation from, std::size_t index);

    void read_some(std::size_t index, std::size_t count);

    void step_client(std::size_t index);

    // ----------------------------------------------------------------------------------- at rest

    void calm();

    void settle();

    void close_evicted(std::size_t index);

    [[nodiscard]] std::string unrest() const;

    [[nodiscard]] bool is_quiet() const;

    void check_rest();

    [[nodiscard]] bool is_owed(const Message& message) const;

    [[nodiscard]] bool lives(const Message& message) const;

    void check_stay(std::size_t connection, const std::string& group, const Stay& stay);

    void check_positions();

    void probe_ids();

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

#include "hub/exchange_test_clients.h"
#include "hub/exchange_test_steps.h"
