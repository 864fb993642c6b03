// The grammar of JSON (RFC 8259), checked without building anything: each function reads one thing
// from `at` and returns where it ends, or nullptr when the text breaks the grammar there. What is
// passed on byte for byte must be checked to its last byte, and this is all that costs.
//
// Nothing recurses: nesting is a stack of bits with a fixed bound. No byte at or behind `end` is
// read.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace wspool::protocol {

enum class JsonKind : std::uint8_t { absent, object, array, string, number, boolean, null };

struct JsonValue {
    std::string_view text;  // of a string with its quotes
    JsonKind kind = JsonKind::absent;
    bool has_escapes = false;  // of a string
};

// Nesting beyond this is refused whatever the settings say.
inline constexpr std::size_t json_depth_limit = 1024;

[[nodiscard]] inline const char* skip_json_space(const char* at, const char* end) {
    // Machines write no white space: one comparison settles it.
    if (at != end && static_cast<unsigned char>(*at) > ' ') return at;
    while (at != end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
    return at;
}

// The first quote, backslash or control character; `end` when there is none.
[[nodiscard]] inline const char* find_json_special(const char* at, const char* end) {
#if defined(__SSE2__)
    while (end - at >= 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i is_quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        const __m128i is_backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        const __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        const auto found = static_cast<unsigned>(
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(is_quote, is_backslash), is_control)));
        if (found != 0) return at + std::countr_zero(found);
        at += 16;
    }
#endif
    while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
    return at;
}

// The rest of a string whose beginning has no end: from its first backslash on.
[[nodiscard]] const char* skip_json_string_escaped(const char* at, const char* end);

// A string, from its opening quote.
[[nodiscard]] inline const char* skip_json_string(const char* at,
                                                  const char* end,
                                                  bool& has_escapes) {
    has_escapes = false;
    if (at == end || *at != '"') return nullptr;
    at = find_json_special(at + 1, end);
    if (at == end) return nullptr;
    if (*at == '"') return at + 1;
    has_escapes = true;
    return skip_json_string_escaped(at, end);
}

[[nodiscard]] const char* skip_json_number(const char* at, const char* end);

// A value of any kind, without white space around it; `depth_max` levels of objects and arrays.
[[nodiscard]] const char* skip_json_value(const char* at,
                                          const char* end,
                                          std::size_t depth_max,
                                          JsonValue& value);

// Appends what a string that passed the grammar means, given without its quotes. A lone surrogate
// becomes the three bytes that UTF-8 would have for it: no valid text, and different for each.
void decode_json_string(std::string_view escaped, std::string& out);

}  // namespace wspool::protocol
