#include "hub/blob_ring.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <string>

namespace wspool::hub {
namespace {

RC_GTEST_PROP(BlobRing, behaves_like_a_queue_of_strings, (std::uint64_t seed)) {
    std::uint64_t state = seed;
    const auto below = [&](std::uint64_t bound) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return (state >> 33) % bound;
    };
    BlobRing<int> ring;
    std::deque<std::pair<int, std::string>> model;
    for (int i = 0; i < 400; ++i) {
        if (below(100) < 52) {
            const std::string first(below(3) == 0 ? below(90) : below(9), static_cast<char>(i));
            const std::string second(below(5), 'x');
            ring.push_back(i, as_bytes(first), as_bytes(second));
            model.emplace_back(i, first + second);
        } else if (!model.empty()) {
            ring.pop_front();
            model.pop_front();
            ring.shrink();
        }
        RC_ASSERT(ring.size() == model.size());
        std::size_t bytes = 0;
        for (std::size_t n = 0; n < model.size(); ++n) {
            RC_ASSERT(ring[n] == model[n].first);
            RC_ASSERT(as_text(ring.blob(n)) == model[n].second);
            bytes += model[n].second.size();
        }
        RC_ASSERT(ring.bytes() == bytes);
    }
}

}  // namespace
}  // namespace wspool::hub
