#include "metrics/counters.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace wspool::metrics {
namespace {

template <class Reason>
void expect_distinct_labels() {
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < static_cast<std::size_t>(Reason::count_); ++i) {
        const std::string_view label = name(static_cast<Reason>(i));
        EXPECT_FALSE(label.empty()) << "reason " << i;
        EXPECT_TRUE(seen.insert(label).second) << label << " names two reasons";
        EXPECT_TRUE(std::all_of(label.begin(), label.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        })) << label;
    }
}

std::uint64_t figure(const Counters& counters, std::string_view wanted) {
    for (const auto& [label, value] : list(counters, false)) {
        if (label == wanted) return value;
    }
    ADD_FAILURE() << wanted << " is not listed";
    return 0;
}

TEST(CountersTest, EveryReasonHasALabelOfItsOwn) {
    expect_distinct_labels<CloseReason>();
    expect_distinct_labels<RejectReason>();
    expect_distinct_labels<DropReason>();
}

TEST(CountersTest, LabelsFollowTheOrderOfTheReasons) {
    EXPECT_EQ(name(CloseReason::by_peer), "by_peer");
    EXPECT_EQ(name(CloseReason::bad_utf8), "bad_utf8");
    EXPECT_EQ(name(CloseReason::slow_consumer), "slow_consumer");
    EXPECT_EQ(name(CloseReason::shutdown), "shutdown");
    EXPECT_EQ(name(RejectReason::malformed), "malformed");
    EXPECT_EQ(name(RejectReason::timeout), "timeout");
    EXPECT_EQ(name(RejectReason::peer_lost), "peer_lost");
    EXPECT_EQ(name(DropReason::slow_consumer), "slow_consumer");
    EXPECT_EQ(name(DropReason::closed), "closed");
}

TEST(CountersTest, AReasonIsListedUnderItsLabel) {
    Counters counters;
    counters.add(CloseReason::bad_mask);
    counters.add(CloseReason::bad_mask);
    counters.add(RejectReason::version);
    counters.add(DropReason::closed, 7);
    EXPECT_EQ(figure(counters, "wspool_connections_closed_total{reason=\"bad_mask\"}"), 2u);
    EXPECT_EQ(figure(counters, "wspool_connections_rejected_total{reason=\"version\"}"), 1u);
    EXPECT_EQ(figure(counters, "wspool_dropped_total{reason=\"closed\"}"), 7u);
    EXPECT_EQ(figure(counters, "wspool_dropped_total{reason=\"slow_consumer\"}"), 0u);
    counters.add(HandoverResult::declined);
    EXPECT_EQ(figure(counters, "wspool_handovers_total{kind=\"placement\",result=\"declined\"}"),
              1u);
}

TEST(CountersTest, ZeroReasonsAreLeftOutOnRequestAndPlainFiguresNever) {
    Counters counters;
    counters.add(CloseReason::replaced);
    const auto all = list(counters, false);
    const auto brief = list(counters, true);
    const std::size_t reasons = static_cast<std::size_t>(CloseReason::count_) +
                                static_cast<std::size_t>(RejectReason::count_) +
                                static_cast<std::size_t>(DropReason::count_) +
                                static_cast<std::size_t>(HandoverResult::count_) +
                                static_cast<std::size_t>(AcquireResult::count_);
    EXPECT_EQ(all.size() - brief.size(), reasons - 1);
    EXPECT_EQ(figure(counters, "wspool_connections"), 0u);
}

TEST(CountersTest, NoFigureIsListedTwiceAndCountersEndInTotal) {
    std::set<std::string> seen;
    for (const auto& [label, value] : list(Counters{}, false)) {
        EXPECT_TRUE(seen.insert(label).second) << label;
        EXPECT_EQ(label.rfind("wspool_", 0), 0u) << label;
        const auto brace = label.find('{');
        if (brace == std::string::npos) continue;
        EXPECT_TRUE(label.substr(0, brace).ends_with("_total")) << label;
        EXPECT_EQ(label.back(), '}') << label;
    }
}

RC_GTEST_PROP(CountersTest, WhatIsSettledExactlyOnceIsConserved, ()) {
    Counters counters;
    const auto outcomes = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 4));
    for (const int outcome : outcomes) {
        ++counters.accepted;
        switch (outcome) {
            case 0:
                ++counters.delivered;
                break;
            case 1:
                counters.add(DropReason::slow_consumer, 1);
                break;
            case 2:
                counters.add(DropReason::closed, 1);
                break;
            default:
                ++counters.queued;
                break;
        }
        RC_ASSERT(counters.is_conserved());
    }
    ++counters.accepted;
    RC_ASSERT(!counters.is_conserved());
}

}  // namespace
}  // namespace wspool::metrics
