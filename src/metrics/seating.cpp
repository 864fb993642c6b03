#include "metrics/seating.h"

#include "base/assert.h"

#include <algorithm>
#include <numeric>

namespace wspool::metrics {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(AcquireResult::count_)>
    result_names = {"seated", "waited", "replaced", "timed_out", "cancelled", "refused", "drained"};
static_assert(!result_names.back().empty());

constexpr std::array<std::string_view, static_cast<std::size_t>(TicketUse::count_)> use_names = {
    "honoured", "bad", "expired", "spent", "lost"};
static_assert(!use_names.back().empty());

[[nodiscard]] std::uint64_t total(const std::array<Seating::PerClass, seat_pools_max>& values) {
    std::uint64_t sum = 0;
    for (const Seating::PerClass& pool : values)
        sum = std::accumulate(pool.begin(), pool.end(), sum);
    return sum;
}

}  // namespace

std::string_view name(AcquireResult result) {
    WSPOOL_ASSERT(result < AcquireResult::count_);
    return result_names[static_cast<std::size_t>(result)];
}

std::string_view name(TicketUse use) {
    WSPOOL_ASSERT(use < TicketUse::count_);
    return use_names[static_cast<std::size_t>(use)];
}

void Seating::add_waited(AcquireResult result, Duration waited) {
    add(result);
    const auto* const bound =
        std::lower_bound(acquire_bounds.begin(), acquire_bounds.end(), waited);
    ++acquire_buckets[static_cast<std::size_t>(bound - acquire_bounds.begin())];
    acquire_time += static_cast<std::uint64_t>(waited.count());
}

std::uint64_t Seating::seats_taken() const {
    return total(seats);
}

std::uint64_t Seating::waiters_now() const {
    return total(waiters);
}

Duration Seating::oldest_wait(Instant now) const {
    if (waiting_since == 0) return Duration::zero();
    const Instant since{Duration(static_cast<Duration::rep>(waiting_since))};
    return std::max(Duration::zero(), Duration(now - since));
}

std::uint64_t earlier_wait(std::uint64_t a, std::uint64_t b) {
    return a == 0 || (b != 0 && b < a) ? b : a;
}

}  // namespace wspool::metrics
