// GatherArena: the iovecs and msghdrs of one turn's gathering sends, at addresses that stay until
// reset(). Grows to the largest turn seen and allocates nothing after that.
#pragma once

#include "base/assert.h"
#include "base/bytes.h"
#include "io/loop.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace wspool::io {

class GatherArena {
  public:
    [[nodiscard]] msghdr* add(std::span<const ByteView> pieces) {
        WSPOOL_ASSERT(pieces.size() <= send_pieces_max);
        if (used_ == chunks_.size() * chunk_size) {
            chunks_.push_back(std::make_unique<std::array<Gather, chunk_size>>());
        }
        Gather& gather = (*chunks_[used_ / chunk_size])[used_ % chunk_size];
        ++used_;
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            // The kernel takes both directions through one struct; a send only reads.
            gather.pieces[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
        }
        gather.message = {};
        gather.message.msg_iov = gather.pieces.data();
        gather.message.msg_iovlen = pieces.size();
        return &gather.message;
    }

    void reset() { used_ = 0; }

  private:
    struct Gather {
        msghdr message;
        std::array<iovec, send_pieces_max> pieces;
    };
    static constexpr std::size_t chunk_size = 64;

    std::vector<std::unique_ptr<std::array<Gather, chunk_size>>> chunks_;
    std::size_t used_ = 0;
};

}  // namespace wspool::io
