#include "session/outbox.h"

#include "ws/frame.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace wspool::session {
namespace {

// One whole frame of `payload` bytes; a data message unless it is a ping.
std::string make_frame(std::size_t payload, ws::Opcode opcode, char fill) {
    std::array<std::byte, ws::frame_header_size_max> head;
    ws::FrameHeader header;
    header.opcode = opcode;
    header.payload_size = payload;
    const std::size_t size = ws::write_frame_header(header, head.data());
    std::string frame(reinterpret_cast<const char*>(head.data()), size);
    return frame + std::string(payload, fill);
}

std::string front_bytes(const Outbox& outbox, std::size_t size_max) {
    std::array<ByteView, 8> pieces;
    const std::size_t count = outbox.front(pieces, size_max);
    std::string bytes;
    for (std::size_t i = 0; i < count; ++i) bytes += as_text(pieces[i]);
    return bytes;
}

// What goes in comes out in order, whatever it is kept in and however it is taken; messages are
// counted when their last byte has gone.
RC_GTEST_PROP(Outbox, gives_back_what_was_put_in, ()) {
    std::deque<std::string> arena;  // bytes of the turn: stable addresses
    Outbox outbox;
    std::string expected;
    std::deque<std::pair<std::size_t, bool>> frames;  // bytes left, is a message
    std::uint32_t messages = 0;
    const auto steps = *rc::gen::inRange(1, 120);
    for (int step = 0; step < steps; ++step) {
        const int what = *rc::gen::inRange(0, 7);
        if (what < 4) {
            const bool is_message = *rc::gen::inRange(0, 4) != 0;
            const auto payload = *rc::gen::inRange<std::size_t>(0, is_message ? 3000 : 126);
            const std::string frame = make_frame(payload,
                                                 is_message ? ws::Opcode::text : ws::Opcode::ping,
                                                 static_cast<char>('a' + step % 26));
            const ByteView view = as_bytes(frame);
            const std::uint32_t count = is_message ? 1 : 0;
            if (what == 0) {
                outbox.push_copy(view, count);
            } else if (what == 1) {
                Block* block = make_block(view.size());
                block->size = static_cast<std::uint32_t>(view.size());
                std::memcpy(block->data(), view.data(), view.size());
                outbox.push_block(block, block->data(), block->size, count);
                drop_reference(block);
            } else {
                arena.push_back(frame);
                outbox.push_turn(
                    as_bytes(arena.back()).data(), static_cast<std::uint32_t>(view.size()), count);
            }
            expected += frame;
            frames.emplace_back(frame.size(), is_message);
            messages += count;
        } else if (what == 4) {
            outbox.keep();
            arena.clear();
        } else if (what == 5 && !expected.empty()) {
            std::size_t sent = *rc::gen::inRange<std::size_t>(1, expected.size() + 1);
            expected.erase(0, sent);
            std::uint32_t whole = 0;
            const std::uint32_t reported = outbox.pop(sent);
            while (sent > 0) {
                const std::size_t part = std::min(sent, frames.front().first);
                frames.front().first -= part;
                sent -= part;
                if (frames.front().first > 0) break;
                if (frames.front().second) ++whole;
                frames.pop_front();
            }
            RC_ASSERT(reported == whole);
            messages -= whole;
        }
        outbox.check_invariants();
        RC_ASSERT(outbox.size() == expected.size());
        RC_ASSERT(outbox.messages() == messages);
        const std::string seen = front_bytes(outbox, 4000);
        RC_ASSERT(seen == expected.substr(0, seen.size()));
        RC_ASSERT(seen.empty() == expected.empty());
    }
}

TEST(Outbox, extends_the_last_piece_where_bytes_follow_in_memory) {
    const std::string bytes =
        make_frame(1, ws::Opcode::text, 'a') + make_frame(1, ws::Opcode::text, 'b');
    Outbox outbox;
    outbox.push_turn(as_bytes(bytes).data(), 3, 1);
    outbox.push_turn(as_bytes(bytes).data() + 3, 3, 1);
    std::array<ByteView, 8> pieces;
    EXPECT_EQ(outbox.front(pieces, 100), 1u);
    EXPECT_EQ(pieces[0].size(), 6u);
    EXPECT_EQ(outbox.messages(), 2u);
}

TEST(Outbox, keeps_the_rest_of_a_begun_frame_when_the_others_are_dropped) {
    Outbox outbox;
    outbox.push_copy(as_bytes(make_frame(10, ws::Opcode::text, 'a')), 1);
    outbox.push_copy(as_bytes(make_frame(10, ws::Opcode::text, 'b')), 1);
    EXPECT_EQ(outbox.pop(5), 0u);
    EXPECT_TRUE(outbox.is_inside_frame());
    EXPECT_EQ(outbox.drop_unbegun(), 1u);
    EXPECT_EQ(outbox.size(), 7u);
    EXPECT_EQ(front_bytes(outbox, 100), "aaaaaaa");
    EXPECT_EQ(outbox.pop(7), 1u);
    EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, never_cuts_the_answer_to_a_handshake) {
    const std::string head = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    Outbox outbox;
    outbox.push_raw(as_bytes(head).data(), static_cast<std::uint32_t>(head.size()));
    outbox.push_copy(as_bytes(make_frame(3, ws::Opcode::text, 'x')), 1);
    EXPECT_EQ(outbox.pop(4), 0u);
    EXPECT_EQ(outbox.drop_unbegun(), 1u);
    EXPECT_EQ(front_bytes(outbox, 100), head.substr(4));
}

}  // namespace
}  // namespace wspool::session
