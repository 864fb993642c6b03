// Fifo<T>: a queue in one piece of memory, which is kept when it runs empty: for queues that fill
// and empty with every turn, where a deque would allocate. Taking out of the front costs nothing
// but moving the rest down, once that is less than what was taken.
#pragma once

#include "base/assert.h"

#include <cstddef>
#include <vector>

namespace wspool::client {

template <class T>
class Fifo {
  public:
    [[nodiscard]] std::size_t size() const { return items_.size() - first_; }
    // 0 is the front.
    [[nodiscard]] const T& operator[](std::size_t position) const {
        return items_[first_ + position];
    }
    void push_back(const T& item) { items_.push_back(item); }
    void pop_front(std::size_t count) {
        WSPOOL_ASSERT(count <= size());
        first_ += count;
        if (first_ * 2 < items_.size()) return;
        items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }

  private:
    std::vector<T> items_;
    std::size_t first_ = 0;
};

}  // namespace wspool::client
