#include "auth/base64url.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace wspool::auth {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t no_digit = 0x80;

constexpr std::array<std::uint8_t, 256> digits = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(no_digit);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    return table;
}();

[[nodiscard]] std::uint32_t digit_of(char c) {
    return digits[static_cast<unsigned char>(c)];
}

[[nodiscard]] char byte_of(std::uint32_t value) {
    return static_cast<char>(value & 0xff);
}

}  // namespace

bool decode_base64url(std::string_view text, std::string& out) {
    const std::size_t tail = text.size() % 4;
    if (tail == 1) return false;
    std::size_t to = out.size();
    out.resize(to + text.size() / 4 * 3 + (tail == 0 ? 0 : tail - 1));
    std::size_t at = 0;
    std::uint32_t seen = 0;  // every digit looked up: no_digit shows in it
    for (; text.size() - at >= 4; at += 4) {
        const std::uint32_t a = digit_of(text[at]);
        const std::uint32_t b = digit_of(text[at + 1]);
        const std::uint32_t c = digit_of(text[at + 2]);
        const std::uint32_t d = digit_of(text[at + 3]);
        seen |= a | b | c | d;
        out[to++] = byte_of(a << 2 | b >> 4);
        out[to++] = byte_of(b << 4 | c >> 2);
        out[to++] = byte_of(c << 6 | d);
    }
    if (tail != 0) {
        const std::uint32_t a = digit_of(text[at]);
        const std::uint32_t b = digit_of(text[at + 1]);
        const std::uint32_t c = tail == 3 ? digit_of(text[at + 2]) : 0;
        seen |= a | b | c;
        out[to++] = byte_of(a << 2 | b >> 4);
        if (tail == 3) out[to] = byte_of(b << 4 | c >> 2);
        if ((tail == 2 ? b & 0x0f : c & 0x03) != 0) return false;
    }
    return (seen & no_digit) == 0;
}

void append_base64url(std::string& out, std::string_view bytes) {
    const auto at = [&](std::size_t i) -> std::uint32_t {
        return static_cast<unsigned char>(bytes[i]);
    };
    std::size_t i = 0;
    for (; bytes.size() - i >= 3; i += 3) {
        const std::uint32_t word = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
        for (const int shift : {18, 12, 6, 0}) out += alphabet[word >> shift & 63];
    }
    const std::size_t tail = bytes.size() - i;
    if (tail == 0) return;
    const std::uint32_t word = at(i) << 16 | (tail == 2 ? at(i + 1) << 8 : 0);
    out += alphabet[word >> 18 & 63];
    out += alphabet[word >> 12 & 63];
    if (tail == 2) out += alphabet[word >> 6 & 63];
}

}  // namespace wspool::auth
