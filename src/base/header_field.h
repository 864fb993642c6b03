// One field of an HTTP head, as views into the bytes it was parsed from. Lives in base because
// http/ parses it and ws/ judges it, and those two do not know each other.
#pragma once

#include <string_view>

namespace wspool {

struct HeaderField {
    std::string_view name;   // as sent; compare without regard to case
    std::string_view value;  // without leading and trailing white space
};

// ASCII only, as RFC 9110 section 5.1 wants it: no locale, no Unicode folding.
[[nodiscard]] constexpr char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (to_lower(a[i]) != to_lower(b[i])) return false;
    }
    return true;
}

}  // namespace wspool
