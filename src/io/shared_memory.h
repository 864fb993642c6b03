// SharedMemory: zero-filled memory that a process shares with the children it forks.
//
// Ownership: unmapped by the destructor, in that process alone.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>

namespace wspool::io {

class SharedMemory {
  public:
    [[nodiscard]] static Result<SharedMemory> make(std::size_t size);
    SharedMemory(SharedMemory&& other) noexcept;
    SharedMemory& operator=(SharedMemory&&) = delete;
    ~SharedMemory();

    // Aligned to a page.
    [[nodiscard]] MutableBytes bytes() const { return bytes_; }

  private:
    explicit SharedMemory(MutableBytes bytes) : bytes_(bytes) {}
    MutableBytes bytes_;
};

}  // namespace wspool::io
