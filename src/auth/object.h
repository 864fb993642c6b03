// Object: the members of one JSON object of a token (RFC 8259 by protocol/json_scan.h), with every
// key once: two readers of a token must not find two values. For auth/ alone.
//
// Views point into the text, or into the object for keys with escapes; valid until the next read().
#pragma once

#include "protocol/json_scan.h"

#include <string>
#include <string_view>
#include <vector>

namespace wspool::auth {

class Object {
  public:
    // Nesting beyond this is nothing that a token has.
    static constexpr std::size_t depth_max = 16;

    struct Member {
        std::string_view key;
        protocol::JsonValue value;
    };

    // False when the text is not one object of UTF-8 and nothing else, or has a key twice.
    [[nodiscard]] bool read(std::string_view text);
    [[nodiscard]] const std::vector<Member>& members() const { return members_; }
    // Of kind `absent` when there is none.
    [[nodiscard]] protocol::JsonValue find(std::string_view key) const;

  private:
    [[nodiscard]] bool has_duplicate();

    std::vector<Member> members_;
    std::vector<std::string_view> sorted_;
    std::string scratch_;  // decoded keys; never grows during a read
};

// What a value that is a string means; anything else is left to the caller to ask before.
[[nodiscard]] std::string text_of(const protocol::JsonValue& string);
// The elements of an array whose grammar was checked.
[[nodiscard]] std::vector<protocol::JsonValue> elements_of(const protocol::JsonValue& array);

}  // namespace wspool::auth
