#include "app/units.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>

namespace wspool::app {
namespace {

RC_GTEST_PROP(Units, a_size_survives_being_written_and_read, (std::uint64_t size)) {
    RC_ASSERT(parse_size(format_size(size)) == size);
}

RC_GTEST_PROP(Units, a_duration_survives_being_written_and_read, ()) {
    const Duration duration(
        *rc::gen::inRange<Duration::rep>(0, std::numeric_limits<Duration::rep>::max()));
    RC_ASSERT(parse_duration(format_duration(duration)) == duration);
}

RC_GTEST_PROP(Units, round_quantities_are_written_with_their_unit, ()) {
    const auto number = *rc::gen::inRange<std::uint64_t>(1, 1'000);
    RC_ASSERT(parse_size(std::to_string(number) + "KiB") == number * 1024);
    RC_ASSERT(parse_size(std::to_string(number) + " MB") == number * 1'000'000);
    RC_ASSERT(parse_duration(std::to_string(number) + "ms") == std::chrono::milliseconds(number));
}

RC_GTEST_PROP(Units, any_text_is_answered_with_a_value_or_a_sentence, (const std::string& text)) {
    for (const auto& size : {parse_size(text), parse_count(text)}) {
        RC_ASSERT(size.has_value() || !size.error().message.empty());
    }
    const auto duration = parse_duration(text);
    RC_ASSERT(duration.has_value() || !duration.error().message.empty());
}

TEST(Units, a_number_without_a_unit_is_refused_with_the_units_named) {
    EXPECT_NE(parse_size("64").error().message.find("KiB"), std::string::npos);
    EXPECT_NE(parse_duration("25").error().message.find("ms"), std::string::npos);
}

TEST(Units, what_is_no_quantity_is_refused) {
    for (const auto* text : {"",
                             "KiB",
                             "-1KiB",
                             "+1KiB",
                             "1.5MiB",
                             "64kib",
                             "64 KiB ",
                             "1KiBs",
                             "64  KiB",
                             "99999999999999999999B",
                             "18446744073709551615GiB"}) {
        EXPECT_FALSE(parse_size(text)) << text;
    }
    for (const auto* text : {"", "s", "-1s", "1.5s", "1 minute", "5S", "10000000h", "1m30s"}) {
        EXPECT_FALSE(parse_duration(text)) << text;
    }
    for (const auto* text : {"", "-1", "+1", " 1", "1 ", "1k", "99999999999999999999"}) {
        EXPECT_FALSE(parse_count(text)) << text;
    }
}

}  // namespace
}  // namespace wspool::app
