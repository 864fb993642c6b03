#include "deaths.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>

namespace wspool::chaos {
namespace {

// From the kill to when the last of its clients has noticed, on a busy machine.
constexpr Duration notice_max = std::chrono::seconds(2);

bool is_soon_after(Instant killed_at, Instant at) {
    return killed_at <= at && at <= killed_at + notice_max;
}

}  // namespace

Result<Deaths> Deaths::read(std::string file) {
    std::ifstream input(file);
    if (!input.is_open()) return fail(file + " cannot be read: it is to tell when workers died");
    Deaths deaths;
    for (std::string line; std::getline(input, line);) {
        std::istringstream words(line);
        std::string killed, stopped;
        std::int64_t killed_at = 0, stopped_at = 0;
        words >> killed >> killed_at >> stopped >> stopped_at;
        if (killed != "killed" || killed_at == 0 || (!stopped.empty() && stopped_at == 0))
            return fail(file.append(": '").append(line).append("' is no line of it"));
        const auto instant = [](std::int64_t time) { return Instant(Duration(time)); };
        deaths.add(instant(killed_at),
                   stopped.empty() ? std::nullopt : std::optional(instant(stopped_at)));
    }
    return deaths;
}

bool Deaths::explain_loss(Instant at) const {
    return std::any_of(deaths_.begin(), deaths_.end(), [&](const Death& death) {
        return is_soon_after(death.killed_at, at);
    });
}

bool Deaths::explain_reset(Instant begun_at, Instant at) const {
    return std::any_of(deaths_.begin(), deaths_.end(), [&](const Death& death) {
        if (!is_soon_after(death.killed_at, at)) return false;
        return begun_at < death.stopped_at.value_or(death.killed_at);
    });
}

}  // namespace wspool::chaos
