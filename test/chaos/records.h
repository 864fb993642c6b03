// Records: all that a run of chaos_load knows at its end: every message, every connection, and what
// each member has seen in which order. For the Ledger, which writes them, and the judge, which
// reads them.
#pragma once

#include "base/time.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace wspool::chaos {

using ClientIndex = std::uint32_t;
using ConnectionIndex = std::uint32_t;
using GroupIndex = std::uint32_t;
using MessageIndex = std::uint32_t;  // also the `id` it is published with, and its payload
using EpochIndex = std::uint32_t;    // of a group's epoch, over all groups
inline constexpr std::uint32_t none = UINT32_MAX;

enum class Outcome : std::uint8_t {
    pending,
    acknowledged,
    unavailable,  // so it was answered: outcome unknown
    abandoned,    // its connection ended before the answer: outcome unknown
    refused,
};

struct Message {
    ConnectionIndex sender = none;
    std::uint32_t target = none;  // a group, or a client
    bool is_direct = false;
    bool was_received = false;  // a direct message, by its target
    Outcome outcome = Outcome::pending;
    Instant sent_at{};
    Instant answered_at = never;
};

struct Connection {
    ClientIndex client = none;
    Instant opened_at{};
    Instant ended_at = never;
    [[nodiscard]] bool is_live() const { return ended_at == never; }
};

struct Seen {
    MessageIndex message;
    std::uint32_t at;  // milliseconds since Records::began_at
};

// What one client has seen of its group without a gap: from a join to the end of its connection,
// and over further connections where the gateway said `"recovered":true`.
struct Run {
    ClientIndex client = none;
    GroupIndex group = none;
    Instant joined_at{};
    Instant ended_at = never;
    std::vector<Seen> seen;
    [[nodiscard]] bool is_live() const { return ended_at == never; }
};

struct Records {
    Instant began_at{};
    std::vector<std::string> clients;  // their ids
    std::vector<std::string> groups;
    std::vector<Message> messages;
    std::vector<Connection> connections;
    std::vector<Run> runs;

    [[nodiscard]] ClientIndex sender_of(MessageIndex message) const {
        return connections[messages[message].sender].client;
    }
    [[nodiscard]] Instant time_of(const Seen& seen) const {
        return began_at + std::chrono::milliseconds(seen.at);
    }
};

// What must not have happened: how often each kind, and the first of them as sentences.
class Violations {
  public:
    static constexpr std::size_t sentences_max = 20;

    void add(const std::string& kind, std::string sentence) {
        ++counts_[kind];
        if (sentences_.size() < sentences_max) sentences_.push_back(std::move(sentence));
    }
    [[nodiscard]] bool empty() const { return counts_.empty(); }
    [[nodiscard]] const std::map<std::string, std::uint64_t>& counts() const { return counts_; }
    [[nodiscard]] const std::vector<std::string>& sentences() const { return sentences_; }

  private:
    std::map<std::string, std::uint64_t> counts_;
    std::vector<std::string> sentences_;
};

}  // namespace wspool::chaos
