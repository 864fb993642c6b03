#include "app/bench_measure.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace wspool::app {
namespace {

Result<std::string> read_proc(std::uint64_t pid, std::string_view name) {
    const std::string path = fmt::format("/proc/{}/{}", pid, name);
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file.is_open() || text.str().empty()) {
        return fail(fmt::format(
            "{} cannot be read: is {} the process of the server, and ours to look at?", path, pid));
    }
    return text.str();
}

}  // namespace

Result<Duration> read_cpu_time(std::span<const std::uint64_t> pids) {
    std::uint64_t ticks = 0;
    for (const std::uint64_t pid : pids) {
        const auto text = read_proc(pid, "stat");
        if (!text) return tl::unexpected(text.error());
        // The second field is the program's name in parentheses, and may hold spaces and
        // parentheses.
        std::istringstream fields(text->substr(text->rfind(')') + 1));
        std::string skipped;
        for (int field = 3; field < 14; ++field) fields >> skipped;
        std::uint64_t user = 0, system = 0;
        fields >> user >> system;
        ticks += user + system;
    }
    const auto per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    return Duration(static_cast<Duration::rep>(ticks * (1'000'000'000 / per_second)));
}

Result<std::uint64_t> read_anonymous_memory(std::span<const std::uint64_t> pids) {
    std::uint64_t bytes = 0;
    for (const std::uint64_t pid : pids) {
        const auto text = read_proc(pid, "smaps_rollup");
        if (!text) return tl::unexpected(text.error());
        const std::size_t line = text->find("\nAnonymous:");
        if (line == std::string::npos) return fail("smaps_rollup has no line Anonymous");
        std::istringstream fields(text->substr(line + 11));
        std::uint64_t kib = 0;
        fields >> kib;
        bytes += kib * 1024;
    }
    return bytes;
}

}  // namespace wspool::app
