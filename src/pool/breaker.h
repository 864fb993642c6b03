// CircuitBreaker: stops asking an endpoint that keeps failing. After some failures in a row it
// answers at once with the last error; now and then one attempt is let through as a probe, and its
// success closes the circuit again. For the client pool, one per endpoint. Pure.
//
// How it works: begin() asks for leave and returns the kind of the attempt, or nothing; the end of
// the attempt is told with succeeded(), failed() or abandoned(). Attempts that were begun before
// the circuit opened may end later: a success closes it whenever it comes, a failure only renews
// the error. Invariant: the circuit is half open exactly while its one probe is under way.
#pragma once

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"

#include <cstdint>
#include <optional>

namespace wspool::pool {

struct BreakerOptions {
    std::uint32_t failures_max = 5;                     // in a row; 0: never opens
    Duration probe_interval = std::chrono::seconds(5);  // ± 50 %, drawn each time
};

// What is wrong with the options, in one sentence. CircuitBreaker asserts that nothing is.
[[nodiscard]] Result<void> check(const BreakerOptions& options);

class CircuitBreaker {
  public:
    enum class State : std::uint8_t { closed, open, half_open };
    struct Attempt {
        std::uint32_t probe = 0;  // number of the probe; 0: an ordinary attempt
    };

    CircuitBreaker(const BreakerOptions& options, std::uint64_t seed);

    // Nothing: fail fast with last_error().
    [[nodiscard]] std::optional<Attempt> begin(Instant now);
    void succeeded();
    void failed(Attempt attempt, Error error, Instant now);
    // It ended without telling anything of the endpoint. After a probe the next begin() is one.
    void abandoned(Attempt attempt, Instant now);

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const Error& last_error() const { return last_error_; }
    // When begin() will let a probe through; never unless open.
    [[nodiscard]] Instant next_probe() const { return state_ == State::open ? probe_at_ : never; }

  private:
    [[nodiscard]] bool is_current(Attempt attempt) const {
        return state_ == State::half_open && attempt.probe == probe_;
    }

    BreakerOptions options_;
    Prng random_;
    State state_ = State::closed;
    std::uint32_t failures_ = 0;  // in a row, while closed
    std::uint32_t probe_ = 0;     // number of the last one
    Instant probe_at_{};
    Error last_error_;
};

}  // namespace wspool::pool
