#include "ws/handshake.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace wspool::ws {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

ClientHandshake plain_handshake() {
    ClientHandshake handshake;
    handshake.host = "example.com:9000";
    handshake.target = "/chat?x=1";
    handshake.key = "dGhlIHNhbXBsZSBub25jZQ==";
    handshake.subprotocols = {"wspool.v1", "chat"};
    handshake.headers = {{"X-Client-Id", "a b"}};
    return handshake;
}

Lines plain_answer() {
    return {{"Upgrade", "websocket"},
            {"Connection", "Upgrade"},
            {"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}};
}

Lines answer_with(const std::string& name, const std::string& value) {
    Lines lines = plain_answer();
    for (auto& line : lines) {
        if (line.first == name) {
            line.second = value;
            return lines;
        }
    }
    lines.emplace_back(name, value);
    return lines;
}

Result<Accepted> check(const Lines& lines,
                       int status = 101,
                       const ClientHandshake& handshake = plain_handshake()) {
    std::vector<HeaderField> fields;
    for (const auto& [name, value] : lines) fields.push_back({name, value});
    return check_upgrade_response(status, fields, handshake);
}

// The fields of a request or response that is known to be well formed.
Lines lines_of(std::string_view head) {
    Lines lines;
    head.remove_prefix(head.find("\r\n") + 2);
    while (!head.starts_with("\r\n")) {
        const std::size_t colon = head.find(": ");
        const std::size_t end = head.find("\r\n");
        lines.emplace_back(head.substr(0, colon), head.substr(colon + 2, end - colon - 2));
        head.remove_prefix(end + 2);
    }
    return lines;
}

TEST(UpgradeRequest, is_written_in_full) {
    EXPECT_EQ(make_upgrade_request(plain_handshake()).value(),
              "GET /chat?x=1 HTTP/1.1\r\nHost: example.com:9000\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: wspool.v1, chat\r\n"
              "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
              "client_no_context_takeover\r\nX-Client-Id: a b\r\n\r\n");
    ClientHandshake bare = plain_handshake();
    bare.subprotocols.clear();
    bare.headers.clear();
    bare.offer_deflate = false;
    EXPECT_EQ(make_upgrade_request(bare).value(),
              "GET /chat?x=1 HTTP/1.1\r\nHost: example.com:9000\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              "Sec-WebSocket-Version: 13\r\n\r\n");
}

TEST(UpgradeRequest, refuses_every_byte_that_could_begin_another_header) {
    for (int value = 0; value < 256; ++value) {
        const std::string text = std::string("a") + static_cast<char>(value) + "b";
        std::vector<ClientHandshake> handshakes(6, plain_handshake());
        handshakes[0].host = text;
        handshakes[1].target = "/" + text;
        handshakes[2].subprotocols = {text};
        handshakes[3].headers = {{text, "x"}};
        handshakes[4].headers = {{"X", text}};
        handshakes[5].key = text;
        for (std::size_t i = 0; i < handshakes.size(); ++i) {
            const auto request = make_upgrade_request(handshakes[i]);
            const bool is_value = i == 4;
            const bool is_outside = value < 0x20 || value >= 0x7f || (value == 0x20 && !is_value);
            if (is_outside && !(is_value && value == '\t')) {
                EXPECT_FALSE(request) << i << ' ' << value;
            }
            if (i == 5) {
                EXPECT_FALSE(request) << value;
            }
        }
    }
}

TEST(UpgradeRequest, refuses_what_would_make_another_request_of_it) {
    const auto is_refused = [](auto change) {
        ClientHandshake handshake = plain_handshake();
        change(handshake);
        const auto request = make_upgrade_request(handshake);
        EXPECT_TRUE(request || !request.error().message.empty());
        return !request.has_value();
    };
    EXPECT_TRUE(is_refused([](auto& h) { h.host = ""; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.host = "a/b"; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.host = "user@a"; }));
    EXPECT_FALSE(is_refused([](auto& h) { h.host = "[::1]:80"; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.target = ""; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.target = "chat"; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.target = "/#a"; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.key = ""; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.subprotocols = {""}; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.subprotocols = {"a", "a"}; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.subprotocols = {"a,b"}; }));
    EXPECT_TRUE(is_refused([](auto& h) { h.headers = {{"", "x"}}; }));
    for (const char* name : {"host",
                             "Upgrade",
                             "CONNECTION",
                             "Content-Length",
                             "Transfer-Encoding",
                             "sec-websocket-key",
                             "Sec-WebSocket-Anything"}) {
        EXPECT_TRUE(is_refused([&](auto& h) { h.headers = {{name, "x"}}; })) << name;
    }
    EXPECT_FALSE(is_refused([](auto& h) { h.headers = {{"Authorization", "Bearer a.b.c"}}; }));
}

TEST(MakeKey, is_a_new_key_each_time) {
    SeededEntropy entropy(1);
    const std::string a = make_key(entropy);
    const std::string b = make_key(entropy);
    EXPECT_NE(a, b);
    EXPECT_EQ(a.size(), 24u);
    EXPECT_TRUE(a.ends_with("=="));
}

RC_GTEST_PROP(Handshake, of_our_client_is_understood_by_our_server, (std::uint64_t seed)) {
    SeededEntropy entropy(seed);
    ClientHandshake handshake = plain_handshake();
    handshake.key = make_key(entropy);
    handshake.offer_deflate = *rc::gen::arbitrary<bool>();
    const auto request = make_upgrade_request(handshake);
    RC_ASSERT(request.has_value());
    const Lines lines = lines_of(*request);
    std::vector<HeaderField> fields;
    for (const auto& [name, value] : lines) fields.push_back({name, value});
    const bool allow_deflate = *rc::gen::arbitrary<bool>();
    const auto upgrade = check_upgrade("GET", fields, allow_deflate);
    RC_ASSERT(upgrade.has_value());
    const auto accepted = check(lines_of(make_upgrade_response(*upgrade, "chat")), 101, handshake);
    RC_ASSERT(accepted.has_value());
    RC_ASSERT(accepted->subprotocol == "chat");
    RC_ASSERT(accepted->deflate.has_value() == (allow_deflate && handshake.offer_deflate));
    if (accepted->deflate) RC_ASSERT(accepted->deflate->server_no_context_takeover);
}

TEST(UpgradeResponseCheck, accepts_a_plain_answer) {
    const auto accepted = check(plain_answer());
    ASSERT_TRUE(accepted);
    EXPECT_EQ(accepted->subprotocol, "");
    EXPECT_FALSE(accepted->deflate);
    EXPECT_EQ(check(answer_with("Sec-WebSocket-Protocol", "chat"))->subprotocol, "chat");
    EXPECT_TRUE(check(answer_with("Upgrade", "WebSocket")));
    EXPECT_TRUE(check(answer_with("Connection", "keep-alive, upgrade")));
}

TEST(UpgradeResponseCheck, fails_on_every_other_answer) {
    for (const int status : {-1, 0, 100, 102, 200, 204, 301, 302, 400, 401, 403, 426, 503}) {
        const auto checked = check(plain_answer(), status);
        ASSERT_FALSE(checked);
        EXPECT_NE(checked.error().message.find(std::to_string(status)), std::string::npos);
    }
    const std::vector<std::pair<std::string, std::string>> table = {
        {"Upgrade", ""},
        {"Upgrade", "h2c"},
        {"Upgrade", "websocket, h2c"},
        {"upgrade", "websocket"},
        {"Connection", ""},
        {"Connection", "close"},
        {"Connection", "upgrade close"},
        {"Sec-WebSocket-Accept", ""},
        {"Sec-WebSocket-Accept", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"},
        {"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=="},
        {"sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"Sec-WebSocket-Protocol", ""},
        {"Sec-WebSocket-Protocol", "other"},
        {"Sec-WebSocket-Protocol", "Chat"},
        {"Sec-WebSocket-Protocol", "wspool.v1, chat"},
        {"Sec-WebSocket-Extensions", ""},
        {"Sec-WebSocket-Extensions", "foo"},
        {"Sec-WebSocket-Extensions", "__proto__"},
        {"Sec-WebSocket-Extensions", "permessage-deflate, foo"},
        {"Sec-WebSocket-Extensions", "permessage-deflate, permessage-deflate"},
        {"Sec-WebSocket-Extensions", "permessage-deflate; unknown"},
        {"Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover=1"},
        {"Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover=1"},
        {"Sec-WebSocket-Extensions",
         "permessage-deflate; client_no_context_takeover; client_no_context_takeover"},
        {"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"},
        {"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=15"},
        {"Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits"},
        {"Sec-WebSocket-Extensions",
         "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"},
        {"Sec-WebSocket-Extensions", "permessage-deflate;"},
    };
    for (const auto& [name, value] : table) {
        EXPECT_FALSE(check(answer_with(name, value))) << name << ": " << value;
    }
    Lines two = answer_with("Sec-WebSocket-Protocol", "chat");
    two.emplace_back("Sec-WebSocket-Protocol", "chat");
    EXPECT_FALSE(check(two));
    for (std::size_t i = 0; i < plain_answer().size(); ++i) {
        Lines lines = plain_answer();
        lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(check(lines)) << i;
    }
}

TEST(UpgradeResponseCheck, takes_only_window_bits_of_8_to_15) {
    for (int bits = -1; bits <= 300; ++bits) {
        const auto checked = check(
            answer_with("Sec-WebSocket-Extensions",
                        "permessage-deflate; server_max_window_bits=" + std::to_string(bits)));
        ASSERT_EQ(checked.has_value(), bits >= 8 && bits <= 15) << bits;
        if (checked) {
            EXPECT_EQ(checked->deflate->server_max_window_bits, bits);
        }
    }
    for (const char* value :
         {"", "\"\"", "08", "015", "+9", "9.0", "0x9", "1e1", "99999999999999"}) {
        EXPECT_FALSE(
            check(answer_with("Sec-WebSocket-Extensions",
                              std::string("permessage-deflate; server_max_window_bits=") + value)))
            << value;
    }
}

TEST(UpgradeResponseCheck, reports_a_server_that_keeps_its_context) {
    const auto keeps = check(answer_with("Sec-WebSocket-Extensions", "permessage-deflate"));
    ASSERT_TRUE(keeps && keeps->deflate);
    EXPECT_FALSE(keeps->deflate->server_no_context_takeover);
    EXPECT_TRUE(keeps->deflate->client_no_context_takeover);
    const auto drops = check(
        answer_with("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover"));
    ASSERT_TRUE(drops && drops->deflate);
    EXPECT_TRUE(drops->deflate->server_no_context_takeover);
}

TEST(UpgradeResponseCheck, refuses_compression_that_was_not_offered) {
    ClientHandshake handshake = plain_handshake();
    handshake.offer_deflate = false;
    EXPECT_FALSE(
        check(answer_with("Sec-WebSocket-Extensions", "permessage-deflate"), 101, handshake));
    handshake.subprotocols.clear();
    EXPECT_FALSE(check(answer_with("Sec-WebSocket-Protocol", "chat"), 101, handshake));
}

RC_GTEST_PROP(UpgradeResponseCheck, never_crashes_on_arbitrary_fields, (const Lines& lines)) {
    Lines all = plain_answer();
    all.insert(all.end(), lines.begin(), lines.end());
    (void)check(all);
}

}  // namespace
}  // namespace wspool::ws
