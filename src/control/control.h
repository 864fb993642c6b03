// Control: the process that answers operators: an HTTP server over the stats page and the workers.
// It has no clients of the gateway; when it dies they do not notice. One thread, one loop.
//
// Limits: requests_max at a time, each with a head and a body within ControlOptions and the times
// of session::EngineOptions; who comes on top is closed. One request per connection.
#pragma once

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "control/api.h"
#include "control/guard.h"
#include "control/seats.h"
#include "hub/exchange.h"
#include "io/loop.h"
#include "link/peer_links.h"
#include "metrics/counters.h"
#include "metrics/page.h"
#include "session/engine.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace wspool::control {

struct ControlOptions {
    std::uint64_t connections_max_per_worker = 0;
    std::vector<SeatPoolFact> pools;  // of seats
    hub::ExchangeOptions exchange;
    link::LinkOptions link;
    GuardOptions guard;
    std::size_t body_size_max = 1024 * 1024;
    std::size_t json_depth_max = 64;
    std::size_t requests_max = 256;
};

class Control {
  public:
    Control(io::Loop& loop,
            const metrics::Page& page,
            const ControlOptions& options,
            Entropy& entropy);

    // A worker, and our ends of the link to it; both descriptors are taken over.
    void add_peer(const link::PeerLink& peer);

    // Takes over a socket that the master listens on.
    [[nodiscard]] Result<io::Address> listen_on(int fd);
    [[nodiscard]] Result<void> watch(int fd, std::uint64_t tag);
    void unwatch(std::uint64_t tag);

    // Waits at most until `deadline`, and answers what came. Returns the tags of watched
    // descriptors that became readable.
    [[nodiscard]] std::span<const std::uint64_t> turn(Instant deadline);

    // True once after somebody asked for the gateway's end.
    [[nodiscard]] bool take_drain() { return api_.take_drain(); }

    [[nodiscard]] Instant now() const { return engine_.now(); }
    [[nodiscard]] const metrics::Counters& counters() const { return counters_; }

  private:
    void handle(const session::Event& event);
    void on_plain(const session::Event& event);
    void flush_peers();
    void read_peers();
    void take_actions();
    void send(session::SessionId session, const Answer& answer);

    metrics::Counters counters_;
    session::Engine engine_;
    hub::Exchange exchange_;
    link::PeerLinks peers_;
    Guard guard_;
    Api api_;
    std::vector<std::uint64_t> readable_;
};

}  // namespace wspool::control
