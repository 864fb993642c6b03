// ServerProcess: what the measured server has used so far, read from outside, in its own and its
// child processes' accounts. CPU time has nanosecond resolution and includes the kernel's work on
// its behalf.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace wspool::bench {

class ServerProcess {
  public:
    // `pids` is a list with commas: every process of the server.
    explicit ServerProcess(const std::string& pids);
    [[nodiscard]] std::int64_t cpu_ns() const;
    [[nodiscard]] std::int64_t anonymous_bytes() const;

  private:
    std::vector<pid_t> pids_;
};

[[nodiscard]] std::int64_t clock_ns();
[[nodiscard]] std::int64_t own_cpu_ns();
void sleep_seconds(double seconds);

}  // namespace wspool::bench
