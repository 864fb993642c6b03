// The stats page in the text format of Prometheus: docs/metrics.md has the names. Pure.
#pragma once

#include "base/time.h"
#include "control/seats.h"
#include "metrics/page.h"

#include <cstdint>
#include <string>

namespace wspool::control {

[[nodiscard]] std::string expose(const metrics::Page& page,
                                 std::uint64_t connections_max_per_worker,
                                 std::span<const SeatPoolFact> pools,
                                 Instant now);

}  // namespace wspool::control
