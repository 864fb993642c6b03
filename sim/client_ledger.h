// ClientLedger: what the user of a client pool asked, what came of it, and what the servers saw:
// the judge of a simulation, which shares no code with the pool.
//
// How it works: each call, and each text that the user sends, has a number that travels with it
// (as the tag, and in the text), so that what a server receives is compared with who sent it, and
// when. Moments are numbers of one sequence: two leases on one connection of a server whose spans
// overlap are a connection lent twice. Texts are "m 7 ggg" (a message), {"id":7,"pad":"ggg"} (a
// request), "s 7" and "u 7" (subscriptions). What is not as it must be goes to the journal.
#pragma once

#include "client/core_values.h"
#include "sim/client_swarm.h"
#include "sim/journal.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::sim {

using Moment = std::uint64_t;
inline constexpr Moment not_yet = UINT64_MAX;

struct CallRecord {
    enum class Kind : std::uint8_t { acquire, message, request };
    enum class State : std::uint8_t { pending, done, failed, cancelled };
    std::uint64_t number = 0;
    Kind kind{};
    State state = State::pending;
    std::size_t target = 0;
    std::string client;
    bool is_persistent = false;  // acquire
    Instant deadline{};
    Instant ended_at = never;
    Moment begun = 0;
    Moment ended = not_yet;
    client::CallId id{};
    client::ErrorCode error{};
    // message, request
    std::size_t size = 0;
    int connection = -1;  // where it arrived
    Instant begun_at{};
    // A deadline that has passed means: now or not at all.
    [[nodiscard]] Instant due() const { return std::max(deadline, begun_at); }
};

struct LeaseRecord {
    client::LeaseId id{};
    std::uint64_t call = 0;
    std::size_t target = 0;
    std::string client;
    Moment granted = 0;
    Moment ended = not_yet;
    Instant ended_at = never;
    int connection = -1;     // where its messages arrive
    bool is_doomed = false;  // the pool says that it is gone; `revoked` must follow in this turn
    bool has_leaked = false;
    bool was_discarded = false;  // by another with the same client
    bool is_suspended = false;   // persistent, and without a connection
    // Persistent: the record of its next connection, which begins when this one is lost.
    std::size_t next = SIZE_MAX;
    [[nodiscard]] bool is_live() const { return ended == not_yet; }
};

struct LeaseText {
    std::size_t lease = 0;
    std::size_t size = 0;
    int connection = -1;
};

struct SubscriptionRecord {
    std::uint64_t number = 0;
    std::size_t target = 0;
    client::SubscriptionId id{};
    Instant ended_at = never;
    [[nodiscard]] bool is_wanted() const { return ended_at == never; }
};

// A connection as its server knows it.
struct ConnectionRecord {
    std::size_t host = 0;
    int target = -1;  // index; -1: not known
    Instant accepted_at{};
    bool is_open = false;                            // upgraded, and not ended
    std::map<std::uint64_t, std::uint64_t> last_of;  // sender to its last number
    std::set<std::uint64_t> subscriptions;
    std::uint64_t last_subscription = 0;
    std::vector<std::size_t> leases;  // whose messages came
    std::uint64_t pushes = 0;         // sent to the user
    std::uint64_t pushes_seen = 0;
};

struct TargetRecord {
    std::size_t host = 0;
    std::string path;
};

class ClientLedger {
  public:
    ClientLedger(Journal& journal, const ClientSwarm& swarm);

    void violate(const std::string& text) { journal_.violate(text); }
    [[nodiscard]] std::uint64_t take_number() { return ++last_number_; }
    // What excuses lost connections and failing connects until then.
    void excuse_until(Instant time) { excused_until_ = time; }
    // From here on no connection ends without a word.
    void end_storm() { notice_delay_ = std::chrono::milliseconds(200); }
    void begin_draining() { draining_since_ = journal_.now(); }
    [[nodiscard]] bool is_draining() const { return draining_since_ != never; }
    [[nodiscard]] bool is_excused() const { return journal_.now() < excused_until_; }

    // ---- what the user does
    CallRecord& begin(CallRecord::Kind kind, std::uint64_t number, std::size_t target);
    void on_outcome(CallRecord& call, const client::Outcome& outcome);
    void on_cancel(CallRecord& call, bool is_cancelled);
    void on_return(std::size_t lease, bool is_accepted, bool is_discard);
    void on_lease_send(std::size_t lease,
                       std::uint64_t number,
                       std::size_t size,
                       client::SendOutcome outcome);
    void on_subscribed(const SubscriptionRecord& subscription);
    void on_unsubscribed(SubscriptionRecord& subscription, bool is_accepted);

    // ---- what the pool tells
    // Index of the lease.
    std::size_t on_granted(CallRecord& call, client::LeaseId lease);
    void on_failed(CallRecord& call, client::ErrorCode error);
    void on_sent(CallRecord& call);
    void on_replied(CallRecord& call, std::string_view payload);
    void on_revoked(std::uint64_t tag, client::LeaseId lease, client::ErrorCode error);
    void on_suspended(std::uint64_t tag, client::LeaseId lease);
    void on_resumed(std::uint64_t tag, client::LeaseId lease);
    void on_told_of_lease(std::uint64_t tag, client::LeaseId lease, bool is_leak);
    void on_push(std::string_view text, int target, const client::LeaseId* lease);
    // The record of the lease's present connection.
    [[nodiscard]] std::size_t current(std::size_t lease) const {
        while (leases[lease].next != SIZE_MAX) lease = leases[lease].next;
        return lease;
    }
    // All events of a turn have been told. Nothing may be overdue by more than `slack`.
    void check_turn(Duration slack);
    void check_stats(const client::CoreStats& stats);

    // ---- what the servers see
    [[nodiscard]] int on_accepted(std::size_t host);
    void on_opened(int connection, int target);
    void on_text(int connection, std::string_view text);
    // `is_clean`: the client closed, and all that it sent was read.
    void on_ended(int connection, bool is_clean);

    // ---- at rest
    // Nobody speaks: what was sent has arrived, or died with its connection.
    void check_arrivals();
    void check_rest();
    [[nodiscard]] std::size_t pending() const { return due_.size(); }
    // Indexes.
    [[nodiscard]] const std::set<std::size_t>& live_leases() const { return live_; }
    [[nodiscard]] std::vector<std::uint64_t> pending_calls() const;
    // Whether all that are pending have no deadline.
    [[nodiscard]] bool pending_is_patient() const {
        return !due_.empty() && due_.begin()->first == never;
    }
    [[nodiscard]] std::uint32_t wanted(std::size_t host) const;
    // Connections of the host that have subscriptions.
    [[nodiscard]] std::uint32_t shards(std::size_t host) const;

    [[nodiscard]] CallRecord* find_call(std::uint64_t number);
    [[nodiscard]] static std::string make_text(std::uint64_t number, std::size_t size);
    [[nodiscard]] static std::string make_request(std::uint64_t number, std::size_t size);

    std::vector<TargetRecord> targets;
    std::deque<LeaseRecord> leases;
    std::deque<SubscriptionRecord> subscriptions;
    std::deque<ConnectionRecord> connections;
    std::uint64_t counts_granted = 0, counts_sent = 0, counts_replied = 0, counts_delivered = 0;
    std::uint64_t counts_revoked = 0, counts_resumed = 0, counts_pushes = 0;
    pool::PoolCounts<client::ErrorCode> counts_errors{};

  private:
    void end(CallRecord& call, CallRecord::State state);
    void end(LeaseRecord& lease);
    [[nodiscard]] std::size_t find_live(std::uint64_t tag, client::LeaseId lease);
    void check_error(const CallRecord& call, client::ErrorCode error);
    [[nodiscard]] bool may_have_left(const CallRecord& call) const;
    void on_call_arrived(int connection, CallRecord& call, std::string_view text);
    void on_lease_text_arrived(int connection,
                               std::uint64_t number,
                               LeaseText& record,
                               std::string_view text);
    void on_subscribe_arrived(int connection, std::uint64_t number);
    void on_unsubscribe_arrived(int connection, std::uint64_t number);
    void check_order(int connection, std::uint64_t sender, std::uint64_t number);
    void check_lent_once(int connection, std::size_t lease);
    void check_crowding(std::size_t host);
    [[nodiscard]] bool is_lost_rightly(std::size_t host, Instant since) const;

    Journal& journal_;
    const ClientSwarm& swarm_;
    std::uint64_t last_number_ = 0;
    Moment moment_ = 0;
    Instant excused_until_ = never;
    Instant draining_since_ = never;
    std::map<std::uint64_t, CallRecord> calls_;
    std::map<std::uint64_t, LeaseText> lease_texts_;
    std::set<std::pair<Instant, std::uint64_t>> due_;  // pending calls
    std::set<std::size_t> live_;                       // leases
    std::set<std::size_t> doomed_;
    std::uint64_t arrivals_checked_ = 0;  // up to this number
    Duration notice_delay_;  // how long the pool may hold an ended connection to be alive
    std::vector<Instant> last_unclean_;  // per host: when a connection last broke
};

}  // namespace wspool::sim
