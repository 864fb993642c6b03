// Seats as operators see them: in the metrics and in the figures of /api/stats and /api/workers.
#pragma once

#include "metrics/page.h"

#include <nlohmann/json_fwd.hpp>
#include <prometheus/metric_family.h>

#include <span>
#include <string>
#include <vector>

namespace wspool::control {

// A pool of seats: the shared one first, then the dedicated ones in their order.
struct SeatPoolFact {
    std::string name;
    std::uint64_t seats_max = 0;  // per worker
};

struct WorkerSeats {
    std::string worker;
    metrics::Seating seating;
};

void append_seats(std::vector<prometheus::MetricFamily>& out,
                  std::span<const WorkerSeats> workers,
                  std::span<const SeatPoolFact> pools,
                  Instant now);

// Members: byPriority, waiting, oldestWait, acquire, preemptions, tickets, pools.
[[nodiscard]] nlohmann::ordered_json seats_of(const metrics::Seating& seating,
                                              std::span<const SeatPoolFact> pools,
                                              std::uint64_t workers,
                                              Instant now);

}  // namespace wspool::control
