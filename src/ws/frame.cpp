#include "ws/frame.h"

namespace wspool::ws {
namespace {

constexpr unsigned mask_bit = 0x80;

}  // namespace

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
