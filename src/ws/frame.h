// Frames on the wire (RFC 6455 section 5.2): opcodes, sizes of headers, and writing them. Reading
// is ws/connection.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

inline void write_big_endian(std::uint64_t value, std::size_t size, std::byte* out) {
    for (std::size_t i = 0; i < size; ++i) {
        out[i] = static_cast<std::byte>(value >> (8 * (size - 1 - i)));
    }
}

// Writes `header` with the shortest length that holds it; `out` has room for frame_header_size()
// bytes, and no byte behind them is touched. Returns the size written. The caller masks the payload
// (ws/mask.h). Inline, because every message that leaves pays for it.
inline std::size_t write_frame_header(const FrameHeader& header, std::byte* out) {
    constexpr unsigned final_bit = 0x80;
    constexpr unsigned compressed_bit = 0x40;
    constexpr unsigned mask_bit = 0x80;
    out[0] = static_cast<std::byte>((header.is_final ? final_bit : 0u) |
                                    (header.is_compressed ? compressed_bit : 0u) |
                                    static_cast<unsigned>(header.opcode));
    const unsigned masked = header.is_masked ? mask_bit : 0u;
    std::size_t size = 2;
    if (header.payload_size < 126) {
        out[1] = static_cast<std::byte>(masked | static_cast<unsigned>(header.payload_size));
    } else if (header.payload_size <= 0xFFFF) {
        out[1] = static_cast<std::byte>(masked | 126u);
        write_big_endian(header.payload_size, 2, out + 2);
        size = 4;
    } else {
        out[1] = static_cast<std::byte>(masked | 127u);
        write_big_endian(header.payload_size, 8, out + 2);
        size = 10;
    }
    if (!header.is_masked) return size;
    std::memcpy(out + size, header.mask.data(), header.mask.size());
    return size + header.mask.size();
}

// Size of the frame (header and payload) at the front of `bytes`, as we wrote it ourselves; 0 when
// the header is not there in whole. For walking an outbox, never for what a peer sent.
[[nodiscard]] std::uint64_t written_frame_size(std::span<const std::byte> bytes);

}  // namespace wspool::ws
