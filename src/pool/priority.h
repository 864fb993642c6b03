// Priority: the four classes in which clients ask for connections, and arrays with one element for
// each. The order is the meaning: 0 is served first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace wspool::pool {

enum class Priority : std::uint8_t { critical, high, normal, low };

inline constexpr std::size_t priority_count = 4;

inline constexpr std::array<Priority, priority_count> all_priorities = {
    Priority::critical, Priority::high, Priority::normal, Priority::low};

template <class T>
using PerPriority = std::array<T, priority_count>;

[[nodiscard]] constexpr std::size_t index_of(Priority priority) {
    return static_cast<std::size_t>(priority);
}

// As users write it: "critical", "high", "normal", "low".
[[nodiscard]] std::string_view name(Priority priority);
// Nothing for any other word: an unknown priority is the caller's error, not a normal one.
[[nodiscard]] std::optional<Priority> parse_priority(std::string_view text);

}  // namespace wspool::pool
