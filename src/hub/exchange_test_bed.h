// Bed: a few exchanges whose links are moved by hand, record by record; what they ask for is kept
// as short texts. For tests of one rule each.
#pragma once

#include "hub/exchange.h"
#include "wire/records.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wspool::hub {

inline std::string text_of(const Delivery& delivery) {
    std::string text = std::string(delivery.name) + ":" + std::string(as_text(delivery.payload));
    if (delivery.kind == wire::Kind::broadcast) {
        text += "@" + std::to_string(delivery.position.offset);
    }
    text += " to";
    for (const Member& member : delivery.members) {
        if (member.index != delivery.excluded) text += " " + std::to_string(member.index);
    }
    return text;
}

struct Bed {
    struct Node {
        wire::Incarnation incarnation = 0;
        std::unique_ptr<SeededEntropy> entropy;
        std::unique_ptr<Exchange> exchange;
        std::vector<std::string> said;  // actions, in order
    };

    explicit Bed(std::size_t count, ExchangeOptions options_in = {}) : options(options_in) {
        options.key = {1, 2};
        options.index_count = static_cast<std::uint16_t>(count);
        nodes.resize(count);
        for (std::size_t i = 0; i < count; ++i) start(i);
        pump();
        for (Node& node : nodes) node.said.clear();
    }

    // A fresh process of index i, told of everybody, and everybody told of it.
    void start(std::size_t i) {
        Node& node = nodes[i];
        node.incarnation = ++last_incarnation;
        node.entropy = std::make_unique<SeededEntropy>(last_incarnation);
        options.incarnation = node.incarnation;
        options.index = static_cast<std::uint16_t>(i);
        node.exchange = std::make_unique<Exchange>(options, *node.entropy);
        node.said.clear();
        for (std::size_t other = 0; other < nodes.size(); ++other) {
            if (other == i || !nodes[other].exchange) continue;
            node.exchange->add_peer(
                nodes[other].incarnation, static_cast<std::uint16_t>(other), true, now);
            nodes[other].exchange->add_peer(
                node.incarnation, static_cast<std::uint16_t>(i), true, now);
            drain(other);
        }
        node.exchange->become_home(now);
        drain(i);
    }

    // Ends without having written anything more; what it had written is read, then the end.
    void kill(std::size_t i) {
        const wire::Incarnation dead = nodes[i].incarnation;
        nodes[i].exchange.reset();
        for (std::size_t other = 0; other < nodes.size(); ++other) {
            links[{other, i}].clear();
            if (other == i || !nodes[other].exchange) continue;
            read(i, other, SIZE_MAX);
            nodes[other].exchange->on_peer_ended(dead, now);
            drain(other);
        }
    }
    // As kill, but what had been written and not read was still in its outbox.
    void kill_silently(std::size_t i) {
        for (std::size_t other = 0; other < nodes.size(); ++other) links[{i, other}].clear();
        kill(i);
    }

    // The end of a turn of one: its records are on the links.
    void turn(std::size_t i) {
        if (!nodes[i].exchange) return;
        nodes[i].exchange->flush(now);
        drain(i);
        for (std::size_t other = 0; other < nodes.size(); ++other) {
            if (!nodes[other].exchange) continue;
            ByteBuffer* out = nodes[i].exchange->outgoing(nodes[other].incarnation);
            if (out == nullptr) continue;
            ByteView rest = out->view();
            wire::Header header;
            while (wire::read_header(rest, SIZE_MAX, header) == wire::HeaderOutcome::ok) {
                links[{i, other}].emplace_back(as_text(rest.first(header.size)));
                rest = rest.subspan(header.size);
            }
            out->clear();
        }
    }
    // `to` reads at most `count` records of `from`; returns how many there were.
    std::size_t read(std::size_t from, std::size_t to, std::size_t count = SIZE_MAX) {
        std::size_t done = 0;
        std::deque<std::string>& link = links[{from, to}];
        while (done < count && !link.empty()) {
            const std::string record = link.front();
            link.pop_front();
            const auto result =
                nodes[to].exchange->on_record(nodes[from].incarnation, as_bytes(record), now);
            EXPECT_TRUE(result.has_value()) << result.error().message;
            drain(to);
            ++done;
        }
        return done;
    }
    // Everything until nothing moves.
    void pump() {
        for (bool moved = true; moved;) {
            moved = false;
            for (std::size_t i = 0; i < nodes.size(); ++i) turn(i);
            for (std::size_t i = 0; i < nodes.size(); ++i) {
                if (!nodes[i].exchange) continue;
                for (std::size_t from = 0; from < nodes.size(); ++from) {
                    if (read(from, i) > 0) moved = true;
                }
                nodes[i].exchange->check_invariants();
            }
        }
    }
    void pass(Duration time) {
        now += time;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            if (!nodes[i].exchange) continue;
            nodes[i].exchange->on_time(now);
            drain(i);
        }
    }

    void drain(std::size_t i) {
        Action action;
        while (nodes[i].exchange->next_action(action)) nodes[i].said.push_back(describe(action));
    }
    static std::string describe(const Action& action) {
        const std::string who = " " + std::to_string(action.session.index);
        const std::string where = std::string(action.group) + "@" +
                                  std::to_string(action.position.offset) +
                                  (action.is_recovered ? " recovered" : "");
        std::string text;
        switch (action.kind) {
            case ActionKind::deliver:
                return text_of(action.delivery);
            case ActionKind::joined:
                text = "joined" + who + " " + where;
                for (const Replay& replay : action.replay) {
                    text += " " + std::string(as_text(replay.payload));
                }
                return text;
            case ActionKind::published:
                return "published" + who + " " + std::string(action.tag) + "@" +
                       std::to_string(action.position.offset);
            case ActionKind::refused:
                return "refused" + who + " " + std::string(action.tag) + " " +
                       std::to_string(static_cast<int>(action.refusal));
            case ActionKind::granted:
                return "granted" + who;
            case ActionKind::rejected:
                return "rejected" + who;
            case ActionKind::evict:
                return "evict" + who;
            case ActionKind::check:
                return "check" + who + " " + std::to_string(action.question);
            case ActionKind::position:
                return "position " + where;
            case ActionKind::resume:
                return "resume" + who;
        }
        return text;
    }

    // ---- what a worker does
    [[nodiscard]] static Session session(std::uint32_t index) { return {index, 1}; }
    void client(std::size_t i, std::uint32_t index) {
        nodes[i].exchange->register_anonymous(session(index));
    }
    JoinAnswer join(std::size_t i,
                    std::uint32_t index,
                    std::string_view group,
                    std::optional<Position> since = {},
                    std::size_t room = 1000) {
        JoinRequest request{.group = group, .has_offsets = true, .room = room, .tag = "j"};
        request.since = since;
        const JoinAnswer answer = nodes[i].exchange->join(session(index), request, now);
        return answer;
    }
    // A client that is a member, however that goes.
    void member(std::size_t i, std::uint32_t index, std::string_view group) {
        client(i, index);
        (void)join(i, index, group);
        pump();
        nodes[i].said.clear();
    }
    PublishAnswer::Outcome publish(std::size_t i,
                                   std::uint32_t index,
                                   std::string_view group,
                                   std::string_view payload) {
        const PublishAnswer answer = nodes[i].exchange->broadcast(
            {group, as_bytes(payload), session(index), payload.substr(0, 8)}, now);
        if (answer.outcome == PublishAnswer::Outcome::sequenced) {
            nodes[i].said.push_back(text_of(answer.delivery));
        }
        if (answer.outcome == PublishAnswer::Outcome::refused) last_refusal = answer.refusal;
        drain(i);
        return answer.outcome;
    }
    PublishAnswer::Outcome direct(std::size_t i,
                                  std::uint32_t index,
                                  std::string_view id,
                                  std::string_view payload) {
        const PublishAnswer answer = nodes[i].exchange->direct(
            {id, as_bytes(payload), session(index), payload}, wire::Kind::direct, now);
        if (answer.outcome == PublishAnswer::Outcome::sequenced) {
            nodes[i].said.push_back(text_of(answer.delivery));
        }
        if (answer.outcome == PublishAnswer::Outcome::refused) last_refusal = answer.refusal;
        drain(i);
        return answer.outcome;
    }
    Exchange::RegisterOutcome enroll(std::size_t i, std::uint32_t index, std::string_view id) {
        const auto outcome = nodes[i].exchange->register_id(session(index), id, now);
        drain(i);
        return outcome;
    }
    void remove(std::size_t i, std::uint32_t index) {
        nodes[i].exchange->remove(session(index), now);
        drain(i);
    }
    // A name that is homed at index i.
    [[nodiscard]] std::string homed_at(std::size_t i, const std::string& stem = "g") const {
        for (int n = 0;; ++n) {
            const std::string name = stem + std::to_string(n);
            if (nodes_any().home_of(wire::Space::group, name) == i) return name;
        }
    }
    [[nodiscard]] const Exchange& nodes_any() const {
        for (const Node& node : nodes) {
            if (node.exchange) return *node.exchange;
        }
        WSPOOL_UNREACHABLE();
    }
    // What a node said since the last call.
    std::vector<std::string> said(std::size_t i) { return std::exchange(nodes[i].said, {}); }
    // How many records of a type wait on a link.
    [[nodiscard]] std::size_t waiting(std::size_t from, std::size_t to, wire::RecordType type) {
        std::size_t count = 0;
        for (const std::string& record : links[{from, to}]) {
            if (record[4] == static_cast<char>(type)) ++count;
        }
        return count;
    }
    void expect_rest() const {
        for (const Node& node : nodes) {
            if (!node.exchange) continue;
            EXPECT_TRUE(node.exchange->is_at_rest());
        }
    }

    ExchangeOptions options;
    Instant now{};
    wire::Incarnation last_incarnation = 0;
    std::vector<Node> nodes;
    std::map<std::pair<std::size_t, std::size_t>, std::deque<std::string>> links;
    wire::Refusal last_refusal{};
};

}  // namespace wspool::hub
