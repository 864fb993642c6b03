// StreamTable: what a loop remembers about each stream, listener and watched descriptor: 24 bytes.
// An idle connection costs no other memory of ours, so this must stay small.
//
// Slots live in chunks that never move and are never given back. Freeing a slot makes its ids stale
// at once (the generation changes), but the slot itself is reused only when it is not linked in the
// ready list any more. ReadyList: the slots with something to do, first come first served, linked
// through the slots.
#pragma once

#include "base/assert.h"
#include "io/loop.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace wspool::io {

enum class StreamKind : std::uint8_t { none, connecting, stream, listener, watch };

enum class StreamFlag : std::uint16_t {
    listed = 1,         // linked in the ready list
    armed = 2,          // the kernel will report readiness
    readable = 4,       // not known to be drained
    end_near = 8,       // the end or an error was reported: a short read does not mean drained
    error_seen = 16,    // SO_ERROR may say more
    blocked = 32,       // a send was short and no room was reported since
    writable = 64,      // the owner is still to be told that there is room
    paused = 128,       // by the owner
    ended = 256,        // the owner was told
    failed = 512,       // the owner was told, or `arm_failed` and about to be
    arm_failed = 1024,  // the kernel had no memory to watch it
    sent = 2048,        // has a send queued for the next wait()
    always = 4096,      // a watched regular file: always readable
    resting = 8192,     // a listener that waits for descriptors
    shared = 16384,     // adopted: another process may hold the same socket
};

struct Slot {
    std::uint64_t owner = 0;
    int fd = -1;  // of a connect that failed at once: -errno
    std::uint32_t generation = 0;
    std::uint32_t next = UINT32_MAX;  // in the ready list or the free list
    std::uint16_t flags = 0;
    StreamKind kind = StreamKind::none;

    [[nodiscard]] bool has(StreamFlag flag) const {
        return (flags & static_cast<std::uint16_t>(flag)) != 0;
    }
    void set(StreamFlag flag) { flags |= static_cast<std::uint16_t>(flag); }
    void clear(StreamFlag flag) {
        flags = static_cast<std::uint16_t>(flags & ~static_cast<unsigned>(flag));
    }
};
static_assert(sizeof(Slot) == 24);

class StreamTable {
  public:
    // The loops pack an index into 24 bits; no kernel gives one process so many descriptors.
    static constexpr std::uint32_t size_max = 1u << 24;

    [[nodiscard]] std::uint32_t acquire(StreamKind kind, int fd, std::uint64_t owner) {
        if (free_ == UINT32_MAX) grow();
        const std::uint32_t index = free_;
        Slot& slot = (*this)[index];
        free_ = slot.next;
        const std::uint32_t generation = slot.generation;
        slot = Slot{owner, fd, generation, UINT32_MAX, 0, kind};
        return index;
    }

    // Makes every id of the slot stale. A slot in the ready list is recycled by whoever takes it
    // out.
    void retire(std::uint32_t index) {
        Slot& slot = (*this)[index];
        WSPOOL_ASSERT(slot.kind != StreamKind::none);
        slot.kind = StreamKind::none;
        ++slot.generation;
        if (!slot.has(StreamFlag::listed)) recycle(index);
    }

    void recycle(std::uint32_t index) {
        Slot& slot = (*this)[index];
        WSPOOL_ASSERT(slot.kind == StreamKind::none);
        slot.next = free_;
        free_ = index;
    }

    [[nodiscard]] Slot& operator[](std::uint32_t index) {
        return chunks_[index / chunk_size][index % chunk_size];
    }
    [[nodiscard]] StreamId id(std::uint32_t index) { return {index, (*this)[index].generation}; }

    // Null when the id is stale.
    [[nodiscard]] Slot* find(StreamId id) {
        if (id.index >= size()) return nullptr;
        Slot& slot = (*this)[id.index];
        const bool is_live = slot.generation == id.generation && slot.kind != StreamKind::none;
        return is_live ? &slot : nullptr;
    }
    [[nodiscard]] const Slot* find(StreamId id) const {
        if (id.index >= size()) return nullptr;
        const Slot& slot = chunks_[id.index / chunk_size][id.index % chunk_size];
        const bool is_live = slot.generation == id.generation && slot.kind != StreamKind::none;
        return is_live ? &slot : nullptr;
    }

    [[nodiscard]] std::uint32_t size() const {
        return static_cast<std::uint32_t>(chunks_.size()) * chunk_size;
    }

  private:
    static constexpr std::uint32_t chunk_size = 512;

    void grow() {
        WSPOOL_ASSERT(size() + chunk_size <= size_max);
        const std::uint32_t first = size();
        chunks_.push_back(std::make_unique<Slot[]>(chunk_size));
        for (std::uint32_t i = chunk_size; i-- > 0;) recycle(first + i);
    }

    std::vector<std::unique_ptr<Slot[]>> chunks_;
    std::uint32_t free_ = UINT32_MAX;
};

class ReadyList {
  public:
    explicit ReadyList(StreamTable& table) : table_(table) {}

    [[nodiscard]] std::uint32_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::uint32_t front() const { return first_; }

    // Does nothing for a slot that is in the list already: it keeps its place.
    void push_back(std::uint32_t index) {
        Slot& slot = table_[index];
        if (slot.has(StreamFlag::listed)) return;
        slot.set(StreamFlag::listed);
        slot.next = UINT32_MAX;
        if (size_ == 0) {
            first_ = index;
        } else {
            table_[last_].next = index;
        }
        last_ = index;
        ++size_;
    }

    void pop_front() {
        WSPOOL_ASSERT(size_ > 0);
        Slot& slot = table_[first_];
        first_ = slot.next;
        slot.clear(StreamFlag::listed);
        --size_;
    }

  private:
    StreamTable& table_;
    std::uint32_t first_ = UINT32_MAX;
    std::uint32_t last_ = UINT32_MAX;
    std::uint32_t size_ = 0;
};

}  // namespace wspool::io
