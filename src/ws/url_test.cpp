#include "ws/url.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace wspool::ws {
namespace {

struct Good {
    const char* text;
    bool is_secure;
    const char* host;
    std::uint16_t port;
    const char* target;
    const char* authority;
};

TEST(ParseUrl, takes_good_urls_apart) {
    const Good table[] = {
        {"ws://example.com", false, "example.com", 80, "/", "example.com"},
        {"wss://example.com", true, "example.com", 443, "/", "example.com"},
        {"WS://Example.COM/A", false, "example.com", 80, "/A", "example.com"},
        {"ws://example.com:80/", false, "example.com", 80, "/", "example.com"},
        {"ws://example.com:443/", false, "example.com", 443, "/", "example.com:443"},
        {"wss://example.com:443/", true, "example.com", 443, "/", "example.com"},
        {"wss://example.com:80/", true, "example.com", 80, "/", "example.com:80"},
        {"ws://h:65535/a/b?c=d&e=%20", false, "h", 65535, "/a/b?c=d&e=%20", "h:65535"},
        {"ws://h:1?x", false, "h", 1, "/?x", "h:1"},
        {"ws://h?a@b:c/d", false, "h", 80, "/?a@b:c/d", "h"},
        {"ws://h/@", false, "h", 80, "/@", "h"},
        {"ws://localhost.", false, "localhost.", 80, "/", "localhost."},
        {"ws://a_b.c-d.e1", false, "a_b.c-d.e1", 80, "/", "a_b.c-d.e1"},
        {"ws://xn--bcher-kva.example",
         false,
         "xn--bcher-kva.example",
         80,
         "/",
         "xn--bcher-kva.example"},
        {"ws://127.0.0.1:9000", false, "127.0.0.1", 9000, "/", "127.0.0.1:9000"},
        {"ws://255.255.255.255", false, "255.255.255.255", 80, "/", "255.255.255.255"},
        {"ws://[::1]", false, "::1", 80, "/", "[::1]"},
        {"ws://[::]:81/", false, "::", 81, "/", "[::]:81"},
        {"ws://[2001:DB8::1]:9", false, "2001:db8::1", 9, "/", "[2001:db8::1]:9"},
        {"ws://[1:2:3:4:5:6:7:8]", false, "1:2:3:4:5:6:7:8", 80, "/", "[1:2:3:4:5:6:7:8]"},
        {"ws://[1:2:3:4:5:6:7::]", false, "1:2:3:4:5:6:7::", 80, "/", "[1:2:3:4:5:6:7::]"},
        {"ws://[::ffff:1.2.3.4]", false, "::ffff:1.2.3.4", 80, "/", "[::ffff:1.2.3.4]"},
    };
    for (const Good& good : table) {
        const auto url = parse_url(good.text);
        ASSERT_TRUE(url) << good.text << ": " << url.error().message;
        EXPECT_EQ(url->is_secure, good.is_secure) << good.text;
        EXPECT_EQ(url->host, good.host) << good.text;
        EXPECT_EQ(url->port, good.port) << good.text;
        EXPECT_EQ(url->target, good.target) << good.text;
        EXPECT_EQ(url->authority(), good.authority) << good.text;
    }
}

TEST(ParseUrl, refuses_bad_urls_with_a_sentence) {
    const std::vector<std::string> table = {"",
                                            "ws",
                                            "ws:",
                                            "ws:/h",
                                            "ws://",
                                            "ws:///",
                                            "ws://?",
                                            "//h",
                                            "h",
                                            "http://h",
                                            "https://h",
                                            "wsx://h",
                                            " ws://h",
                                            "ws://h ",
                                            "ws://h/a b",
                                            "ws://h/\n",
                                            "ws://h/\xc3\xa9",
                                            "ws://\xc3\xa9/",
                                            std::string("ws://h/\0", 8),
                                            "ws://h/#",
                                            "ws://h#a",
                                            "ws://u@h",
                                            "ws://u:p@h/",
                                            "ws://@h",
                                            "ws://h:",
                                            "ws://h:/",
                                            "ws://h:0",
                                            "ws://h:65536",
                                            "ws://h:99999",
                                            "ws://h:100000",
                                            "ws://h:080",
                                            "ws://h:+80",
                                            "ws://h:-1",
                                            "ws://h:80a",
                                            "ws://h:80:81",
                                            "ws://:80",
                                            "ws://h%41/",
                                            "ws://h/%",
                                            "ws://h/%4",
                                            "ws://h/%zz",
                                            "ws://h/%%",
                                            "ws://a..b",
                                            "ws://.a",
                                            "ws://.",
                                            "ws://-a",
                                            "ws://a-",
                                            "ws://a-.b",
                                            "ws://a,b",
                                            "ws://a\\b",
                                            "ws://good\\@evil",
                                            "ws://a|b",
                                            "ws://a<b",
                                            "ws://a'b",
                                            "ws://127.1",
                                            "ws://1",
                                            "ws://0x7f.1",
                                            "ws://a.0x7f",
                                            "ws://127.0.0.256",
                                            "ws://127.0.0.01",
                                            "ws://1.2.3",
                                            "ws://1.2.3.4.5",
                                            "ws://1.2.3.4.",
                                            "ws://1..2.3",
                                            "ws://[",
                                            "ws://[]",
                                            "ws://[::1",
                                            "ws://::1",
                                            "ws://[::1]x",
                                            "ws://[::1]80",
                                            "ws://[::1]:",
                                            "ws://[1]",
                                            "ws://[:1]",
                                            "ws://[1:]",
                                            "ws://[:::]",
                                            "ws://[1::2::3]",
                                            "ws://[1:2:3:4:5:6:7:8:9]",
                                            "ws://[1:2:3:4:5:6:7:8::]",
                                            "ws://[12345::]",
                                            "ws://[g::]",
                                            "ws://[fe80::1%25eth0]",
                                            "ws://[fe80::1%eth0]",
                                            "ws://[::1.2.3]",
                                            "ws://[1.2.3.4]",
                                            "ws://[::1.2.3.4:5]",
                                            "ws://[example]",
                                            "ws://" + std::string(64, 'a'),
                                            "ws://" + std::string(300, 'a'),
                                            "ws://h/" + std::string(5'000, 'a')};
    for (const std::string& text : table) {
        const auto url = parse_url(text);
        ASSERT_FALSE(url) << text;
        EXPECT_TRUE(url.error().message.ends_with(".")) << url.error().message;
    }
}

RC_GTEST_PROP(ParseUrl, is_the_inverse_of_writing_one, ()) {
    const auto name = *rc::gen::nonEmpty(rc::gen::resize(
        60, rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcxyz")))));
    const auto port = *rc::gen::inRange<int>(1, 65536);
    const bool is_secure = *rc::gen::arbitrary<bool>();
    const auto target = "/" + *rc::gen::container<std::string>(
                                  rc::gen::elementOf(std::string("abc/?=&@:[]!$'()*+,;-._~")));
    const auto url =
        parse_url((is_secure ? "wss://" : "ws://") + name + ":" + std::to_string(port) + target);
    RC_ASSERT(url.has_value());
    RC_ASSERT(url->host == name);
    RC_ASSERT(url->port == port);
    RC_ASSERT(url->target == target);
    RC_ASSERT(parse_url((is_secure ? "wss://" : "ws://") + url->authority() + url->target)->port ==
              port);
}

RC_GTEST_PROP(ParseUrl, never_crashes, (const std::string& text)) {
    (void)parse_url(text);
    (void)parse_url("ws://" + text);
    (void)parse_url("ws://[" + text);
    (void)parse_url("ws://h/" + text);
}

RC_GTEST_PROP(ParseUrl, gives_nothing_that_could_begin_another_header, ()) {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::elementOf(std::string("ab01.:/?[]@%#\\ \r\n\t") + '\0' + '\x80'));
    const auto url = parse_url("ws://" + text);
    if (!url) return;
    for (const char c : url->authority() + url->target) RC_ASSERT(c > 0x20 && c < 0x7f);
}

}  // namespace
}  // namespace wspool::ws
