// History: what the simulated clients said and know, as the checkers judge it. Written by Party,
// read by the checkers; says nothing about the worker but what a client can have seen.
//
// How asynchrony is handled: each client's messages are numbered (`op`), and the worker takes them
// in that order. `known_ops` of them are known to have been taken, because something that only
// follows them was seen; of the others nobody can tell. So a claim "was a member" has a surely and
// a perhaps, and the checkers hold the worker to the surely only.
#pragma once

#include "base/time.h"

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace wspool::sim {

struct Publication {
    int sender = 0;
    bool is_direct = false;
    std::string name;     // the group's, or the target's id
    std::string payload;  // byte for byte
    std::size_t op = 0;
    Instant sent_at{};
    Instant known_at = never;  // taken by the worker at the latest
    std::uint64_t offset = 0;  // 0: nobody was told
};

// One join or leave that was said.
struct Membership {
    std::size_t op = 0;
    bool joins = false;
    bool has_offsets = false;
    Instant sent_at{};
    Instant known_at = never;
    bool has_position = false;  // the ack told it
    std::uint64_t offset = 0;
};

struct Receipt {
    int publication;
    std::uint64_t floor;  // position of the last join's ack before it
};

struct Session {
    int number = 0;
    std::string id;  // empty: anonymous, and not known yet
    bool is_anonymous = true;
    Instant started_at{};
    Instant opened_at = never;
    // Surely served until then: `never` while it is, the beginning of time when it ended badly.
    Instant present_until = Instant::min();
    Instant gone_at = never;  // surely gone since
    std::size_t ops = 0;
    std::size_t known_ops = 0;  // the worker has taken them: anybody has seen so
    std::size_t seen_ops = 0;   // the client itself has: what it hears now was said after them
    std::map<std::string, std::deque<Membership>> memberships;
    std::map<std::string, std::uint64_t> floors;
    std::map<std::string, std::vector<Receipt>> received;  // by group
    std::set<int> receipts;                                // of both kinds
    std::map<std::pair<int, std::string>, int> last_from;  // (sender, group) → publication
    std::deque<std::pair<std::size_t, Instant*>> unknown;  // what becomes known with op

    [[nodiscard]] std::size_t next_op() { return ops++; }
};

struct History {
    std::deque<Publication> publications;  // index: the number in the payload
    std::deque<Session> sessions;

    // The worker has taken the first `ops` messages of the session by now.
    static void note_known(Session& session, std::size_t ops, Instant now) {
        if (ops <= session.known_ops) return;
        session.known_ops = ops;
        while (!session.unknown.empty() && session.unknown.front().first < ops) {
            *session.unknown.front().second = now;
            session.unknown.pop_front();
        }
    }
};

// `text` as a JSON string, as short as the grammar allows.
[[nodiscard]] inline std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

}  // namespace wspool::sim
