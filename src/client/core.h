// Core: the client pool of one thread, over one loop. All flavours of the public pool stand on it,
// and the simulator runs it: no threads, no callbacks; what happens comes out as events.
//
// One turn, as with the Engine: wait() sends what the last turn wrote and waits; next() yields what
// happened until it returns false.
//
//   core.wait(never);
//   for (client::CoreEvent event; core.next(event);) …
//
// How it works: each (scheme, host, port) has a pool::Pool, which decides; the Core does what it
// says: resolves names, races addresses, opens, checks and closes sessions of one Engine. Each URL
// with its TargetSpec is a key of that pool. What needs a connection acquires it: an acquire for
// its holder, a request until its answer, and subscriptions in shards, each a lease of the Core's
// own on one connection. A message of send_once() leaves over whatever is idle; those that find
// nothing wait in one line for each target, for which one courier acquires. After a loss a shard
// acquires anew after a drawn delay, and replays what is wanted then; while a target has shards,
// its messages go over these.
//
// Invariants: 1. Each slot of a pool that is not free has one connection here, and none is without.
// 2. Each call is in one place: the queue of its target, waiting in the pool, or holding a lease.
// 3. Each call ends with one event, or was cancelled, or had its outcome at once. 4. Each
// subscription is in one shard, and each shard but an empty one wants a lease. 5. Sums equal their
// parts. 6. What Pool, Ceiling and Engine say of themselves. Ownership: the loop and the resolver
// outlive the Core; everything else is its own. Limits: CoreOptions; each has an outcome. Stale
// names do nothing, or give `invalid`. Not thread-safe.
#pragma once

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "client/core_options.h"
#include "client/core_resolver.h"
#include "client/core_values.h"
#include "io/loop.h"
#include "ws/frame.h"

#include <cstdint>
#include <memory>
#include <string_view>

namespace wspool::client {

class Core {
  public:
    Core(io::Loop& loop, NameResolver& resolver, const CoreOptions& options, Entropy& entropy);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    [[nodiscard]] Instant now() const;
    // Sends, then waits for events, at most until `deadline`.
    void wait(Instant deadline);
    [[nodiscard]] bool next(CoreEvent& event);
    // When wait() would return at the latest, whatever its deadline: `never` if nothing is due.
    [[nodiscard]] Instant next_deadline() const;
    // Reports `readable` for a descriptor that stays the caller's. Tags below 2^32.
    [[nodiscard]] Result<void> watch(int fd, std::uint32_t tag);

    // ---- targets
    // The same URL and specification give the same target. Cheap for a URL that is known.
    [[nodiscard]] Result<TargetId> target(std::string_view url);
    [[nodiscard]] Result<TargetId> target(std::string_view url, const TargetSpec& spec);
    // A pinned target is not forgotten; as many unpin() as pin().
    bool pin(TargetId target);
    bool unpin(TargetId target);
    [[nodiscard]] std::string_view url(TargetId target) const;  // stale: empty
    [[nodiscard]] bool is_known(TargetId target) const;

    // ---- connections
    // done: `lease`. pending: `granted` or `failed` follows.
    [[nodiscard]] Outcome acquire(TargetId target, const AcquireSpec& spec);
    // True: no event about it follows. A message that is on its way, and an acquire that was
    // granted (though its event may not have been pulled yet), cannot be called back: false.
    bool cancel(CallId call);
    // The connection may be lent again. False: the lease is stale.
    bool release(LeaseId lease);
    // The connection is closed instead.
    bool discard(LeaseId lease);
    [[nodiscard]] SendOutcome send(LeaseId lease, ws::Opcode opcode, ByteView payload);
    [[nodiscard]] bool is_open(LeaseId lease) const;
    // How many connections it has had, with that which it has: 1, more if it is persistent. 0: it
    // has none at the moment, or is stale.
    [[nodiscard]] std::uint32_t session(LeaseId lease) const;
    [[nodiscard]] std::size_t outbox_size(LeaseId lease) const;
    // What the server chose; empty: nothing. Valid until the next call.
    [[nodiscard]] std::string_view subprotocol(LeaseId lease) const;

    // ---- without a lease
    // Takes a connection, or waits for one, sends, and gives it back: pending, then `sent` or
    // `failed`. Messages to one target leave in the order of the calls if one connection serves
    // them.
    [[nodiscard]] Outcome send_once(TargetId target,
                                    ws::Opcode opcode,
                                    ByteView payload,
                                    const SendSpec& spec);
    // The same for a message that need not wait, without the means of waiting: true, and `sent` or
    // `failed` follows. False: nothing was done, and send_once() says why or waits.
    [[nodiscard]] bool send_now(TargetId target,
                                ws::Opcode opcode,
                                ByteView payload,
                                std::uint64_t tag);
    // Holds a connection until a text message comes over it whose member "id" is `id`, as JSON
    // writes it: `7`, `"seven"`. pending, then `replied` or `failed`.
    [[nodiscard]] Outcome request(TargetId target,
                                  std::string_view id,
                                  ByteView payload,
                                  const SendSpec& spec);

    // ---- subscriptions
    // Sends `subscribe_frame` on each new connection that the subscription lives on, in the order
    // of the subscribe() calls. A topic of a target that is subscribed already stays as it is.
    [[nodiscard]] Result<SubscriptionId> subscribe(TargetId target,
                                                   std::string_view topic,
                                                   std::string_view subscribe_frame,
                                                   std::string_view unsubscribe_frame);
    // Empty frames are not sent. False: stale.
    bool unsubscribe(SubscriptionId subscription);

    // ---- the end
    // Nothing new is begun; who waits fails with pool_closed. Leases and requests have until
    // `deadline`, then they are revoked; what is on its way is sent, and connections are closed
    // properly, for which peers have the pool's close_timeout. `drained` follows, once; again: only
    // an earlier deadline counts.
    void drain(Instant deadline);
    [[nodiscard]] bool is_drained() const;

    [[nodiscard]] CoreStats stats() const;
    void check_invariants() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace wspool::client
