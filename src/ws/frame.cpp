#include "ws/frame.h"

#include <cstring>

namespace wspool::ws {
namespace {

constexpr unsigned final_bit = 0x80;
constexpr unsigned compressed_bit = 0x40;
constexpr unsigned mask_bit = 0x80;

void write_big_endian(std::uint64_t value, std::size_t size, std::byte* out) {
    for (std::size_t i = 0; i < size; ++i) {
        out[i] = static_cast<std::byte>(value >> (8 * (size - 1 - i)));
    }
}

}  // namespace

std::size_t write_frame_header(const FrameHeader& header, std::byte* out) {
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

std::uint64_t written_frame_size(std::span<const std::byte> bytes) {
    if (bytes.size() < 2) return 0;
    const auto second = std::to_integer<unsigned>(bytes[1]);
    const unsigned short_size = second & 0x7F;
    const std::size_t length_size = short_size < 126 ? 0 : short_size == 126 ? 2 : 8;
    const std::size_t header_size = 2 + length_size + ((second & mask_bit) != 0 ? 4 : 0);
    if (bytes.size() < header_size) return 0;
    std::uint64_t payload_size = length_size == 0 ? short_size : 0;
    for (std::size_t i = 0; i < length_size; ++i) {
        payload_size = payload_size << 8 | std::to_integer<std::uint64_t>(bytes[2 + i]);
    }
    return header_size + payload_size;
}

}  // namespace wspool::ws
