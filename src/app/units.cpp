#include "app/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace wspool::app {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// Largest first, so that formatting finds the shortest form; binary before decimal.
constexpr std::array<Unit, 7> size_units = {{
    {"GiB", 1ull << 30},
    {"MiB", 1ull << 20},
    {"KiB", 1ull << 10},
    {"GB", 1'000'000'000},
    {"MB", 1'000'000},
    {"KB", 1'000},
    {"B", 1},
}};
constexpr std::array<Unit, 6> duration_units = {{
    {"h", 3'600'000'000'000},
    {"m", 60'000'000'000},
    {"s", 1'000'000'000},
    {"ms", 1'000'000},
    {"us", 1'000},
    {"ns", 1},
}};

struct Wording {
    std::string_view kind;     // "size"
    std::string_view example;  // "64KiB"
    std::string_view all_units;
};

Result<std::uint64_t> parse_quantity(std::string_view text,
                                     std::span<const Unit> units,
                                     std::uint64_t max,
                                     const Wording& wording) {
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
    std::string_view unit = text.substr(digits);
    if (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    if (digits == 0 || (!unit.empty() && (unit.front() == '.' || unit.front() == ','))) {
        return fail(fmt::format("\"{}\" is not a {}: write a whole number and a unit, as in \"{}\"",
                                text.substr(0, 40),
                                wording.kind,
                                wording.example));
    }
    if (unit.empty()) {
        return fail(fmt::format("\"{}\" has no unit: write one of {} behind it, as in \"{}\"",
                                text.substr(0, 40),
                                wording.all_units,
                                wording.example));
    }
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + digits, number);
    for (const Unit& candidate : units) {
        if (candidate.name != unit) continue;
        if (parsed.ec != std::errc{} || number > max / candidate.factor) {
            return fail(fmt::format("\"{}\" is too large", text.substr(0, 40)));
        }
        return number * candidate.factor;
    }
    return fail(fmt::format("\"{}\" has an unknown unit: a {} has one of {}, as in \"{}\"",
                            text.substr(0, 40),
                            wording.kind,
                            wording.all_units,
                            wording.example));
}

std::string format_quantity(std::uint64_t value, std::span<const Unit> units) {
    for (const Unit& unit : units) {
        if (value != 0 && value % unit.factor == 0) {
            return fmt::format("{}{}", value / unit.factor, unit.name);
        }
    }
    return fmt::format("0{}", units.back().name);
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
    return parse_quantity(text,
                          size_units,
                          std::numeric_limits<std::uint64_t>::max(),
                          {"size", "64KiB", "B, KiB, MiB, GiB, KB, MB, GB"});
}

std::string format_size(std::uint64_t bytes) {
    return format_quantity(bytes, size_units);
}

Result<Duration> parse_duration(std::string_view text) {
    const auto parsed =
        parse_quantity(text,
                       duration_units,
                       static_cast<std::uint64_t>(std::numeric_limits<Duration::rep>::max()),
                       {"duration", "25s", "ns, us, ms, s, m, h"});
    if (!parsed) return tl::unexpected(parsed.error());
    return Duration(static_cast<Duration::rep>(*parsed));
}

std::string format_duration(Duration duration) {
    if (duration <= Duration::zero()) return "0s";
    return format_quantity(static_cast<std::uint64_t>(duration.count()), duration_units);
}

Result<std::uint64_t> parse_count(std::string_view text) {
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || parsed.ptr != text.data() + text.size() || parsed.ec != std::errc{}) {
        return fail(fmt::format("\"{}\" is not a whole number", text.substr(0, 40)));
    }
    return number;
}

}  // namespace wspool::app
