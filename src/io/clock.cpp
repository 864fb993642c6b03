#include "io/clock.h"

#include <ctime>

namespace wspool::io {

Instant read_clock() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

WallTime read_wall_clock() {
    timespec time{};
    clock_gettime(CLOCK_REALTIME, &time);
    return WallTime(
        std::chrono::seconds(time.tv_sec) +
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::nanoseconds(time.tv_nsec)));
}

}  // namespace wspool::io
