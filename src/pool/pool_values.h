// What goes into a Pool and comes out of it, as values: names of slots, leases and waiters,
// requests, answers, actions, and why things end.
#pragma once

#include "base/time.h"
#include "pool/admission.h"
#include "pool/priority.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wspool::pool {

// What a connection must fit beside the host: path, subprotocols, headers, TLS identity, interned
// by the owner as small numbers (the pool keeps a table up to the largest).
enum class KeyId : std::uint32_t {};

// A place for one connection. The name is good from the `connect` action until the slot is free.
struct SlotId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(SlotId, SlotId) = default;
};

// One successful acquire. The name is good until it is released, discarded, detached or revoked.
struct LeaseId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(LeaseId, LeaseId) = default;
};

enum class SlotState : std::uint8_t {
    free,
    connecting,  // the owner connects it
    validating,  // idle for long, wanted now: the owner finds out whether it still works
    idle,
    leased,
    closing,  // the owner closes it; counted until that is done
    count_
};

// How an acquire may fail, and what revokes a lease.
enum class PoolError : std::uint8_t {
    timed_out,        // waited until its deadline
    capacity,         // it would have to wait, and may not, or too many already do
    cancelled,        // counted only: who cancels is not told
    closed,           // the pool is closing
    connect_failed,   // it waited for a connection, and all attempts failed
    circuit_open,     // the host keeps failing, and is not asked at the moment
    already_leased,   // Affinity::exclusive: this client has a lease or waits for one
    connection_lost,  // of a lease: its connection ended
    preempted,        // of a lease: somebody of a higher priority needs the seat
    count_
};

// Why a connection was closed, or never opened.
enum class SlotEnd : std::uint8_t {
    idle_timeout,
    max_lifetime,
    evicted,  // a waiter for another key, or another pool under the Ceiling, needed the room
    surplus,  // beyond max_size after a resize, or opened after the pool was closed
    reset,    // opened before reset()
    invalid,  // failed its validation
    connect_timeout,  // did not open by its deadline
    connect_failed,   // reported by the owner
    lost,             // ended by the peer or the network
    discarded,        // the holder said that it must not be reused
    preempted,        // the holder did not give it back within the grace
    closed,           // the pool was closed
    detached,         // taken out of the pool, alive
    count_
};

[[nodiscard]] std::string_view name(SlotState state);
[[nodiscard]] std::string_view name(PoolError error);
[[nodiscard]] std::string_view name(SlotEnd end);

template <class Reason>
using PoolCounts = std::array<std::uint64_t, static_cast<std::size_t>(Reason::count_)>;

// Of any enum above.
template <class Enum>
[[nodiscard]] constexpr std::uint32_t index_of(Enum value) {
    return static_cast<std::uint32_t>(value);
}

struct AcquireRequest {
    KeyId key{};
    // Whoever acquires twice under one id and key gets the same connection. Empty: nobody's.
    std::string_view client;
    Priority priority = Priority::normal;
    Instant deadline = never;   // of the whole wait
    std::uint64_t tag = 0;      // the owner's; comes back with every action about it
    bool waits = true;          // false: now or not at all
    bool is_returning = false;  // was preempted and comes back: waits ahead of its priority
};

struct Acquired {
    enum class Kind : std::uint8_t { leased, waiting, failed };
    Kind kind{};
    LeaseId lease{};    // leased
    SlotId slot{};      // leased
    WaiterId waiter{};  // waiting: Pool::cancel() takes it
    PoolError error{};  // failed
};

struct PoolAction {
    enum class Kind : std::uint8_t {
        connect,   // open a connection of `key` in `slot`; answer on_connected() or
                   // on_connect_failed(), at `deadline` it is given up
        validate,  // find out whether `slot` still works, and answer on_validated() by `deadline`
        close,     // close `slot` because of `end`, and tell on_closed() when it is gone; at once,
                   // if `is_abort`
        granted,   // the waiter `tag` has `lease` of `slot`
        failed,    // the waiter `tag` got nothing: `error`
        notice,  // tell the holder `tag` of `lease` to give it back by `deadline`, and to come back
                 // no earlier than after `delay`
        revoked,  // the holder `tag` has no `lease` any more: `error`
        leaked,   // `lease` of `tag` has been held for `delay`; told once
        drained,  // the pool is closed and holds nothing any more
    };
    Kind kind{};
    SlotEnd end{};
    PoolError error{};
    bool is_abort = false;
    KeyId key{};
    SlotId slot{};
    LeaseId lease{};
    std::uint64_t tag = 0;
    Instant deadline{};
    Duration delay{};
};

}  // namespace wspool::pool
