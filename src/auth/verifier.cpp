#include "auth/verifier.h"

#include "auth/base64url.h"
#include "protocol/message.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

namespace wspool::auth {
namespace {

using protocol::JsonKind;
using protocol::JsonValue;

struct Parts {
    std::string_view header, payload, signature;
    std::string_view signed_part;  // header, dot, payload
};

[[nodiscard]] std::optional<Parts> split(std::string_view token) {
    const std::size_t first = token.find('.');
    if (first == std::string_view::npos) return std::nullopt;
    const std::size_t second = token.find('.', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    Parts parts;
    parts.header = token.substr(0, first);
    parts.payload = token.substr(first + 1, second - first - 1);
    parts.signature = token.substr(second + 1);
    parts.signed_part = token.substr(0, second);
    const bool is_whole = !parts.header.empty() && !parts.payload.empty() &&
                          !parts.signature.empty() &&
                          parts.signature.find('.') == std::string_view::npos;
    return is_whole ? std::optional(parts) : std::nullopt;
}

[[nodiscard]] std::optional<Algorithm> parse_algorithm(std::string_view text) {
    for (const Algorithm algorithm : {Algorithm::hs256, Algorithm::rs256, Algorithm::es256}) {
        if (text == name(algorithm)) return algorithm;
    }
    return std::nullopt;
}

// Seconds since 1970, whole or not. Nothing for what is none, such as milliseconds.
[[nodiscard]] std::optional<WallTime> parse_time(const JsonValue& value) {
    constexpr double last_second_of_year_9999 = 253'402'300'799.0;
    if (value.kind != JsonKind::number) return std::nullopt;
    double seconds = 0;
    const char* const end = value.text.data() + value.text.size();
    const auto [at, error] = std::from_chars(value.text.data(), end, seconds);
    if (error != std::errc() || at != end) return std::nullopt;
    if (!(seconds >= 0 && seconds <= last_second_of_year_9999)) return std::nullopt;
    return WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
}

[[nodiscard]] bool names_audience(const JsonValue& value, std::string_view audience) {
    if (value.kind == JsonKind::string) return text_of(value) == audience;
    if (value.kind != JsonKind::array) return false;
    bool is_named = false;
    for (const JsonValue& element : elements_of(value)) {
        if (element.kind != JsonKind::string) return false;
        is_named = is_named || text_of(element) == audience;
    }
    return is_named;
}

[[nodiscard]] bool read_patterns(const JsonValue& value, Permissions::Patterns& out) {
    if (value.kind != JsonKind::array) return false;
    std::vector<std::string>& patterns = out.emplace();
    for (const JsonValue& element : elements_of(value)) {
        if (element.kind != JsonKind::string) return false;
        patterns.push_back(text_of(element));
        if (!is_pattern(patterns.back())) return false;
    }
    return true;
}

// A member that is none of ours is refused: misspelt, it would give away every group.
[[nodiscard]] bool read_groups(const JsonValue& value, Permissions& out) {
    Object groups;
    if (value.kind != JsonKind::object || !groups.read(value.text)) return false;
    for (const Object::Member& member : groups.members()) {
        if (member.key != "join" && member.key != "publish") return false;
        if (!read_patterns(member.value, member.key == "join" ? out.join : out.publish))
            return false;
    }
    return true;
}

[[nodiscard]] bool read_name(const JsonValue& value, std::string& out) {
    if (value.kind == JsonKind::absent) return true;
    if (value.kind != JsonKind::string) return false;
    out = text_of(value);
    return protocol::is_valid_name(out);
}

}  // namespace

Result<Verifier> Verifier::make(const VerifierOptions& options) {
    Verifier verifier(options.leeway);
    for (const IssuerOptions& from : options.issuers) {
        const std::string who = "issuer \"" + from.name + "\"";
        for (const Issuer& earlier : verifier.issuers_) {
            if (earlier.name == from.name)
                return fail(who + " is there twice; put the keys of both below one");
        }
        if (from.name.empty() || from.audience.empty())
            return fail(who + " lacks its name or its audience");
        if (from.keys.empty()) return fail(who + " has no key");
        Issuer issuer{from.name, from.audience, {}};
        for (const KeyOptions& key : from.keys) {
            const std::string which = who + ", key \"" + key.id + "\"";
            if (key.id.empty() && from.keys.size() > 1)
                return fail(which + " needs an id, as it is not the only one");
            for (const NamedKey& earlier : issuer.keys) {
                if (earlier.id == key.id) return fail(which + " is there twice");
            }
            auto made = Key::make(key.algorithm, key.material);
            if (!made) return fail(which + " " + made.error().message);
            issuer.keys.push_back({key.id, std::move(*made)});
        }
        verifier.issuers_.push_back(std::move(issuer));
    }
    return verifier;
}

Refusal Verifier::verify(std::string_view token, WallTime now, Claims& out) {
    if (token.size() > token_size_max) return Refusal::too_long;
    const auto parts = split(token);
    if (!parts) return Refusal::not_three_parts;
    std::string header_text;
    std::string signature;
    payload_text_.clear();
    if (!decode_base64url(parts->header, header_text) ||
        !decode_base64url(parts->payload, payload_text_) ||
        !decode_base64url(parts->signature, signature)) {
        return Refusal::bad_base64;
    }
    Header header;
    if (const Refusal refusal = read_header(header_text, header); refusal != Refusal::none)
        return refusal;
    if (!payload_.read(payload_text_)) return Refusal::bad_payload;
    Issuer* issuer = nullptr;
    Key* key = nullptr;
    if (const Refusal refusal = find_key(header, issuer, key); refusal != Refusal::none)
        return refusal;
    if (key->algorithm() != header.algorithm) return Refusal::wrong_algorithm;
    if (!key->verifies(parts->signed_part, signature)) return Refusal::bad_signature;
    Claims claims;
    if (const Refusal refusal = read_claims(*issuer, now, claims); refusal != Refusal::none)
        return refusal;
    out = std::move(claims);
    return Refusal::none;
}

Refusal Verifier::read_header(std::string_view text, Header& header) {
    // The payload's object serves for the header first: nothing of it is kept.
    if (!payload_.read(text)) return Refusal::bad_header;
    const JsonValue algorithm = payload_.find("alg");
    const JsonValue key_id = payload_.find("kid");
    const JsonValue type = payload_.find("typ");
    if (algorithm.kind != JsonKind::string) return Refusal::bad_header;
    if (key_id.kind != JsonKind::absent && key_id.kind != JsonKind::string)
        return Refusal::bad_header;
    if (type.kind != JsonKind::absent && type.kind != JsonKind::string) return Refusal::bad_header;
    if (payload_.find("crit").kind != JsonKind::absent) return Refusal::critical;
    const auto parsed = parse_algorithm(text_of(algorithm));
    if (!parsed) return Refusal::unknown_algorithm;
    header.algorithm = *parsed;
    if (key_id.kind == JsonKind::string) header.key_id = text_of(key_id);
    return Refusal::none;
}

Refusal Verifier::find_key(const Header& header, Issuer*& issuer, Key*& key) {
    const JsonValue name = payload_.find("iss");
    if (name.kind != JsonKind::string) return Refusal::unknown_issuer;
    const std::string text = text_of(name);
    const auto found = std::find_if(
        issuers_.begin(), issuers_.end(), [&](const Issuer& one) { return one.name == text; });
    if (found == issuers_.end()) return Refusal::unknown_issuer;
    issuer = &*found;
    std::vector<NamedKey>& keys = issuer->keys;
    if (keys.size() == 1 && (!header.key_id || keys.front().id.empty())) {
        key = &keys.front().key;
        return Refusal::none;
    }
    for (NamedKey& named : keys) {
        if (header.key_id != named.id) continue;
        key = &named.key;
        return Refusal::none;
    }
    return Refusal::unknown_key;
}

Refusal Verifier::read_claims(const Issuer& issuer, WallTime now, Claims& claims) const {
    if (!names_audience(payload_.find("aud"), issuer.audience)) return Refusal::wrong_audience;
    if (const Refusal refusal = check_times(now, claims); refusal != Refusal::none) return refusal;
    if (!read_name(payload_.find("sub"), claims.subject)) return Refusal::bad_subject;
    if (const JsonValue priority = payload_.find("priority"); priority.kind != JsonKind::absent) {
        if (priority.kind != JsonKind::string) return Refusal::bad_priority;
        claims.priority = pool::parse_priority(text_of(priority));
        if (!claims.priority) return Refusal::bad_priority;
    }
    if (!read_name(payload_.find("pool"), claims.pool)) return Refusal::bad_pool;
    if (!read_name(payload_.find("rate_class"), claims.rate_class)) return Refusal::bad_rate_class;
    const JsonValue groups = payload_.find("groups");
    if (groups.kind != JsonKind::absent && !read_groups(groups, claims.permissions))
        return Refusal::bad_groups;
    return Refusal::none;
}

Refusal Verifier::check_times(WallTime now, Claims& claims) const {
    const JsonValue expires = payload_.find("exp");
    if (expires.kind == JsonKind::absent) return Refusal::no_expiry;
    const auto end = parse_time(expires);
    if (!end) return Refusal::bad_time;
    std::array<std::optional<WallTime>, 2> begins;
    constexpr std::array<std::string_view, 2> keys = {"nbf", "iat"};
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const JsonValue value = payload_.find(keys[i]);
        if (value.kind == JsonKind::absent) continue;
        begins[i] = parse_time(value);
        if (!begins[i]) return Refusal::bad_time;
    }
    if (now >= *end) return Refusal::expired;
    const auto leeway = std::chrono::duration_cast<WallClock::duration>(leeway_);
    for (const auto& begin : begins) {
        if (begin && *begin > now + leeway) return Refusal::not_yet_valid;
    }
    claims.expires = *end;
    return Refusal::none;
}

}  // namespace wspool::auth
