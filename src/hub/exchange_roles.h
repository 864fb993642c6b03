// What the roles of an Exchange keep: of a peer, of the home of an index as seen from here, of the
// home that this process is, of a session; and what waits to be told. Private to hub/.
#pragma once

#include "hub/blob_ring.h"
#include "hub/exchange.h"
#include "hub/name.h"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wspool::hub {

// R32: a publish that was sent to so many homes, all of which ended, is not sequenced any more.
inline constexpr std::uint16_t poison_attempts = 3;

// A living peer: its link, and as a home: how far it is.
struct PeerState {
    wire::Incarnation incarnation = 0;  // 0: the slot is free
    std::uint16_t index = 0;
    ByteBuffer out{};
    std::uint64_t sent = 0;     // the last s sent to it
    std::uint64_t got = 0;      // the last s it has processed
    std::uint64_t told = 0;     // the S it was told
    std::uint64_t opening = 0;  // the last s sent to it by the opening (R29)
    bool is_awaited = false;    // the barrier waits for it (R24)
    bool has_announced = false;
};

struct Unfinished {
    std::uint64_t s = 0;  // 0: not known to be sequenced
    Session sender{};
    Instant at{};
    std::uint32_t charge = 0;
    std::uint16_t attempts = 0;
    std::uint16_t tag_size = 0;  // the blob is the publish record and, behind it, the tag
    bool is_sent = false;
    bool is_answered = false;  // acknowledged or refused
    bool is_given_up = false;  // answered `unavailable`: never sent again (R33)
    bool is_done = false;      // window returned; waits for its turn to be popped
};

struct Parked {
    std::string name{};
    std::string tag{};
    ByteBuffer payload{};
    Session sender{};
    std::string sender_id{};  // the sender may be gone when there is window
    wire::Kind kind{};
    Instant at{};
};

// A join or register of a session here that the home has not answered.
struct PendingJoin {
    Session session{};
    std::uint32_t name = IndexTable::none;
    bool has_offsets = false;
    bool has_since = false;
    bool is_refused = false;  // answered `unavailable` already
    Position since{};
    std::size_t room = 0;
    std::string tag{};
    Instant at{};
};

struct LogEntry {
    std::uint64_t s = 0;
    std::uint32_t name = IndexTable::none;
    std::uint32_t charge = 0;  // at the home: of a publish of this worker
    std::uint32_t size = 0;    // of the payload
};

enum class UpstreamState : std::uint8_t {
    lost,       // no home, or it has ended
    announced,  // everything was told to the new home; `opened` is awaited
    linked,     // the home serves (a home here: it is open)
};

// All that this process has under way at the home of one index, be it this process itself.
struct Upstream {
    UpstreamState state = UpstreamState::lost;
    PeerSlot home = nobody;       // to whom records go, unless lost
    PeerSlot successor = nobody;  // named by the master while the old home is still being read
    // publisher's worker
    BlobRing<Unfinished> unfinished;
    std::uint64_t first_sequence = 1;  // of the front
    std::uint64_t answered_until = 1;  // all below are answered
    std::size_t window_bytes = 0;
    std::size_t window_records = 0;
    std::deque<Parked> parked;
    std::size_t parked_bytes = 0;
    // member's worker
    std::uint64_t stable = 0;
    std::uint64_t highest = 0;  // s processed
    bool got_due = false;
    std::deque<LogEntry> log;
    std::uint64_t next_token = 1;
    std::map<std::uint64_t, PendingJoin> joins;  // sent, by token
    std::deque<PendingJoin> held_back;           // not sent: no home, or no room for the replay
    std::size_t room_granted = 0;
};

// What a peer announced while this home was opening; outlives the peer, whose words count (R2).
struct Announcement {
    wire::Incarnation peer = 0;
    ByteBuffer records{};
};

struct Deferred {
    wire::Incarnation peer = 0;
    ByteBuffer record{};
};

enum class HomePhase : std::uint8_t { closed, opening, open };

struct Home {
    HomePhase phase = HomePhase::closed;
    std::uint64_t s = 0;       // the last one given out
    std::uint64_t stable = 0;  // S
    std::size_t behind = 0;    // peers that have not processed all that they were sent
    bool is_held = false;      // R29: S waits for the opening
    std::size_t peer_count = 0;
    Instant opened_at{};
    std::uint64_t opening = 0;           // the last s given to what the merge found
    std::deque<LogEntry> log;            // above S, whoever published
    std::vector<std::uint32_t> waiting;  // names with joins or registers that wait for S
    std::vector<Announcement> announcements;
    std::vector<Deferred> deferred;  // what came before the barrier was passed
    std::uint64_t questions = 0;
};

enum class Registration : std::uint8_t { none, waiting, held };

struct SessionState {
    std::unique_ptr<std::vector<Membership>> groups;
    ClientId id;
    std::uint32_t generation = 0;
    Registration registration{};
};

// An action that waits to be taken; offsets are into State::arena.
struct Queued {
    struct Part {
        std::uint32_t begin = 0;
        std::uint32_t size = 0;
    };
    ActionKind kind{};
    wire::Kind message{};
    wire::Refusal refusal{};
    bool has_since = false;
    bool is_recovered = false;
    bool is_live = true;  // a deliver: false when the views were copied to the arena
    Session session{};
    std::uint32_t name = IndexTable::none;
    std::uint32_t generation = 0;
    std::uint32_t excluded = UINT32_MAX;
    Position position{};
    std::uint64_t question = 0;
    std::uint64_t end = 0;  // joined: the last offset to replay
    Part tag{};
    Part text{};       // the group or id
    Part sender_id{};  // unless is_live
    Part payload{};
    std::string_view live_text{};
    std::string_view live_sender_id{};
    ByteView live_payload{};
    ByteView entries{};  // joined by record
    std::uint32_t count = 0;
};

// One message on its way through the home.
struct Passing {
    wire::Kind kind{};
    std::string_view name{};
    std::string_view sender_id{};
    ByteView payload{};
    wire::SessionNumber session{};
    wire::Origin origin{};
    PeerSlot publisher = self;
};

}  // namespace wspool::hub
