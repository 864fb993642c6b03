#include "pool/breaker.h"

#include "base/assert.h"

#include <utility>

namespace wspool::pool {

Result<void> check(const BreakerOptions& options) {
    if (options.probe_interval < Duration::zero())
        return fail("Breaker: probe_interval is negative; 0 lets a probe through at once.");
    return {};
}

CircuitBreaker::CircuitBreaker(const BreakerOptions& options, std::uint64_t seed)
    : options_(options), random_(seed) {
    WSPOOL_ASSERT(check(options));
}

std::optional<CircuitBreaker::Attempt> CircuitBreaker::begin(Instant now) {
    if (state_ == State::closed) return Attempt{};
    if (state_ == State::half_open || now < probe_at_) return std::nullopt;
    state_ = State::half_open;
    if (++probe_ == 0) probe_ = 1;
    return Attempt{probe_};
}

void CircuitBreaker::succeeded() {
    state_ = State::closed;
    failures_ = 0;
}

void CircuitBreaker::failed(Attempt attempt, Error error, Instant now) {
    last_error_ = std::move(error);
    if (state_ == State::closed) {
        if (options_.failures_max == 0 || ++failures_ < options_.failures_max) return;
    } else if (!is_current(attempt)) {
        return;
    }
    const auto interval = static_cast<std::uint64_t>(options_.probe_interval.count());
    state_ = State::open;
    probe_at_ = now + Duration(interval / 2 + random_.below(interval + 1));
}

void CircuitBreaker::abandoned(Attempt attempt, Instant now) {
    if (!is_current(attempt)) return;
    state_ = State::open;
    probe_at_ = now;
}

}  // namespace wspool::pool
