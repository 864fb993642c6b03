// What is behind Worker. Private to worker/.
#pragma once

#include "base/chunked_array.h"
#include "hub/exchange.h"
#include "link/peer_links.h"
#include "pool/admission.h"
#include "protocol/message.h"
#include "wire/control_records.h"
#include "worker/identities.h"
#include "worker/placement.h"
#include "worker/tickets.h"
#include "worker/worker.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace wspool::worker {

// A client's life (State::set_state): absent → arriving → waiting → registering → active → absent.
// It may skip waiting, and end in any state. arriving: judged, not seated yet; across turns only
// while the worker that issued its ticket is asked. waiting: upgraded, in the queue for a seat.
// registering: has a seat, and waits for the home of its id. active: admitted, and neither closed
// nor replaced.
enum class ClientState : std::uint8_t { absent, arriving, waiting, registering, active };

// What the worker knows about one session, under the session's index.
struct Client {
    session::SessionId session;
    pool::SeatId seat;  // waiting: the numbers of its WaiterId
    std::uint32_t bad_messages = 0;
    ClientState state : 4 = ClientState::absent;
    pool::Priority priority : 4 = pool::Priority::normal;
    std::uint8_t pool = 0;         // of seats
    bool is_echo : 1 = false;      // on the raw echo endpoint: has no id and is in no group
    bool is_greeted : 1 = false;   // negotiated wspool.v1: is told its id first
    bool is_deferred : 1 = false;  // the answer to its request was put off
    bool is_open : 1 = false;      // answered with 101
    bool is_leaving : 1 = false;   // its seat is taken back
    bool has_token : 1 = false;    // is in `identities`
    bool is_limited : 1 = false;   // its token names groups
    std::uint8_t held = 0;         // why it is not read: a set of held_by_…
};
static_assert(sizeof(Client) == 24);

// What of a token counts for as long as its client is here.
struct TokenTerms {
    WallTime expires{};
    auth::Permissions permissions;
};

// Who asks to be let in, once its request was judged. `subprotocol` points into the request.
struct Arrival {
    std::string id;  // empty: anonymous
    pool::Priority priority = pool::Priority::normal;
    std::string_view subprotocol;  // the one selected
    std::string ticket;            // what it was given when it was preempted; empty: nothing
    std::string pool;              // its token's claim; empty: none
    std::string rate_class;        // likewise
    TokenTerms token;              // with a verifier
};

// What comes back with the answer to a pending request of a client: how the answer is written, and
// the message's id. As bytes: one of flags, then the id.
struct Tag {
    bool is_direct = false;
    bool has_offsets = false;
    bool is_command = false;  // of a join: the control process wants to know, not the client
    std::string_view id;
};

// An order to one session of the id that it was sent to (wire::Command).
struct Command {
    session::SessionId session;
    std::uint64_t number = 0;
    wire::Incarnation asker = 0;
    wire::CommandKind kind{};
    std::uint16_t code = 0;
    std::string group;
    std::string reason;
    Instant deadline;
};

struct Worker::State {
    State(io::Loop& loop_in, const WorkerOptions& options_in, Entropy& entropy);

    // ---- worker.cpp
    void handle(const session::Event& event);
    [[nodiscard]] Instant next_deadline();
    void count_exchange();

    // ---- arrival.cpp: who asks to be let in
    // Nothing when the request was refused.
    [[nodiscard]] std::optional<Arrival> judge(const session::Event& event);

    // ---- placement.cpp: who is served by another worker (R44)
    [[nodiscard]] bool pass_on(const session::Event& event, SeatWish wish);
    void look_at_places();
    void settle_offers();
    void go_on_with(const link::Connection& connection);
    [[nodiscard]] std::uint64_t occupied() const;  // seats, also those promised
    [[nodiscard]] pool::Outlook outlook(const metrics::Seating& seating,
                                        SeatWish wish,
                                        std::size_t promised) const;
    [[nodiscard]] pool::Outlook own_outlook(SeatWish wish) const;
    [[nodiscard]] bool wants(const link::Connection& connection) const;
    // ---- identity.cpp: tokens
    // False when the request was refused; else `arrival` is who the token says.
    [[nodiscard]] bool judge_token(const session::Event& event, Arrival& arrival);
    [[nodiscard]] bool has_good_origin(const session::Event& event);
    void refuse_token(session::SessionId session,
                      int status,
                      std::string_view error,
                      std::string_view sentence,
                      metrics::RejectReason reason);
    void remember_token(Client& client, const Arrival& arrival);
    void forget_token(Client& client);
    [[nodiscard]] bool may_join(const Client& client, std::string_view group) const;
    [[nodiscard]] bool may_publish(const Client& client, std::string_view group) const;
    void end_expired();
    void take_auth(const AuthOptions& auth);

    // ---- doors.cpp: how many, how fast
    // False when the request was refused; else the block of its address.
    [[nodiscard]] bool knock(const session::Event& event, std::string& block);
    // Whether the message may be served; holds its client up, or closes it.
    [[nodiscard]] std::uint8_t rate_class_of(std::size_t pool, std::string_view claimed) const;
    [[nodiscard]] bool fits_pool(Client& client, std::size_t bytes);
    [[nodiscard]] bool spend(Client& client, std::size_t bytes);
    void release_held();
    // Reading stops while there is any reason, as these come and go by themselves.
    void hold(Client& client, std::uint8_t reason);
    void let_go(Client& client, std::uint8_t reason);

    // ---- opening.cpp: who comes and goes
    void on_opening(const session::Event& event);
    void on_plain(const session::Event& event);
    void enroll(Client& client, const Arrival& arrival);
    void open(Client& client, std::string_view subprotocol);
    void greet(Client& client, std::string_view id);
    void set_state(Client& client, ClientState state);
    [[nodiscard]] Client& begin(session::SessionId session,
                                const std::string& address_block,
                                std::uint8_t rate_class);
    // `subprotocol` does not count where the opening was deferred: it was chosen then.
    void activate(Client& client, std::string_view subprotocol);
    void deactivate(Client& client);
    void refuse_draining(Client& client);
    void refuse(session::SessionId session,
                int status,
                std::string_view body,
                metrics::RejectReason reason);
    void refuse_draining(session::SessionId session);

    // ---- admission.cpp: who has a seat
    void make_seat_pools();
    [[nodiscard]] pool::Admission& pool_of(const Client& client) { return seat_pools[client.pool]; }
    void admit(Client& client, Arrival arrival);
    void take_seat(Client& client, pool::SeatId seat);
    void ask_for_seat(Client& client, Arrival arrival, bool is_returning);
    void line_up(Client& client, Arrival arrival, const pool::Verdict& verdict, Duration timeout);
    void keep_arrival(const Client& client, Arrival arrival);
    [[nodiscard]] Arrival take_arrival(const Client& client);
    void turn_away(Client& client, const Arrival& arrival);
    [[nodiscard]] bool take_over(Client& client, const Arrival& arrival);
    void count_seat_given(const Client& client);
    void give_seat_back(Client& client);
    void end_wait(const Client& client);
    void send_away(Client& client,
                   ws::CloseCode code,
                   std::string_view text,
                   metrics::CloseReason reason);
    [[nodiscard]] Instant seat_deadline() const;
    void pass_seat_time();
    void settle_seats();
    void run(pool::Admission& pool, const pool::AdmissionAction& action);
    void announce_preemption(Client& client, const pool::AdmissionAction& action);
    [[nodiscard]] std::optional<bool> weigh_ticket(Client& client, Arrival& arrival);
    void spend_ticket(const Client& client, const Arrival& arrival);
    [[nodiscard]] bool on_ticket_record(wire::Incarnation peer, ByteView record);
    void end_asked_tickets();
    void settle_ticket(std::uint64_t question, metrics::TicketUse use);
    void check_seats() const;
    void trace(SeatEvent::Kind kind, const Client& client, std::uint64_t other = 0) {
        if (options.seats.is_traced) [[unlikely]]
            add_seat_event(kind, client, other);
    }
    void add_seat_event(SeatEvent::Kind kind, const Client& client, std::uint64_t other);

    // ---- router.cpp: what is said
    void on_message(const session::Event& event);
    void on_bad_message(Client& client, protocol::ParseOutcome outcome);
    void join(Client& client);
    void leave(Client& client);
    void broadcast(Client& client);
    void direct(Client& client);
    void publish(Client& client, hub::PublishRequest request, const Tag& tag);
    [[nodiscard]] std::string_view write_tag(const Tag& tag);
    void answer(Client& client);  // sends `scratch`
    void answer_error(Client& client,
                      std::string_view id,
                      std::string_view code,
                      std::string_view sentence);
    void answer_refusal(Client& client, std::string_view id, wire::Refusal refusal);

    // ---- outcomes.cpp: what comes of it, at once or later
    void run_actions();
    void run(const hub::Action& action);
    [[nodiscard]] Client* find(hub::Session session);
    void deliver(const hub::Delivery& delivery);
    void fan_out(const hub::Delivery& delivery);
    [[nodiscard]] session::Frame broadcast_frame(std::string_view prefix,
                                                 ByteView payload,
                                                 bool has_offset,
                                                 std::uint64_t offset);
    void acknowledge(Client& client, const Tag& tag, const hub::Position& position);
    void acknowledge_join(Client& client,
                          std::string_view id,
                          std::string_view group,
                          const hub::Position& position,
                          std::optional<bool> recovered);
    void replay(Client& client,
                std::span<const hub::Replay> messages,
                std::string_view prefix,
                bool has_offsets);
    void tell_position(const hub::Action& action);
    void reject(Client& client);
    void evict(Client& client);
    void check(Client& client, std::uint64_t question);
    void on_pong(session::SessionId session);
    void end_checks();

    // ---- peers.cpp: other processes
    void flush_peers();
    void read_peers();
    [[nodiscard]] bool on_own_record(const link::PeerLinks::OwnRecord& record);

    // ---- commands.cpp: what the control process orders
    void take_command(const hub::Delivery& delivery);
    [[nodiscard]] bool carry_out_command();
    void carry_out(Client& client, const Command& command);
    void join_by_command(Client& client, const Command& command);
    void end_commanded_join(Client& client, const hub::Position& position, wire::Refusal refusal);
    void answer_command(const Command& command, const wire::CommandAnswer& answer);

    // ---- questions.cpp: what it asks
    [[nodiscard]] bool on_question(const link::PeerLinks::OwnRecord& record);
    void list_client(std::uint32_t index, bool with_groups);
    void list_clients(const wire::Question& question, wire::Reply& reply);
    void list_groups(const wire::Question& question, wire::Reply& reply);
    void count_members(const wire::Question& question);

    // ---- draining.cpp
    [[nodiscard]] Instant drain_step();
    void tell_draining(Client& client);
    void close_seat_pools();

    io::Loop& loop;
    WorkerOptions options;
    metrics::Counters counters;
    session::Engine engine;
    hub::Exchange exchange;
    link::PeerLinks peers;
    protocol::Parser parser;
    Prng jitter;
    ChunkedArray<Client> clients;

    std::deque<pool::Admission> seat_pools;  // the shared one, then the dedicated ones
    bool is_stirred = false;                 // one of them may have actions
    bool has_shares = false;                 // one of them has: idle seats are told from busy ones
    // Of clients that wait, or arrive for longer than an event; by the client's index.
    std::unordered_map<std::uint32_t, Arrival> arrivals;
    TicketKey ticket_key;
    Tickets tickets;
    // Questions to other workers; each ends with its answer or with that worker.
    struct AskedTicket {
        std::uint64_t question;  // tag_of() the client
        wire::Incarnation issuer;
    };
    std::vector<AskedTicket> asked_tickets;
    std::vector<SeatEvent> seat_events;

    Instant count_due = Instant::min();  // of count_exchange()

    std::vector<Place> places;               // as of this turn; empty: not looked at yet
    std::vector<metrics::Seating> seatings;  // of the places

    std::unique_ptr<AddressLimits> addresses;  // with a limit
    std::unique_ptr<Throttle> throttle;        // with a limit
    std::vector<std::uint32_t> released;       // scratch of release_held()

    // Both or neither: with and without authentication.
    std::optional<auth::Verifier> verifier;
    std::unique_ptr<Identities> identities;
    std::vector<std::uint32_t> expired;  // scratch of end_expired()

    protocol::ClientMessage message;  // the one being routed
    ByteBuffer scratch;               // the answer being written
    std::string tag_scratch;
    std::vector<std::uint64_t> readable;

    // Sessions that were asked for a sign of life on behalf of an id's home (R53), oldest first;
    // at most one of a session. Without one by the deadline the session is ended.
    struct Check {
        session::SessionId session;
        std::uint64_t question;
        Instant deadline;
    };
    std::deque<Check> checks;

    std::deque<Command> commands;                   // to be carried out
    std::vector<Command> commanded_joins;           // under way to a group's home; one of a session
    wire::ItemList<wire::ClientItem> client_items;  // of the reply being written
    wire::ItemList<wire::GroupItem> group_items;
    wire::ItemList<wire::NameItem> name_items;
    std::vector<std::string_view> group_names;
    std::vector<std::uint32_t> holders;

    bool is_draining = false;
    Instant drain_started{};
    std::vector<session::SessionId> to_drain;  // from the back
    std::size_t drain_count = 0;
};

// Of a session that another worker passed on, or did not want: it stays here.
inline constexpr std::uint64_t placed_tag = 1;
inline constexpr std::uint8_t held_by_exchange = 1;
inline constexpr std::uint8_t held_by_throttle = 2;
// What is counted elsewhere is copied in turns so far apart: each message has a turn of its own
// when few come. When nothing happens the figures are as old as the last turn but one heartbeat.
inline constexpr Duration count_interval = std::chrono::milliseconds(20);
inline constexpr std::string_view subprotocol_name = "wspool.v1";
// How long a session may take to answer for its id (R53).
inline constexpr Duration check_patience = std::chrono::seconds(2);
// How long a command waits for a session that is not read, and how many may; beyond either it is
// answered `unavailable`.
inline constexpr Duration command_patience = std::chrono::seconds(2);
inline constexpr std::size_t commands_max = 256;

[[nodiscard]] inline hub::Session to_hub(session::SessionId session) {
    return {session.index, session.generation};
}
// A client as a word; never 0. What is decided about one that is gone finds nobody.
[[nodiscard]] inline std::uint64_t tag_of(const Client& client) {
    return (std::uint64_t{client.session.generation} << 32 | client.session.index) + 1;
}
[[nodiscard]] inline hub::Session session_of_tag(std::uint64_t tag) {
    return {static_cast<std::uint32_t>(tag - 1), static_cast<std::uint32_t>((tag - 1) >> 32)};
}
[[nodiscard]] std::string_view select_subprotocol(const std::vector<std::string_view>& offered);
[[nodiscard]] Tag read_tag(std::string_view bytes);

}  // namespace wspool::worker
