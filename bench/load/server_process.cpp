#include "load/server_process.h"

#include "arguments.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>

namespace wspool::bench {
namespace {

std::int64_t read_clock(clockid_t clock) {
    timespec time{};
    if (clock_gettime(clock, &time) != 0) {
        fail(std::string("the server's clock cannot be read, did it end? ") + std::strerror(errno));
    }
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

ServerProcess::ServerProcess(const std::string& pids) {
    std::istringstream list(pids);
    for (std::string pid; std::getline(list, pid, ',');) pids_.push_back(std::stoi(pid));
    if (pids_.empty()) fail("--pids is missing: whose CPU time is to be measured?");
}

std::int64_t ServerProcess::cpu_ns() const {
    std::int64_t sum = 0;
    for (const pid_t pid : pids_) {
        clockid_t clock{};
        if (clock_getcpuclockid(pid, &clock) != 0) fail("no process " + std::to_string(pid));
        sum += read_clock(clock);
    }
    return sum;
}

std::int64_t ServerProcess::anonymous_bytes() const {
    std::int64_t sum = 0;
    for (const pid_t pid : pids_) {
        std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
        bool found = false;
        for (std::string line; std::getline(file, line);) {
            if (line.rfind("Anonymous:", 0) != 0) continue;
            sum += std::stoll(line.substr(10)) * 1024;
            found = true;
        }
        if (!found) fail("no Anonymous line for process " + std::to_string(pid));
    }
    return sum;
}

std::int64_t clock_ns() {
    return read_clock(CLOCK_MONOTONIC);
}
std::int64_t own_cpu_ns() {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void sleep_seconds(double seconds) {
    timespec time{};
    time.tv_sec = static_cast<time_t>(seconds);
    time.tv_nsec = static_cast<long>((seconds - static_cast<double>(time.tv_sec)) * 1e9);
    nanosleep(&time, nullptr);
}

}  // namespace wspool::bench
