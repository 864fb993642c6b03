// JsonScanner: checks one JSON text (RFC 8259) from its first byte to its last in one pass, without
// recursion and without building anything, and tells where its values lie.
//
// The text is UTF-8 already; what is checked here is the grammar. Escapes of lone surrogates pass,
// as the grammar allows them; so do numbers of any size. Limits: nesting to depth_max, at most
// depth_limit.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace wspool::protocol {

class JsonScanner {
  public:
    static constexpr std::size_t depth_limit = 1024;

    JsonScanner(std::string_view text, std::size_t depth_max)
        : at_(text.data()), end_(text.data() + text.size()), depth_max_(depth_max) {}

    void skip_space() {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    }
    [[nodiscard]] bool is_at_end() const { return at_ == end_; }
    // Takes `c` if it is next.
    [[nodiscard]] bool take(char c) {
        if (at_ == end_ || *at_ != c) return false;
        ++at_;
        return true;
    }
    [[nodiscard]] char peek() const { return at_ == end_ ? '\0' : *at_; }
    [[nodiscard]] const char* position() const { return at_; }

    // A string with its quotes next. `inside` is what stands between them; `has_escapes` tells
    // whether that is the string itself.
    [[nodiscard]] bool take_string(std::string_view& inside, bool& has_escapes);
    // Any value, `depth` levels below the top. False when it is not one, or nests too deep.
    [[nodiscard]] bool take_value(std::size_t depth);

  private:
    [[nodiscard]] bool take_key();
    [[nodiscard]] bool take_scalar();
    [[nodiscard]] bool take_number();
    [[nodiscard]] bool take_word(std::string_view word);
    [[nodiscard]] bool take_escape();

    const char* at_;
    const char* end_;
    std::size_t depth_max_;
};

// Appends what the string between the quotes means to `out`, as UTF-8. False where an escape stands
// for a lone surrogate. `inside` passed take_string().
[[nodiscard]] bool unescape(std::string_view inside, std::string& out);

}  // namespace wspool::protocol
