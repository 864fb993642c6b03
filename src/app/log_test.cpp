#include "app/log.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include <array>

namespace wspool::app {
namespace {

RC_GTEST_PROP(Log,
              whatever_is_logged_makes_one_json_object_on_one_line,
              (const std::string& message, const std::string& value, std::uint64_t number)) {
    const std::array<LogField, 2> fields = {{{"peer", std::string_view(value)}, {"count", number}}};
    const std::string line = "{" + format_log_body(LogFormat::json, message, fields) + "}";
    RC_ASSERT(line.find('\n') == std::string::npos);
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    RC_ASSERT(parsed.is_object());
    RC_ASSERT(parsed["count"] == number);
    RC_ASSERT(parsed.size() == 3u);
}

RC_GTEST_PROP(Log, no_control_byte_reaches_a_line_of_text, (const std::string& message)) {
    const std::array<LogField, 1> fields = {{{"peer", std::string_view(message)}}};
    for (const char c : format_log_body(LogFormat::text, message, fields)) {
        RC_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
    }
}

TEST(Log, utf8_is_kept_and_what_is_not_utf8_is_replaced) {
    EXPECT_EQ(format_log_body(LogFormat::text, "gr\xC3\xBC\xC3\x9F \xFF", {}),
              "gr\xC3\xBC\xC3\x9F \xEF\xBF\xBD");
    EXPECT_EQ(format_log_body(LogFormat::text, "\xC0\xAF", {}), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Log, escape_sequences_are_shown_not_obeyed) {
    EXPECT_EQ(format_log_body(LogFormat::text, "\x1B[2J\xC2\x9B", {}), "\\u001b[2J\\u009b");
}

TEST(Log, long_values_are_cut) {
    const std::string flood(1'000'000, 'x');
    EXPECT_LT(format_log_body(LogFormat::json, flood, {}).size(), 2'200u);
}

TEST(Log, fields_follow_the_message) {
    const std::array<LogField, 2> fields = {{{"io", std::string_view("epoll")}, {"workers", 1u}}};
    EXPECT_EQ(format_log_body(LogFormat::text, "ready", fields), "ready io=epoll workers=1");
    EXPECT_EQ(format_log_body(LogFormat::json, "ready", fields),
              R"("message":"ready","io":"epoll","workers":1)");
}

}  // namespace
}  // namespace wspool::app
