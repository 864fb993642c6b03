// One JSON object (or array) taken apart: its grammar checked to the last byte, its members as
// values that still are JSON text. For what is read rarely and passed on byte for byte, such as
// the bodies of the control API; clients' messages have a parser of their own (message.h). Pure.
//
// Ownership: values point into the text, keys are decoded copies.
#pragma once

#include "protocol/json_scan.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::protocol {

struct JsonMember {
    std::string key;
    JsonValue value;
};

// False when `text` is anything but one JSON object in UTF-8, is nested deeper than `depth_max`,
// has a key twice, or more than `members_max` members.
[[nodiscard]] bool read_json_object(std::string_view text,
                                    std::size_t depth_max,
                                    std::size_t members_max,
                                    std::vector<JsonMember>& members);

// The elements of an array whose grammar was checked; false when there are more than `count_max`.
[[nodiscard]] bool read_json_array(const JsonValue& array,
                                   std::size_t count_max,
                                   std::vector<JsonValue>& elements);

// What a checked string means.
[[nodiscard]] std::string read_json_string(const JsonValue& value);

}  // namespace wspool::protocol
