#include "protocol/message.h"

#include "base/utf8.h"
#include "protocol/json_scanner.h"

#include <algorithm>
#include <charconv>

namespace wspool::protocol {
namespace {

constexpr std::size_t id_size_max = 64;    // of a string, decoded
constexpr std::size_t id_digits_max = 20;  // of an integer, with its sign
constexpr std::size_t few_keys = 16;       // compared pair by pair; more are sorted

[[nodiscard]] std::optional<MessageType> known_type(std::string_view name) {
    if (name == "broadcast") return MessageType::broadcast;
    if (name == "direct") return MessageType::direct;
    if (name == "join") return MessageType::join;
    if (name == "leave") return MessageType::leave;
    if (name == "ping") return MessageType::ping;
    return std::nullopt;
}

[[nodiscard]] bool is_string(std::string_view value) {
    return !value.empty() && value[0] == '"';
}

[[nodiscard]] bool is_integer(std::string_view value) {
    if (value.size() > id_digits_max) return false;
    if (!value.empty() && value[0] == '-') value.remove_prefix(1);
    return !value.empty() &&
           std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

// The members that mean something, as JSON text; empty where absent.
struct Parser::Envelope {
    std::string_view type, group, target, payload, id, since, offsets;

    [[nodiscard]] std::string_view* member(std::string_view key) {
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

Parser::Parser(const ParserOptions& options) : options_(options) {
    options_.depth_max = std::min(options_.depth_max, JsonScanner::depth_limit);
}

ParseOutcome Parser::parse(ByteView message, bool is_utf8_already, ClientMessage& out) {
    out = ClientMessage{};
    const std::string_view text = as_text(message);
    if (!is_utf8_already && !is_utf8(text)) return ParseOutcome::malformed;
    scratch_.clear();
    // Decoding only ever shrinks, and each key and value is decoded at most once: with this the
    // views into the scratch stay valid.
    if (text.find('\\') != std::string_view::npos) scratch_.reserve(text.size());
    Envelope envelope;
    if (!scan(text, envelope)) return ParseOutcome::malformed;
    return interpret(envelope, out);
}

// The whole text, once: its grammar, the envelope's keys, and where the values lie.
bool Parser::scan(std::string_view text, Envelope& envelope) {
    keys_.clear();
    JsonScanner scanner(text, options_.depth_max);
    scanner.skip_space();
    if (options_.depth_max == 0 || !scanner.take('{')) return false;
    scanner.skip_space();
    bool is_open = !scanner.take('}');
    while (is_open) {
        std::string_view key;
        bool has_escapes = false;
        scanner.skip_space();
        if (!scanner.take_string(key, has_escapes)) return false;
        if (has_escapes) {
            const std::size_t start = scratch_.size();
            // A key that is no text is kept as it was written: it equals none that means something.
            if (unescape(key, scratch_)) {
                key = std::string_view(scratch_).substr(start);
            } else {
                scratch_.resize(start);
            }
        }
        if (keys_.size() < few_keys && std::find(keys_.begin(), keys_.end(), key) != keys_.end())
            return false;
        keys_.push_back(key);
        scanner.skip_space();
        if (!scanner.take(':')) return false;
        scanner.skip_space();
        const char* begin = scanner.position();
        if (!scanner.take_value(1)) return false;
        if (std::string_view* member = envelope.member(key)) {
            *member = {begin, static_cast<std::size_t>(scanner.position() - begin)};
        }
        scanner.skip_space();
        if (scanner.take(',')) continue;
        if (!scanner.take('}')) return false;
        is_open = false;
    }
    scanner.skip_space();
    return scanner.is_at_end() && !has_duplicate_key();
}

bool Parser::has_duplicate_key() {
    if (keys_.size() <= few_keys) return false;  // compared as they came
    std::sort(keys_.begin(), keys_.end());
    return std::adjacent_find(keys_.begin(), keys_.end()) != keys_.end();
}

// A string's value; false where it is no string, or no text.
bool Parser::decode(std::string_view value, std::string_view& out) {
    if (!is_string(value)) return false;
    const std::string_view inside = value.substr(1, value.size() - 2);
    if (inside.find('\\') == std::string_view::npos) {
        out = inside;
        return true;
    }
    const std::size_t start = scratch_.size();
    if (!unescape(inside, scratch_)) {
        scratch_.resize(start);
        return false;
    }
    out = std::string_view(scratch_).substr(start);
    return true;
}

ParseOutcome Parser::interpret(const Envelope& envelope, ClientMessage& out) {
    std::string_view type_name;
    const std::optional<MessageType> type =
        decode(envelope.type, type_name) ? known_type(type_name) : std::nullopt;
    if (!type) return ParseOutcome::ok;  // echoed, whatever else it holds
    out.type = *type;
    if (!envelope.id.empty()) {
        if (!read_id(envelope.id)) return ParseOutcome::bad_request;
        out.id = envelope.id;
    }
    if (out.type == MessageType::ping) return ParseOutcome::ok;

    const bool is_direct = out.type == MessageType::direct;
    const std::string_view name_value = is_direct ? envelope.target : envelope.group;
    std::string_view& name = is_direct ? out.target : out.group;
    if (!is_string(name_value)) return ParseOutcome::bad_request;
    if (!decode(name_value, name) || !is_valid_name(name, options_.name_size_max))
        return ParseOutcome::bad_name;

    if (is_direct || out.type == MessageType::broadcast) {
        if (envelope.payload.empty()) return ParseOutcome::bad_request;
        out.payload = envelope.payload;
        return ParseOutcome::ok;
    }
    if (out.type != MessageType::join) return ParseOutcome::ok;
    if (!envelope.offsets.empty()) {
        if (envelope.offsets != "true" && envelope.offsets != "false")
            return ParseOutcome::bad_request;
        out.wants_offsets = envelope.offsets == "true";
    }
    if (!envelope.since.empty() && !read_since(envelope.since, out))
        return ParseOutcome::bad_request;
    return ParseOutcome::ok;
}

bool Parser::read_id(std::string_view value) {
    if (!is_string(value)) return is_integer(value);
    std::string_view text;
    return decode(value, text) && text.size() <= id_size_max;
}

// {"epoch":string,"offset":non-negative integer}, in any order, and nothing twice.
bool Parser::read_since(std::string_view value, ClientMessage& out) {
    JsonScanner scanner(value, options_.depth_max);
    ClientMessage::Since since;
    bool has_epoch = false;
    bool has_offset = false;
    if (!scanner.take('{')) return false;
    scanner.skip_space();
    if (scanner.take('}')) return false;
    for (;;) {
        std::string_view key;
        bool has_escapes = false;
        scanner.skip_space();
        if (!scanner.take_string(key, has_escapes)) return false;
        scanner.skip_space();
        (void)scanner.take(':');
        scanner.skip_space();
        const char* begin = scanner.position();
        if (!scanner.take_value(2)) return false;
        const std::string_view member(begin, static_cast<std::size_t>(scanner.position() - begin));
        if (key == "epoch") {
            if (has_epoch || !decode(member, since.epoch)) return false;
            has_epoch = true;
        } else if (key == "offset") {
            const char* end = member.data() + member.size();
            const auto [stop, error] = std::from_chars(member.data(), end, since.offset);
            if (has_offset || error != std::errc() || stop != end) return false;
            has_offset = true;
        }
        scanner.skip_space();
        if (!scanner.take(',')) break;
    }
    if (!has_epoch || !has_offset) return false;
    out.since = since;
    return true;
}

bool is_valid_name(std::string_view name, std::size_t size_max) {
    if (name.empty() || name.size() > size_max || !is_utf8(name)) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const auto byte = static_cast<unsigned char>(name[i]);
        if (byte < 0x20 || byte == 0x7F) return false;
        // U+0080 to U+009F: C2 80 to C2 9F.
        if (byte == 0xC2 && static_cast<unsigned char>(name[i + 1]) < 0xA0) return false;
    }
    return true;
}

}  // namespace wspool::protocol
