// RecordQueue: what a link has still to send: buffers of whole encoded records, handed over once
// per turn and sent in order. Pure.
//
// How it works: a buffer that is handed over is swapped for an empty one of the queue's, so nothing
// is copied and nothing allocated while the peer keeps up. Only behind a backlog are small buffers
// put together, so that what is waiting occupies about as much memory as it has bytes.
//
// Invariants: 1. size() is what was pushed and not popped. 2. No buffer in the queue is empty.
// Limits: none of its own: the link's bound is LinkOptions::queue_size_max.
#pragma once

#include "base/bytes.h"

#include <cstddef>
#include <deque>
#include <span>

namespace wspool::link {

class RecordQueue {
  public:
    // Takes the content; `records` is empty afterwards.
    void push(ByteBuffer& records);
    // The front of the queue in at most pieces.size() pieces and size_max bytes; valid until they
    // are popped. Returns how many there are.
    [[nodiscard]] std::size_t front(std::span<ByteView> pieces, std::size_t size_max) const;
    void pop(std::size_t count);
    void clear();

    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::size_t size() const { return size_; }
    // What it occupies, used or not.
    [[nodiscard]] std::size_t memory() const;
    void check_invariants() const;

  private:
    void reuse(ByteBuffer& buffer);

    std::deque<ByteBuffer> buffers_;
    ByteBuffer spare_;
    std::size_t popped_ = 0;  // of the first buffer
    std::size_t size_ = 0;
};

}  // namespace wspool::link
