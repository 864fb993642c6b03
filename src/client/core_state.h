// The inside of Core, shared by its sources: core.cpp (the turn), core_verbs.cpp (the
// verbs' entry), core_targets.cpp (URLs and hosts), core_calls.cpp (who acquires),
// core_persistent.cpp (leases without a connection), core_queue.cpp (messages that wait for a
// connection, or are on their way), subscription.cpp (shards), endpoint.cpp (connecting) and
// core_connections.cpp (what pools ask and sessions tell). Everything goes by index here;
// generations are checked where a call comes in.
#pragma once

#include "base/bytes.h"
#include "base/chunked_array.h"
#include "base/hash.h"
#include "base/index_table.h"
#include "base/random.h"
#include "client/core.h"
#include "client/core_tables.h"
#include "pool/admission_deadlines.h"
#include "pool/admission_list.h"
#include "pool/pool.h"
#include "session/engine.h"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace wspool::client {

struct Core::State {
    State(io::Loop& loop, NameResolver& resolver_in, const CoreOptions& options_in, Entropy&);

    // ---- core.cpp
    void wait(Instant deadline);
    bool next(CoreEvent& event);
    [[nodiscard]] Instant next_deadline() const;
    void refresh_deadlines();
    void run_timers();
    [[nodiscard]] Instant next_timer() const;
    bool deliver(CoreEvent& event);
    void deliver_sent(CoreEvent& event);
    void on_engine_event(const session::Event& event);
    // Queues an event about `target`.
    CoreEvent& tell(CoreEventKind kind,
                    std::uint32_t target,
                    std::uint64_t tag,
                    std::string text = {});
    void drain(Instant deadline);
    void note_drained();

    // ---- core_targets.cpp
    [[nodiscard]] Result<TargetId> find_or_make(std::string_view url,
                                                const TargetSpec& spec,
                                                bool is_plain);
    [[nodiscard]] Result<std::uint32_t> host_of(const ws::Url& url, const std::string& pool);
    void sweep(Duration unused_for);
    [[nodiscard]] bool is_unused(const Target& target) const;
    void forget(std::uint32_t target);
    void forget_host(std::uint32_t host);

    // ---- core_calls.cpp
    [[nodiscard]] Outcome acquire(std::uint32_t target, const AcquireSpec& spec);
    [[nodiscard]] Outcome request(std::uint32_t target,
                                  std::string_view id,
                                  ByteView payload,
                                  const SendSpec& spec);
    // Asks the pool for a connection: the call is leased, waiting, or as it was.
    [[nodiscard]] ErrorCode ask(std::uint32_t call, const pool::AcquireRequest& request);
    bool cancel(std::uint32_t call);
    void end_lease(std::uint32_t call, bool is_discarded);
    void attach(std::uint32_t call, pool::LeaseId lease, pool::SlotId slot);
    void detach(std::uint32_t call);
    void on_granted(std::uint32_t call, pool::LeaseId lease, pool::SlotId slot);
    void on_refused(std::uint32_t call, ErrorCode error);
    void on_revoked(std::uint32_t call, ErrorCode error);
    void begin_request(std::uint32_t call);
    void on_call_due(std::uint32_t call);
    // Whether a text message answers somebody's request.
    bool answer(Connection& connection, std::string_view text);
    [[nodiscard]] std::uint32_t make_call(Call::Kind kind, std::uint32_t target, std::uint64_t tag);
    void free_call(std::uint32_t call);
    void end_request(std::uint32_t call);
    [[nodiscard]] Outcome refuse(std::uint32_t target, ErrorCode error);
    [[nodiscard]] std::string explain(std::uint32_t target, ErrorCode error) const;
    [[nodiscard]] ErrorCode code_of(const Host& host, pool::PoolError error) const;

    // ---- core_persistent.cpp
    void suspend(std::uint32_t call);
    void rest_lease(std::uint32_t call, Duration delay);
    void resume(std::uint32_t call);
    void on_resumed(std::uint32_t call);
    void on_resume_refused(std::uint32_t call, ErrorCode error);
    void end_suspended(std::uint32_t call);
    void revoke(std::uint32_t call, ErrorCode error);
    void revoke_suspended();

    // ---- core_queue.cpp
    [[nodiscard]] Outcome send_once(std::uint32_t target,
                                    ws::Opcode opcode,
                                    ByteView payload,
                                    const SendSpec& spec);
    [[nodiscard]] bool send_now(std::uint32_t target,
                                ws::Opcode opcode,
                                ByteView payload,
                                std::uint64_t tag);
    [[nodiscard]] std::uint32_t find_idle(std::uint32_t target);
    // The connection that may take a message of so many bytes now; none: it has to wait.
    [[nodiscard]] std::uint32_t find_carrier(std::uint32_t target, std::size_t size);
    [[nodiscard]] Outcome enqueue(std::uint32_t target,
                                  ws::Opcode opcode,
                                  ByteView payload,
                                  const SendSpec& spec);
    [[nodiscard]] SendOutcome push(Connection& connection, ws::Opcode opcode, ByteView payload);
    // It is open and has room.
    [[nodiscard]] bool hand_over(Connection& connection, ws::Opcode opcode, ByteView payload);
    void push_tracked(std::uint32_t connection,
                      ws::Opcode opcode,
                      ByteView payload,
                      std::uint64_t tag);
    [[nodiscard]] bool has_room(const Connection& connection, std::size_t size) const;
    [[nodiscard]] ErrorCode ask_courier(std::uint32_t target);
    void serve_queue(std::uint32_t target);
    void flush(std::uint32_t target, std::uint32_t connection);
    void on_carrier_failed(std::uint32_t target, ErrorCode error);
    void fail_queue(std::uint32_t target, ErrorCode error, std::uint32_t kept);
    void fail_message(std::uint32_t call, ErrorCode error);
    void unqueue(std::uint32_t call);
    void rest_courier(std::uint32_t target);
    void note_used(Connection& connection);
    void track(std::uint32_t connection);
    void note_sent(Connection& connection, std::uint64_t taken);
    void settle_sends();

    // ---- subscription.cpp
    [[nodiscard]] Result<SubscriptionId> subscribe(std::uint32_t target,
                                                   std::string_view topic,
                                                   std::string_view subscribe_frame,
                                                   std::string_view unsubscribe_frame);
    void unsubscribe(std::uint32_t subscription);
    [[nodiscard]] std::uint32_t shard_with_room(std::uint32_t target);
    void start_shard(std::uint32_t shard);
    void replay(std::uint32_t shard);
    [[nodiscard]] bool push_frame(std::uint32_t shard, std::string_view frame);
    void on_shard_lost(std::uint32_t shard);
    void rest_shard(std::uint32_t shard, Duration delay);
    void end_shard(std::uint32_t shard);
    void free_subscription(std::uint32_t subscription);
    [[nodiscard]] std::uint32_t open_shard(const Target& target) const;
    // Something is asked of the target: what rests for good is begun again.
    void wake(std::uint32_t target);
    [[nodiscard]] Duration failure_delay();

    // ---- endpoint.cpp
    void connect(std::uint32_t host, const pool::PoolAction& action);
    void start_race(std::uint32_t connection, std::vector<io::Address> addresses);
    void start_attempt(std::uint32_t connection);
    void on_resolved(const io::Resolution& resolution);
    void on_opened(std::uint32_t connection, const session::Event& event);
    void on_attempt_failed(std::uint32_t connection, const session::Event& event);
    void fail_connect(std::uint32_t connection, const std::string& sentence);
    void give_up_connect(std::uint32_t connection);
    void explain_timeouts(std::uint32_t host);

    // ---- core_connections.cpp
    void touch(std::uint32_t host);
    // Does what the pools ask until they ask nothing more. Ends every verb and every event.
    void settle();
    void on_action(std::uint32_t host, const pool::PoolAction& action);
    void close_slot(std::uint32_t host, const pool::PoolAction& action);
    void on_closed(std::uint32_t connection, const session::Event& event);
    void on_gone(std::uint32_t connection);
    [[nodiscard]] std::uint32_t connection_of(const Host& host, pool::SlotId slot) const;
    void tell_closed(const Connection& connection,
                     pool::SlotEnd end,
                     ws::CloseCode code,
                     std::string_view text);

    // ---- core_report.cpp
    [[nodiscard]] CoreStats stats() const;
    void check_invariants() const;
    void check_calls() const;
    void check_connections() const;

    // ---- small
    [[nodiscard]] Instant now() const { return time; }
    auto call_links() {
        return [this](std::uint32_t i) -> pool::ListLinks& { return calls[i].links; };
    }
    auto subscription_links() {
        return [this](std::uint32_t i) -> pool::ListLinks& { return subscriptions[i].links; };
    }
    struct CallPosition {
        ChunkedArray<Call>* calls;
        std::uint32_t& operator()(std::uint32_t i) const { return (*calls)[i].deadline_position; }
    };
    struct StaggerPosition {
        ChunkedArray<Connection>* connections;
        std::uint32_t& operator()(std::uint32_t i) const {
            return (*connections)[i].stagger_position;
        }
    };
    struct HostPosition {
        ChunkedArray<Host>* hosts;
        std::uint32_t& operator()(std::uint32_t i) const { return (*hosts)[i].deadline_position; }
    };
    template <class Id, class Array>
    [[nodiscard]] static std::uint32_t find(Id id, const Array& array, const IndexPool& indexes) {
        if (id.index >= indexes.end()) return none;
        return array[id.index].generation == id.generation ? id.index : none;
    }
    [[nodiscard]] std::uint32_t find(TargetId id) const {
        const std::uint32_t target = find(id, targets, target_indexes);
        return target != none && targets[target].host != none ? target : none;
    }
    [[nodiscard]] std::uint32_t find_lease(LeaseId id) const {
        const std::uint32_t call = find(id, calls, call_indexes);
        const bool is_one =
            call != none && calls[call].kind == Call::Kind::acquire && calls[call].sessions > 0;
        return is_one ? call : none;
    }
    template <class Id>
    [[nodiscard]] static std::uint64_t tag_of(Id id) {
        return std::uint64_t{id.generation} << 32 | id.index;
    }
    template <class Id>
    [[nodiscard]] static Id id_of(std::uint64_t tag) {
        return {static_cast<std::uint32_t>(tag), static_cast<std::uint32_t>(tag >> 32)};
    }
    struct ConnectionId {
        std::uint32_t index;
        std::uint32_t generation;
    };
    [[nodiscard]] std::uint32_t find_connection(std::uint64_t tag) const {
        const std::uint32_t connection =
            find(id_of<ConnectionId>(tag), connections, connection_indexes);
        const bool is_one =
            connection != none && connections[connection].state != Connection::State::free;
        return is_one ? connection : none;
    }
    [[nodiscard]] std::uint64_t tag_of_connection(std::uint32_t i) const {
        return tag_of(ConnectionId{i, connections[i].generation});
    }
    [[nodiscard]] std::uint64_t tag_of_call(std::uint32_t i) const {
        return tag_of(CallId{i, calls[i].generation});
    }
    [[nodiscard]] TargetId target_id(std::uint32_t i) const { return {i, targets[i].generation}; }
    [[nodiscard]] Host& host_of_target(std::uint32_t target) { return hosts[targets[target].host]; }
    [[nodiscard]] const Host& host_of_target(std::uint32_t target) const {
        return hosts[targets[target].host];
    }
    [[nodiscard]] bool is_suspended(std::uint32_t call) const {
        return calls[call].sessions > 0 && calls[call].state != Call::State::leased;
    }
    void rest_until(std::uint32_t call, Instant due) {
        call_deadlines.remove(call);
        if (due != never) call_deadlines.insert(call, due);
    }

    CoreOptions options;
    NameResolver& resolver;
    Entropy& entropy;
    metrics::Counters counters;
    session::Engine engine;
    Instant time;  // the engine's, which changes in wait() only
    HashKey hash_key;
    Prng random;
    std::unique_ptr<pool::Ceiling> ceiling;  // null: no common limit
    bool is_draining = false;
    bool is_drained = false;

    ChunkedArray<Host> hosts;
    IndexPool host_indexes;
    IndexTable host_names;
    pool::DeadlineHeap<HostPosition> host_deadlines;
    std::vector<std::uint32_t> touched;
    std::vector<std::uint32_t> stale;  // their entries of host_deadlines are not up to date

    ChunkedArray<Target> targets;
    IndexPool target_indexes;
    IndexTable target_urls;
    IndexTable target_names;
    Instant sweep_at = never;

    ChunkedArray<Call> calls;
    IndexPool call_indexes;
    pool::DeadlineHeap<CallPosition> call_deadlines;

    ChunkedArray<Subscription> subscriptions;
    IndexPool subscription_indexes;
    IndexTable topics;

    ChunkedArray<Connection> connections;
    IndexPool connection_indexes;
    pool::DeadlineHeap<StaggerPosition> staggers;
    std::vector<std::uint32_t> tracked;  // connections with sends, or with a queue that is blocked

    // Messages that the kernel has taken, of one connection each, and which of them were told.
    struct SentGroup {
        std::uint32_t target;
        std::uint32_t count;
    };
    std::vector<SentGroup> sent_groups;
    std::vector<std::uint64_t> sent_tags;
    std::size_t sent_groups_told = 0;
    std::size_t sent_tags_told = 0;

    struct Told {
        CoreEvent event;
        std::string text;
        std::string payload;
    };
    std::deque<Told> told;
    Told delivered;  // what the last event's views point to
    session::Event engine_event;
    std::string said;  // what the last outcome's text points to
};

}  // namespace wspool::client
