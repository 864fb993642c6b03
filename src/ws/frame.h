// Frames on the wire (RFC 6455 section 5.2): opcodes, sizes of headers, and writing them. Reading
// is ws/connection.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace wspool::ws {

enum class Opcode : std::uint8_t {
    continuation = 0x0,
    text = 0x1,
    binary = 0x2,
    close = 0x8,
    ping = 0x9,
    pong = 0xA,
};

inline constexpr std::size_t frame_header_size_max = 14;
inline constexpr std::size_t control_payload_size_max = 125;

using MaskKey = std::array<std::byte, 4>;

struct FrameHeader {
    Opcode opcode = Opcode::text;
    bool is_final = true;
    bool is_compressed = false;  // RSV1, RFC 7692 section 6
    std::uint64_t payload_size = 0;
    bool is_masked = false;  // clients mask, servers do not (section 5.1)
    MaskKey mask{};
};

[[nodiscard]] constexpr std::size_t frame_header_size(std::uint64_t payload_size, bool is_masked) {
    const std::size_t length = payload_size < 126 ? 2 : payload_size <= 0xFFFF ? 4 : 10;
    return length + (is_masked ? 4 : 0);
}

// Writes `header` with the shortest length that holds it; `out` has frame_header_size_max bytes of
// room. Returns the size written. The caller masks the payload (ws/mask.h).
std::size_t write_frame_header(const FrameHeader& header, std::byte* out);

// Size of the frame (header and payload) at the front of `bytes`, as we wrote it ourselves; 0 when
// the header is not there in whole. For walking an outbox, never for what a peer sent.
[[nodiscard]] std::uint64_t written_frame_size(std::span<const std::byte> bytes);

}  // namespace wspool::ws
