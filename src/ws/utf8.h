// UTF-8 as it arrives (RFC 3629, required by RFC 6455 section 8.1): no overlong forms, no
// surrogates, nothing above U+10FFFF; told at the first byte that cannot continue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace wspool::ws {

class Utf8Validator {
  public:
    // False as soon as `bytes` cannot be the continuation of what came before.
    [[nodiscard]] bool accept(std::span<const std::byte> bytes);
    // True when no character is left half-way: required at the end of a message.
    [[nodiscard]] bool is_complete() const { return state_ == 0; }
    void reset() { state_ = 0; }

  private:
    std::uint32_t state_ = 0;
};

// The whole of `bytes` at once.
[[nodiscard]] bool is_valid_utf8(std::span<const std::byte> bytes);

}  // namespace wspool::ws
