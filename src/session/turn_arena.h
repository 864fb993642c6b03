// TurnArena: memory for what is written during a turn and gone from the process at its end.
// Appending is a pointer bump; frames written one after the other lie one after the other, so a
// session that receives both sends them as one piece.
//
// How it works: chunks are filled in order and stamped with the last turn that wrote to them. The
// owner says at each turn from which turn on bytes are still referred to; older chunks are used
// again. Limits: memory grows with what one turn, or a backlog of turns, writes; the engine bounds
// that backlog.
#pragma once

#include "base/assert.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace wspool::session {

class TurnArena {
  public:
    static constexpr std::size_t chunk_size = 256 * 1024;

    // `size` bytes (at most chunk_size) that stay until release_before() passes `turn`.
    [[nodiscard]] std::byte* allocate(std::size_t size, std::uint64_t turn) {
        WSPOOL_ASSERT(size <= chunk_size);
        if (chunks_.empty() || chunk_size - chunks_.back().used < size) add_chunk();
        Chunk& chunk = chunks_.back();
        std::byte* result = chunk.bytes.get() + chunk.used;
        chunk.used += size;
        chunk.last_turn = turn;
        return result;
    }

    // Nothing written before `turn` is referred to any more.
    void release_before(std::uint64_t turn) {
        while (!chunks_.empty() && chunks_.front().last_turn < turn) {
            if (chunks_.size() == 1) {
                chunks_.front().used = 0;
                return;
            }
            if (spare_.size() < spare_max) spare_.push_back(std::move(chunks_.front().bytes));
            chunks_.pop_front();
        }
    }

  private:
    static constexpr std::size_t spare_max = 4;

    struct Chunk {
        std::unique_ptr<std::byte[]> bytes;
        std::size_t used = 0;
        std::uint64_t last_turn = 0;
    };

    void add_chunk() {
        Chunk chunk;
        if (spare_.empty()) {
            chunk.bytes.reset(
                new std::byte[chunk_size]);  // not zeroed: touched page by page as it fills
        } else {
            chunk.bytes = std::move(spare_.back());
            spare_.pop_back();
        }
        chunks_.push_back(std::move(chunk));
    }

    std::deque<Chunk> chunks_;
    std::vector<std::unique_ptr<std::byte[]>> spare_;
};

}  // namespace wspool::session
