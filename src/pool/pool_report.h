// PoolReport: everything that one Pool counts, by value, as numbers; a snapshot does not change
// afterwards. Counters are always kept; durations only with PoolOptions::has_histograms.
#pragma once

#include "base/histogram.h"
#include "base/time.h"
#include "pool/pool_values.h"

#include <cstdint>

namespace wspool::pool {

// Of what was recorded; all zero when nothing was. Percentiles are at most 1 % off.
struct DurationSummary {
    std::uint64_t count = 0;
    Duration average{};
    Duration p50{};
    Duration p95{};
    Duration p99{};
    Duration max{};
};

[[nodiscard]] DurationSummary summarise(const Histogram& nanoseconds);

struct PoolReport {
    Duration uptime{};

    // ---- now
    std::uint32_t max_size = 0;
    std::uint32_t total = 0;  // connecting + validating + idle + leased + closing
    std::uint32_t connecting = 0;
    std::uint32_t validating = 0;
    std::uint32_t idle = 0;
    std::uint32_t leased = 0;
    std::uint32_t closing = 0;
    std::uint32_t waiting = 0;
    Duration oldest_wait{};
    double utilisation = 0;  // leased / max_size; 0 when max_size is 0

    // ---- since the start
    std::uint32_t peak_total = 0;
    std::uint32_t peak_leased = 0;
    std::uint32_t peak_waiting = 0;
    std::uint64_t created = 0;    // connections that opened
    std::uint64_t closed = 0;     // connections that had opened and are gone
    std::uint64_t rejected = 0;   // acquires that failed with `capacity`
    PoolCounts<SlotEnd> ended{};  // slots by reason, those that never opened included
    std::uint64_t acquired_direct = 0;
    std::uint64_t acquired_waited = 0;
    std::uint64_t acquired_shared = 0;  // of both: by a client that had the connection already
    std::uint64_t released = 0;
    std::uint64_t leaks = 0;
    PoolCounts<PoolError> errors{};  // acquires that failed, and leases that were revoked

    // ---- durations since the start, and since the last take_interval()
    DurationSummary acquire;  // includes those that failed after waiting, with their wait
    DurationSummary use;      // of a connection by its holders
    DurationSummary connect;  // those that succeeded
    DurationSummary acquire_interval;
    DurationSummary use_interval;
    DurationSummary connect_interval;
};

}  // namespace wspool::pool
