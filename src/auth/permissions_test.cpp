#include "auth/permissions.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace wspool::auth {
namespace {

TEST(Pattern, is_a_name_or_a_beginning_with_a_star_behind_it) {
    EXPECT_TRUE(is_pattern("room"));
    EXPECT_TRUE(is_pattern("room-*"));
    EXPECT_TRUE(is_pattern("*"));
    for (const std::string_view text : {"", "*room", "ro*om", "**", "room*x", "\xff"})
        EXPECT_FALSE(is_pattern(text)) << text;
    EXPECT_TRUE(is_pattern(std::string(128, 'a') + "*"));
    EXPECT_FALSE(is_pattern(std::string(130, 'a')));
}

TEST(Pattern, with_a_star_matches_what_begins_like_it) {
    EXPECT_TRUE(matches("room-*", "room-"));
    EXPECT_TRUE(matches("room-*", "room-1"));
    EXPECT_FALSE(matches("room-*", "room"));
    EXPECT_TRUE(matches("*", "anything"));
    EXPECT_TRUE(matches("room", "room"));
    EXPECT_FALSE(matches("room", "room1"));
    EXPECT_FALSE(matches("room", "Room"));
}

RC_GTEST_PROP(Pattern,
              a_beginning_allows_exactly_the_names_with_it,
              (const std::string& beginning, const std::string& name)) {
    RC_ASSERT(matches(beginning + "*", beginning + name));
    RC_ASSERT(matches(beginning + "*", name) == name.starts_with(beginning));
}

TEST(Permissions, no_list_allows_all_and_an_empty_one_nothing) {
    Permissions permissions;
    EXPECT_FALSE(permissions.is_limited());
    EXPECT_TRUE(permissions.may_join("a"));
    permissions.join.emplace();
    EXPECT_TRUE(permissions.is_limited());
    EXPECT_FALSE(permissions.may_join("a"));
    EXPECT_TRUE(permissions.may_publish("a"));
    permissions.publish = {"b", "a*"};
    EXPECT_TRUE(permissions.may_publish("abc"));
    EXPECT_FALSE(permissions.may_publish("c"));
}

}  // namespace
}  // namespace wspool::auth
