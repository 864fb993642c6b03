#include "pool/backoff.h"

#include "base/assert.h"

#include <algorithm>

namespace wspool::pool {

Result<void> check(const BackoffOptions& options) {
    if (options.min_delay < Duration::zero() || options.initial_delay < options.min_delay ||
        options.max_delay < options.initial_delay)
        return fail(
            "Backoff: the delays must rise from min_delay (0 or more) over initial_delay to "
            "max_delay.");
    if (!(options.multiplier >= 1))
        return fail("Backoff: multiplier is below 1; delays would shrink with each failure.");
    if (options.stable_after < Duration::zero())
        return fail("Backoff: stable_after is negative; 0 counts every open connection as stable.");
    return {};
}

Duration spread_delay(const BackoffOptions& options, Prng& random) {
    if (options.jitter == Jitter::none) return options.initial_delay;
    const auto range =
        static_cast<std::uint64_t>((options.initial_delay - options.min_delay).count());
    return options.min_delay + Duration(random.below(range + 1));
}

Backoff::Backoff(const BackoffOptions& options, std::uint64_t seed)
    : options_(options), random_(seed), ceiling_(options.initial_delay) {
    WSPOOL_ASSERT(check(options));
}

std::optional<Duration> Backoff::next_delay() {
    if (options_.max_attempts != unlimited_attempts && attempts_ >= options_.max_attempts)
        return std::nullopt;
    if (attempts_ < unlimited_attempts) ++attempts_;
    const Duration ceiling = ceiling_;
    // Compared before it is converted: the product may be beyond what a Duration holds.
    const double grown = static_cast<double>(ceiling.count()) * options_.multiplier;
    ceiling_ = grown < static_cast<double>(options_.max_delay.count())
                   ? Duration(static_cast<Duration::rep>(grown))
                   : options_.max_delay;
    if (options_.jitter == Jitter::none) return ceiling;
    const auto range = static_cast<std::uint64_t>((ceiling - options_.min_delay).count());
    return options_.min_delay + Duration(random_.below(range + 1));
}

void Backoff::lost(Instant now) {
    if (opened_at_ && now - *opened_at_ >= options_.stable_after) reset();
    opened_at_.reset();
}

void Backoff::reset() {
    attempts_ = 0;
    ceiling_ = options_.initial_delay;
}

}  // namespace wspool::pool
