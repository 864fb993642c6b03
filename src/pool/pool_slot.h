// What a Pool knows of one slot, one lease, one key, one waiter, and of a place in the queue. Plain
// records, linked by index; only Pool changes them.
#pragma once

#include "base/time.h"
#include "pool/admission.h"
#include "pool/admission_list.h"
#include "pool/breaker.h"
#include "pool/pool_values.h"

#include <cstdint>
#include <string>

namespace wspool::pool {

// Who acquires: nobody in particular, or a client's id under one key.
struct ClientKey {
    std::string id;
    std::uint64_t hash = 0;
};

// Two cache lines; what only a few slots need lies elsewhere.
struct alignas(64) Slot {
    SlotState state = SlotState::free;
    SlotEnd end{};  // closing: why
    bool has_opened = false;
    bool is_expired = false;   // its lifetime is over
    bool is_eviction = false;  // closing: for another pool under the Ceiling
    bool is_lent = false;      // leased: its own lease is held, whatever the shared ones
    bool has_client = false;   // leased: by a client
    Priority priority{};       // leased: of the seat
    std::uint32_t generation = 0;
    KeyId key{};
    std::uint32_t epoch = 0;  // of the pool when its connect began; see Pool::reset()
    ListLinks links;          // of its state's list, in the order of `since`
    ListLinks key_links;      // idle: of its key's list
    Instant since{};          // of the state
    Instant last_use{};
    Instant opened_at{};
    Instant expires = never;  // drawn once, when it opened
    std::uint64_t lease_tag = 0;
    std::uint32_t lease_generation = 0;
    SeatId seat;                      // leased
    IndexList shared_leases;          // leased: of a client that acquired more than once
    CircuitBreaker::Attempt attempt;  // connecting
    std::uint32_t expiry_position = UINT32_MAX;
};
static_assert(sizeof(Slot) == 128);

// A further lease of a slot, for a client that has it already.
struct SharedLease {
    std::uint64_t tag = 0;
    std::uint32_t generation = 0;
    std::uint32_t slot = UINT32_MAX;  // none: free
    ListLinks links;                  // of its slot
};

struct Key {
    IndexList idle;             // slots, longest idle first
    IndexList waiting;          // places that have a seat and want a connection, oldest first
    std::uint32_t pending = 0;  // slots connecting or validating
    std::uint32_t live = 0;     // slots validating, idle or leased
    std::uint32_t uses = 0;     // slots and places with this key
    std::uint32_t lacking = 0;  // connects that its waiting places still need
    ListLinks links;            // lacking > 0: of lacking_keys
};

// A place in the queue, shared by the waiters of one client.
struct Place {
    enum class State : std::uint8_t {
        free,
        queued,  // waits for a seat, in Admission
        seated,  // waits for a connection, in its key's list
    };
    State state = State::free;
    Priority priority{};
    KeyId key{};
    std::uint32_t generation = 0;
    WaiterId request;   // queued: Admission's name for it
    SeatId seat;        // seated
    IndexList waiters;  // oldest first, at least one
    ListLinks links;    // seated: of its key's list
    ClientKey client;
};

struct Waiter {
    std::uint64_t tag = 0;
    Instant since{};
    std::uint32_t generation = 0;
    std::uint32_t place = UINT32_MAX;  // none: free
    std::uint32_t deadline_position = UINT32_MAX;
    ListLinks links;        // of its place
    ListLinks order_links;  // of all waiters, oldest first
};

}  // namespace wspool::pool
