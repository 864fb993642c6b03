#include "protocol/json_object.h"

#include "base/assert.h"
#include "base/utf8.h"

#include <algorithm>

namespace wspool::protocol {
namespace {

// One member, from its key's quote to behind its value; nullptr when the grammar is broken.
const char* read_member(const char* at, const char* end, std::size_t depth_max, JsonMember& out) {
    const char* const key_begin = at;
    JsonValue key;
    key.kind = JsonKind::string;
    at = skip_json_string(at, end, key.has_escapes);
    if (at == nullptr) return nullptr;
    key.text = {key_begin, static_cast<std::size_t>(at - key_begin)};
    out.key = read_json_string(key);
    at = skip_json_space(at, end);
    if (at == end || *at != ':') return nullptr;
    return skip_json_value(skip_json_space(at + 1, end), end, depth_max, out.value);
}

}  // namespace

bool read_json_object(std::string_view text,
                      std::size_t depth_max,
                      std::size_t members_max,
                      std::vector<JsonMember>& members) {
    members.clear();
    if (!is_utf8(text) || depth_max == 0) return false;
    const char* const end = text.data() + text.size();
    const char* at = skip_json_space(text.data(), end);
    if (at == end || *at != '{') return false;
    at = skip_json_space(at + 1, end);
    if (at != end && *at == '}') return skip_json_space(at + 1, end) == end;
    while (members.size() < members_max) {
        JsonMember member;
        at = read_member(at, end, depth_max - 1, member);
        if (at == nullptr) return false;
        const bool is_there = std::any_of(members.begin(), members.end(), [&](const auto& other) {
            return other.key == member.key;
        });
        if (is_there) return false;
        members.push_back(std::move(member));
        at = skip_json_space(at, end);
        if (at == end) return false;
        if (*at == '}') return skip_json_space(at + 1, end) == end;
        if (*at != ',') return false;
        at = skip_json_space(at + 1, end);
    }
    return false;
}

bool read_json_array(const JsonValue& array,
                     std::size_t count_max,
                     std::vector<JsonValue>& elements) {
    WSPOOL_ASSERT(array.kind == JsonKind::array);
    elements.clear();
    const char* const end = array.text.data() + array.text.size();
    const char* at = skip_json_space(array.text.data() + 1, end);
    while (*at != ']') {
        if (elements.size() == count_max) return false;
        JsonValue element;
        at = skip_json_value(at, end, json_depth_limit, element);
        WSPOOL_ASSERT(at != nullptr);  // the grammar was checked
        elements.push_back(element);
        at = skip_json_space(at, end);
        if (*at == ',') at = skip_json_space(at + 1, end);
    }
    return true;
}

std::string read_json_string(const JsonValue& value) {
    WSPOOL_ASSERT(value.kind == JsonKind::string && value.text.size() >= 2);
    const std::string_view inside = value.text.substr(1, value.text.size() - 2);
    if (!value.has_escapes) return std::string(inside);
    std::string decoded;
    decode_json_string(inside, decoded);
    return decoded;
}

}  // namespace wspool::protocol
