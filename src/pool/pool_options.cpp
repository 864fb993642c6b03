#include "pool/pool_options.h"

#include <string>
#include <utility>

namespace wspool::pool {
namespace {

// So far that adding it to the time cannot overflow.
constexpr Duration longest = std::chrono::hours(24 * 365);

}  // namespace

Result<void> check(const PoolOptions& options) {
    if (options.max_size == 0)
        return fail("Pool: max_size is 0; a pool needs room for at least one connection.");
    if (options.min_idle > options.max_size)
        return fail("Pool: min_idle " + std::to_string(options.min_idle) +
                    " is more than max_size " + std::to_string(options.max_size) +
                    "; keep at most as many as there may be.");
    if (options.max_connecting == 0)
        return fail("Pool: max_connecting is 0; nothing could ever connect.");
    if (!(options.max_lifetime_jitter >= 0 && options.max_lifetime_jitter <= 1))
        return fail(
            "Pool: max_lifetime_jitter is not within 0 and 1; it is a part of max_lifetime.");
    const std::pair<const char*, Duration> durations[] = {
        {"connect_timeout", options.connect_timeout},
        {"idle_timeout", options.idle_timeout},
        {"max_lifetime", options.max_lifetime},
        {"validate_bypass", options.validate_bypass},
        {"validate_timeout", options.validate_timeout},
        {"close_timeout", options.close_timeout},
        {"leak_detection_threshold", options.leak_detection_threshold},
    };
    for (const auto& [name, duration] : durations) {
        if (duration < Duration::zero() || duration > longest)
            return fail("Pool: " + std::string(name) + " must lie between 0 and a year.");
    }
    if (options.leak_detection_threshold > Duration::zero() &&
        options.leak_detection_threshold < std::chrono::seconds(2))
        return fail(
            "Pool: leak_detection_threshold is below 2 s, where ordinary use would be reported; "
            "0 switches it off.");
    if (Result<void> reconnect = check(options.reconnect); !reconnect) return reconnect;
    if (Result<void> breaker = check(options.breaker); !breaker) return breaker;
    AdmissionOptions admission;
    admission.seats_max = options.max_size;
    admission.shares = options.shares;
    admission.lendable = options.lendable;
    admission.preemption = options.preemption;
    return check(admission);
}

}  // namespace wspool::pool
