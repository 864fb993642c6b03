// The inflater on whatever a peer sends, and both directions on it as a message. The first byte
// chooses the limit, the level and the window.
#include "base/assert.h"
#include "ws/deflate.h"

#include <algorithm>
#include <cstdint>

namespace {

using wspool::ByteBuffer;
using wspool::ByteView;
namespace ws = wspool::ws;

void inflate_anything(ByteView bytes, std::size_t size_max) {
    ws::Inflater inflater;
    ByteBuffer out;
    const ws::InflateOutcome outcome = inflater.decompress(bytes, size_max, out);
    WSPOOL_ASSERT(out.size() <= size_max);
    WSPOOL_ASSERT(out.capacity() <= std::max<std::size_t>(64, 2 * size_max));

    // No message leaves anything behind for the next one.
    ByteBuffer again;
    WSPOOL_ASSERT(inflater.decompress(bytes, size_max, again) == outcome);
    if (outcome != ws::InflateOutcome::ok) return;
    WSPOOL_ASSERT(std::ranges::equal(out.view(), again.view()));
    ByteBuffer exact;
    WSPOOL_ASSERT(inflater.decompress(bytes, out.size(), exact) == ws::InflateOutcome::ok);
    if (out.empty()) return;
    ByteBuffer small;
    WSPOOL_ASSERT(inflater.decompress(bytes, out.size() - 1, small) == ws::InflateOutcome::too_big);
}

void inflate_in_one_context(ByteView bytes, std::size_t size_max) {
    ws::Inflater inflater(true);
    for (int i = 0; i < 3; ++i) {
        ByteBuffer out;
        if (inflater.decompress(bytes, size_max, out) != ws::InflateOutcome::ok) return;
    }
}

void there_and_back(ByteView message, int level, int window_bits) {
    ws::Deflater deflater(level);
    ws::Inflater inflater;
    ByteBuffer compressed;
    deflater.compress(message, compressed, window_bits);
    ByteBuffer out;
    WSPOOL_ASSERT(inflater.decompress(compressed.view(), message.size(), out) ==
                  ws::InflateOutcome::ok);
    WSPOOL_ASSERT(std::ranges::equal(out.view(), message));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    constexpr std::size_t limits[] = {0, 1, 100, 65'536};
    const ByteView bytes = std::as_bytes(std::span(data + 1, size - 1));
    const std::size_t size_max = limits[data[0] % 4];
    inflate_anything(bytes, size_max);
    inflate_in_one_context(bytes, size_max);
    there_and_back(bytes, data[0] / 4 % 10, 9 + data[0] % 7);
    return 0;
}
