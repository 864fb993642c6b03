#include "protocol/json_scanner.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace wspool::protocol {
namespace {

// The first byte of [at, end) that ends a run of plain string content: a quote, a backslash or a
// control character.
[[nodiscard]] const char* find_special(const char* at, const char* end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(0x1F);
    for (; end - at >= 16; at += 16) {
        __m128i chunk;
        std::memcpy(&chunk, at, sizeof chunk);
        const __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(chunk, control), chunk);
        const __m128i is_special = _mm_or_si128(
            is_control,
            _mm_or_si128(_mm_cmpeq_epi8(chunk, quote), _mm_cmpeq_epi8(chunk, backslash)));
        const auto mask = static_cast<unsigned>(_mm_movemask_epi8(is_special));
        if (mask != 0) return at + std::countr_zero(mask);
    }
#endif
    while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) > 0x1F) ++at;
    return at;
}

[[nodiscard]] int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

[[nodiscard]] std::uint32_t read_hex4(const char* at) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value * 16 + static_cast<std::uint32_t>(hex_value(at[i]));
    return value;
}

void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0 | code >> 6);
        put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        put(0xE0 | code >> 12);
        put(0x80 | (code >> 6 & 0x3F));
        put(0x80 | (code & 0x3F));
    } else {
        put(0xF0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3F));
        put(0x80 | (code >> 6 & 0x3F));
        put(0x80 | (code & 0x3F));
    }
}

[[nodiscard]] char plain_escape(char c) {
    switch (c) {
        case 'b':
            return '\b';
        case 'f':
            return '\f';
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        default:
            return c;  // quote, backslash, slash
    }
}

[[nodiscard]] bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

}  // namespace

bool JsonScanner::take_string(std::string_view& inside, bool& has_escapes) {
    if (!take('"')) return false;
    const char* begin = at_;
    has_escapes = false;
    for (;;) {
        at_ = find_special(at_, end_);
        if (at_ == end_) return false;
        if (*at_ == '"') {
            inside = {begin, static_cast<std::size_t>(at_ - begin)};
            ++at_;
            return true;
        }
        if (*at_ != '\\') return false;  // a control character
        has_escapes = true;
        if (!take_escape()) return false;
    }
}

bool JsonScanner::take_escape() {
    ++at_;
    if (at_ == end_) return false;
    switch (*at_++) {
        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
            return true;
        case 'u':
            if (end_ - at_ < 4) return false;
            for (int i = 0; i < 4; ++i) {
                if (hex_value(at_[i]) < 0) return false;
            }
            at_ += 4;
            return true;
        default:
            return false;
    }
}

bool JsonScanner::take_word(std::string_view word) {
    if (static_cast<std::size_t>(end_ - at_) < word.size() ||
        std::memcmp(at_, word.data(), word.size()) != 0) {
        return false;
    }
    at_ += word.size();
    return true;
}

bool JsonScanner::take_number() {
    (void)take('-');
    if (take('0')) {
        if (is_digit(peek())) return false;
    } else {
        if (!is_digit(peek())) return false;
        while (is_digit(peek())) ++at_;
    }
    if (take('.')) {
        if (!is_digit(peek())) return false;
        while (is_digit(peek())) ++at_;
    }
    if (peek() == 'e' || peek() == 'E') {
        ++at_;
        if (peek() == '+' || peek() == '-') ++at_;
        if (!is_digit(peek())) return false;
        while (is_digit(peek())) ++at_;
    }
    return true;
}

bool JsonScanner::take_scalar() {
    switch (peek()) {
        case '"': {
            std::string_view inside;
            bool has_escapes = false;
            return take_string(inside, has_escapes);
        }
        case 't':
            return take_word("true");
        case 'f':
            return take_word("false");
        case 'n':
            return take_word("null");
        default:
            return take_number();
    }
}

// Open objects and arrays are one bit each on a stack of fixed size: no recursion, no allocation.
bool JsonScanner::take_value(std::size_t depth) {
    skip_space();
    if (peek() != '{' && peek() != '[') return take_scalar();
    std::array<std::uint64_t, depth_limit / 64> is_object;  // each word is set before it is read
    std::size_t open = 0;
    const auto top_is_object = [&] {
        return (is_object[(open - 1) / 64] >> ((open - 1) % 64) & 1) != 0;
    };
    for (;;) {
        skip_space();
        const char c = peek();
        bool has_entered = false;
        if (c == '{' || c == '[') {
            if (depth + open >= depth_max_ || open >= depth_limit) return false;
            ++at_;
            skip_space();
            if (!take(c == '{' ? '}' : ']')) {
                const std::uint64_t bit = std::uint64_t{1} << (open % 64);
                const std::uint64_t below = open % 64 == 0 ? 0 : is_object[open / 64] & (bit - 1);
                is_object[open / 64] = c == '{' ? below | bit : below;
                ++open;
                has_entered = true;
            }
        } else if (!take_scalar()) {
            return false;
        }
        while (!has_entered) {
            if (open == 0) return true;
            skip_space();
            if (take(',')) break;
            if (!take(top_is_object() ? '}' : ']')) return false;
            --open;
        }
        if (top_is_object() && !take_key()) return false;
    }
}

// A member's name and its colon.
bool JsonScanner::take_key() {
    std::string_view inside;
    bool has_escapes = false;
    skip_space();
    if (!take_string(inside, has_escapes)) return false;
    skip_space();
    return take(':');
}

bool unescape(std::string_view inside, std::string& out) {
    const char* at = inside.data();
    const char* end = at + inside.size();
    while (at != end) {
        if (*at != '\\') {
            out.push_back(*at++);
            continue;
        }
        const char kind = at[1];
        at += 2;
        if (kind != 'u') {
            out.push_back(plain_escape(kind));
            continue;
        }
        std::uint32_t code = read_hex4(at);
        at += 4;
        if (code >= 0xDC00 && code <= 0xDFFF) return false;
        if (code >= 0xD800 && code <= 0xDBFF) {
            if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return false;
            const std::uint32_t low = read_hex4(at + 2);
            if (low < 0xDC00 || low > 0xDFFF) return false;
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            at += 6;
        }
        append_utf8(out, code);
    }
    return true;
}

}  // namespace wspool::protocol
