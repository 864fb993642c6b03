// Close codes (RFC 6455 section 7.4) and ours (docs/protocol.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wspool::ws {

enum class CloseCode : std::uint16_t {
    none = 0,  // never on the wire
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported = 1003,
    no_status = 1005,  // a close frame without a code was received; never sent
    abnormal = 1006,   // the stream ended without a close frame; never sent
    invalid_payload = 1007,
    policy = 1008,
    too_big = 1009,
    missing_extension = 1010,
    internal_error = 1011,
    service_restart = 1012,
    try_again_later = 1013,
    unauthenticated = 4401,
    forbidden = 4403,
    replaced = 4409,
    rate_limited = 4429,
};

inline constexpr std::size_t close_reason_size_max = 123;

// Whether a peer may send `code` (section 7.4.1 and 7.4.2).
[[nodiscard]] bool may_be_received(std::uint16_t code);
// `reason` cut at close_reason_size_max bytes, never inside a character.
[[nodiscard]] std::string_view fit_close_reason(std::string_view reason);

}  // namespace wspool::ws
