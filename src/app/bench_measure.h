// What /proc tells about the server under load: CPU time and memory of its processes.
#pragma once

#include "base/result.h"
#include "base/time.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace wspool::app {

// utime + stime of all threads, summed over the processes. Steps of 10 ms.
[[nodiscard]] Result<Duration> read_cpu_time(std::span<const std::uint64_t> pids);
// Anonymous memory of the processes in bytes, from smaps_rollup.
[[nodiscard]] Result<std::uint64_t> read_anonymous_memory(std::span<const std::uint64_t> pids);

// The processes, and the children of each: the workers of a gateway whose master is named.
[[nodiscard]] std::vector<std::uint64_t> with_children(std::span<const std::uint64_t> pids);
// Open files of the process; none when it is gone, or not ours to look at.
[[nodiscard]] std::optional<std::uint64_t> count_descriptors(std::uint64_t pid);
// As ps shows it.
[[nodiscard]] std::string read_process_title(std::uint64_t pid);

}  // namespace wspool::app
