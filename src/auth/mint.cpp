#include "auth/mint.h"

#include "auth/base64url.h"
#include "base/bytes.h"
#include "protocol/message.h"

namespace wspool::auth {
namespace {

void append_member(ByteBuffer& out, std::string_view key, std::string_view value) {
    out.append(out.empty() ? '{' : ',');
    protocol::append_json_string(out, key);
    out.append(':');
    out.append(value);
}

void append_text(ByteBuffer& out, std::string_view key, std::string_view text) {
    if (text.empty()) return;
    ByteBuffer value;
    protocol::append_json_string(value, text);
    append_member(out, key, as_text(value.view()));
}

void append_patterns(ByteBuffer& out, std::string_view key, const Permissions::Patterns& patterns) {
    if (!patterns) return;
    ByteBuffer list;
    list.append('[');
    for (const std::string& pattern : *patterns) {
        if (list.size() > 1) list.append(',');
        protocol::append_json_string(list, pattern);
    }
    list.append(']');
    append_member(out, key, as_text(list.view()));
}

[[nodiscard]] std::string whole_seconds(WallTime time) {
    return std::to_string(
        std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

[[nodiscard]] std::string closed(ByteBuffer& object) {
    object.append('}');
    return std::string(as_text(object.view()));
}

}  // namespace

std::string header_of(const MintOptions& options, Algorithm algorithm) {
    ByteBuffer out;
    append_text(out, "alg", name(algorithm));
    append_text(out, "typ", "JWT");
    append_text(out, "kid", options.key_id);
    return closed(out);
}

std::string payload_of(const MintOptions& options) {
    ByteBuffer out;
    append_text(out, "iss", options.issuer);
    append_text(out, "aud", options.audience);
    append_text(out, "sub", options.subject);
    append_member(out, "iat", whole_seconds(options.issued));
    append_member(out, "exp", whole_seconds(options.expires));
    if (options.priority) append_text(out, "priority", pool::name(*options.priority));
    append_text(out, "pool", options.pool);
    append_text(out, "rate_class", options.rate_class);
    if (options.permissions.is_limited()) {
        ByteBuffer groups;
        append_patterns(groups, "join", options.permissions.join);
        append_patterns(groups, "publish", options.permissions.publish);
        append_member(out, "groups", closed(groups));
    }
    return closed(out);
}

Result<std::string> sign(std::string_view header, std::string_view payload, Key& key) {
    std::string token;
    append_base64url(token, header);
    token += '.';
    append_base64url(token, payload);
    const auto signature = key.sign(token);
    if (!signature) return tl::unexpected(signature.error());
    token += '.';
    append_base64url(token, *signature);
    return token;
}

Result<std::string> mint(const MintOptions& options, Key& key) {
    return sign(header_of(options, key.algorithm()), payload_of(options), key);
}

}  // namespace wspool::auth
