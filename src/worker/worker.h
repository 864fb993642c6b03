// Worker: serves clients: admits them, routes what they say, keeps them in groups (hub/), and
// answers in the protocol of docs/protocol.md. One thread, one loop. Knows no kernel: give it any
// io::Loop.
#pragma once

#include "auth/origin.h"
#include "auth/verifier.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "hub/exchange.h"
#include "io/loop.h"
#include "link/peer_links.h"
#include "metrics/page.h"
#include "session/engine.h"
#include "worker/address_limits.h"
#include "worker/seat_event.h"
#include "worker/seat_options.h"
#include "worker/throttle.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace wspool::worker {

// Who clients are. Without a verifier they are who they say.
struct AuthOptions {
    std::optional<auth::VerifierOptions> verifier;     // that Verifier::make takes
    std::optional<std::vector<auth::Origin>> origins;  // absent: the host that pages came from
    bool takes_query_token = false;                    // ?access_token=
};

struct WorkerOptions {
    session::EngineOptions engine;
    std::size_t connections_max = 10'000;  // seats, of all pools
    SeatOptions seats;
    hub::ExchangeOptions exchange;        // groups and ids, and who this worker is among others
    bool echo = false;                    // raw echo of every message on paths below /echo
    std::size_t json_depth_max = 64;      // limits.json_depth
    std::uint32_t bad_messages_max = 10;  // limits.bad_messages, then close 1008
    bool is_alone = true;  // no other process: home of all from the start; else become_home()
    link::LinkOptions link;
    // The figures of all workers, and this one's place among them; null: nobody is passed on.
    const metrics::Page* page = nullptr;
    std::size_t place = 0;
    AuthOptions auth;
    AddressLimitOptions addresses;
    ThrottleOptions rates;
    Duration drain_time = std::chrono::seconds(30);
};

class Worker {
  public:
    Worker(io::Loop& loop, const WorkerOptions& options, Entropy& entropy);
    ~Worker();

    [[nodiscard]] Result<io::Address> listen(const io::Address& address);
    // Accepts from a socket that another process opened and keeps (the master).
    [[nodiscard]] Result<io::Address> listen_on(int fd);
    // A fresh worker is told all that live, then made home of its index; later ones come by
    // add_peer() alone. Both descriptors are the worker's from here on.
    void add_peer(const link::PeerLink& peer);
    void become_home();
    // Reports watched descriptors (signals, the line to the master) through the return of turn().
    [[nodiscard]] Result<void> watch(int fd, std::uint64_t tag);
    void unwatch(std::uint64_t tag);

    // What the wall clock showed at `at`, before the first turn and then now and again: it may be
    // set. Tokens are judged by it.
    void set_wall_clock(WallTime wall, Instant at);

    // One turn of the loop: waits at most until `deadline`, handles all that happened. Returns the
    // tags of watched descriptors that became readable.
    [[nodiscard]] std::span<const std::uint64_t> turn(Instant deadline);

    // Bounds, times and drain_time of `options` from here on; the rest stays as it was.
    void set_options(const WorkerOptions& options);

    // New connections get 503; clients are told, and closed with 1012, spread over drain_time.
    void begin_drain();
    // The rest is closed at once with 1001; who waits for an id gets 503.
    void shut_down();
    [[nodiscard]] bool is_draining() const;
    // True once draining or shut down, no session is left, and no connection is under way.
    [[nodiscard]] bool is_finished() const;

    [[nodiscard]] const metrics::Counters& counters() const;
    // What happened since it was last called; empty unless seats.is_traced.
    [[nodiscard]] std::vector<SeatEvent> take_seat_events();
    // To look at: what is under way between the workers.
    [[nodiscard]] const hub::Exchange& exchange() const;
    void check_invariants() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace wspool::worker
