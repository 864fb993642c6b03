// UTF-8 checked whole (RFC 3629): for short texts such as names and binary messages that hold JSON.
// What arrives in pieces is checked by ws/utf8.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace wspool {

// No overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] inline bool is_utf8(std::string_view text) {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    const auto* end = at + text.size();
    const auto is_continuation = [&](std::ptrdiff_t i) { return (at[i] & 0xC0u) == 0x80; };
    while (at != end) {
        if (end - at >= 8) {
            std::uint64_t word;
            std::memcpy(&word, at, 8);
            if ((word & 0x8080808080808080ull) == 0) {
                at += 8;
                continue;
            }
        }
        const unsigned lead = *at;
        if (lead < 0x80) {
            ++at;
        } else if (lead >= 0xC2 && lead <= 0xDF) {
            if (end - at < 2 || !is_continuation(1)) return false;
            at += 2;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            if (end - at < 3 || !is_continuation(1) || !is_continuation(2)) return false;
            if ((lead == 0xE0 && at[1] < 0xA0) || (lead == 0xED && at[1] > 0x9F)) return false;
            at += 3;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            if (end - at < 4 || !is_continuation(1) || !is_continuation(2) || !is_continuation(3))
                return false;
            if ((lead == 0xF0 && at[1] < 0x90) || (lead == 0xF4 && at[1] > 0x8F)) return false;
            at += 4;
        } else {
            return false;
        }
    }
    return true;
}

}  // namespace wspool
