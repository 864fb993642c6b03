// Frame headers as a peer sends them, judged strictly (RFC 6455 section 5.2). Inline, because every
// message that arrives pays for it.
//
// Each byte is judged when it is there and in the order of the wire, so that a header which comes
// in pieces fails with the same Failure as one that comes whole.
#pragma once

#include "base/bytes.h"
#include "ws/connection.h"
#include "ws/frame.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace wspool::ws {

struct HeaderRules {
    Role role;
    bool has_deflate;
    bool is_in_message;
};

struct HeaderReading {
    Failure failure = Failure::none;
    std::uint32_t size = 0;  // 0 without a failure: more bytes are needed
};

[[nodiscard]] constexpr bool is_control(Opcode opcode) {
    return (static_cast<unsigned>(opcode) & 0x8) != 0;
}

// The first byte: FIN, the reserved bits, the opcode.
[[nodiscard]] inline Failure check_first_byte(unsigned first, HeaderRules rules) {
    constexpr unsigned known_opcodes = 0b0000'0111'0000'0111;
    const unsigned opcode = first & 0x0F;
    const unsigned reserved = first & 0x70;
    if (reserved != 0) {
        const bool is_first_data_frame = opcode == 0x1 || opcode == 0x2;
        if (reserved != 0x40 || !rules.has_deflate || !is_first_data_frame) {
            return Failure::bad_reserved_bits;
        }
    }
    if ((known_opcodes >> opcode & 1u) == 0) return Failure::bad_opcode;
    if (opcode >= 0x8) return (first & 0x80) != 0 ? Failure::none : Failure::bad_control_frame;
    return (opcode == 0) == rules.is_in_message ? Failure::none : Failure::bad_continuation;
}

[[nodiscard]] inline std::uint64_t read_big_endian(const std::byte* bytes, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
        value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    }
    return value;
}

// `header` is whole only when the size that is returned is not 0.
[[nodiscard, gnu::always_inline]] inline HeaderReading read_frame_header(ByteView bytes,
                                                                         HeaderRules rules,
                                                                         FrameHeader& header) {
    if (bytes.empty()) return {};
    const auto first = std::to_integer<unsigned>(bytes[0]);
    const Failure failure = check_first_byte(first, rules);
    if (failure != Failure::none) return {failure};
    if (bytes.size() < 2) return {};

    const auto second = std::to_integer<unsigned>(bytes[1]);
    header.opcode = static_cast<Opcode>(first & 0x0F);
    header.is_final = (first & 0x80) != 0;
    header.is_compressed = (first & 0x40) != 0;
    header.is_masked = (second & 0x80) != 0;
    header.payload_size = second & 0x7F;
    if (header.is_masked != (rules.role == Role::server)) return {Failure::bad_mask};
    std::uint32_t size = 2;
    if (header.payload_size > control_payload_size_max) {
        if (is_control(header.opcode)) return {Failure::bad_control_frame};
        const std::uint32_t length_size = header.payload_size == 126 ? 2 : 8;
        if (bytes.size() < 2 + length_size) return {};
        header.payload_size = read_big_endian(bytes.data() + 2, length_size);
        const std::uint64_t shortest = length_size == 2 ? 126 : 0x1'0000;
        if (header.payload_size < shortest || header.payload_size >> 63 != 0) {
            return {Failure::bad_length};
        }
        size += length_size;
    }
    if (header.is_masked) {
        if (bytes.size() < size + header.mask.size()) return {};
        std::memcpy(header.mask.data(), bytes.data() + size, header.mask.size());
        size += static_cast<std::uint32_t>(header.mask.size());
    }
    return {Failure::none, size};
}

}  // namespace wspool::ws
