// SystemEntropy: the kernel's random bytes, drawn a buffer at a time, because masks and ids want
// four or sixteen bytes each and a system call per mask would cost more than the masking.
//
// Bytes handed out are wiped from the buffer. Not shared across fork(): both sides would draw the
// same.
#pragma once

#include "base/random.h"

#include <array>
#include <cstddef>

namespace wspool::io {

class SystemEntropy final : public Entropy {
  public:
    void fill(std::span<std::byte> out) override;

  private:
    std::array<std::byte, 512> buffer_{};
    std::size_t used_ = sizeof buffer_;
};

}  // namespace wspool::io
