// TokenBucket: so much in a second, and two seconds' worth at once. Costs may lead into debt, so
// that what is larger than the bucket passes one at a time; who is in debt waits.
#pragma once

#include "base/time.h"

#include <algorithm>

namespace wspool::worker {

class TokenBucket {
  public:
    // Fresh buckets are full. A rate of 0 is no limit: its owner does not ask.
    TokenBucket() = default;
    TokenBucket(double per_second, Instant now) : tokens_(capacity(per_second)), at_(now) {}

    void refill(double per_second, Instant now) {
        const double seconds = std::chrono::duration<double>(now - at_).count();
        tokens_ = std::min(capacity(per_second), tokens_ + seconds * per_second);
        at_ = now;
    }
    void spend(double cost) { tokens_ -= cost; }
    [[nodiscard]] double tokens() const { return tokens_; }
    [[nodiscard]] bool is_full(double per_second) const { return tokens_ >= capacity(per_second); }
    // From the last refill until the debt is paid.
    [[nodiscard]] Duration time_to_pay(double per_second) const {
        if (tokens_ >= 0) return Duration::zero();
        return std::chrono::ceil<Duration>(std::chrono::duration<double>(-tokens_ / per_second));
    }
    // The least is one: else a slow rate would never let anything pass.
    [[nodiscard]] static double capacity(double per_second) {
        return std::max(1.0, 2 * per_second);
    }

  private:
    double tokens_ = 0;
    Instant at_{};
};

}  // namespace wspool::worker
