// What a Core remembers of calls, subscriptions, connections, targets and hosts. Private to Core
// (client/core_state.h), whose tables hold them by index.
#pragma once

#include "base/bytes.h"
#include "base/chunked_array.h"
#include "client/core_options.h"
#include "client/core_values.h"
#include "client/fifo.h"
#include "io/address.h"
#include "io/resolver.h"
#include "pool/admission_list.h"
#include "pool/pool.h"
#include "session/engine.h"
#include "ws/frame.h"
#include "ws/url.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace wspool::client {

inline constexpr std::uint32_t none = UINT32_MAX;

// Who wants a connection, or has one.
struct Call {
    enum class Kind : std::uint8_t { acquire, message, request, courier, shard };
    enum class State : std::uint8_t {
        free,
        queued,   // message: in the queue of its target
        waiting,  // in the pool
        leased,
        resting,  // courier, shard: until `due`, or until something is asked of the target;
                  // acquire: persistent, until `due`
        idle,     // courier: nothing to carry
    };
    Kind kind{};
    State state = State::free;
    ws::Opcode opcode{};         // message
    bool must_discard = false;   // shard: the server may still think something is subscribed
    bool is_persistent = false;  // acquire
    pool::Priority priority{};   // acquire
    std::uint32_t generation = 0;
    std::uint32_t target = none;
    std::uint32_t connection = none;  // leased
    std::uint32_t sessions = 0;       // acquire: the connections that it has had
    std::uint64_t tag = 0;            // the caller's
    pool::WaiterId waiter;            // waiting
    pool::LeaseId lease;              // leased
    pool::ListLinks links;            // queued: of its target's queue; leased: of the connection's
    std::uint32_t deadline_position = UINT32_MAX;
    pool::IndexList subscriptions;  // shard
    ByteBuffer payload;             // message, request
    std::string id;                 // request; acquire, persistent: its client
};

struct Subscription {
    std::uint32_t generation = 0;
    std::uint32_t shard = none;  // none: free
    std::uint64_t hash = 0;
    pool::ListLinks links;  // of its shard
    std::string topic;
    std::string subscribe_frame;
    std::string unsubscribe_frame;
};

// One slot of a pool that is not free.
struct Connection {
    enum class State : std::uint8_t { free, resolving, racing, open, closing };
    struct Message {
        std::uint64_t tag;
        std::uint64_t position;  // in the order of all messages of the connection
    };
    State state = State::free;
    bool is_tracked = false;  // in State::tracked
    std::uint32_t generation = 0;
    std::uint32_t target = none;
    pool::SlotId slot;
    Instant deadline = never;  // connecting
    io::ResolveId resolution{};
    std::vector<io::Address> addresses;  // racing
    std::size_t next_address = 0;
    std::vector<session::SessionId> attempts;
    std::string error;  // of the last attempt that failed
    std::uint32_t stagger_position = UINT32_MAX;
    session::SessionId session;  // open, closing
    std::string subprotocol;
    pool::IndexList holders;         // calls that are leased
    Instant used_at{};               // the pool knows
    std::uint64_t pushed = 0;        // messages given to the session
    std::uint64_t pushed_bytes = 0;  // of payloads
    Fifo<Message> sends;             // of send_once(), not taken by the kernel yet
};

struct Target {
    std::string url;
    std::string canonical;  // what it is told apart by
    std::uint64_t url_hash = 0;
    std::uint64_t hash = 0;
    ws::Url parsed;
    TargetSpec spec;
    std::uint32_t generation = 0;
    std::uint32_t host = none;  // none: free
    pool::KeyId key{};
    std::uint32_t pins = 0;
    Instant used_at{};
    pool::IndexList queue;  // messages, oldest first
    std::uint32_t courier = none;
    // The idle connection that carried the last message: the next one's too, in the same turn and
    // while the pool is as it was.
    std::uint32_t carrier = none;
    Instant carrier_at{};
    std::uint64_t carrier_changes = 0;
    std::vector<std::uint32_t> shards;  // calls, oldest first
    std::uint32_t suspended = 0;        // persistent leases without a connection
    bool is_plain = false;              // found by its URL alone
    bool is_down = false;               // the carrier of the queue rests because connects fail
    bool is_stopped = false;            // shards rest until something is asked
    bool was_lost = false;              // a connection was lost, and none has opened since
    std::uint32_t attempts = 0;         // connects since
};

struct Host {
    std::string name;
    std::uint64_t hash = 0;
    std::unique_ptr<pool::Pool> pool;  // null: free
    std::uint32_t deadline_position = UINT32_MAX;
    bool is_touched = false;          // in State::touched
    bool has_stale_deadline = false;  // in State::stale
    bool is_drained = false;
    bool has_timed_out = false;  // the last connect
    std::string connect_error;
    IndexPool keys;
    std::vector<std::uint32_t> targets;      // by key
    std::vector<std::uint32_t> connections;  // by slot
    std::uint64_t reconnects = 0;
    // Sent: by connections that are gone.
    std::uint64_t messages_sent = 0, messages_received = 0;
    std::uint64_t bytes_sent = 0, bytes_received = 0;
    std::uint64_t changes = 0;  // how often its pool may have changed
    std::uint64_t dropped_messages = 0;
    std::uint32_t queued_messages = 0;
    std::size_t queued_bytes = 0;
    std::uint32_t requests = 0;
    std::uint32_t subscriptions = 0;
};

}  // namespace wspool::client
