// What goes into a Core and comes out of it, as values: names, specifications, outcomes, events and
// figures.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "metrics/counters.h"
#include "pool/breaker.h"
#include "pool/ceiling.h"
#include "pool/pool_report.h"
#include "pool/priority.h"
#include "ws/close.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::client {

// A URL with its TargetSpec, prepared: good while it is pinned or in use, and some time after.
struct TargetId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(TargetId, TargetId) = default;
};

// An acquire, a message or a request that is not done yet; good until its event was queued.
struct CallId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(CallId, CallId) = default;
};

// The right to use a connection; good until it is released, discarded or revoked.
struct LeaseId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(LeaseId, LeaseId) = default;
};

struct SubscriptionId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(SubscriptionId, SubscriptionId) = default;
};

enum class ErrorCode : std::uint8_t {
    none,
    invalid,             // unusable input: a URL, a text that is not UTF-8, a stale target
    acquire_timeout,     // waited until its deadline
    capacity,            // it would have to wait, and may not, or too many already do
    cancelled,           // by cancel(); of who cancels, nothing more is heard
    pool_closed,         // drain() was called
    connect_timeout,     // no attempt was finished in time
    connect_failed,      // all attempts failed
    circuit_open,        // the host keeps failing, and is not asked at the moment
    connection_lost,     // the connection ended before it was done
    preempted,           // somebody of a higher priority needs the connection
    already_leased,      // pool::Affinity::exclusive: this client has a lease, or waits for one
    message_queue_full,  // of messages that wait for a connection, or of one that is slow
    count_
};

[[nodiscard]] std::string_view name(ErrorCode code);

struct AcquireSpec {
    pool::Priority priority = pool::Priority::normal;
    // Whoever acquires twice under one id and target gets the same connection. Empty: nobody's.
    std::string_view client{};
    Instant deadline = never;   // of the whole wait; past: now or not at all
    std::uint64_t tag = 0;      // the caller's; comes back with every event about it
    bool is_returning = false;  // was preempted and comes back: waits ahead of its priority
    // The lease outlives its connection: `suspended` instead of `revoked` when that is lost, and
    // `resumed` when it has the next one.
    bool is_persistent = false;
};

struct SendSpec {
    pool::Priority priority = pool::Priority::normal;  // of a request; messages wait in one line
    Instant deadline = never;  // until which it may wait for a connection, or for the answer
    std::uint64_t tag = 0;
};

// How a verb went. `text` is one sentence, valid until the next call of any function of the core.
struct Outcome {
    enum class Kind : std::uint8_t {
        done,     // acquire: `lease`
        pending,  // an event with the tag follows, unless `call` is cancelled
        failed,   // `error`, `text`; no event follows
    };
    Kind kind{};
    LeaseId lease{};
    CallId call{};
    ErrorCode error{};
    std::string_view text{};
};

enum class SendOutcome : std::uint8_t {
    queued,   // will be sent, in order
    gone,     // the lease is stale, or its connection is ending: nothing was kept
    full,     // more than outbox_size_max waits already: nothing was kept
    invalid,  // opcode text, and not UTF-8; or no opcode of a message
};

enum class CoreEventKind : std::uint8_t {
    granted,      // acquire `tag` has `lease`
    failed,       // acquire, message or request `tag` came to nothing: `error`, `text`
    sent,         // the kernel has taken the messages `tags` of `target` whole: all of one
                  // connection that it took in this turn
    replied,      // request `tag` was answered: `payload`
    message,      // of `target`, on `lease` if somebody holds the connection: `payload`
    revoked,      // `lease` of `tag` is no more: `error`, `text`
    suspended,    // the connection of the persistent `lease` of `tag` was lost: `text`
    resumed,      // the persistent `lease` of `tag` has another connection
    notice,       // give `lease` of `tag` back by `deadline`, and come back after `delay`
    leaked,       // `lease` of `tag` has been held for `delay`; told once
    closed,       // a connection of `target` ended: `code`, `text`, `end`
    reconnected,  // `target` has a connection again after `attempts` connects
    stopped,      // `target` closed with a code (`code`) that means: do not come back; its
                  // subscriptions rest until something is asked of it again
    readable,     // a watched descriptor; `tag` is the watch()'s
    drained,      // after drain(): nothing is left
};

// What is filled in is what CoreEventKind says of the kind, and `url` with `target`; the rest has
// its default. Views are valid until the next call of next() or wait().
struct CoreEvent {
    CoreEventKind kind{};
    ErrorCode error{};
    bool is_binary = false;
    pool::SlotEnd end{};
    ws::CloseCode code{};
    std::uint32_t attempts = 0;
    std::uint64_t tag = 0;
    std::span<const std::uint64_t> tags;
    TargetId target;
    LeaseId lease;
    std::string_view url;  // as it was given first
    std::string_view text;
    ByteView payload;
    Instant deadline{};
    Duration delay{};
};

struct HostStats {
    std::string host;  // "wss://example.com:443"
    pool::PoolReport pool;
    pool::CircuitBreaker::State breaker{};
    std::string last_connect_error;  // empty since a connect succeeded
    std::uint64_t reconnects = 0;
    std::uint64_t messages_sent = 0, messages_received = 0;
    std::uint64_t bytes_sent = 0, bytes_received = 0;  // of payloads
    std::uint32_t queued_messages = 0;                 // wait for a connection
    std::size_t queued_bytes = 0;
    std::uint32_t requests = 0;  // wait for their connection or answer
    std::uint32_t subscriptions = 0;
    std::uint64_t dropped_messages = 0;  // by the bound of the queue
};

struct CoreStats {
    std::vector<HostStats> hosts;
    std::uint32_t connections = 0;  // in whatever state, over all hosts
    std::uint32_t targets = 0;
    pool::CeilingFigures ceiling;
    metrics::Counters counters;  // of all connections
};

}  // namespace wspool::client
