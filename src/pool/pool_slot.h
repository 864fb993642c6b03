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

struct Slot {
    SlotState state = SlotState::free;
    SlotEnd end{};  // closing: why
    bool has_opened = false;
    bool is_expired = false;   // its lifetime is over
    bool is_eviction = false;  // closing: for another pool under the Ceiling
    std::uint32_t generation = 0;
    KeyId key{};
    std::uint32_t epoch = 0;  // of the pool when its connect began; see Pool::reset()
    Instant since{};          // of the state
    Instant opened_at{};
    Instant last_use{};
    ListLinks links;          // of its state's list, in the order of `since`
    ListLinks key_links;      // idle: of its key's list
    IndexList leases;         // leased: one for each acquire
    SeatId seat;              // leased
    Priority priority{};      // leased: of the seat
    Instant expires = never;  // drawn once, when it opened
    std::uint32_t expiry_position = UINT32_MAX;
    CircuitBreaker::Attempt attempt;  // connecting
    SlotId replaces;                  // connecting: this expired one may go when it opens
    ClientKey client;                 // leased
};

struct Lease {
    std::uint64_t tag = 0;
    std::uint32_t generation = 0;
    std::uint32_t slot = UINT32_MAX;  // none: free
    ListLinks links;                  // of its slot's leases
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
