#include "auth/origin.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace wspool::auth {
namespace {

std::optional<std::vector<Origin>> list_of(std::initializer_list<std::string_view> texts) {
    std::vector<Origin> list;
    for (const auto text : texts) list.push_back(*parse_origin(text));
    return list;
}

TEST(Origin, is_scheme_host_and_port_whatever_the_case) {
    EXPECT_EQ(parse_origin("HTTPS://Good.Example"), parse_origin("https://good.example:443"));
    EXPECT_EQ(parse_origin("http://good.example"), parse_origin("http://good.example:80"));
    EXPECT_NE(parse_origin("http://good.example"), parse_origin("https://good.example"));
    EXPECT_NE(parse_origin("https://good.example"), parse_origin("https://good.example:8443"));
    EXPECT_TRUE(parse_origin("http://[::1]:8080").has_value());
    EXPECT_TRUE(parse_origin("chrome-extension://abcdef").has_value());
}

TEST(Origin, anything_else_is_none) {
    for (const std::string_view text : {"null",
                                        "",
                                        "good.example",
                                        "//good.example",
                                        "https:good.example",
                                        "https://",
                                        "https://good.example/",
                                        "https://good.example/path",
                                        "https://good.example?x",
                                        "https://good.example#x",
                                        "https://user@good.example",
                                        "https://good.example:",
                                        "https://good.example:0",
                                        "https://good.example:080",
                                        "https://good.example:65536",
                                        "https://good.example:x",
                                        "https://good.example ",
                                        " https://good.example",
                                        "https://good.example`.evil",
                                        "https://good.example$",
                                        "https://good.example,https://evil",
                                        "https://good.example https://evil",
                                        "https://g\xc3\xb6\x6f.example",
                                        "https://[::1",
                                        "https://[]",
                                        "https://[x]",
                                        "1https://good.example"})
        EXPECT_FALSE(parse_origin(text).has_value()) << text;
}

TEST(Origin, a_list_allows_what_it_names_and_nothing_that_resembles_it) {
    const auto allowed = list_of({"https://good.example", "http://[::1]:3000"});
    EXPECT_TRUE(is_allowed("https://good.example", "other", allowed));
    EXPECT_TRUE(is_allowed("https://GOOD.example:443", "other", allowed));
    EXPECT_TRUE(is_allowed("http://[::1]:3000", "other", allowed));
    for (const std::string_view text : {"null",
                                        "http://good.example",
                                        "https://good.example:444",
                                        "https://good.example.evil",
                                        "https://evilgood.example",
                                        "https://sub.good.example",
                                        "https://good.example.",
                                        "https://xn--good.example",
                                        "https://good.example@evil",
                                        "https://evil#good.example",
                                        "https://other"})
        EXPECT_FALSE(is_allowed(text, "other", allowed)) << text;
}

TEST(Origin, without_a_list_a_page_may_connect_to_the_host_it_came_from) {
    EXPECT_TRUE(is_allowed("http://a.example:8080", "a.example:8080", {}));
    EXPECT_TRUE(is_allowed("http://a.example", "A.example", {}));
    EXPECT_TRUE(is_allowed("https://a.example", "a.example", {}));  // a proxy speaks TLS before us
    EXPECT_TRUE(is_allowed("http://a.example", "a.example:80", {}));
    EXPECT_TRUE(is_allowed("http://[::1]:80", "[::1]", {}));
    EXPECT_FALSE(is_allowed("http://a.example:8081", "a.example:8080", {}));
    EXPECT_FALSE(is_allowed("http://a.example:8080", "a.example", {}));
    EXPECT_FALSE(is_allowed("http://b.example", "a.example", {}));
    EXPECT_FALSE(is_allowed("null", "null", {}));
    EXPECT_FALSE(is_allowed("http://a.example", "", {}));
}

TEST(Origin, an_empty_list_allows_none) {
    EXPECT_FALSE(is_allowed("http://a.example", "a.example", list_of({})));
}

RC_GTEST_PROP(Origin, any_text_is_judged, (const std::string& text)) {
    if (is_allowed(text, "a.example", {})) RC_ASSERT(parse_origin(text)->host == "a.example");
}

}  // namespace
}  // namespace wspool::auth
