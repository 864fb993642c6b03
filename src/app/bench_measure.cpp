#include "app/bench_measure.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
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

std::vector<std::uint64_t> with_children(std::span<const std::uint64_t> pids) {
    std::vector<std::uint64_t> all;
    for (const std::uint64_t pid : pids) {
        all.push_back(pid);
        std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", pid));
        for (std::uint64_t child = 0; children >> child;) all.push_back(child);
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

std::optional<std::uint64_t> count_descriptors(std::uint64_t pid) {
    std::error_code error;
    std::filesystem::directory_iterator files(fmt::format("/proc/{}/fd", pid), error);
    if (error) return std::nullopt;
    std::uint64_t count = 0;
    for (; files != std::filesystem::directory_iterator(); files.increment(error)) ++count;
    return count;
}

std::string read_process_title(std::uint64_t pid) {
    std::ifstream file(fmt::format("/proc/{}/cmdline", pid));
    std::string title;
    std::getline(file, title, '\0');
    return title;
}

}  // namespace wspool::app
