// History: what the simulated clients said and know, as the checkers judge it. Written by Party,
// read by the checkers; says nothing about the worker but what a client can have seen.
//
// How asynchrony is handled: each client's messages are numbered (`op`), and the worker takes them
// in that order. `known_ops` of them are known to have been taken, because something that only
// follows them was seen; of the others nobody can tell. So a claim "was a member" has a surely and
// a perhaps, and the checkers hold the worker to the surely only.
//
// Between several workers a taken message is still on its way: what was surely taken surely arrives
// only `lag` later. Whose worker dies is an orphan, and is promised nothing more.
#pragma once

#include "base/time.h"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace wspool::sim {

// Where a message stands in a group. With one worker a group has one epoch, and the checkers take
// it as "".
struct Place {
    std::string epoch;
    std::uint64_t offset = 0;
    friend bool operator==(const Place&, const Place&) = default;
};

struct Publication {
    int sender = 0;
    bool is_direct = false;
    std::string name;     // the group's, or the target's id
    std::string payload;  // byte for byte
    std::size_t op = 0;
    Instant sent_at{};
    Instant known_at = never;                      // taken by the worker at the latest
    std::map<std::string, std::uint64_t> offsets;  // by epoch; as far as anybody was told
    bool is_lost = false;                          // it was told that perhaps it was not published
};

// One join or leave that was said.
struct Membership {
    std::size_t op = 0;
    bool joins = false;
    bool has_offsets = false;
    Instant sent_at{};
    Instant known_at = never;
    std::optional<Place> place;  // the ack told it
};

struct Receipt {
    int publication;
    Place floor;  // of the last join's ack before it
};

// What a member was told about its place in a group, in order: where it began, what came, and that
// the epoch changed.
struct Mark {
    enum class Kind : std::uint8_t { joined, received, moved };
    Kind kind{};
    Place place;
    bool has_offsets = false;  // joined
};

struct Session {
    int number = 0;
    std::string id;  // empty: anonymous, and not known yet
    bool is_anonymous = true;
    Instant started_at{};
    Instant opened_at = never;
    // Surely served until then: `never` while it is, the beginning of time when it ended badly.
    Instant present_until = Instant::min();
    Instant gone_at = never;               // surely gone since
    std::uint64_t incarnation = 0;         // of its worker, once it is open; 0: one worker alone
    Instant orphaned_at = never;           // its worker died before it was gone
    Instant left_at = never;               // of its own accord, which its worker may not know yet
    const Session* predecessor = nullptr;  // of the same client, and gone
    std::set<std::string> recovered;       // groups in which it goes on where that one was
    std::size_t ops = 0;
    std::size_t known_ops = 0;  // the worker has taken them: anybody has seen so
    std::size_t seen_ops = 0;   // the client itself has: what it hears now was said after them
    std::map<std::string, std::deque<Membership>> memberships;
    std::map<std::string, Place> floors;
    std::map<std::string, Place> places;                   // what it would come back with
    std::map<std::string, std::vector<Mark>> marks;        // by group
    std::map<std::string, std::vector<Receipt>> received;  // by group
    std::set<int> receipts;                                // of both kinds
    std::map<std::pair<int, std::string>, int> last_from;  // (sender, group) → publication
    std::deque<std::pair<std::size_t, Instant*>> unknown;  // what becomes known with op

    std::vector<Instant> said_at;  // by op

    [[nodiscard]] std::size_t next_op(Instant now) {
        said_at.push_back(now);
        return ops++;
    }
};

struct History {
    std::deque<Publication> publications;  // index: the number in the payload
    std::deque<Session> sessions;
    bool is_alone = true;                     // one worker
    Duration lag{};                           // see above
    std::map<std::uint64_t, Instant> deaths;  // by incarnation

    // Whether the worker that served it lived at that time.
    [[nodiscard]] bool was_served_at(const Session& session, Instant time) const {
        const auto death = deaths.find(session.incarnation);
        return death == deaths.end() || death->second > time;
    }
    [[nodiscard]] static bool is_same_client(const Session& a, const Session& b) {
        return &a == &b || (!a.is_anonymous && a.id == b.id);
    }

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
