// The vector part of ws/utf8: 32 bytes at a time where the processor has AVX2, nothing elsewhere.
//
// How it works (Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte", 2020):
// a pair of neighbouring bytes is wrong in one of eight ways, each with a bit. Three tables, asked
// with the two halves of the first byte and the upper half of the second, say which ways remain;
// what all three say is wrong. Third and fourth bytes are told by comparing which bytes must be
// continuations with which are.
#pragma once

#include <cstddef>

namespace wspool::ws {

// `data` is between characters. Returns a position between characters up to which everything is
// valid (perhaps `data` itself), or nullptr when the bytes are not UTF-8.
[[nodiscard]] const std::byte* skip_valid_blocks(const std::byte* data, const std::byte* end);

}  // namespace wspool::ws
