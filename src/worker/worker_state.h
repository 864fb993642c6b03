// What is behind Worker. Private to worker/.
#pragma once

#include "base/chunked_array.h"
#include "hub/exchange.h"
#include "link/peer_links.h"
#include "pool/priority.h"
#include "protocol/message.h"
#include "worker/identities.h"
#include "worker/worker.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::worker {

// A client's life (State::set_state): absent → registering → active → absent; registering ends in
// absent where its id was refused. registering: its upgrade waits for the home of its id. active:
// admitted, and neither closed nor replaced.
enum class ClientState : std::uint8_t { absent, registering, active };

// What the worker knows about one session, under the session's index.
struct Client {
    session::SessionId session;
    std::uint32_t bad_messages = 0;
    ClientState state = ClientState::absent;
    bool is_echo = false;     // on the raw echo endpoint: has no id and is in no group
    bool is_greeted = false;  // negotiated wspool.v1: is told its id first
    bool has_token = false;   // is in `identities`
    bool is_limited = false;  // its token names groups
    std::uint8_t held = 0;    // why it is not read: a set of held_by_…
};

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
    std::string pool;              // its token's claim; empty: none
    TokenTerms token;              // with a verifier
};

// What comes back with the answer to a pending request of a client: how the answer is written, and
// the message's id. As bytes: one of flags, then the id.
struct Tag {
    bool is_direct = false;
    bool has_offsets = false;
    std::string_view id;
};

struct Worker::State {
    State(io::Loop& loop, const WorkerOptions& options_in, Entropy& entropy);

    // ---- worker.cpp
    void handle(const session::Event& event);
    [[nodiscard]] Instant next_deadline();

    // ---- arrival.cpp: who asks to be let in
    // Nothing when the request was refused.
    [[nodiscard]] std::optional<Arrival> judge(const session::Event& event);

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

    // ---- doors.cpp: how many, how fast
    // False when the request was refused; else the block of its address.
    [[nodiscard]] bool knock(const session::Event& event, std::string& block);
    // Whether the message may be served; holds its client up, or closes it.
    [[nodiscard]] bool spend(Client& client, std::size_t bytes);
    void release_held();
    // Reading stops while there is any reason, as these come and go by themselves.
    void hold(Client& client, std::uint8_t reason);
    void let_go(Client& client, std::uint8_t reason);

    // ---- opening.cpp: who comes and goes
    void on_opening(const session::Event& event);
    void on_plain(const session::Event& event);
    void enroll(Client& client, const Arrival& arrival);
    void set_state(Client& client, ClientState state);
    [[nodiscard]] Client& begin(session::SessionId session, const std::string& address_block);
    // `subprotocol` does not count where the opening was deferred: it was chosen then.
    void activate(Client& client, std::string_view subprotocol);
    void deactivate(Client& client);
    void refuse(session::SessionId session,
                int status,
                std::string_view body,
                metrics::RejectReason reason);

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
    void evict(Client& client);
    void check(Client& client, std::uint64_t question);
    void on_pong(session::SessionId session);
    void end_checks();

    // ---- peers.cpp: other processes
    void flush_peers();
    void read_peers();

    // ---- draining.cpp
    [[nodiscard]] Instant drain_step();

    WorkerOptions options;
    metrics::Counters counters;
    session::Engine engine;
    hub::Exchange exchange;
    link::PeerLinks peers;
    protocol::Parser parser;
    Prng jitter;
    ChunkedArray<Client> clients;
    std::size_t registering_count = 0;  // clients in that state

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

    bool is_draining = false;
    Instant drain_started{};
    std::vector<session::SessionId> to_drain;  // from the back
    std::size_t drain_count = 0;
};

inline constexpr std::uint8_t held_by_exchange = 1;
inline constexpr std::uint8_t held_by_throttle = 2;
inline constexpr std::string_view subprotocol_name = "wspool.v1";
// How long a session may take to answer for its id (R53).
inline constexpr Duration check_patience = std::chrono::seconds(2);

[[nodiscard]] inline hub::Session to_hub(session::SessionId session) {
    return {session.index, session.generation};
}
[[nodiscard]] std::string_view select_subprotocol(const std::vector<std::string_view>& offered);
[[nodiscard]] Tag read_tag(std::string_view bytes);

}  // namespace wspool::worker
