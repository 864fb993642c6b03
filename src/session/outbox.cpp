#include "session/outbox.h"

#include "ws/frame.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace wspool::session {
namespace {

constexpr std::size_t block_size_min = 1024;
constexpr std::size_t block_size_typical = 16 * 1024;

// A data message ends with a frame that is final and no control frame.
[[nodiscard]] bool ends_message(const std::byte* header) {
    const auto first = std::to_integer<unsigned>(header[0]);
    return (first & 0x80u) != 0 && (first & 0x08u) == 0;
}

}  // namespace

Block* make_block(std::size_t capacity) {
    WSPOOL_ASSERT(capacity <= UINT32_MAX);
    void* memory = std::malloc(sizeof(Block) + capacity);
    WSPOOL_ASSERT(memory != nullptr);
    return new (memory) Block{1, 0, static_cast<std::uint32_t>(capacity)};
}

void add_reference(Block* block) {
    ++block->references;
}

void drop_reference(Block* block) {
    WSPOOL_ASSERT(block->references > 0);
    if (--block->references == 0) std::free(block);
}

void Outbox::push_block(Block* block,
                        const std::byte* data,
                        std::uint32_t size,
                        std::uint32_t messages) {
    add_reference(block);
    pieces_.push_back({data, size, block});
    size_ += size;
    messages_ += messages;
}

void Outbox::push_copy(ByteView bytes, std::uint32_t messages) {
    append_copy(bytes);
    size_ += bytes.size();
    messages_ += messages;
}

// Into the last block when it is ours alone and has room, so that many small frames share one
// allocation.
void Outbox::append_copy(ByteView bytes) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    if (pieces_.size() > first_) {
        Piece& last = pieces_.back();
        Block* block = last.block;
        if (block != nullptr && block->references == 1 &&
            last.data + last.size == block->data() + block->size &&
            block->capacity - block->size >= size) {
            std::memcpy(block->data() + block->size, bytes.data(), size);
            block->size += size;
            last.size += size;
            return;
        }
    }
    const bool is_first = pieces_.size() == first_;
    Block* block =
        make_block(std::max<std::size_t>(size, is_first ? block_size_min : block_size_typical));
    std::memcpy(block->data(), bytes.data(), size);
    block->size = size;
    pieces_.push_back({block->data(), size, block});
}

std::size_t Outbox::front(std::span<ByteView> out, std::size_t size_max) const {
    std::size_t used = 0;
    std::size_t room = size_max;
    for (std::size_t i = first_; i < pieces_.size() && used < out.size() && room > 0; ++i) {
        const std::size_t size = std::min<std::size_t>(pieces_[i].size, room);
        out[used++] = {pieces_[i].data, size};
        room -= size;
    }
    return used;
}

std::uint32_t Outbox::pop(std::size_t count) {
    WSPOOL_ASSERT(count <= size_);
    if (count == size_) {  // the usual case: all of it
        const std::uint32_t sent = messages_;
        clear();
        return sent;
    }
    const std::uint32_t sent = count_messages(count);
    size_ -= count;
    messages_ -= sent;
    while (count > 0) {
        Piece& piece = pieces_[first_];
        if (count < piece.size) {
            piece.data += count;
            piece.size -= static_cast<std::uint32_t>(count);
            break;
        }
        count -= piece.size;
        if (piece.block != nullptr) drop_reference(piece.block);
        ++first_;
    }
    if (first_ > 64 && first_ * 2 > pieces_.size()) {
        pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
    return sent;
}

// Walks the frames in the first `sent` bytes, and remembers where in a frame that ends.
std::uint32_t Outbox::count_messages(std::size_t sent) {
    std::uint32_t messages = 0;
    if (sent < front_) {
        front_ -= static_cast<std::uint32_t>(sent);
        return 0;
    }
    std::size_t at = front_;
    if (is_inside_frame_ && front_is_message_) ++messages;
    std::size_t index = first_;
    std::size_t piece_start = 0;
    is_inside_frame_ = false;
    front_ = 0;
    while (at < sent) {
        while (at >= piece_start + pieces_[index].size) piece_start += pieces_[index++].size;
        const std::byte* header = pieces_[index].data + (at - piece_start);
        const std::uint64_t frame =
            ws::written_frame_size({header, piece_start + pieces_[index].size - at});
        WSPOOL_ASSERT(frame > 0);
        if (at + frame > sent) {
            front_ = static_cast<std::uint32_t>(at + frame - sent);
            is_inside_frame_ = true;
            front_is_message_ = ends_message(header);
            return messages;
        }
        if (ends_message(header)) ++messages;
        at += frame;
    }
    return messages;
}

void Outbox::keep() {
    if (std::all_of(pieces_.begin() + static_cast<std::ptrdiff_t>(first_),
                    pieces_.end(),
                    [](const Piece& piece) { return piece.block != nullptr; })) {
        return;
    }
    std::vector<Piece> old;
    old.swap(pieces_);
    const std::size_t first = std::exchange(first_, 0);
    for (std::size_t i = first; i < old.size(); ++i) {
        if (old[i].block != nullptr) {
            pieces_.push_back(old[i]);
        } else {
            append_copy({old[i].data, old[i].size});
        }
    }
}

std::uint32_t Outbox::drop_unbegun() {
    const std::size_t kept =
        front_;  // the rest of a frame or of a handshake: the stream would break
    const std::uint32_t kept_messages = is_inside_frame_ && front_is_message_ ? 1 : 0;
    const std::uint32_t dropped = messages_ - kept_messages;
    std::size_t room = kept;
    std::size_t end = first_;
    while (room > 0) {
        Piece& piece = pieces_[end++];
        if (piece.size > room) piece.size = static_cast<std::uint32_t>(room);
        room -= piece.size;
    }
    for (std::size_t i = end; i < pieces_.size(); ++i) {
        if (pieces_[i].block != nullptr) drop_reference(pieces_[i].block);
    }
    pieces_.resize(end);
    size_ = kept;
    messages_ = kept_messages;
    return dropped;
}

void Outbox::clear() {
    for (std::size_t i = first_; i < pieces_.size(); ++i) {
        if (pieces_[i].block != nullptr) drop_reference(pieces_[i].block);
    }
    pieces_.clear();
    if (pieces_.capacity() > 64) pieces_.shrink_to_fit();  // it goes back to a pool
    first_ = 0;
    size_ = 0;
    messages_ = 0;
    front_ = 0;
    is_inside_frame_ = false;
    front_is_message_ = false;
}

void Outbox::check_invariants() const {
    std::size_t sum = 0;
    for (std::size_t i = first_; i < pieces_.size(); ++i) {
        WSPOOL_ASSERT(pieces_[i].size > 0);
        sum += pieces_[i].size;
    }
    WSPOOL_ASSERT(sum == size_);
    WSPOOL_ASSERT(front_ <= size_);
    WSPOOL_ASSERT(is_inside_frame_ ? front_ > 0 : true);
}

}  // namespace wspool::session
