#include "app/top_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace wspool::app {
namespace {

using std::chrono::seconds;

constexpr std::size_t wide = SIZE_MAX;

std::string stats(std::string_view more = "") {
    return R"({"result":{"uptime":3725.5,"workers":1,"draining":false,"connections":{"current":7,)"
           R"("max":100,"peak":9,"created":12,"closed":5,"rejected":2,"utilization":7.0})" +
           std::string(more) + "}}";
}

std::string workers(std::uint64_t received, std::uint64_t incarnation = 1) {
    return R"({"result":{"workers":[{"worker":0,"state":"ready","pid":42,"incarnation":)" +
           std::to_string(incarnation) +
           R"(,"restarts":3,"uptime":10.0,"connections":{"current":7,"max":100},"messages":{)"
           R"("received":)" +
           std::to_string(received) +
           R"(,"sent":20000,"dropped":4,"queued":5},"bytes":{"received":100,"sent":50000000},)"
           R"("groups":6}],"control":{"state":"ready","pid":43,"uptime":90}}})";
}

TopSample sample_of(const TopAnswers& answers, Instant at = Instant{}) {
    auto sample = read_top(answers, at);
    EXPECT_TRUE(sample) << sample.error().message;
    return sample ? *sample : TopSample{};
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

TEST(TopTable, ShowsFiguresAndAveragesSinceTheStart) {
    const std::string one = stats();
    const std::string two = workers(1000);
    const auto lines = render_top(sample_of({one, two, ""}), nullptr, wide, wide);
    EXPECT_EQ(
        joined(lines),
        "up 1h02m  connections 7 of 100  peak 9  rejected 2\n"
        "\n"
        "WORKER   STATE  PID     UP  CONNS  MAX  IN/s  OUT/s  IN B/s  OUT B/s  DROPPED  QUEUED"
        "  GROUPS  RESTARTS\n"
        "0        ready   42    10s      7  100   100   2000      10    5000k        4       5"
        "       6         3\n"
        "control  ready   43  1m30s      -    -     -      -       -        -        -       -"
        "       -         -\n");
}

TEST(TopTable, RatesAreSinceTheSampleBefore) {
    const std::string one = stats();
    const std::string first = workers(1000);
    const std::string second = workers(1600);
    const TopSample before = sample_of({one, first, ""});
    const TopSample now = sample_of({one, second, ""}, Instant{} + seconds(2));
    EXPECT_NE(joined(render_top(now, &before, wide, wide)).find("  300    0.0  "),
              std::string::npos)
        << joined(render_top(now, &before, wide, wide));
}

TEST(TopTable, AReplacedWorkerHasNoRateFromTheOneBefore) {
    const std::string one = stats();
    const std::string first = workers(1'000'000, 1);
    const std::string second = workers(50, 2);
    const TopSample before = sample_of({one, first, ""});
    const TopSample now = sample_of({one, second, ""}, Instant{} + seconds(2));
    EXPECT_NE(joined(render_top(now, &before, wide, wide)).find("  5.0   2000  "),
              std::string::npos)
        << joined(render_top(now, &before, wide, wide));
}

TEST(TopTable, ShowsPrioritiesInTheirOrderAndPoolsAndTheLargestGroupsFirst) {
    const std::string one = stats(
        R"(,"byPriority":{"low":3,"critical":1},"waiting":{"low":9,"critical":0},)"
        R"("preemptions":{"low":{"critical":2,"high":1}},)"
        R"("pools":{"trading":{"max":20,"byPriority":{"low":3,"high":4},"waiting":{"low":9}}})");
    const std::string two = workers(1);
    const std::string groups = R"({"result":{"groups":[{"group":"a","members":2,"offset":null},)"
                               R"({"group":"b","members":5,"offset":12,"history":7}]}})";
    const std::string text = joined(render_top(sample_of({one, two, groups}), nullptr, wide, wide));
    EXPECT_NE(text.find("\n\n"
                        "PRIORITY  SEATS  WAITING  PREEMPTED\n"
                        "critical      1        0          -\n"
                        "low           3        9          3\n"
                        "\n"
                        "POOL     SEATS  MAX  WAITING\n"
                        "trading      7   20        9\n"
                        "\n"
                        "GROUP  MEMBERS  OFFSET  HISTORY\n"
                        "b            5      12        7\n"
                        "a            2       -        -\n"),
              std::string::npos)
        << text;
}

TEST(TopTable, WhatIsNotToldIsLeftOut) {
    const std::string nothing = R"({"result":{}})";
    EXPECT_EQ(joined(render_top(sample_of({nothing, nothing, "no JSON"}), nullptr, wide, wide)),
              "up 0s  connections - of -  peak -  rejected -\n");
}

TEST(TopTable, WhatIsNoAnswerOfAGatewayIsToldSo) {
    for (const std::string_view wrong : {"", "hello", "[]", "{}", R"({"result":5})"}) {
        EXPECT_FALSE(read_top({wrong, wrong, ""}, Instant{})) << wrong;
    }
}

TEST(TopTable, NamesCannotSteerTheTerminal) {
    const std::string one = stats();
    const std::string two = workers(1);
    const std::string groups =
        R"({"result":{"groups":[{"group":"\u001b[2Jx\u009b","members":2}]}})";
    const std::string text = joined(render_top(sample_of({one, two, groups}), nullptr, wide, wide));
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_NE(text.find("\\u001b[2Jx\\u009b"), std::string::npos) << text;
}

RC_GTEST_PROP(TopTable, FitsEveryWindow, ()) {
    const std::string one = stats();
    const std::string two = workers(1);
    const std::string groups =
        R"({"result":{"groups":[{"group":"zwölf Fässer für Jürgen ä","members":2}]}})";
    const auto columns = *rc::gen::inRange<std::size_t>(1, 150);
    const auto rows = *rc::gen::inRange<std::size_t>(0, 12);
    const auto lines = render_top(sample_of({one, two, groups}), nullptr, columns, rows);
    RC_ASSERT(lines.size() <= rows);
    for (const std::string& line : lines) {
        const auto characters = std::count_if(line.begin(), line.end(), [](char c) {
            return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
        });
        RC_ASSERT(static_cast<std::size_t>(characters) <= columns);
        // Whole characters only: a first byte of two is followed by its second.
        RC_ASSERT(line.empty() || (static_cast<unsigned char>(line.back()) & 0xC0) != 0xC0);
    }
}

RC_GTEST_PROP(TopTable, AnyAnswerIsShownOrRefused, (const std::string& text)) {
    const std::string wrapped = R"({"result":{"connections":)" + text + "}}";
    for (const std::string_view each : {std::string_view(text), std::string_view(wrapped)}) {
        const auto sample = read_top({each, each, each}, Instant{});
        if (sample) RC_ASSERT(!render_top(*sample, &*sample, 80, 24).empty());
    }
}

}  // namespace
}  // namespace wspool::app
