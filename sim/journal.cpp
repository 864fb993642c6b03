#include "sim/journal.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace wspool::sim {

std::string format_time(Instant at) {
    const auto micros =
        std::chrono::duration_cast<std::chrono::microseconds>(at - network_start).count();
    std::array<char, 40> text{};
    const int size = std::snprintf(text.data(),
                                   text.size(),
                                   "%lld.%06lld",
                                   static_cast<long long>(micros / 1'000'000),
                                   static_cast<long long>(micros % 1'000'000));
    return {text.data(), static_cast<std::size_t>(size)};
}

std::string excerpt(std::string_view text) {
    constexpr std::size_t size_max = 100;
    std::string out(text.substr(0, size_max));
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c >= 0 && c < 32; }, '.');
    return text.size() <= size_max ? out : out + "… (" + std::to_string(text.size()) + " bytes)";
}

void Journal::note(std::string_view line) {
    ++lines_;
    const std::string whole = format_time(network_.now()) + " " + std::string(line);
    for (const char c : whole) {  // FNV-1a
        hash_ ^= static_cast<unsigned char>(c);
        hash_ *= 0x100000001b3ull;
    }
    if (prints_) std::printf("%s\n", whole.c_str());
}

void Journal::violate(std::string text) {
    note("VIOLATION: " + text);
    if (violation_.empty()) {
        violation_ = "at virtual time " + format_time(network_.now()) + " s: " + std::move(text);
    }
}

}  // namespace wspool::sim
