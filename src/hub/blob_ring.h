// BlobRing<Meta>: a queue of small records, each a Meta and some bytes in one piece. For histories,
// logs and what is kept to be sent again: in a steady state nothing is allocated.
//
// How it works: metas lie in one ring of a power of two, bytes in another that grows by doubling; a
// blob that does not fit before the end starts again at the front. Ownership: copies the bytes;
// views are valid until the next push. Limits: the caller's; a ring holds below 4 GiB.
#pragma once

#include "base/assert.h"
#include "base/bytes.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace wspool::hub {

template <class Meta>
class BlobRing {
  public:
    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] bool empty() const { return count_ == 0; }
    // Of all blobs; what the ring has allocated is at most about three times as much.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

    // From the front.
    [[nodiscard]] Meta& operator[](std::size_t i) { return slot(i).meta; }
    [[nodiscard]] const Meta& operator[](std::size_t i) const { return slot(i).meta; }
    [[nodiscard]] ByteView blob(std::size_t i) const {
        const Slot& at = slot(i);
        return {data_.get() + at.begin, at.size};
    }
    [[nodiscard]] Meta& front() { return slot(0).meta; }
    [[nodiscard]] Meta& back() { return slot(count_ - 1).meta; }

    void push_back(const Meta& meta, ByteView first, ByteView second = {}) {
        const std::size_t size = first.size() + second.size();
        if (count_ == slot_count_) grow_slots();
        const std::size_t begin = place(size);
        if (!first.empty()) std::memcpy(data_.get() + begin, first.data(), first.size());
        if (!second.empty()) {
            std::memcpy(data_.get() + begin + first.size(), second.data(), second.size());
        }
        Slot& at = slots_[(first_ + count_) & (slot_count_ - 1)];
        at = {meta, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(size)};
        ++count_;
        bytes_ += size;
        tail_ = begin + size;
    }
    void pop_front() {
        WSPOOL_ASSERT(count_ > 0);
        bytes_ -= slot(0).size;
        first_ = (first_ + 1) & (slot_count_ - 1);
        --count_;
        if (count_ == 0) tail_ = 0;
    }
    // Gives memory back when it is empty, unless it is little.
    void shrink() {
        if (empty() && capacity_ > 4096) *this = BlobRing();
    }

    BlobRing() = default;
    BlobRing(BlobRing&& other) noexcept { *this = std::move(other); }
    BlobRing& operator=(BlobRing&& other) noexcept {
        slots_ = std::move(other.slots_);
        data_ = std::move(other.data_);
        slot_count_ = std::exchange(other.slot_count_, 0);
        first_ = std::exchange(other.first_, 0);
        count_ = std::exchange(other.count_, 0);
        bytes_ = std::exchange(other.bytes_, 0);
        capacity_ = std::exchange(other.capacity_, 0);
        tail_ = std::exchange(other.tail_, 0);
        return *this;
    }
    BlobRing(const BlobRing&) = delete;
    BlobRing& operator=(const BlobRing&) = delete;
    ~BlobRing() = default;

  private:
    struct Slot {
        Meta meta{};
        std::uint32_t begin = 0;
        std::uint32_t size = 0;
    };

    [[nodiscard]] const Slot& slot(std::size_t i) const {
        return slots_[(first_ + i) & (slot_count_ - 1)];
    }
    [[nodiscard]] Slot& slot(std::size_t i) { return slots_[(first_ + i) & (slot_count_ - 1)]; }

    void grow_slots() {
        const std::size_t larger = slot_count_ == 0 ? 4 : slot_count_ * 2;
        auto slots = std::make_unique<Slot[]>(larger);
        for (std::size_t i = 0; i < count_; ++i) slots[i] = slot(i);
        slots_ = std::move(slots);
        slot_count_ = larger;
        first_ = 0;
    }

    // Where `size` bytes in one piece may be written. The blobs lie in [head, tail), or, once they
    // have gone round, in [head, …) and [0, tail).
    [[nodiscard]] std::size_t place(std::size_t size) {
        if (count_ == 0) {
            if (size <= capacity_) return 0;
        } else {
            const std::size_t head = slot(0).begin;
            const bool is_round = tail_ < head || (tail_ == head && bytes_ > 0);
            if (!is_round && size <= capacity_ - tail_) return tail_;
            if (!is_round && size <= head) return 0;
            if (is_round && size <= head - tail_) return tail_;
        }
        return grow_bytes(size);
    }
    [[nodiscard]] std::size_t grow_bytes(std::size_t size) {
        WSPOOL_ASSERT(bytes_ + size <= UINT32_MAX);
        const std::size_t larger =
            std::max({std::size_t{64}, std::bit_ceil(bytes_ + size), capacity_ * 2});
        // Not value-initialised: it is written before it is read.
        std::unique_ptr<std::byte[]> data(new std::byte[larger]);
        std::size_t end = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            Slot& at = slot(i);
            if (at.size != 0) std::memcpy(data.get() + end, data_.get() + at.begin, at.size);
            at.begin = static_cast<std::uint32_t>(end);
            end += at.size;
        }
        data_ = std::move(data);
        capacity_ = larger;
        return end;
    }

    std::unique_ptr<Slot[]> slots_;
    std::unique_ptr<std::byte[]> data_;
    std::size_t slot_count_ = 0;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
    std::size_t capacity_ = 0;
    std::size_t tail_ = 0;  // behind the last blob
};

}  // namespace wspool::hub
