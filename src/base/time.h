// Instant and Duration: monotonic time as a value. There is deliberately no now() here: pure code
// is given the time, and only io/ reads the clock, once per turn of the loop.
//
// WallTime is what calendars and other machines count by (since 1970, UTC). It jumps when somebody
// sets the clock, so it serves for what others dated (tokens) and for nothing else.
#pragma once

#include <chrono>
#include <cstdint>

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

struct WallClock {  // tag only: no now()
    using rep = std::int64_t;
    using period = std::milli;
    using duration = std::chrono::milliseconds;
    using time_point = std::chrono::time_point<WallClock, duration>;
    static constexpr bool is_steady = false;
};

using WallTime = WallClock::time_point;

inline constexpr Instant never = Instant::max();

}  // namespace wspool
