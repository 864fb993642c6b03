// DeadlineHeap: the deadlines of many waiters, one each, exact to the nanosecond, earliest first. A
// binary heap in which each object knows its place, so that it can be taken out in O(log n). A new
// deadline is mostly the latest, and then putting it in is one comparison. (TimerWheel is quicker
// where a tick's accuracy will do and most deadlines are moved again and again.)
//
// `position_of` is a callable, std::uint32_t index → std::uint32_t&; UINT32_MAX: not in the heap.
// Invariants: 1. no deadline is earlier than its parent's. 2. entries and positions agree.
#pragma once

#include "base/assert.h"
#include "base/time.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace wspool::pool {

template <class PositionOf>
class DeadlineHeap {
  public:
    explicit DeadlineHeap(PositionOf position_of) : position_of_(position_of) {}

    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] Instant first_due() const {
        return entries_.empty() ? never : entries_.front().due;
    }
    [[nodiscard]] std::uint32_t first() const { return entries_.front().index; }

    void insert(std::uint32_t index, Instant due) {
        entries_.push_back(Entry{due, index});
        rise(entries_.size() - 1);
    }

    // Does nothing for an object that is not in the heap.
    void remove(std::uint32_t index) {
        const std::size_t at = position_of_(index);
        if (at == UINT32_MAX) return;
        position_of_(index) = UINT32_MAX;
        const Entry last = entries_.back();
        entries_.pop_back();
        if (at == entries_.size()) return;
        entries_[at] = last;
        rise(at);
        sink(position_of_(last.index));
    }

    void check_invariants() const {
        for (std::size_t at = 0; at < entries_.size(); ++at) {
            WSPOOL_ASSERT(entries_[(at - (at > 0)) / 2].due <= entries_[at].due);
            WSPOOL_ASSERT(position_of_(entries_[at].index) == at);
        }
    }

  private:
    struct Entry {
        Instant due;
        std::uint32_t index;
    };

    void place(std::size_t at, Entry entry) {
        entries_[at] = entry;
        position_of_(entry.index) = static_cast<std::uint32_t>(at);
    }

    void rise(std::size_t at) {
        const Entry entry = entries_[at];
        for (; at > 0 && entry.due < entries_[(at - 1) / 2].due; at = (at - 1) / 2) {
            place(at, entries_[(at - 1) / 2]);
        }
        place(at, entry);
    }

    void sink(std::size_t at) {
        const Entry entry = entries_[at];
        for (std::size_t child = 2 * at + 1; child < entries_.size(); child = 2 * at + 1) {
            if (child + 1 < entries_.size() && entries_[child + 1].due < entries_[child].due)
                ++child;
            if (entry.due <= entries_[child].due) break;
            place(at, entries_[child]);
            at = child;
        }
        place(at, entry);
    }

    PositionOf position_of_;
    std::vector<Entry> entries_;
};

}  // namespace wspool::pool
