#include "link/record_queue.h"

#include "base/assert.h"

#include <algorithm>
#include <utility>

namespace wspool::link {

namespace {

// From this many buffers on there is a backlog, and the last is filled up to this size. More than a
// send has pieces, so that it is never one that is being sent.
constexpr std::size_t backlog_count = 16;
constexpr std::size_t filled_size = 64 * 1024;
// A larger buffer is not kept for later.
constexpr std::size_t spare_capacity_max = 256 * 1024;

}  // namespace

void RecordQueue::push(ByteBuffer& records) {
    if (records.empty()) return;
    size_ += records.size();
    const bool has_backlog = buffers_.size() >= backlog_count;
    if (has_backlog && buffers_.back().size() + records.size() <= filled_size) {
        buffers_.back().append(records.view());
        records.clear();
        return;
    }
    buffers_.push_back(std::move(records));
    records = std::move(spare_);
}

std::size_t RecordQueue::front(std::span<ByteView> pieces, std::size_t size_max) const {
    std::size_t count = 0;
    std::size_t skipped = popped_;
    for (const ByteBuffer& buffer : buffers_) {
        if (count == pieces.size() || size_max == 0) break;
        ByteView piece = buffer.view().subspan(std::exchange(skipped, 0));
        piece = piece.first(std::min(piece.size(), size_max));
        size_max -= piece.size();
        pieces[count++] = piece;
    }
    return count;
}

void RecordQueue::pop(std::size_t count) {
    WSPOOL_ASSERT(count <= size_);
    size_ -= count;
    popped_ += count;
    while (!buffers_.empty() && popped_ >= buffers_.front().size()) {
        popped_ -= buffers_.front().size();
        reuse(buffers_.front());
        buffers_.pop_front();
    }
}

void RecordQueue::clear() {
    buffers_.clear();
    spare_.release();
    popped_ = 0;
    size_ = 0;
}

void RecordQueue::reuse(ByteBuffer& buffer) {
    if (buffer.capacity() > spare_capacity_max) return;
    if (buffer.capacity() <= spare_.capacity()) return;
    buffer.clear();
    spare_ = ByteBuffer(std::move(buffer));
}

std::size_t RecordQueue::memory() const {
    std::size_t sum = spare_.capacity();
    for (const ByteBuffer& buffer : buffers_) sum += buffer.capacity();
    return sum;
}

void RecordQueue::check_invariants() const {
    std::size_t sum = 0;
    for (const ByteBuffer& buffer : buffers_) {
        WSPOOL_ASSERT(!buffer.empty());
        sum += buffer.size();
    }
    WSPOOL_ASSERT(sum == size_ + popped_);
}

}  // namespace wspool::link
