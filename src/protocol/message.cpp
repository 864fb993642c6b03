#include "protocol/message.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "protocol/json_scan.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace wspool::protocol {
namespace {

constexpr std::size_t id_digits_max = 20;  // of any 64-bit integer, with its sign
constexpr std::size_t id_size_max = 64;
// Up to here pairs are compared, beyond it the keys are sorted: messages have a handful, attacks
// thousands.
constexpr std::size_t pairwise_keys_max = 8;

MessageType type_of(std::string_view name) {
    if (name == "broadcast") return MessageType::broadcast;
    if (name == "direct") return MessageType::direct;
    if (name == "join") return MessageType::join;
    if (name == "leave") return MessageType::leave;
    if (name == "ping") return MessageType::ping;
    return MessageType::other;
}

bool has_duplicate(std::vector<std::string_view>& keys) {
    if (keys.size() <= pairwise_keys_max) {
        for (std::size_t i = 1; i < keys.size(); ++i) {
            for (std::size_t j = 0; j < i; ++j) {
                if (keys[i] == keys[j]) return true;
            }
        }
        return false;
    }
    std::sort(keys.begin(), keys.end(), [](std::string_view a, std::string_view b) {
        return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
    return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

bool is_integer(std::string_view number) {
    return number.find_first_of(".eE") == std::string_view::npos;
}

}  // namespace

// What the envelope's known keys hold.
struct Parser::Envelope {
    JsonValue type, group, target, payload, id, since, offsets;

    // The place for the value of `key`, or nullptr when the key means nothing to us.
    [[nodiscard]] JsonValue* find(std::string_view key) {
        switch (key.size()) {
            case 2:
                return key == "id" ? &id : nullptr;
            case 4:
                return key == "type" ? &type : nullptr;
            case 5:
                return key == "group" ? &group : key == "since" ? &since : nullptr;
            case 7:
                return key == "payload" ? &payload : key == "offsets" ? &offsets : nullptr;
            case 8:
                return key == "targetId" ? &target : nullptr;
            default:
                return nullptr;
        }
    }
};

Parser::Parser(const ParserOptions& options) : options_(options) {}

// Decoded text is never longer than its escapes, and each string of a message is decoded at most
// once: so one reservation of the message's size keeps all views into the scratch valid.
std::string_view Parser::decoded(std::string_view quoted, bool has_escapes) {
    const std::string_view inside = quoted.substr(1, quoted.size() - 2);
    if (!has_escapes) return inside;
    if (scratch_.capacity() < message_size_) scratch_.reserve(message_size_);
    const std::size_t begin = scratch_.size();
    WSPOOL_ASSERT(begin + inside.size() <= scratch_.capacity());
    decode_json_string(inside, scratch_);
    return std::string_view(scratch_).substr(begin);
}

// One member of an object, from its key's quote to behind its value; nullptr when the grammar is
// broken.
const char* Parser::read_member(const char* at,
                                const char* end,
                                std::string_view& key,
                                JsonValue& value) {
    bool has_escapes = false;
    const char* const key_begin = at;
    at = skip_json_string(at, end, has_escapes);
    if (at == nullptr) return nullptr;
    key = decoded({key_begin, static_cast<std::size_t>(at - key_begin)}, has_escapes);
    at = skip_json_space(at, end);
    if (at == end || *at != ':') return nullptr;
    at = skip_json_space(at + 1, end);
    const std::size_t depth_left =
        options_.depth_max - std::min<std::size_t>(options_.depth_max, 1);
    return skip_json_value(at, end, depth_left, value);
}

bool Parser::read_envelope(std::string_view text, Envelope& envelope) {
    const char* const end = text.data() + text.size();
    const char* at = skip_json_space(text.data(), end);
    if (at == end || *at != '{' || options_.depth_max == 0) return false;
    at = skip_json_space(at + 1, end);
    if (at != end && *at == '}') return skip_json_space(at + 1, end) == end;
    while (true) {
        std::string_view key;
        JsonValue value;
        at = read_member(at, end, key, value);
        if (at == nullptr) return false;
        if (JsonValue* const place = envelope.find(key); place == nullptr) {
            unknown_keys_.push_back(key);
        } else if (place->kind != JsonKind::absent) {
            return false;
        } else {
            *place = value;
        }
        at = skip_json_space(at, end);
        if (at == end) return false;
        if (*at == '}') return skip_json_space(at + 1, end) == end && !has_duplicate(unknown_keys_);
        if (*at != ',') return false;
        at = skip_json_space(at + 1, end);
    }
}

// Leaves `id` empty when there is none; false when there is one that may not be.
bool Parser::read_id(const JsonValue& value, std::string_view& id) {
    if (value.kind == JsonKind::absent) return true;
    const bool is_good = (value.kind == JsonKind::number && value.text.size() <= id_digits_max &&
                          is_integer(value.text)) ||
                         (value.kind == JsonKind::string &&
                          decoded(value.text, value.has_escapes).size() <= id_size_max);
    if (is_good) id = value.text;
    return is_good;
}

bool Parser::read_since(const JsonValue& value, std::optional<ClientMessage::Since>& since) {
    if (value.kind == JsonKind::absent) return true;
    if (value.kind != JsonKind::object) return false;
    const char* const end = value.text.data() + value.text.size();
    JsonValue epoch;
    JsonValue offset;
    // The grammar has been checked: only the members are looked for.
    for (const char* at = skip_json_space(value.text.data() + 1, end); *at != '}';) {
        std::string_view key;
        JsonValue member;
        at = read_member(at, end, key, member);
        WSPOOL_ASSERT(at != nullptr);
        JsonValue* const place = key == "epoch" ? &epoch : key == "offset" ? &offset : nullptr;
        if (place != nullptr) {
            if (place->kind != JsonKind::absent) return false;
            *place = member;
        }
        at = skip_json_space(at, end);
        if (*at == ',') at = skip_json_space(at + 1, end);
    }
    if (epoch.kind != JsonKind::string || offset.kind != JsonKind::number) return false;
    ClientMessage::Since found;
    found.epoch = decoded(epoch.text, epoch.has_escapes);
    const char* const offset_end = offset.text.data() + offset.text.size();
    const auto read = std::from_chars(offset.text.data(), offset_end, found.offset);
    if (read.ec != std::errc() || read.ptr != offset_end) return false;
    since = found;
    return true;
}

ParseOutcome Parser::read_name(const JsonValue& value, std::string_view& name) {
    if (value.kind != JsonKind::string) return ParseOutcome::bad_request;
    name = decoded(value.text, value.has_escapes);
    return is_valid_name(name, options_.name_size_max) ? ParseOutcome::ok : ParseOutcome::bad_name;
}

ParseOutcome Parser::read_members(const Envelope& envelope, ClientMessage& out) {
    const auto read_payload = [&] {
        out.payload = envelope.payload.text;
        return envelope.payload.kind != JsonKind::absent;
    };
    switch (out.type) {
        case MessageType::join:
            if (!read_since(envelope.since, out.since)) return ParseOutcome::bad_request;
            if (envelope.offsets.kind != JsonKind::absent) {
                if (envelope.offsets.kind != JsonKind::boolean) return ParseOutcome::bad_request;
                out.wants_offsets = envelope.offsets.text == "true";
            }
            return read_name(envelope.group, out.group);
        case MessageType::leave:
            return read_name(envelope.group, out.group);
        case MessageType::broadcast:
            if (!read_payload()) return ParseOutcome::bad_request;
            return read_name(envelope.group, out.group);
        case MessageType::direct:
            if (!read_payload()) return ParseOutcome::bad_request;
            return read_name(envelope.target, out.target);
        case MessageType::ping:
        case MessageType::other:
            break;
    }
    return ParseOutcome::ok;
}

ParseOutcome Parser::parse(ByteView message, bool is_utf8, ClientMessage& out) {
    out = ClientMessage();
    scratch_.clear();
    unknown_keys_.clear();
    message_size_ = message.size();
    const std::string_view text = as_text(message);
    if (!is_utf8 && !wspool::is_utf8(text)) return ParseOutcome::malformed;
    Envelope envelope;
    if (!read_envelope(text, envelope)) return ParseOutcome::malformed;
    if (envelope.type.kind == JsonKind::string) {
        out.type = type_of(decoded(envelope.type.text, envelope.type.has_escapes));
    }
    const bool has_good_id = read_id(envelope.id, out.id);
    if (out.type == MessageType::other) return ParseOutcome::ok;
    if (!has_good_id) return ParseOutcome::bad_request;
    return read_members(envelope, out);
}

bool is_valid_name(std::string_view name, std::size_t size_max) {
    if (name.empty() || name.size() > size_max) return false;
    bool is_ascii = true;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) return false;
        is_ascii = is_ascii && byte < 0x80;
    }
    if (is_ascii) return true;
    if (!is_utf8(name)) return false;
    // U+0080 to U+009F are C2 80 to C2 9F, and no other character has C2 in it.
    for (std::size_t i = 0; i + 1 < name.size(); ++i) {
        if (name[i] == '\xc2' && static_cast<unsigned char>(name[i + 1]) < 0xa0) return false;
    }
    return true;
}

}  // namespace wspool::protocol
