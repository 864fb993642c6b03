// ChunkedArray<T>: elements by index, in chunks that never move, so references stay valid while it
// grows. Elements are made when their chunk is and live until the array ends; who uses which index
// is the caller's business (see IndexPool).
#pragma once

#include "base/assert.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace wspool {

template <class T, std::size_t chunk_size = 128>
class ChunkedArray {
    static_assert((chunk_size & (chunk_size - 1)) == 0,
                  "a power of two, so that indexing is a shift");

  public:
    [[nodiscard]] T& operator[](std::uint32_t index) {
        return chunks_[index / chunk_size][index % chunk_size];
    }
    [[nodiscard]] const T& operator[](std::uint32_t index) const {
        return chunks_[index / chunk_size][index % chunk_size];
    }
    // Number of elements that exist; always whole chunks.
    [[nodiscard]] std::size_t size() const { return chunks_.size() * chunk_size; }
    void grow_to(std::uint32_t index) {
        while (size() <= index) chunks_.push_back(std::make_unique<T[]>(chunk_size));
    }

  private:
    std::vector<std::unique_ptr<T[]>> chunks_;
};

// Hands out the lowest-cost free index: the one freed last, else the next fresh one.
class IndexPool {
  public:
    [[nodiscard]] std::uint32_t take() {
        ++used_;
        if (free_.empty()) return fresh_++;
        const std::uint32_t index = free_.back();
        free_.pop_back();
        return index;
    }
    void give_back(std::uint32_t index) {
        WSPOOL_ASSERT(used_ > 0);
        WSPOOL_ASSERT(index < fresh_);
        --used_;
        free_.push_back(index);
    }
    [[nodiscard]] std::size_t used() const { return used_; }
    // All indexes ever taken are below this.
    [[nodiscard]] std::uint32_t end() const { return fresh_; }

  private:
    std::vector<std::uint32_t> free_;
    std::uint32_t fresh_ = 0;
    std::size_t used_ = 0;
};

}  // namespace wspool
