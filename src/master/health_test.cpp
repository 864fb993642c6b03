#include "master/health.h"

#include <gtest/gtest.h>

#include <vector>

namespace wspool::master {
namespace {

TEST(HealthTest, NobodyConnectedIsEven) {
    const Health health = examine(std::vector<std::uint64_t>{0, 0});
    EXPECT_EQ(health.connections, 0u);
    EXPECT_EQ(health.deviation, 0);
    EXPECT_TRUE(health.uneven.empty());
}

TEST(HealthTest, TheDeviationIsThatOfTheWorkerFarthestFromTheAverage) {
    const Health health = examine(std::vector<std::uint64_t>{100, 110, 60});
    EXPECT_EQ(health.connections, 270u);
    EXPECT_DOUBLE_EQ(health.average, 90);
    EXPECT_DOUBLE_EQ(health.deviation, 30.0 / 90);
}

TEST(HealthTest, AWorkerIsUnevenBeyondTheThresholdOnEitherSide) {
    const Health health = examine(std::vector<std::uint64_t>{500, 1500, 1000, 1000});
    EXPECT_EQ(health.uneven, (std::vector<std::size_t>{0, 1}));
    EXPECT_TRUE(examine(std::vector<std::uint64_t>{750, 1250}).uneven.empty());
}

TEST(HealthTest, SmallNumbersAreUnevenByChance) {
    EXPECT_TRUE(examine(std::vector<std::uint64_t>{0, 3}).uneven.empty());
    EXPECT_TRUE(examine(std::vector<std::uint64_t>{10, 90}).uneven.empty());
}

}  // namespace
}  // namespace wspool::master
