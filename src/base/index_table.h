// IndexTable: a hash table from a 64-bit hash to 32-bit indexes of objects that live elsewhere and
// hold the key themselves. Eight bytes a slot, open addressing with linear probing, deletion
// without tombstones. Equal hashes may stand in it several times; the caller tells them apart.
#pragma once

#include "base/assert.h"

#include <cstdint>
#include <vector>

namespace wspool {

class IndexTable {
  public:
    static constexpr std::uint32_t none = UINT32_MAX;

    [[nodiscard]] std::size_t size() const { return size_; }

    void insert(std::uint64_t hash, std::uint32_t index) {
        WSPOOL_ASSERT(index != none);
        if ((size_ + 1) * 4 > slots_.size() * 3) grow();
        place(fold(hash), index);
        ++size_;
    }

    // The first index under `hash` for which `is_it(index)` holds, else none.
    template <class Predicate>
    [[nodiscard]] std::uint32_t find(std::uint64_t hash, Predicate is_it) const {
        if (slots_.empty()) return none;
        const std::uint32_t folded = fold(hash);
        for (std::size_t at = home(folded); slots_[at].index != none; at = next(at)) {
            if (slots_[at].hash == folded && is_it(slots_[at].index)) return slots_[at].index;
        }
        return none;
    }

    // Removes the entry (hash, index), which is there.
    void erase(std::uint64_t hash, std::uint32_t index) {
        std::size_t hole = home(fold(hash));
        while (slots_[hole].index != index) {
            WSPOOL_ASSERT(slots_[hole].index != none);
            hole = next(hole);
        }
        --size_;
        // Moves back whatever would become unreachable behind the hole.
        for (std::size_t at = next(hole); slots_[at].index != none; at = next(at)) {
            const std::size_t distance_home = (at - home(slots_[at].hash)) & mask();
            const std::size_t distance_hole = (at - hole) & mask();
            if (distance_home >= distance_hole) {
                slots_[hole] = slots_[at];
                hole = at;
            }
        }
        slots_[hole] = Slot{};
    }

  private:
    struct Slot {
        std::uint32_t hash = 0;
        std::uint32_t index = none;
    };

    [[nodiscard]] static std::uint32_t fold(std::uint64_t hash) {
        return static_cast<std::uint32_t>(hash ^ (hash >> 32));
    }
    [[nodiscard]] std::size_t mask() const { return slots_.size() - 1; }
    [[nodiscard]] std::size_t home(std::uint32_t folded) const { return folded & mask(); }
    [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & mask(); }

    void place(std::uint32_t folded, std::uint32_t index) {
        std::size_t at = home(folded);
        while (slots_[at].index != none) at = next(at);
        slots_[at] = Slot{folded, index};
    }

    void grow() {
        std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
        old.swap(slots_);
        for (const Slot& slot : old) {
            if (slot.index != none) place(slot.hash, slot.index);
        }
    }

    std::vector<Slot> slots_;
    std::size_t size_ = 0;
};

}  // namespace wspool
