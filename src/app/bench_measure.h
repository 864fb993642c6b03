// What /proc tells about the server under load: CPU time and memory of its processes.
#pragma once

#include "base/result.h"
#include "base/time.h"

#include <cstdint>
#include <span>

namespace wspool::app {

// utime + stime of all threads, summed over the processes. Steps of 10 ms.
[[nodiscard]] Result<Duration> read_cpu_time(std::span<const std::uint64_t> pids);
// Anonymous memory of the processes in bytes, from smaps_rollup.
[[nodiscard]] Result<std::uint64_t> read_anonymous_memory(std::span<const std::uint64_t> pids);

}  // namespace wspool::app
