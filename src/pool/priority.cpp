#include "pool/priority.h"

namespace wspool::pool {

namespace {

constexpr PerPriority<std::string_view> priority_names = {"critical", "high", "normal", "low"};

}  // namespace

std::string_view name(Priority priority) {
    return priority_names[index_of(priority)];
}

std::optional<Priority> parse_priority(std::string_view text) {
    for (const Priority priority : all_priorities) {
        if (name(priority) == text) return priority;
    }
    return std::nullopt;
}

}  // namespace wspool::pool
