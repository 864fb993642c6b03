// Outbox: what one session still has to send, in order, as pieces. Exists only while there is
// something.
//
// A piece refers to bytes of this turn (TurnArena) or to a Block. Blocks are counted references: a
// large frame is encoded once and shared by all its receivers; what a blocked session keeps beyond
// the turn is copied into blocks of its own.
//
// Invariants: 1. size() is the sum of the pieces. 2. After the first front_ bytes, pieces hold
// whole frames, each within one piece: that is how a partial send is counted in messages. 3.
// messages() counts the data messages that are not wholly sent, the one in front included. Limits:
// the engine bounds size(); an empty outbox admits one frame of any size.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wspool::session {

// A counted, immutable-once-shared run of bytes on the heap.
struct Block {
    std::uint32_t references;
    std::uint32_t size;
    std::uint32_t capacity;
    [[nodiscard]] std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
};

[[nodiscard]] Block* make_block(std::size_t capacity);  // one reference
void add_reference(Block* block);
void drop_reference(Block* block);

class Outbox {
  public:
    Outbox() = default;
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;
    ~Outbox() { clear(); }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::uint32_t messages() const { return messages_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    // True while the peer has the beginning of a frame and not its end.
    [[nodiscard]] bool is_inside_frame() const { return is_inside_frame_; }

    // Appends bytes of this turn; extends the last piece where they follow it in memory.
    void push_turn(const std::byte* data, std::uint32_t size, std::uint32_t messages) {
        size_ += size;
        messages_ += messages;
        if (!pieces_.empty()) {
            Piece& last = pieces_.back();
            if (last.block == nullptr && last.data + last.size == data) {
                last.size += size;
                return;
            }
        }
        pieces_.push_back({data, size, nullptr});
    }
    // Appends bytes that are no frames, and only to an empty outbox: the answer to a handshake.
    void push_raw(const std::byte* data, std::uint32_t size) {
        WSPOOL_ASSERT(empty());
        push_turn(data, size, 0);
        front_ = size;
    }
    // Appends a range of `block`, taking a reference.
    void push_block(Block* block,
                    const std::byte* data,
                    std::uint32_t size,
                    std::uint32_t messages);
    // Appends a copy, kept in blocks of this outbox.
    void push_copy(ByteView bytes, std::uint32_t messages);

    // The front, for one send: at most out.size() pieces and size_max bytes. Returns the pieces
    // used.
    [[nodiscard]] std::size_t front(std::span<ByteView> out, std::size_t size_max) const;
    // `count` bytes were sent. Returns how many data messages were thereby wholly sent.
    std::uint32_t pop(std::size_t count);
    // Copies all bytes of the turn into blocks, so that nothing refers to the arena.
    void keep();
    // Drops everything that has not begun to be sent. Returns the number of data messages dropped.
    std::uint32_t drop_unbegun();
    void clear();

    void check_invariants() const;

  private:
    struct Piece {
        const std::byte* data;
        std::uint32_t size;
        Block* block;  // null: bytes of the turn
    };

    [[nodiscard]] std::uint32_t count_messages(std::size_t sent);
    void append_copy(ByteView bytes);

    std::vector<Piece> pieces_;
    std::size_t first_ = 0;  // pieces before it are sent; erased when it pays
    std::size_t size_ = 0;
    std::uint32_t messages_ = 0;
    std::uint32_t front_ = 0;        // bytes in front that do not begin with a frame header
    bool is_inside_frame_ = false;   // those are the rest of a frame
    bool front_is_message_ = false;  // of a data message, its last frame
};

}  // namespace wspool::session
