#include "ws/handshake.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::ws {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

const std::string sample_key = "dGhlIHNhbXBsZSBub25jZQ==";

Lines plain_lines() {
    return {{"Host", "example.com"},
            {"Upgrade", "websocket"},
            {"Connection", "Upgrade"},
            {"Sec-WebSocket-Key", sample_key},
            {"Sec-WebSocket-Version", "13"}};
}

std::vector<HeaderField> views(const Lines& lines) {
    std::vector<HeaderField> fields;
    for (const auto& [name, value] : lines) fields.push_back({name, value});
    return fields;
}

std::string answer_to(const Lines& lines, std::string_view method = "GET") {
    const auto fields = views(lines);
    const auto checked = check_upgrade(method, fields, true);
    if (checked) return "ok";
    EXPECT_FALSE(checked.error().message.empty());
    EXPECT_EQ(checked.error().extra.find("Sec-WebSocket-Version: 13\r\n") != std::string_view::npos,
              checked.error().status == 426);
    return std::to_string(checked.error().status) + ' ' + std::string(checked.error().reason);
}

Lines without(std::string_view name) {
    Lines lines = plain_lines();
    std::erase_if(lines, [&](const auto& line) { return line.first == name; });
    return lines;
}

Lines with(const std::string& name, const std::string& value) {
    Lines lines = plain_lines();
    for (auto& line : lines) {
        if (line.first == name) {
            line.second = value;
            return lines;
        }
    }
    lines.emplace_back(name, value);
    return lines;
}

Lines with_also(const std::string& name, const std::string& value, Lines lines = plain_lines()) {
    lines.emplace_back(name, value);
    return lines;
}

struct Attack {
    std::string name;
    Lines lines;
    std::string answer;
    std::string method = "GET";
};

std::vector<Attack> upgrade_attacks() {
    return {
        {"plain", plain_lines(), "ok"},
        {"POST", plain_lines(), "400 upgrade", "POST"},
        {"HEAD", plain_lines(), "400 upgrade", "HEAD"},
        {"CONNECT", plain_lines(), "400 upgrade", "CONNECT"},
        {"lower-case method", plain_lines(), "400 upgrade", "get"},
        {"no method", plain_lines(), "400 upgrade", ""},
        {"no Upgrade", without("Upgrade"), "426 upgrade"},
        {"no Upgrade in a POST", without("Upgrade"), "426 upgrade", "POST"},
        {"nothing at all", {}, "426 upgrade"},
        {"Upgrade in capitals", with("Upgrade", "WebSocket"), "ok"},
        {"empty Upgrade", with("Upgrade", ""), "400 upgrade"},
        {"Upgrade h2c", with("Upgrade", "h2c"), "400 upgrade"},
        {"Upgrade h2c and websocket", with("Upgrade", "h2c, websocket"), "400 upgrade"},
        {"Upgrade websocket and h2c", with("Upgrade", "websocket, h2c"), "400 upgrade"},
        {"Upgrade twice in a list", with("Upgrade", "websocket, websocket"), "400 upgrade"},
        {"two Upgrades", with_also("Upgrade", "websocket"), "400 upgrade"},
        {"another Upgrade", with_also("upgrade", "h2c"), "400 upgrade"},
        {"Upgrade with version", with("Upgrade", "websocket/13"), "400 upgrade"},
        {"Upgrade misspelt", with("Upgrade", "websockets"), "400 upgrade"},
        {"Upgrade cut short", with("Upgrade", "websocke"), "400 upgrade"},
        {"Upgrade quoted", with("Upgrade", "\"websocket\""), "400 upgrade"},
        {"Upgrade with a parameter", with("Upgrade", "websocket;q=1"), "400 upgrade"},
        {"Upgrade with empty elements", with("Upgrade", ", websocket ,"), "ok"},
        {"Upgrade beyond ASCII", with("Upgrade", "web\xc5\xbfocket"), "400 upgrade"},
        {"no Connection", without("Connection"), "400 upgrade"},
        {"empty Connection", with("Connection", ""), "400 upgrade"},
        {"Connection close", with("Connection", "close"), "400 upgrade"},
        {"Connection as Firefox", with("Connection", "keep-alive, Upgrade"), "ok"},
        {"Connection in capitals", with("Connection", "UPGRADE"), "ok"},
        {"Connection with tabs", with("Connection", "keep-alive\t,\tupgrade"), "ok"},
        {"Connection in two headers", with_also("Connection", "x", plain_lines()), "ok"},
        {"Connection part of a word", with("Connection", "upgraded"), "400 upgrade"},
        {"Connection without comma", with("Connection", "keep-alive Upgrade"), "400 upgrade"},
        {"Connection quoted", with("Connection", "\"Upgrade\""), "400 upgrade"},
        {"Connection with semicolon", with("Connection", "Upgrade; x"), "400 upgrade"},
        {"body by length", with("Content-Length", "5"), "400 body"},
        {"no body by length", with("Content-Length", "0"), "ok"},
        {"two lengths", with_also("content-length", "0", with("Content-Length", "0")), "400 body"},
        {"chunked", with("Transfer-Encoding", "chunked"), "400 body"},
        {"identity", with("Transfer-Encoding", "identity"), "400 body"},
        {"no version", without("Sec-WebSocket-Version"), "426 version"},
        {"empty version", with("Sec-WebSocket-Version", ""), "426 version"},
        {"version 8", with("Sec-WebSocket-Version", "8"), "426 version"},
        {"version 12", with("Sec-WebSocket-Version", "12"), "426 version"},
        {"version 14", with("Sec-WebSocket-Version", "14"), "426 version"},
        {"version 013", with("Sec-WebSocket-Version", "013"), "426 version"},
        {"version +13", with("Sec-WebSocket-Version", "+13"), "426 version"},
        {"version 13.0", with("Sec-WebSocket-Version", "13.0"), "426 version"},
        {"version list", with("Sec-WebSocket-Version", "13, 8"), "426 version"},
        {"two versions", with_also("Sec-WebSocket-Version", "8"), "426 version"},
        {"two equal versions", with_also("Sec-WebSocket-Version", "13"), "426 version"},
        {"no key", without("Sec-WebSocket-Key"), "400 key"},
        {"two keys", with_also("Sec-WebSocket-Key", sample_key), "400 key"},
        {"empty key", with("Sec-WebSocket-Key", ""), "400 key"},
        {"key of 15 bytes", with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA"), "400 key"},
        {"key of 17 bytes", with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAAA="), "400 key"},
        {"key of 18 bytes", with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAAAA"), "400 key"},
        {"key without padding", with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA"), "400 key"},
        {"key with half the padding",
         with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA="),
         "400 key"},
        {"key in base64url", with("Sec-WebSocket-Key", "-_AAAAAAAAAAAAAAAAAAAA=="), "400 key"},
        {"key with a space", with("Sec-WebSocket-Key", "AAAAAAAA AAAAAAAAAAAAA=="), "400 key"},
        {"key with padding inside",
         with("Sec-WebSocket-Key", "AAAA==AAAAAAAAAAAAAAAA=="),
         "400 key"},
        {"key with NUL",
         with("Sec-WebSocket-Key", std::string(1, '\0') + sample_key.substr(1)),
         "400 key"},
        {"key beyond ASCII", with("Sec-WebSocket-Key", "\xff" + sample_key.substr(1)), "400 key"},
        {"key list", with("Sec-WebSocket-Key", sample_key + ", " + sample_key), "400 key"},
        {"key with loose bits", with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAB=="), "ok"},
        {"key of slashes", with("Sec-WebSocket-Key", "//////////////////////=="), "ok"},
        {"two Origins", with_also("Origin", "a", with("Origin", "https://a")), "400 malformed"},
        {"__proto__ as a header", with("__proto__", "x"), "ok"},
        {"constructor as a header", with("constructor", "x"), "ok"},
    };
}

std::vector<Attack> list_attacks() {
    const auto protocol = [](const std::string& value) {
        return with("Sec-WebSocket-Protocol", value);
    };
    const auto extension = [](const std::string& value) {
        return with("Sec-WebSocket-Extensions", value);
    };
    return {
        {"one subprotocol", protocol("wspool.v1"), "ok"},
        {"several", protocol("wspool.v1, bearer.a-b_c.d , x"), "ok"},
        {"empty list", protocol(""), "400 malformed"},
        {"only a comma", protocol(","), "400 malformed"},
        {"comma at the end", protocol("a,"), "400 malformed"},
        {"comma at the beginning", protocol(",a"), "400 malformed"},
        {"two commas", protocol("a,,b"), "400 malformed"},
        {"space inside", protocol("a b"), "400 malformed"},
        {"slash", protocol("a/b"), "400 malformed"},
        {"quoted", protocol("\"a\""), "400 malformed"},
        {"parameter", protocol("a;b"), "400 malformed"},
        {"beyond ASCII", protocol("\xc3\xa9"), "400 malformed"},
        {"NUL", protocol(std::string("a\0b", 3)), "400 malformed"},
        {"twice", protocol("a, b, a"), "400 malformed"},
        {"twice over two headers",
         with_also("sec-websocket-protocol", "a", protocol("a")),
         "400 malformed"},
        {"in two headers", with_also("sec-websocket-protocol", "b", protocol("a")), "ok"},
        {"in two cases", protocol("a, A"), "ok"},
        {"__proto__", protocol("__proto__, constructor, toString"), "ok"},
        {"unknown extension", extension("x-webkit-deflate-frame"), "ok"},
        {"unknown with parameters", extension("foo; a; b=1; c=\"d\""), "ok"},
        {"unknown with repeated parameters", extension("foo; a; a; a=1"), "ok"},
        {"extension __proto__", extension("__proto__; constructor=toString"), "ok"},
        {"empty extensions", extension(""), "400 malformed"},
        {"only a comma", extension(","), "400 malformed"},
        {"comma at the end", extension("foo,"), "400 malformed"},
        {"two commas", extension("foo,,bar"), "400 malformed"},
        {"only a semicolon", extension(";"), "400 malformed"},
        {"semicolon at the end", extension("foo;"), "400 malformed"},
        {"two semicolons", extension("foo;;a"), "400 malformed"},
        {"no value", extension("foo; a="), "400 malformed"},
        {"two values", extension("foo; a=1=2"), "400 malformed"},
        {"value without name", extension("foo; =1"), "400 malformed"},
        {"equals at the name", extension("foo=1"), "400 malformed"},
        {"two words", extension("foo bar"), "400 malformed"},
        {"open quote", extension("foo; a=\"1"), "400 malformed"},
        {"open escape", extension("foo; a=\"1\\"), "400 malformed"},
        {"lone quote", extension("foo; a=\""), "400 malformed"},
        {"empty quote", extension("foo; a=\"\""), "400 malformed"},
        {"space in quotes", extension("foo; a=\"b c\""), "400 malformed"},
        {"comma in quotes", extension("foo; a=\"b,c\""), "400 malformed"},
        {"escaped comma in quotes", extension("foo; a=\"b\\,c\""), "400 malformed"},
        {"escaped letter in quotes", extension("foo; a=\"b\\c\""), "ok"},
        {"text behind quotes", extension("foo; a=\"b\"c"), "400 malformed"},
        {"quoted name", extension("\"foo\""), "400 malformed"},
        {"beyond ASCII", extension("f\xc3\xb6o"), "400 malformed"},
        {"NUL", extension(std::string("f\0o", 3)), "400 malformed"},
        {"spaces around everything", extension(" foo ; a = 1 , bar\t;\tb "), "ok"},
        {"second header malformed",
         with_also("Sec-WebSocket-Extensions", "=", extension("foo")),
         "400 malformed"},
    };
}

TEST(CheckUpgrade, answers_every_attack_of_the_tables) {
    ASSERT_GE(upgrade_attacks().size() + list_attacks().size(), 80u);
    for (const auto& table : {upgrade_attacks(), list_attacks()}) {
        for (const Attack& attack : table) {
            EXPECT_EQ(answer_to(attack.lines, attack.method), attack.answer) << attack.name;
            Lines backwards = attack.lines;
            std::reverse(backwards.begin(), backwards.end());
            EXPECT_EQ(answer_to(backwards, attack.method), attack.answer) << attack.name;
        }
    }
}

TEST(CheckUpgrade, gives_what_was_asked_for) {
    Lines lines = with("Origin", "https://a.example");
    lines.emplace_back("Sec-WebSocket-Protocol", "wspool.v1,  bearer.x");
    lines.emplace_back("Sec-WebSocket-Protocol", "chat");
    const auto fields = views(lines);
    const auto upgrade = check_upgrade("GET", fields, true);
    ASSERT_TRUE(upgrade);
    EXPECT_EQ(upgrade->key, sample_key);
    EXPECT_EQ(upgrade->origin, "https://a.example");
    EXPECT_EQ(upgrade->subprotocols,
              (std::vector<std::string_view>{"wspool.v1", "bearer.x", "chat"}));
    EXPECT_FALSE(upgrade->deflate);
}

TEST(CheckUpgrade, judges_every_byte_in_every_field_without_harm) {
    for (const char* name : {"Upgrade",
                             "Connection",
                             "Sec-WebSocket-Key",
                             "Sec-WebSocket-Version",
                             "Sec-WebSocket-Protocol",
                             "Sec-WebSocket-Extensions",
                             "Origin",
                             "Content-Length",
                             "Transfer-Encoding"}) {
        for (int value = 0; value < 256; ++value) {
            for (const std::string& text :
                 {std::string(1, static_cast<char>(value)),
                  std::string("a") + static_cast<char>(value),
                  std::string("foo; a=\"") + static_cast<char>(value) + "\"",
                  sample_key.substr(0, 21) + static_cast<char>(value) + "=="}) {
                const std::string answer = answer_to(with(name, text));
                if (answer == "ok" && name != std::string_view("Origin")) {
                    const bool is_text = value == '\t' || (value >= 0x20 && value < 0x7f);
                    EXPECT_TRUE(is_text) << name << ' ' << value;
                }
            }
        }
    }
}

RC_GTEST_PROP(CheckUpgrade, never_crashes_on_arbitrary_fields, (const Lines& lines)) {
    Lines all = plain_lines();
    all.insert(all.end(), lines.begin(), lines.end());
    (void)check_upgrade("GET", views(all), true);
    (void)check_upgrade("GET", views(lines), true);
}

RC_GTEST_PROP(CheckUpgrade, never_crashes_on_lists_of_the_grammars_own_signs, ()) {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::elementOf(std::string("ab,;=\"\\ \t1permessage-deflate")));
    (void)answer_to(with("Sec-WebSocket-Extensions", text));
    (void)answer_to(with("Sec-WebSocket-Extensions", "permessage-deflate" + text));
    (void)answer_to(with("Sec-WebSocket-Protocol", text));
}

// Deliberately large, so that anything quadratic would run into the test's time limit.
TEST(CheckUpgrade, is_linear_on_hostile_lists) {
    std::string names;
    for (int i = 0; i < 200'000; ++i) names += (i == 0 ? "" : ",") + std::to_string(i);
    EXPECT_EQ(answer_to(with("Sec-WebSocket-Protocol", names)), "ok");
    EXPECT_EQ(answer_to(with("Sec-WebSocket-Protocol", names + ",0")), "400 malformed");
    EXPECT_EQ(answer_to(with("Sec-WebSocket-Extensions", names)), "ok");
    for (const char* piece :
         {";a", " ", ";a=1", ",a", ";\"", "\\", "\"", "\t", ";a=\"\\", "=", "a"}) {
        std::string text = "permessage-deflate";
        while (text.size() < 1'000'000) text += piece;
        (void)answer_to(with("Sec-WebSocket-Extensions", text));
        (void)answer_to(with("Sec-WebSocket-Protocol", text));
        (void)answer_to(with("Connection", text));
    }
}

// What the offers are answered with; "" when all of them are declined.
std::string answer_to_offer(const std::string& offer, bool allow_deflate = true) {
    const Lines lines = with("Sec-WebSocket-Extensions", offer);
    const auto fields = views(lines);
    const auto upgrade = check_upgrade("GET", fields, allow_deflate);
    if (!upgrade) return "refused";
    const std::string response = make_upgrade_response(*upgrade, "");
    const std::string name =
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
        "client_no_context_takeover";
    const std::size_t begin = response.find(name);
    if (begin == std::string::npos) return "declined";
    const std::size_t end = response.find("\r\n", begin);
    return "agreed" + response.substr(begin + name.size(), end - begin - name.size());
}

TEST(DeflateOffer, is_answered_as_the_table_says) {
    const std::vector<std::pair<std::string, std::string>> table = {
        {"permessage-deflate", "agreed"},
        {"permessage-deflate; client_max_window_bits", "agreed"},
        {"permessage-deflate; client_max_window_bits=8", "agreed"},
        {"permessage-deflate; client_max_window_bits=\"12\"", "agreed"},
        {"permessage-deflate; server_no_context_takeover", "agreed"},
        {"permessage-deflate; client_no_context_takeover", "agreed"},
        {"permessage-deflate; server_max_window_bits=15", "agreed; server_max_window_bits=15"},
        {"permessage-deflate; server_max_window_bits=9", "agreed; server_max_window_bits=9"},
        {"permessage-deflate; server_max_window_bits=\"1\\0\"",
         "agreed; server_max_window_bits=10"},
        {"permessage-deflate; server_max_window_bits=8", "declined"},
        {"permessage-deflate; server_max_window_bits", "declined"},
        {"permessage-deflate; server_max_window_bits=7", "declined"},
        {"permessage-deflate; server_max_window_bits=16", "declined"},
        {"permessage-deflate; server_max_window_bits=09", "declined"},
        {"permessage-deflate; server_max_window_bits=+9", "declined"},
        {"permessage-deflate; server_max_window_bits=9.0", "declined"},
        {"permessage-deflate; server_max_window_bits=1e1", "declined"},
        {"permessage-deflate; server_max_window_bits=100000000000", "declined"},
        {"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", "declined"},
        {"permessage-deflate; client_max_window_bits=7", "declined"},
        {"permessage-deflate; client_max_window_bits=16", "declined"},
        {"permessage-deflate; client_max_window_bits=08", "declined"},
        {"permessage-deflate; client_max_window_bits; client_max_window_bits", "declined"},
        {"permessage-deflate; server_no_context_takeover=1", "declined"},
        {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", "declined"},
        {"permessage-deflate; client_no_context_takeover=true", "declined"},
        {"permessage-deflate; unknown", "declined"},
        {"permessage-deflate; __proto__", "declined"},
        {"permessage-deflate; Server_no_context_takeover", "declined"},
        {"Permessage-Deflate", "declined"},
        {"x-webkit-deflate-frame", "declined"},
        {"permessage-deflate; server_max_window_bits=8, permessage-deflate", "agreed"},
        {"permessage-deflate; unknown, foo, permessage-deflate; server_max_window_bits=12",
         "agreed; server_max_window_bits=12"},
        {"permessage-deflate, permessage-deflate; server_max_window_bits=12", "agreed"},
        {"permessage-deflate; server_max_window_bits=", "refused"},
        {"permessage-deflate; server_max_window_bits=8, =", "refused"},
    };
    for (const auto& [offer, answer] : table) EXPECT_EQ(answer_to_offer(offer), answer) << offer;
    EXPECT_EQ(answer_to_offer("permessage-deflate", false), "declined");
    EXPECT_EQ(answer_to_offer("=", false), "refused");
}

TEST(DeflateOffer, is_accepted_for_exactly_the_window_bits_that_zlib_can_produce) {
    for (int bits = -1; bits <= 300; ++bits) {
        const std::string offer =
            "permessage-deflate; server_max_window_bits=" + std::to_string(bits);
        EXPECT_EQ(answer_to_offer(offer) != "declined", bits >= 9 && bits <= 15) << bits;
    }
}

TEST(AcceptKey, is_the_example_of_the_rfc) {
    EXPECT_EQ(accept_key(sample_key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(accept_key(sample_key), accept_key(sample_key));
}

TEST(UpgradeResponse, is_written_in_full) {
    Upgrade upgrade;
    upgrade.key = sample_key;
    EXPECT_EQ(make_upgrade_response(upgrade, "wspool.v1"),
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
              "Sec-WebSocket-Protocol: wspool.v1\r\n\r\n");
    EXPECT_EQ(make_upgrade_response(upgrade, "").find("Protocol:"), std::string::npos);
}

}  // namespace
}  // namespace wspool::ws
