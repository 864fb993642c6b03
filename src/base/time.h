// Instant and Duration: monotonic time as a value. There is deliberately no now() here: pure code
// is given the time, and only io/ reads the clock, once per turn of the loop.
#pragma once

#include <chrono>

namespace wspool {

using Duration = std::chrono::nanoseconds;

struct MonotonicClock {  // tag only: no now()
    using rep = Duration::rep;
    using period = Duration::period;
    using duration = Duration;
    using time_point = std::chrono::time_point<MonotonicClock, Duration>;
    static constexpr bool is_steady = true;
};

using Instant = MonotonicClock::time_point;

inline constexpr Instant never = Instant::max();

}  // namespace wspool
