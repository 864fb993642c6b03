// The bodies of the control API (docs/control-api.md), parsed and checked: commands as values, or
// why not. Pure.
//
// Strict as the clients' protocol is: JSON to the last byte, no key twice, none that is not known;
// a payload stays as it was written.
// Ownership: payloads point into the body; all else is copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wspool::protocol {

enum class ControlVerb : std::uint8_t { broadcast, direct, join, leave, disconnect };

// "broadcast" and so on, as in the paths below /api/.
[[nodiscard]] std::optional<ControlVerb> control_verb(std::string_view name);

struct ControlCommand {
    ControlVerb verb{};
    std::string group;         // broadcast, join, leave
    std::string id;            // of the client: all but broadcast
    std::string_view payload;  // broadcast, direct: JSON text, byte for byte
    std::uint16_t code = 1008;
    std::string reason = "disconnected by the operator";
};

struct ControlRefusal {
    std::string_view code;  // bad_request, bad_name
    std::string message;    // one sentence
};

struct ControlLimits {
    std::size_t depth_max = 64;     // nesting of a payload, and one for what it stands in
    std::size_t batch_max = 1'000;  // commands
};

[[nodiscard]] std::variant<ControlCommand, ControlRefusal> parse_control_command(
    ControlVerb verb, std::string_view body, const ControlLimits& limits);

// All of a batch, or why one of them is none.
[[nodiscard]] std::variant<std::vector<ControlCommand>, ControlRefusal> parse_control_batch(
    std::string_view body, const ControlLimits& limits);

}  // namespace wspool::protocol
