#include "base/histogram.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace wspool {
namespace {

// Spread over all magnitudes: uniform 64-bit numbers are nearly always huge.
rc::Gen<std::uint64_t> any_magnitude() {
    return rc::gen::apply([](std::uint64_t value, unsigned shift) { return value >> shift; },
                          rc::gen::arbitrary<std::uint64_t>(),
                          rc::gen::inRange(0u, 64u));
}

std::uint64_t exact_percentile(const std::vector<std::uint64_t>& sorted, double fraction) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(sorted.size())));
    return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

RC_GTEST_PROP(Histogram, percentile_is_within_one_percent_of_the_exact_one, ()) {
    auto values =
        *rc::gen::nonEmpty(rc::gen::container<std::vector<std::uint64_t>>(any_magnitude()));
    const auto histogram = std::make_unique<Histogram>();
    for (const auto value : values) histogram->record(value);
    std::sort(values.begin(), values.end());
    for (const double fraction : {0.0, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        const auto exact = static_cast<double>(exact_percentile(values, fraction));
        const auto told = static_cast<double>(histogram->percentile(fraction));
        RC_ASSERT(std::abs(told - exact) <= 0.01 * exact);
    }
}

RC_GTEST_PROP(Histogram, merging_two_gives_the_histogram_of_both, ()) {
    const auto first = *rc::gen::container<std::vector<std::uint64_t>>(any_magnitude());
    const auto second = *rc::gen::container<std::vector<std::uint64_t>>(any_magnitude());
    const auto a = std::make_unique<Histogram>();
    const auto b = std::make_unique<Histogram>();
    const auto both = std::make_unique<Histogram>();
    for (const auto value : first) a->record(value), both->record(value);
    for (const auto value : second) b->record(value), both->record(value);
    a->merge(*b);
    RC_ASSERT(a->count() == both->count());
    RC_ASSERT(a->min() == both->min());
    RC_ASSERT(a->max() == both->max());
    for (const double fraction : {0.1, 0.5, 0.9, 0.999}) {
        RC_ASSERT(a->percentile(fraction) == both->percentile(fraction));
    }
}

RC_GTEST_PROP(Histogram, percentiles_rise_and_stay_between_least_and_greatest, ()) {
    const auto values =
        *rc::gen::nonEmpty(rc::gen::container<std::vector<std::uint64_t>>(any_magnitude()));
    const auto histogram = std::make_unique<Histogram>();
    for (const auto value : values) histogram->record(value);
    std::uint64_t previous = histogram->min();
    for (int i = 0; i <= 100; ++i) {
        const std::uint64_t told = histogram->percentile(i / 100.0);
        RC_ASSERT(told >= previous);
        previous = told;
    }
    RC_ASSERT(previous == histogram->max());
}

TEST(Histogram, an_empty_one_answers_zero) {
    const auto histogram = std::make_unique<Histogram>();
    EXPECT_EQ(histogram->count(), 0u);
    EXPECT_EQ(histogram->percentile(0.5), 0u);
    EXPECT_EQ(histogram->min(), 0u);
    EXPECT_EQ(histogram->max(), 0u);
    EXPECT_EQ(histogram->mean(), 0.0);
}

TEST(Histogram, takes_the_whole_range) {
    const auto histogram = std::make_unique<Histogram>();
    histogram->record(0);
    histogram->record(UINT64_MAX);
    EXPECT_EQ(histogram->percentile(0.5), 0u);
    EXPECT_EQ(histogram->percentile(1.0), UINT64_MAX);
}

TEST(Histogram, one_record_of_many_equals_many_of_one) {
    const auto once = std::make_unique<Histogram>();
    const auto often = std::make_unique<Histogram>();
    once->record(1'000, 5);
    for (int i = 0; i < 5; ++i) often->record(1'000);
    EXPECT_EQ(once->count(), often->count());
    EXPECT_EQ(once->mean(), often->mean());
    EXPECT_EQ(once->percentile(0.9), often->percentile(0.9));
}

}  // namespace
}  // namespace wspool
