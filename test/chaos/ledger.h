// Ledger: the book of a run under kills, for Crowd, which tells it what its clients did and heard.
// What can be judged at once is (offsets, epochs, positions, answers); the rest waits for judge.h.
//
// Pure: the time comes in. A client is a member of one group at most.
// Invariants: 1. a client has at most one live connection, and at most one live run.
//             2. a run is live only while a connection of its client is.
// Limits: everything is kept, 8 bytes per delivery and about 64 per message.
#pragma once

#include "records.h"

#include <optional>
#include <string_view>
#include <unordered_map>

namespace wspool::chaos {

struct Position {
    std::string epoch;
    std::uint64_t offset = 0;
};

struct JoinAnswer {
    Position position;
    std::optional<bool> recovered;  // only where `since` was asked for
};

struct LedgerOptions {
    // history.messages of the gateway: who missed no more than this of a group whose epoch is still
    // the same must be told that it recovered. 0: that is not judged.
    std::uint64_t history = 0;
};

struct LedgerFigures {
    std::uint64_t published = 0, directs = 0;
    std::uint64_t acknowledged = 0, unavailable = 0, abandoned = 0;
    std::uint64_t delivered = 0, directs_received = 0;
    std::uint64_t joins = 0, recovered = 0, told = 0;  // of returning members: what they were told
    std::uint64_t epoch_changes = 0;                   // that members were told of
    std::uint64_t deviations = 0;                      // see Judgement
    std::uint64_t lost_with_publisher = 0;             // the same
};

class Ledger {
  public:
    Ledger(const LedgerOptions& options,
           std::vector<std::string> clients,
           std::vector<std::string> groups,
           Instant now);

    [[nodiscard]] ConnectionIndex opened(ClientIndex client, Instant now);
    void ended(ClientIndex client, Instant now);

    [[nodiscard]] MessageIndex publish(ClientIndex client, GroupIndex group, Instant now);
    [[nodiscard]] MessageIndex send_direct(ClientIndex client, ClientIndex target, Instant now);
    // The answers. Each false when this client waits for no such answer.
    bool acknowledge(ClientIndex client,
                     MessageIndex message,
                     const std::optional<Position>& position,
                     Instant now);
    bool refuse(ClientIndex client, MessageIndex message, std::string_view code, Instant now);

    // Position to come back with; none when the client has none, or gets no offsets.
    [[nodiscard]] std::optional<Position> position_of(ClientIndex client) const;
    void joined(ClientIndex client,
                GroupIndex group,
                bool has_offsets,
                const JoinAnswer& answer,
                Instant now);
    void received(ClientIndex client,
                  GroupIndex group,
                  MessageIndex message,
                  std::optional<std::uint64_t> offset,
                  Instant now);
    void received_direct(ClientIndex client,
                         MessageIndex message,
                         std::string_view from,
                         Instant now);
    // A position notice.
    void moved(ClientIndex client,
               GroupIndex group,
               const Position& position,
               bool recovered,
               Instant now);

    // At the end, once: what became of each message, and whether all have seen one order. `tail` is
    // JudgeOptions::tail.
    void close(Duration tail);

    // What else went wrong, said by who saw it.
    void complain(const std::string& kind, std::string sentence) {
        violations_.add(kind, std::move(sentence));
    }

    [[nodiscard]] const Records& records() const { return records_; }
    [[nodiscard]] const LedgerFigures& figures() const { return figures_; }
    [[nodiscard]] Violations& violations() { return violations_; }
    [[nodiscard]] const Message& message(MessageIndex index) const {
        return records_.messages[index];
    }

  private:
    struct Member {
        ConnectionIndex connection = none;
        std::uint32_t run = none;  // the live one, or the last
        bool has_offsets = false;
        bool has_joined = false;  // on this connection
        bool publishes = false;   // to its own group: its offsets then have steps
        EpochIndex epoch = none;
        std::uint64_t offset = 0;
    };

    [[nodiscard]] MessageIndex add_message(ClientIndex client,
                                           std::uint32_t target,
                                           bool is_direct,
                                           Instant now);
    [[nodiscard]] bool awaits(ClientIndex client, MessageIndex message) const;
    [[nodiscard]] EpochIndex intern(GroupIndex group, const std::string& epoch);
    void note_place(EpochIndex epoch, std::uint64_t offset, MessageIndex message);
    void start_run(ClientIndex client, GroupIndex group, Instant now);
    void judge_recovery(ClientIndex client, EpochIndex epoch, const JoinAnswer& answer);
    void check_offset(ClientIndex client, MessageIndex message, std::uint64_t offset);
    [[nodiscard]] std::string describe(ClientIndex client) const;
    [[nodiscard]] std::string describe_message(MessageIndex message) const;

    const LedgerOptions options_;
    Records records_;
    LedgerFigures figures_;
    Violations violations_;
    std::vector<Member> members_;  // by client
    std::unordered_map<std::string, EpochIndex> epochs_;
    std::vector<std::string> epoch_names_;
    std::vector<std::unordered_map<std::uint64_t, MessageIndex>> places_;  // by epoch: offset → one
    // The last direct message of a connection that a connection has received.
    std::unordered_map<std::uint64_t, MessageIndex> last_direct_;
};

}  // namespace wspool::chaos
