#include "http/head.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace wspool::http {
namespace {

std::string encoded(std::string_view text) {
    std::string result;
    for (const char c : text) {
        char digits[4];
        std::snprintf(digits, sizeof digits, "%%%02x", static_cast<unsigned char>(c));
        result += digits;
    }
    return result;
}

RC_GTEST_PROP(QueryValue, is_what_was_encoded, (const std::string& value)) {
    const QueryValue found = query_value("/p?a=1&clientId=" + encoded(value) + "&b=2", "clientId");
    RC_ASSERT(found.found && found.ok);
    RC_ASSERT(found.value == value);
}

RC_GTEST_PROP(QueryValue, never_crashes, (const std::string& target, const std::string& name)) {
    (void)query_value(target, name);
    (void)query_value("/?" + target, name);
}

struct Case {
    const char* target;
    bool found;
    bool ok;
    std::string value;
};

TEST(QueryValue, follows_the_table) {
    const Case table[] = {
        {"/", false, true, ""},
        {"/?", false, true, ""},
        {"/?id", true, true, ""},
        {"/?id=", true, true, ""},
        {"/?id=a", true, true, "a"},
        {"/?id=a&id=b", true, true, "a"},
        {"/?x=1&id=b", true, true, "b"},
        {"/?x=id=3", false, true, ""},
        {"/?&&id=a", true, true, "a"},
        {"/?id=a=b", true, true, "a=b"},
        {"/?ID=a", false, true, ""},
        {"/?xid=a", false, true, ""},
        {"/?%69d=a", true, true, "a"},
        {"/?i%6=a", false, true, ""},
        {"/?id=a+b", true, true, "a+b"},
        {"/?id=a%2Bb", true, true, "a+b"},
        {"/?id=a%26b", true, true, "a&b"},
        {"/?id=%C3%a9", true, true, "\xc3\xa9"},
        {"/?id=%00", true, true, std::string(1, '\0')},
        {"/?id=%", true, false, ""},
        {"/?id=%4", true, false, ""},
        {"/?id=%4&x", true, false, ""},
        {"/?id=%zz", true, false, ""},
        {"/?id=a%2", true, false, ""},
        {"/?id=%%41", true, false, ""},
        {"/?id=a?id=b", true, true, "a?id=b"},
        {"/id=a", false, true, ""},
    };
    for (const Case& row : table) {
        const QueryValue found = query_value(row.target, "id");
        EXPECT_EQ(found.found, row.found) << row.target;
        EXPECT_EQ(found.ok, row.ok) << row.target;
        EXPECT_EQ(found.value, row.value) << row.target;
    }
}

TEST(PathOf, leaves_the_query_out) {
    EXPECT_EQ(path_of("/"), "/");
    EXPECT_EQ(path_of("/a/b?c=d?e"), "/a/b");
    EXPECT_EQ(path_of("/?"), "/");
}

}  // namespace
}  // namespace wspool::http
