// Backoff: how long to wait before the next attempt to connect. It belongs to the endpoint, not to
// a connection, so that attempts are counted across connections. Pure; one seed, one sequence.
//
// How it works: the ceiling grows from initial_delay by `multiplier` with each attempt, up to
// max_delay, and the delay is drawn evenly between min_delay and the ceiling ("full jitter"), so
// that clients who lost the same server come back spread over the whole time. A connection that
// opened counts as a success only once it has lasted stable_after: a peer that accepts and closes
// at once is not asked in a hot loop.
#pragma once

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"

#include <cstdint>
#include <optional>

namespace wspool::pool {

enum class Jitter : std::uint8_t { none, full };

inline constexpr std::uint32_t unlimited_attempts = UINT32_MAX;

struct BackoffOptions {
    Duration initial_delay = std::chrono::seconds(1);
    Duration max_delay = std::chrono::seconds(30);
    double multiplier = 2;
    Jitter jitter = Jitter::full;
    std::uint32_t max_attempts = 5;  // 0: none at all; see unlimited_attempts
    Duration stable_after = std::chrono::seconds(5);
    Duration min_delay = std::chrono::milliseconds(50);  // of every attempt, whatever is drawn
};

// What is wrong with the options, in one sentence. Backoff asserts that nothing is.
[[nodiscard]] Result<void> check(const BackoffOptions& options);

// The delay of those who lost a connection and have nobody waiting for the next: drawn evenly up to
// initial_delay, so that those who lost the same server do not come back to it together.
[[nodiscard]] Duration spread_delay(const BackoffOptions& options, Prng& random);

class Backoff {
  public:
    Backoff(const BackoffOptions& options, std::uint64_t seed);

    // The delay before the next attempt, which is counted; none when all are used up.
    [[nodiscard]] std::optional<Duration> next_delay();

    void opened(Instant now) { opened_at_ = now; }
    // The connection that opened() told of is lost.
    void lost(Instant now);
    // Someone asked for a fresh start: after giving up this is the way back.
    void reset();

    [[nodiscard]] std::uint32_t attempts() const { return attempts_; }

  private:
    BackoffOptions options_;
    Prng random_;
    Duration ceiling_;
    std::uint32_t attempts_ = 0;
    std::optional<Instant> opened_at_;
};

}  // namespace wspool::pool
