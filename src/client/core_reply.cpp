#include "client/core_reply.h"

#include "protocol/json_scan.h"

namespace wspool::client {
namespace {

constexpr std::size_t reply_depth_max = 64;

}  // namespace

std::string_view find_reply_id(std::string_view text) {
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto take = [&](char wanted) {
        at = protocol::skip_json_space(at, end);
        if (at == end || *at != wanted) return false;
        ++at;
        return true;
    };
    if (!take('{')) return {};
    do {
        at = protocol::skip_json_space(at, end);
        const char* const name = at;
        bool has_escapes = false;
        at = protocol::skip_json_string(at, end, has_escapes);
        if (at == nullptr) return {};
        const bool is_id = std::string_view(name, at) == "\"id\"";
        if (!take(':')) return {};
        at = protocol::skip_json_space(at, end);
        protocol::JsonValue value;
        at = protocol::skip_json_value(at, end, reply_depth_max, value);
        if (at == nullptr) return {};
        if (is_id) return value.text;
    } while (take(','));
    return {};
}

}  // namespace wspool::client
