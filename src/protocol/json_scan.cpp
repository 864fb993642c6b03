#include "protocol/json_scan.h"

#include <algorithm>
#include <array>

namespace wspool::protocol {
namespace {

bool is_decimal(char c) {
    return c >= '0' && c <= '9';
}

int hex_digit(char c) {
    if (is_decimal(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// What follows a backslash.
const char* skip_escape(const char* at, const char* end) {
    if (at == end) return nullptr;
    switch (*at) {
        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
            return at + 1;
        case 'u':
            break;
        default:
            return nullptr;
    }
    ++at;
    if (end - at < 4) return nullptr;
    for (int i = 0; i < 4; ++i) {
        if (hex_digit(at[i]) < 0) return nullptr;
    }
    return at + 4;
}

const char* skip_word(const char* at, const char* end, std::string_view word) {
    const auto size = static_cast<std::size_t>(end - at);
    return std::string_view(at, size).starts_with(word) ? at + word.size() : nullptr;
}

const char* skip_digits(const char* at, const char* end) {
    while (at != end && is_decimal(*at)) ++at;
    return at;
}

// Everything but objects and arrays.
const char* skip_scalar(const char* at, const char* end, JsonValue& value) {
    if (at == end) return nullptr;
    switch (*at) {
        case '"':
            value.kind = JsonKind::string;
            return skip_json_string(at, end, value.has_escapes);
        case 't':
            value.kind = JsonKind::boolean;
            return skip_word(at, end, "true");
        case 'f':
            value.kind = JsonKind::boolean;
            return skip_word(at, end, "false");
        case 'n':
            value.kind = JsonKind::null;
            return skip_word(at, end, "null");
        default:
            value.kind = JsonKind::number;
            return skip_json_number(at, end);
    }
}

// A member's name with its colon, and the white space around both.
const char* skip_key(const char* at, const char* end) {
    bool has_escapes = false;
    at = skip_json_string(skip_json_space(at, end), end, has_escapes);
    if (at == nullptr) return nullptr;
    at = skip_json_space(at, end);
    if (at == end || *at != ':') return nullptr;
    return skip_json_space(at + 1, end);
}

// Which of the open brackets are objects': one bit each.
class BracketStack {
  public:
    [[nodiscard]] std::size_t depth() const { return depth_; }
    void push(bool is_object) {
        const std::uint64_t bit = std::uint64_t{1} << (depth_ % 64);
        std::uint64_t& word = words_[depth_ / 64];
        if (depth_ % 64 == 0) word = 0;
        word = is_object ? word | bit : word & ~bit;
        ++depth_;
        in_object_ = is_object;
    }
    void pop() {
        --depth_;
        if (depth_ == 0) return;
        in_object_ = ((words_[(depth_ - 1) / 64] >> ((depth_ - 1) % 64)) & 1) != 0;
    }
    [[nodiscard]] bool in_object() const { return in_object_; }
    [[nodiscard]] char closing() const { return in_object_ ? '}' : ']'; }

  private:
    std::size_t depth_ = 0;
    bool in_object_ = false;
    std::array<std::uint64_t, json_depth_limit / 64> words_;  // each is cleared at its first push
};

// From behind a value: closes what closes, and goes on to the next value of what stays open. When
// all is closed, `stack.depth()` is 0 and the result is behind the last bracket.
const char* skip_closings(const char* at, const char* end, BracketStack& stack) {
    while (stack.depth() > 0) {
        at = skip_json_space(at, end);
        if (at == end) return nullptr;
        if (*at == ',') {
            return stack.in_object() ? skip_key(at + 1, end) : skip_json_space(at + 1, end);
        }
        if (*at != stack.closing()) return nullptr;
        ++at;
        stack.pop();
    }
    return at;
}

const char* skip_nested(const char* at, const char* end, std::size_t depth_max) {
    BracketStack stack;
    JsonValue scalar;
    do {
        if (at == end) return nullptr;
        if (*at != '{' && *at != '[') {
            at = skip_scalar(at, end, scalar);
        } else {
            if (stack.depth() == depth_max) return nullptr;
            stack.push(*at == '{');
            at = skip_json_space(at + 1, end);
            if (at == end) return nullptr;
            if (*at != stack.closing()) {
                if (stack.in_object()) at = skip_key(at, end);
                if (at == nullptr) return nullptr;
                continue;
            }
        }
        if (at == nullptr) return nullptr;
        at = skip_closings(at, end, stack);
        if (at == nullptr) return nullptr;
    } while (stack.depth() > 0);
    return at;
}

void append_utf8(std::uint32_t code, std::string& out) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0 | (code >> 6));
        put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(0xe0 | (code >> 12));
        put(0x80 | ((code >> 6) & 0x3f));
        put(0x80 | (code & 0x3f));
    } else {
        put(0xf0 | (code >> 18));
        put(0x80 | ((code >> 12) & 0x3f));
        put(0x80 | ((code >> 6) & 0x3f));
        put(0x80 | (code & 0x3f));
    }
}

std::uint32_t hex4(std::string_view digits) {
    std::uint32_t code = 0;
    for (const char c : digits.substr(0, 4)) {
        code = code * 16 + static_cast<std::uint32_t>(hex_digit(c));
    }
    return code;
}

// The escape \uXXXX at the beginning of `text`, and its second half if it has one; returns its
// size.
std::size_t decode_unicode_escape(std::string_view text, std::string& out) {
    const std::uint32_t code = hex4(text.substr(2));
    const bool is_high = code >= 0xd800 && code < 0xdc00;
    if (is_high && text.substr(6).starts_with("\\u")) {
        const std::uint32_t low = hex4(text.substr(8));
        if (low >= 0xdc00 && low < 0xe000) {
            append_utf8(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), out);
            return 12;
        }
    }
    append_utf8(code, out);
    return 6;
}

char meaning_of_escape(char c) {
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

}  // namespace

const char* skip_json_string_escaped(const char* at, const char* end) {
    while (true) {
        if (at == end) return nullptr;
        if (*at == '"') return at + 1;
        if (*at != '\\') return nullptr;  // a control character
        at = skip_escape(at + 1, end);
        if (at == nullptr) return nullptr;
        at = find_json_special(at, end);
    }
}

const char* skip_json_number(const char* at, const char* end) {
    if (at != end && *at == '-') ++at;
    if (at == end || !is_decimal(*at)) return nullptr;
    at = *at == '0' ? at + 1 : skip_digits(at, end);
    if (at != end && *at == '.') {
        const char* const fraction = at + 1;
        at = skip_digits(fraction, end);
        if (at == fraction) return nullptr;
    }
    if (at != end && (*at == 'e' || *at == 'E')) {
        const char* exponent = at + 1;
        if (exponent != end && (*exponent == '+' || *exponent == '-')) ++exponent;
        at = skip_digits(exponent, end);
        if (at == exponent) return nullptr;
    }
    return at;
}

const char* skip_json_value(const char* at,
                            const char* end,
                            std::size_t depth_max,
                            JsonValue& value) {
    if (at == end) return nullptr;
    const char* const begin = at;
    if (*at == '{' || *at == '[') {
        value.kind = *at == '{' ? JsonKind::object : JsonKind::array;
        at = skip_nested(at, end, std::min(depth_max, json_depth_limit));
    } else {
        at = skip_scalar(at, end, value);
    }
    if (at == nullptr) return nullptr;
    value.text = {begin, static_cast<std::size_t>(at - begin)};
    return at;
}

void decode_json_string(std::string_view escaped, std::string& out) {
    while (!escaped.empty()) {
        const std::size_t plain = std::min(escaped.find('\\'), escaped.size());
        out.append(escaped.substr(0, plain));
        escaped.remove_prefix(plain);
        if (escaped.empty()) return;
        if (escaped[1] == 'u') {
            escaped.remove_prefix(decode_unicode_escape(escaped, out));
        } else {
            out += meaning_of_escape(escaped[1]);
            escaped.remove_prefix(2);
        }
    }
}

}  // namespace wspool::protocol
