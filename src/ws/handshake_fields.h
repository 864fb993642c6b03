// The grammar of the handshake's fields (RFC 9110 section 5.6, RFC 6455 section 9.1): comma lists
// of tokens, and lists of extensions with their parameters. All linear in the size of the fields.
//
// Ownership: views point into the fields.
#pragma once

#include "base/header_field.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::ws {

using Fields = std::span<const HeaderField>;

struct FieldCount {
    std::size_t count = 0;
    std::string_view first;
};
[[nodiscard]] FieldCount count_fields(Fields fields, std::string_view name);

// Connection and Upgrade may hold empty elements (RFC 9110 section 5.6.1.2); the lists of the
// handshake's own fields may not, for nobody sends them by accident.
enum class EmptyElements : std::uint8_t { ignored, refused };

// The tokens of all fields called `name`, in order; nothing when one of them is malformed.
[[nodiscard]] std::optional<std::vector<std::string_view>> tokens_of(Fields fields,
                                                                     std::string_view name,
                                                                     EmptyElements empty_elements);

[[nodiscard]] bool contains_ignoring_case(std::span<const std::string_view> tokens,
                                          std::string_view token);

struct ExtensionParameter {
    std::string_view name;
    std::optional<std::string> value;  // unescaped if it was quoted
};

struct Extension {
    std::string_view name;
    std::vector<ExtensionParameter> parameters;
};

// The extensions of all Sec-WebSocket-Extensions fields, in order; nothing when one is malformed.
[[nodiscard]] std::optional<std::vector<Extension>> extensions_of(Fields fields);

// Both sides of the handshake agree on these.
inline constexpr std::string_view deflate_name = "permessage-deflate";
inline constexpr std::string_view version_line = "Sec-WebSocket-Version: 13\r\n";

// base64 of exactly 16 bytes.
[[nodiscard]] bool is_key(std::string_view key);

}  // namespace wspool::ws
