#include "session/turn_arena.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <deque>

namespace wspool::session {
namespace {

// Whatever is still referred to keeps its bytes.
RC_GTEST_PROP(TurnArena, keeps_what_is_not_released, ()) {
    struct Held {
        std::byte* data;
        std::size_t size;
        std::byte value;
        std::uint64_t turn;
    };
    TurnArena arena;
    std::deque<Held> held;
    for (std::uint64_t turn = 1; turn < 60; ++turn) {
        const int writes = *rc::gen::inRange(0, 4);
        for (int i = 0; i < writes; ++i) {
            const auto size = *rc::gen::inRange<std::size_t>(1, 100'000);
            const auto value = static_cast<std::byte>(*rc::gen::inRange(0, 256));
            std::byte* data = arena.allocate(size, turn);
            std::memset(data, std::to_integer<int>(value), size);
            held.push_back({data, size, value, turn});
        }
        if (*rc::gen::inRange(0, 3) == 0 && !held.empty()) {
            const auto kept = *rc::gen::inRange<std::size_t>(0, held.size() + 1);
            while (held.size() > kept) held.pop_front();
            arena.release_before(held.empty() ? turn + 1 : held.front().turn);
        }
        for (const Held& one : held) {
            RC_ASSERT(one.data[0] == one.value);
            RC_ASSERT(one.data[one.size - 1] == one.value);
        }
    }
}

TEST(TurnArena, allocates_one_after_the_other) {
    TurnArena arena;
    std::byte* first = arena.allocate(10, 1);
    EXPECT_EQ(arena.allocate(5, 1), first + 10);
    arena.release_before(2);
    EXPECT_EQ(arena.allocate(5, 2), first);
}

}  // namespace
}  // namespace wspool::session
