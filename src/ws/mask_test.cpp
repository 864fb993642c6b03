#include "ws/mask.h"

#include "base/random.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace wspool::ws {
namespace {

constexpr MaskKey key = {std::byte{0x12}, std::byte{0x9A}, std::byte{0xFF}, std::byte{0x01}};

std::vector<std::byte> make_bytes(std::size_t size, std::uint64_t seed) {
    std::vector<std::byte> bytes(size);
    SeededEntropy(seed).fill(bytes);
    return bytes;
}

TEST(ApplyMask, IsAnExclusiveOrForEverySizeAlignmentAndOffset) {
    for (std::size_t size = 0; size <= 600; ++size) {
        for (std::size_t alignment = 0; alignment < (size < 80 ? 16u : 3u); ++alignment) {
            for (std::size_t offset = 0; offset < 4; ++offset) {
                const auto before = make_bytes(alignment + size + 16, size);
                auto bytes = before;
                const std::size_t end =
                    apply_mask(std::span(bytes).subspan(alignment, size), key, offset);
                ASSERT_EQ(end, (offset + size) % 4);
                for (std::size_t i = 0; i < bytes.size(); ++i) {
                    const bool is_inside = i >= alignment && i < alignment + size;
                    const std::byte turned =
                        is_inside ? key[(offset + i - alignment) % 4] : std::byte{0};
                    ASSERT_EQ(bytes[i], before[i] ^ turned) << size << ' ' << alignment;
                }
            }
        }
    }
}

RC_GTEST_PROP(ApplyMask, InPiecesIsTheSameAsAtOnceAndTwiceIsNothing, ()) {
    const auto before = make_bytes(*rc::gen::inRange<std::size_t>(0, 5000), 7);
    auto at_once = before;
    apply_mask(at_once, key);
    auto in_pieces = before;
    std::span<std::byte> rest(in_pieces);
    std::size_t offset = 0;
    while (!rest.empty()) {
        const auto size = *rc::gen::inRange<std::size_t>(1, rest.size() + 1);
        offset = apply_mask(rest.first(size), key, offset);
        rest = rest.subspan(size);
    }
    RC_ASSERT(in_pieces == at_once);
    apply_mask(in_pieces, key);
    RC_ASSERT(in_pieces == before);
}

}  // namespace
}  // namespace wspool::ws
