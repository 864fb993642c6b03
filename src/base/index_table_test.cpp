#include "base/index_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace wspool {
namespace {

// Few distinct hashes, so that chains, wrap-around and backward shifts all happen.
RC_GTEST_PROP(IndexTable, behaves_like_a_multimap, ()) {
    IndexTable table;
    std::map<std::uint32_t, std::uint64_t> model;  // index → hash
    const auto steps = *rc::gen::inRange(1, 400);
    for (int i = 0; i < steps; ++i) {
        if (model.empty() || *rc::gen::inRange(0, 3) != 0) {
            const std::uint32_t index = static_cast<std::uint32_t>(i);
            const std::uint64_t hash = *rc::gen::inRange<std::uint64_t>(0, 40);
            table.insert(hash, index);
            model[index] = hash;
        } else {
            auto it = model.begin();
            std::advance(
                it,
                *rc::gen::inRange<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(model.size())));
            table.erase(it->second, it->first);
            model.erase(it);
        }
        RC_ASSERT(table.size() == model.size());
    }
    for (const auto& [index, hash] : model) {
        const std::uint32_t wanted = index;
        RC_ASSERT(table.find(hash, [&](std::uint32_t at) { return at == wanted; }) == index);
        RC_ASSERT(table.find(hash + 1000, [](std::uint32_t) { return true; }) == IndexTable::none);
    }
}

TEST(IndexTable, finds_nothing_when_empty) {
    EXPECT_EQ(IndexTable().find(1, [](std::uint32_t) { return true; }), IndexTable::none);
}

}  // namespace
}  // namespace wspool
