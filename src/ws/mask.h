// Masking (RFC 6455 section 5.3): XOR with a four-byte key, in place, vectorised.
#pragma once

#include "ws/frame.h"

#include <cstddef>
#include <span>

namespace wspool::ws {

// Masks or unmasks `bytes`, the first of which is byte number `offset` of the payload. Returns the
// offset of the byte after the last, modulo four, for the next piece.
std::size_t apply_mask(std::span<std::byte> bytes, MaskKey key, std::size_t offset = 0);

}  // namespace wspool::ws
