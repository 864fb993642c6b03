#include "link/record_queue.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace wspool::link {
namespace {

// Against a string: whatever is pushed and popped, the front is what comes next.
RC_GTEST_PROP(RecordQueue, KeepsEveryByteInOrder, ()) {
    RecordQueue queue;
    std::string model;
    ByteBuffer buffer;
    char letter = 'a';
    const auto steps = *rc::gen::container<std::vector<std::pair<bool, std::size_t>>>(rc::gen::pair(
        rc::gen::arbitrary<bool>(),
        rc::gen::weightedOneOf<std::size_t>({{10, rc::gen::inRange<std::size_t>(0, 100)},
                                             {1, rc::gen::inRange<std::size_t>(0, 100'000)}})));
    for (const auto& [is_push, size] : steps) {
        if (is_push) {
            const std::string text(size, letter);
            letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1);
            buffer.append(text);
            model += text;
            queue.push(buffer);
            RC_ASSERT(buffer.empty());
        } else {
            std::array<ByteView, 3> pieces;
            const std::size_t count = queue.front(pieces, size);
            std::string front;
            for (std::size_t i = 0; i < count; ++i) front += as_text(pieces[i]);
            RC_ASSERT(front.size() <= size);
            RC_ASSERT(front == model.substr(0, front.size()));
            RC_ASSERT(!front.empty() || model.empty() || size == 0);
            queue.pop(front.size());
            model.erase(0, front.size());
        }
        RC_ASSERT(queue.size() == model.size());
        queue.check_invariants();
    }
}

TEST(RecordQueue, WhatIsSentMeanwhileStaysWhereItIs) {
    RecordQueue queue;
    ByteBuffer buffer;
    std::array<ByteView, 8> pieces;
    for (int i = 0; i < 8; ++i) {
        buffer.append("12345678");
        queue.push(buffer);
    }
    ASSERT_EQ(queue.front(pieces, 1000), 8u);
    for (int i = 0; i < 1000; ++i) {
        buffer.append("more");
        queue.push(buffer);
    }
    for (const ByteView piece : pieces) EXPECT_EQ(as_text(piece), "12345678");
}

TEST(RecordQueue, ABacklogOfSmallBuffersOccupiesAboutItsBytes) {
    RecordQueue queue;
    ByteBuffer buffer;
    for (int i = 0; i < 10'000; ++i) {
        (void)buffer.reserve_back(4096);
        buffer.append("a small record's worth of bytes, some fifty of them");
        queue.push(buffer);
    }
    EXPECT_LE(queue.memory(), 3 * queue.size() + 32 * 4096);
}

TEST(RecordQueue, ABufferThatWasSentIsTheNextOneToFill) {
    RecordQueue queue;
    ByteBuffer buffer;
    buffer.append(std::string(1000, 'x'));
    const std::byte* first = buffer.data();
    queue.push(buffer);
    queue.pop(1000);
    EXPECT_TRUE(queue.empty());
    buffer.append("y");
    queue.push(buffer);
    EXPECT_EQ(buffer.data(), first);
}

}  // namespace
}  // namespace wspool::link
