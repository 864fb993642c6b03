#include "hub/directory.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <string>

namespace wspool::hub {
namespace {

RC_GTEST_PROP(Directory, finds_whoever_has_an_id, (std::uint64_t seed)) {
    SeededEntropy entropy(seed);
    Directory directory(entropy);
    std::map<std::uint32_t, std::string> model;
    const auto steps = *rc::gen::inRange(1, 200);
    for (int step = 0; step < steps; ++step) {
        const auto index = *rc::gen::inRange<std::uint32_t>(0, 30);
        if (model.count(index) != 0) {
            directory.remove(index);
            model.erase(index);
        } else if (*rc::gen::inRange(0, 2) == 0) {
            ClientId::TextBuffer buffer;
            directory.add_anonymous(index);
            model[index] = directory.id_of(index, buffer);
        } else {
            model[index] = "client" + std::to_string(*rc::gen::inRange(0, 10));
            directory.add(index, model[index]);
        }
    }
    RC_ASSERT(directory.size() == model.size());
    for (const auto& [index, id] : model) {
        std::set<std::uint32_t> expected;
        for (const auto& [other, other_id] : model) {
            if (other_id == id) expected.insert(other);
        }
        std::set<std::uint32_t> found;
        directory.for_each(id, [&](std::uint32_t at) { found.insert(at); });
        RC_ASSERT(found == expected);
        RC_ASSERT(expected.count(directory.find(id)) == 1u);
    }
    RC_ASSERT(directory.find("nobody") == IndexTable::none);
}

TEST(Directory, anonymous_ids_are_long_and_differ) {
    SeededEntropy entropy(7);
    Directory directory(entropy);
    directory.add_anonymous(0);
    directory.add_anonymous(1);
    ClientId::TextBuffer first;
    ClientId::TextBuffer second;
    EXPECT_EQ(directory.id_of(0, first).substr(0, 5), "anon_");
    EXPECT_EQ(directory.id_of(0, first).size(), 37u);
    EXPECT_NE(directory.id_of(0, first), directory.id_of(1, second));
}

}  // namespace
}  // namespace wspool::hub
