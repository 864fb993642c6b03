#include "auth/object.h"

#include "base/assert.h"
#include "base/utf8.h"

#include <algorithm>

namespace wspool::auth {
namespace {

using protocol::JsonKind;
using protocol::JsonValue;
using protocol::skip_json_space;

[[nodiscard]] std::string_view without_quotes(std::string_view text) {
    return text.substr(1, text.size() - 2);
}

}  // namespace

bool Object::read(std::string_view text) {
    members_.clear();
    scratch_.clear();
    scratch_.reserve(text.size());
    if (!is_utf8(text)) return false;
    const char* const end = text.data() + text.size();
    const char* at = skip_json_space(text.data(), end);
    if (at == end || *at != '{') return false;
    at = skip_json_space(at + 1, end);
    if (at != end && *at == '}') return skip_json_space(at + 1, end) == end;
    while (true) {
        const char* const begin = at;
        bool has_escapes = false;
        at = protocol::skip_json_string(at, end, has_escapes);
        if (at == nullptr) return false;
        std::string_view key = without_quotes({begin, static_cast<std::size_t>(at - begin)});
        if (has_escapes) {
            const std::size_t size = scratch_.size();
            protocol::decode_json_string(key, scratch_);
            key = std::string_view(scratch_).substr(size);
        }
        at = skip_json_space(at, end);
        if (at == end || *at != ':') return false;
        JsonValue value;
        at = protocol::skip_json_value(skip_json_space(at + 1, end), end, depth_max, value);
        if (at == nullptr) return false;
        members_.push_back({key, value});
        at = skip_json_space(at, end);
        if (at == end) return false;
        if (*at == '}') return skip_json_space(at + 1, end) == end && !has_duplicate();
        if (*at != ',') return false;
        at = skip_json_space(at + 1, end);
    }
}

bool Object::has_duplicate() {
    sorted_.clear();
    for (const Member& member : members_) sorted_.push_back(member.key);
    std::sort(sorted_.begin(), sorted_.end());
    return std::adjacent_find(sorted_.begin(), sorted_.end()) != sorted_.end();
}

JsonValue Object::find(std::string_view key) const {
    for (const Member& member : members_) {
        if (member.key == key) return member.value;
    }
    return {};
}

std::string text_of(const JsonValue& string) {
    WSPOOL_ASSERT(string.kind == JsonKind::string);
    const std::string_view inside = without_quotes(string.text);
    if (!string.has_escapes) return std::string(inside);
    std::string text;
    protocol::decode_json_string(inside, text);
    return text;
}

std::vector<JsonValue> elements_of(const JsonValue& array) {
    WSPOOL_ASSERT(array.kind == JsonKind::array);
    std::vector<JsonValue> elements;
    const char* const end = array.text.data() + array.text.size();
    const char* at = skip_json_space(array.text.data() + 1, end);
    while (*at != ']') {
        JsonValue element;
        at = protocol::skip_json_value(at, end, Object::depth_max, element);
        WSPOOL_ASSERT(at != nullptr);
        elements.push_back(element);
        at = skip_json_space(at, end);
        if (*at == ',') at = skip_json_space(at + 1, end);
    }
    return elements;
}

}  // namespace wspool::auth
