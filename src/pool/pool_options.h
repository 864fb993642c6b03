// PoolOptions: the bounds and times of one Pool, with their defaults (docs/pool.md has the table).
// A zero means zero, and where "never" is meant it says so.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "pool/admission.h"
#include "pool/backoff.h"
#include "pool/breaker.h"
#include "pool/pool_values.h"

#include <cstdint>
#include <optional>

namespace wspool::pool {

enum class ReusePolicy : std::uint8_t {
    lifo,  // the one used last: what is surplus stays idle and ages out
    fifo,  // the one unused longest: spreads use evenly
};

enum class Affinity : std::uint8_t {
    shared,     // a client that acquires again shares the connection it has
    exclusive,  // it is refused: already_leased
};

struct PoolOptions {
    std::uint32_t max_size = 6;        // connecting + idle + leased + closing
    std::uint32_t min_idle = 0;        // connections kept open even when nobody needs them
    KeyId min_idle_key{};              // of those
    std::uint32_t max_waiters = 1024;  // 0: nobody waits
    std::uint32_t max_connecting = 16;
    ReusePolicy reuse_policy = ReusePolicy::lifo;
    Affinity affinity = Affinity::shared;

    Duration connect_timeout = std::chrono::seconds(10);
    Duration idle_timeout = std::chrono::minutes(5);   // 0: off
    Duration max_lifetime = std::chrono::minutes(30);  // 0: off; a lease is not cut short by it
    double max_lifetime_jitter = 0.1;  // the part of max_lifetime by which it may be shorter
    bool validate_on_acquire = true;
    Duration validate_bypass = std::chrono::milliseconds(500);  // used so recently: not validated
    Duration validate_timeout = std::chrono::seconds(10);
    Duration close_timeout = std::chrono::seconds(5);  // then closing becomes an abort
    Duration leak_detection_threshold{};               // 0: off

    BackoffOptions reconnect;
    BreakerOptions breaker;

    // Priorities: see Admission. Without shares nothing is reserved and nobody is preempted.
    std::optional<PerPriority<std::uint32_t>> shares;
    PerPriority<double> lendable = {0, 1, 1, 1};
    ReserveMode reserve_mode = ReserveMode::lending;
    PreemptionOptions preemption;

    bool has_histograms = false;  // of waiting, use and connecting: 180 KB
};

// What is wrong with the options, in one sentence. Pool asserts that nothing is.
[[nodiscard]] Result<void> check(const PoolOptions& options);

}  // namespace wspool::pool
