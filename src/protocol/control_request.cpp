#include "protocol/control_request.h"

#include "protocol/json_object.h"
#include "protocol/message.h"

#include <array>
#include <charconv>

namespace wspool::protocol {
namespace {

constexpr std::array<std::string_view, 5> verb_names = {
    "broadcast", "direct", "join", "leave", "disconnect"};

// A command has at most three; one more and it is none.
constexpr std::size_t request_members_max = 4;
constexpr std::size_t reason_size_max = 123;  // of a close frame

using Outcome = std::optional<ControlRefusal>;

[[nodiscard]] Outcome bad_request(std::string message) {
    return ControlRefusal{"bad_request", std::move(message)};
}

[[nodiscard]] Outcome not_an_object(std::string_view what) {
    return bad_request(std::string(what) +
                       " must be one JSON object in UTF-8, with no key twice and no key that is "
                       "not known.");
}

[[nodiscard]] Outcome missing(std::string_view key, std::string_view type) {
    return bad_request("The member \"" + std::string(key) + "\" must be " + std::string(type) +
                       ".");
}

[[nodiscard]] Outcome read_name(const JsonMember& member, std::string& name) {
    if (member.value.kind != JsonKind::string) return missing(member.key, "a string");
    name = read_json_string(member.value);
    if (is_valid_name(name)) return std::nullopt;
    return ControlRefusal{
        "bad_name",
        "The member \"" + member.key +
            "\" must be a name: 1 to 128 bytes of UTF-8 without control characters."};
}

// What a server may send, less what only the gateway itself has reason to say.
[[nodiscard]] bool may_be_sent(std::uint16_t code) {
    return code == 1000 || code == 1001 || code == 1008 || (code >= 1011 && code <= 1013) ||
           (code >= 3000 && code <= 4999);
}

[[nodiscard]] Outcome read_code(const JsonMember& member, std::uint16_t& code) {
    const std::string_view text = member.value.text;
    const char* const end = text.data() + text.size();
    if (member.value.kind == JsonKind::number) {
        const auto [at, error] = std::from_chars(text.data(), end, code);
        if (error == std::errc() && at == end && may_be_sent(code)) return std::nullopt;
    }
    return missing("code", "1000, 1001, 1008, 1011 to 1013, or a number from 3000 to 4999");
}

[[nodiscard]] Outcome read_reason(const JsonMember& member, std::string& reason) {
    if (member.value.kind == JsonKind::string) {
        reason = read_json_string(member.value);
        // A lone surrogate is no character, and a close frame holds nothing else.
        const bool is_text = reason.empty() || is_valid_name(reason, reason_size_max);
        if (is_text) return std::nullopt;
    }
    return missing("reason", "a string of at most 123 bytes without control characters");
}

[[nodiscard]] bool has_group(ControlVerb verb) {
    return verb == ControlVerb::broadcast || verb == ControlVerb::join ||
           verb == ControlVerb::leave;
}

[[nodiscard]] bool has_payload(ControlVerb verb) {
    return verb == ControlVerb::broadcast || verb == ControlVerb::direct;
}

[[nodiscard]] std::string_view id_key(ControlVerb verb) {
    if (verb == ControlVerb::broadcast) return {};
    return verb == ControlVerb::direct ? "targetId" : "clientId";
}

[[nodiscard]] Outcome read_member(const JsonMember& member, ControlCommand& out) {
    const std::string_view id = id_key(out.verb);
    if (!id.empty() && member.key == id) return read_name(member, out.id);
    if (has_group(out.verb) && member.key == "group") return read_name(member, out.group);
    if (has_payload(out.verb) && member.key == "payload") {
        out.payload = member.value.text;
        return std::nullopt;
    }
    if (out.verb == ControlVerb::disconnect && member.key == "code") {
        return read_code(member, out.code);
    }
    if (out.verb == ControlVerb::disconnect && member.key == "reason") {
        return read_reason(member, out.reason);
    }
    return bad_request("There is a member that " +
                       std::string(verb_names[static_cast<std::size_t>(out.verb)]) +
                       " does not have; it takes " + (has_group(out.verb) ? "group, " : "") +
                       (id.empty() ? "" : std::string(id) + ", ") +
                       (has_payload(out.verb)                 ? "payload."
                        : out.verb == ControlVerb::disconnect ? "code, reason."
                                                              : "and nothing else."));
}

[[nodiscard]] Outcome read_command(std::string_view what,
                                   std::string_view text,
                                   const ControlLimits& limits,
                                   ControlCommand& out) {
    std::vector<JsonMember> members;
    if (!read_json_object(text, limits.depth_max, request_members_max, members))
        return not_an_object(what);
    for (const JsonMember& member : members) {
        if (auto refusal = read_member(member, out)) return refusal;
    }
    if (has_group(out.verb) && out.group.empty()) return missing("group", "a string");
    const std::string_view id = id_key(out.verb);
    if (!id.empty() && out.id.empty()) return missing(id, "a string");
    if (has_payload(out.verb) && out.payload.empty()) return missing("payload", "some JSON");
    return std::nullopt;
}

// {"broadcast":{…}}
[[nodiscard]] Outcome read_batched(const JsonValue& element,
                                   const ControlLimits& limits,
                                   ControlCommand& out) {
    constexpr std::string_view form =
        "must be an object with one member: broadcast, direct, join, leave or disconnect, and "
        "what it takes.";
    std::vector<JsonMember> members;
    const bool is_one = element.kind == JsonKind::object &&
                        read_json_object(element.text, limits.depth_max + 1, 1, members) &&
                        members.size() == 1;
    const auto verb = is_one ? control_verb(members.front().key) : std::nullopt;
    if (!verb) return bad_request(std::string("It ") + std::string(form));
    out.verb = *verb;
    return read_command("It", members.front().value.text, limits, out);
}

}  // namespace

std::optional<ControlVerb> control_verb(std::string_view name) {
    for (std::size_t i = 0; i < verb_names.size(); ++i) {
        if (verb_names[i] == name) return static_cast<ControlVerb>(i);
    }
    return std::nullopt;
}

std::variant<ControlCommand, ControlRefusal> parse_control_command(ControlVerb verb,
                                                                   std::string_view body,
                                                                   const ControlLimits& limits) {
    ControlCommand command;
    command.verb = verb;
    if (auto refusal = read_command("The body", body, limits, command)) return std::move(*refusal);
    return command;
}

std::variant<std::vector<ControlCommand>, ControlRefusal> parse_control_batch(
    std::string_view body, const ControlLimits& limits) {
    // Around a command stand the body, the list and the command's name.
    constexpr std::size_t levels = 3;
    std::vector<JsonMember> members;
    const bool is_good = read_json_object(body, limits.depth_max + levels, 1, members) &&
                         members.size() == 1 && members.front().key == "commands" &&
                         members.front().value.kind == JsonKind::array;
    if (!is_good) {
        return *bad_request("The body must be {\"commands\":[…]} and nothing else, in UTF-8.");
    }
    std::vector<JsonValue> elements;
    if (!read_json_array(members.front().value, limits.batch_max, elements)) {
        return *bad_request("A batch has at most " + std::to_string(limits.batch_max) +
                            " commands.");
    }
    std::vector<ControlCommand> commands(elements.size());
    for (std::size_t i = 0; i < elements.size(); ++i) {
        auto refusal = read_batched(elements[i], limits, commands[i]);
        if (!refusal) continue;
        refusal->message =
            "Nothing was done. commands[" + std::to_string(i) + "]: " + refusal->message;
        return std::move(*refusal);
    }
    return commands;
}

}  // namespace wspool::protocol
