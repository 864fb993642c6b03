// Pool: the connections to one host, lent to whoever acquires one. It decides which connection to
// open, lend, keep, check and close; the client pool does it and tells what came of it. Pure.
//
// How it works: an acquire first needs a seat (Admission: one for each connection that may be
// leased, given by priority, first come first served), then a connection of its key: an idle one,
// or the first that comes back or opens. Connects belong to the pool: whoever waits longest gets
// the result, and when nobody waits it becomes idle. All that can free capacity ends in settle(),
// which hands seats to the queue and starts the connects that are still lacking. A newcomer takes
// what is free only if nobody waits for it. docs/pool.md has states, bounds and defaults.
//
// Invariants: 1. connecting + validating + idle + leased + closing ≤ max_size (a resize may leave
// more until they are closed). 2. A slot is in the list of its state and no other; each has one
// owner: the connect, the check, the idle list, its leases, or the closing. 3. A key with idle
// slots has no waiting place. 4. A key has as many slots pending as places waiting, or lacks the
// rest, and what is lacking is connected as soon as a slot, a permit, max_connecting and the
// backoff allow.
// 5. Each acquire is answered once. 6. Leased slots and seated places have one seat each, and
// nobody else has one. 7. Counters equal a recount. Ownership: the pool owns everything; a Ceiling
// outlives it. Actions are values; the owner pulls next_action() after every call until it returns
// false, and then that of the Ceiling. Limits: PoolOptions. Stale names do nothing. `now` never
// runs backwards. Not thread-safe.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "pool/admission.h"
#include "pool/breaker.h"
#include "pool/ceiling.h"
#include "pool/pool_options.h"
#include "pool/pool_report.h"
#include "pool/pool_values.h"

#include <cstdint>
#include <memory>
#include <string_view>

namespace wspool::pool {

class Pool {
  public:
    // `tag` names this pool in the actions of `ceiling`.
    Pool(const PoolOptions& options,
         Instant now,
         std::uint64_t seed,
         Ceiling* ceiling = nullptr,
         std::uint64_t tag = 0);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    // ---- who uses connections
    [[nodiscard]] Acquired acquire(const AcquireRequest& request, Instant now);
    // True: it gets nothing, and no action about it follows. False: it was answered already.
    bool cancel(WaiterId waiter, Instant now);
    // The connection may be lent again once its last lease is released. False: the name is stale.
    bool release(LeaseId lease, Instant now);
    // The connection must not be lent again. Others who share it are told `revoked`.
    bool discard(LeaseId lease, Instant now);
    // The connection leaves the pool, alive, and belongs to the caller. False: stale, or shared.
    bool detach(LeaseId lease, Instant now);
    // Something went over the connection: it need not be validated, and its holder is not idle.
    void note_used(SlotId slot, Instant now);

    // For a use that is over at once, as one message: the idle connection that an acquire would get
    // now, and which counts as used. It stays idle. A SlotId that names nothing: there is none.
    [[nodiscard]] SlotId use_idle(KeyId key, Instant now);

    // ---- what came of the actions
    void on_connected(SlotId slot, Instant now);
    void on_connect_failed(SlotId slot, Error error, Instant now);
    void on_validated(SlotId slot, bool is_ok, Instant now);
    // It cannot be used any more, but is not gone yet; on_closed() follows.
    void on_lost(SlotId slot, Instant now);
    // It is gone, whether that was asked for or not.
    void on_closed(SlotId slot, Instant now);
    // As the Ceiling asks.
    void on_permit(Instant now);
    void evict_idle(Instant now);

    // ---- all of it
    // Leases beyond a lowered limit stay until they are released; idle ones are closed.
    void resize(std::uint32_t max_size, Instant now);
    // Connections opened so far are not lent again: idle ones are closed now, others when they come
    // back. Whoever waits goes on waiting. Attempts to connect start afresh.
    void reset(Instant now);
    // No more acquires; who waits is told `closed`. Leases may be given back until `deadline`, then
    // they are revoked. `drained` follows.
    void drain(Instant deadline, Instant now);
    void close(Instant now) { drain(now, now); }

    [[nodiscard]] bool next_action(PoolAction& action);
    [[nodiscard]] Instant next_deadline() const;
    void on_deadline(Instant now);

    // ---- what is
    [[nodiscard]] bool is_closed() const;
    [[nodiscard]] SlotState state(SlotId slot) const;   // stale: free
    [[nodiscard]] SlotId slot_of(LeaseId lease) const;  // stale: a SlotId that names nothing
    [[nodiscard]] std::uint32_t count(SlotState state) const;
    [[nodiscard]] std::uint32_t size() const;  // slots in use, in whatever state
    [[nodiscard]] std::uint32_t waiting() const;
    // Whether any slot or waiter has this key: while not, the owner may give the number away.
    [[nodiscard]] bool is_used(KeyId key) const;
    // Why the last connect failed; empty since one succeeded. Valid until the next call.
    [[nodiscard]] std::string_view connect_error() const;
    [[nodiscard]] CircuitBreaker::State breaker_state() const;
    [[nodiscard]] const PoolOptions& options() const;
    [[nodiscard]] AdmissionFigures admission(Instant now) const;
    [[nodiscard]] PoolReport report(Instant now) const;
    // The report, whose interval then begins anew.
    [[nodiscard]] PoolReport take_interval(Instant now);
    void check_invariants() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace wspool::pool
