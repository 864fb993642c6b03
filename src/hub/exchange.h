// Exchange: all that one process does for groups and client ids, alone or with other workers: the
// roles of docs/protocol/ (publisher's worker, home, member's worker, directory of ids) in one
// object that a worker drives. Pure: sessions are numbers of the caller's, peers are incarnations,
// records and actions are values.
//
// How to drive it. A verb of a session answers at once when the name is homed here (with one
// worker always), else it says `pending` and an action follows. After every call of a verb,
// add_peer(), on_peer_ended(), become_home(), on_record(), flush() or on_time() take actions with
// next_action() until it returns false, before the bytes given to that call go away. At the end of
// a turn call flush() once, take the last actions, and write what lies in outgoing() of each peer.
//
// Views (in answers and actions) are valid until the next call of anything here. While actions are
// left only remove(), leave() and held() may be called: anything that publishes or joins would
// overtake what is still to be delivered.
//
// Pending and paused. A client whose join or register is pending is not read until the answer
// (`joined`, `refused`, `granted`). A publish answered `paused` is kept here and goes when there
// is window again: do not read that session until `resume`. A publish answered `pending` holds
// nobody up. `tag` is the caller's (the client's message id): it comes back with the answer; a
// publish with an empty tag is answered only when it was paused (by resume).
//
// Invariants (check_invariants): 1. a membership and the member it points to point at each other.
// 2. a name is in the list of idle ones exactly when nothing but its numbering is left. 3. window
// used at a home = the charges of what is unfinished there (I6). 4. unstable messages of a name
// are a gapless run that ends at its position (I4). 5. an id is in the table exactly while a
// session here holds it. 6. S is below everything that a living peer was sent and has not
// processed (R9). 7. history stays within its bounds.
// Ownership: owns everything about names, memberships and ids; the caller owns sessions and links.
// Limits: ExchangeOptions; each bound says its outcome there.
#pragma once

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "hub/client_id.h"
#include "hub/exchange_options.h"
#include "hub/values.h"
#include "wire/types.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace wspool::hub {

inline constexpr std::size_t tag_size_max = 512;

// One message and who of this worker's sessions receives it.
struct Delivery {
    wire::Kind kind{};
    std::string_view name{};    // the group, or the id it is directed to
    std::string_view prefix{};  // the group's, see set_prefix
    Position position{};        // of a broadcast
    std::span<const Member> members{};
    std::uint32_t excluded = UINT32_MAX;  // the member that sent it is skipped; else no member's
    ByteView payload{};
    std::string_view sender_id{};  // of a direct; empty: nobody's (the control process)
};

// A message that a member missed.
struct Replay {
    std::uint64_t offset = 0;
    ByteView payload{};
};

struct JoinRequest {
    std::string_view group{};
    bool has_offsets = false;
    std::optional<Position> since{};
    std::size_t room = 0;    // payload bytes that may be replayed: what is free in the outbox
    std::string_view tag{};  // at most tag_size_max bytes
};

struct JoinAnswer {
    enum class Outcome : std::uint8_t { joined, was_member, pending, refused };
    Outcome outcome{};
    wire::Refusal refusal{};
    Position position{};               // the next message comes after it, replayed ones included
    bool is_recovered = false;         // `since` was given and is honoured
    std::span<const Replay> replay{};  // send after the acknowledgement, as the group's broadcasts
    std::string_view prefix{};         // the group's, for these
};

struct PublishRequest {
    std::string_view name{};  // a group, or an id
    ByteView payload{};
    Session sender{};        // nobody: the control process
    std::string_view tag{};  // at most tag_size_max bytes; empty: no acknowledgement is wanted
};

struct PublishAnswer {
    enum class Outcome : std::uint8_t {
        sequenced,  // acknowledge with `position`; send `delivery` (its payload: the request's)
        pending,    // `published` or `refused` follows
        paused,     // as pending, and do not read the sender until `resume`
        refused,
    };
    Outcome outcome{};
    wire::Refusal refusal{};
    Position position{};
    Delivery delivery{};
};

enum class ActionKind : std::uint8_t {
    deliver,    // `delivery`: to each of its members, except the excluded one
    joined,     // answer to a pending join: acknowledge to `session` with group, position, and
                // is_recovered if has_since; then `replay`
    published,  // answer to a pending publish of `session`: acknowledge with position
    refused,    // answer to a pending join (group set) or publish (group empty) of `session`
    granted,    // `session` has its id now: answer 101 or admit it
    rejected,   // the id of `session` is taken (409, or close 4409); it is registered no more
    evict,      // `session` is replaced: close it with 4409, and call remove()
    check,      // is `session` alive? If so, held(session, question); if not, remove(); if unsure,
                // ping first (R53)
    position,   // the epoch of `group` changed (R30): tell members that have offsets
    resume,     // read `session` again
};

struct Action {
    ActionKind kind{};
    Session session{};
    std::string_view tag{};
    std::string_view group{};
    std::string_view prefix{};
    Position position{};
    wire::Refusal refusal{};
    bool has_since = false;
    bool is_recovered = false;
    std::uint64_t question = 0;
    std::span<const Member> members{};
    std::span<const Replay> replay{};
    Delivery delivery{};
};

struct ExchangeFigures {
    std::size_t groups = 0;  // with members here
    std::size_t groups_homed = 0;
    std::size_t ids = 0;    // held by sessions here
    std::size_t names = 0;  // known here, whatever for
    std::size_t peers = 0;
    std::size_t window_bytes = 0;  // used, over all homes
    std::size_t window_records = 0;
    std::size_t parked = 0;  // publishes that wait for window
    std::size_t parked_bytes = 0;
    std::size_t log_records = 0;  // unstable messages held here
    std::size_t log_bytes = 0;
    std::size_t history_messages = 0;  // of groups homed here, stable and unstable
    std::size_t history_bytes = 0;
    std::size_t joins_waiting = 0;      // unanswered joins and registers of sessions here
    std::uint64_t recovered_total = 0;  // joins with `since`, answered by this home
    std::uint64_t unrecovered_total = 0;
    std::uint64_t poison_total = 0;       // dropped{poison} (R32)
    std::uint64_t unavailable_total = 0;  // publishes answered so
    std::uint64_t parked_out_total = 0;   // of these, for parked_bytes_max
    std::uint64_t holes_total = 0;        // found by a merge (R30): there should be none
    std::uint64_t openings_total = 0;     // of this home
    std::uint64_t resent_total = 0;       // publishes sent again to a new home
};

// A group as this process sees it.
struct GroupFacts {
    std::string_view name{};
    std::size_t members = 0;  // here
    bool is_home = false;     // else what follows is the home's to say
    Position position{};
    std::size_t history = 0;  // messages
};

class Exchange {
  public:
    Exchange(const ExchangeOptions& options, Entropy& entropy);
    ~Exchange();

    // What is kept with each group for the caller: made once when the group is.
    using MakePrefix = void (*)(ByteBuffer& out, std::string_view group);
    void set_prefix(MakePrefix make_prefix);
    // The bounds of `options` from here on: groups of a member, and what is kept. Histories are cut
    // to them at once. The rules must be those that there are, apart from their bounds; a window
    // grows where it was smaller. The rest of `options` stays as it was.
    void set_bounds(const ExchangeOptions& options, Instant now);

    // ---- peers
    // A link to `peer` exists. A fresh process is first told everybody alive, then become_home().
    void add_peer(wire::Incarnation peer, std::uint16_t index, bool is_home, Instant now);
    // `peer`, known already, is the home of its index from now on.
    void set_home(wire::Incarnation peer, Instant now);
    // Reading from `peer` has ended, and all that was read was given to on_record() (R2).
    void on_peer_ended(wire::Incarnation peer, Instant now);
    // This process is the home of its index. Serves when every peer added before has announced or
    // ended (R24); with no peers at once.
    void become_home(Instant now);
    [[nodiscard]] bool is_open() const;  // is home, and serves
    // One whole record, header included. An error is a sentence: the record is nonsense, and this
    // process and the peer cannot go on with each other.
    [[nodiscard]] Result<void> on_record(wire::Incarnation peer, ByteView record, Instant now);
    // Encoded records for `peer`, to be taken (and cleared) once a turn; null: no such peer.
    [[nodiscard]] ByteBuffer* outgoing(wire::Incarnation peer);
    // The end of a turn: sends `got` and `stable`, at most one each for a peer (R9).
    void flush(Instant now);

    // ---- sessions: their ids
    enum class RegisterOutcome : std::uint8_t { granted, pending };
    // `session` asks for `id` (R50); `granted` or `rejected` follows when pending.
    [[nodiscard]] RegisterOutcome register_id(Session session, std::string_view id, Instant now);
    // Gives `session` a fresh random id that is homed here (R51): always granted.
    void register_anonymous(Session session);
    // The session holds its id: answer to `check`.
    void held(Session session, std::uint64_t question);
    // The end of a session, also while something of it is pending: leaves all groups, gives up its
    // id. Does nothing for a session that is not known.
    void remove(Session session, Instant now);
    // The id that the session at `index` holds or waits for; points here or into `buffer`.
    [[nodiscard]] std::string_view id_of(std::uint32_t index, ClientId::TextBuffer& buffer) const;

    // A session here that holds `id`, if one does.
    [[nodiscard]] std::optional<Session> holder_of(std::string_view id) const;

    // ---- sessions: groups. The session is registered.
    // Joining again changes only whether the member gets offsets.
    [[nodiscard]] JoinAnswer join(Session session, const JoinRequest& request, Instant now);
    // False when it was no member.
    bool leave(Session session, std::string_view group, Instant now);
    [[nodiscard]] PublishAnswer broadcast(const PublishRequest& request, Instant now);
    // `direct` or `command` to the sessions of an id.
    [[nodiscard]] PublishAnswer direct(const PublishRequest& request, wire::Kind kind, Instant now);

    // ---- what follows
    // Whether next_action() may have one: to be asked first where there is seldom any.
    [[nodiscard]] bool has_actions() const;
    [[nodiscard]] bool next_action(Action& action);
    [[nodiscard]] Instant next_deadline() const;
    void on_time(Instant now);

    [[nodiscard]] std::uint16_t home_of(wire::Space space, std::string_view name) const;
    [[nodiscard]] ExchangeFigures figures() const;
    [[nodiscard]] std::size_t group_count() const;  // with members here; O(1)

    // ---- for people who ask (exchange_report.cpp)
    // Nothing when it is not known here.
    [[nodiscard]] std::optional<GroupFacts> group(std::string_view name) const;
    // The next group that is homed here and is more than a number, from `index` on, which is moved
    // behind it; looks at no more than `looks` names, and takes away those it has looked at.
    [[nodiscard]] std::optional<GroupFacts> next_group(std::uint32_t& index,
                                                       std::size_t& looks) const;
    // False when no name has this index or a higher one.
    [[nodiscard]] bool has_names_from(std::uint32_t index) const;
    [[nodiscard]] std::size_t group_count_of(std::uint32_t session) const;
    // The groups of a session, at most `max` of them.
    void list_groups_of(std::uint32_t session,
                        std::size_t max,
                        std::vector<std::string_view>& groups) const;
    // The sessions here that hold the id.
    void list_holders_of(std::string_view id, std::vector<std::uint32_t>& holders) const;

    void check_invariants() const;
    // Nothing is under way: no window used, no log, nothing waits (I6). For tests.
    [[nodiscard]] bool is_at_rest() const;

    struct State;

  private:
    std::unique_ptr<State> state_;
};

}  // namespace wspool::hub
