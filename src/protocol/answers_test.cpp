#include "protocol/message.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include <functional>
#include <string>
#include <string_view>

namespace wspool::protocol {
namespace {

std::string written(const std::function<void(ByteBuffer&)>& write) {
    ByteBuffer out;
    write(out);
    return std::string(as_text(out.view()));
}

// What Parser makes of a text, it must write back as JSON that means the same.
RC_GTEST_PROP(JsonString, is_read_back_as_it_was, ()) {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("a",
                                      "\"",
                                      "\\",
                                      "/",
                                      std::string(1, '\0'),
                                      "\x01",
                                      "\b",
                                      "\f",
                                      "\n",
                                      "\r",
                                      "\t",
                                      "\x1f",
                                      "\x7f",
                                      "\xc3\xa9",
                                      "\xf0\x9f\x98\x80",
                                      "0123456789abcdef",
                                      "</script>",
                                      "\xe2\x80\xa8"));
    std::string text;
    for (const std::string& piece : pieces) text += piece;
    const std::string json = written([&](ByteBuffer& out) { append_json_string(out, text); });
    RC_ASSERT(nlohmann::json::parse(json).get<std::string>() == text);
}

TEST(JsonString, escapes_every_control_character) {
    for (int value = 0; value < 0x80; ++value) {
        const std::string text(1, static_cast<char>(value));
        const std::string json = written([&](ByteBuffer& out) { append_json_string(out, text); });
        EXPECT_EQ(nlohmann::json::parse(json).get<std::string>(), text) << value;
    }
}

TEST(Answers, have_exactly_these_keys_in_this_order) {
    EXPECT_EQ(written([](ByteBuffer& out) { append_broadcast_prefix(out, "a\"b"); }),
              R"({"type":"broadcast","group":"a\"b","payload":)");
    EXPECT_EQ(written([](ByteBuffer& out) { append_direct(out, "{ }", "a\\b"); }),
              R"({"type":"direct","payload":{ },"from":"a\\b"})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_echo(out, R"({"a":1})"); }),
              R"({"type":"echo","payload":{"a":1}})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_pong(out, ""); }), R"({"type":"pong"})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_pong(out, "7"); }), R"({"type":"pong","id":7})");
    EXPECT_EQ(written([](ByteBuffer& out) {
                  append_join_ack(out, "\"x\"", {"g", "e", 18446744073709551615u, std::nullopt});
              }),
              R"({"type":"ack","id":"x","group":"g","epoch":"e","offset":18446744073709551615})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_position(out, "g\"", "e", 7, true); }),
              R"({"type":"position","group":"g\"","epoch":"e","offset":7,"recovered":true})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_position(out, "g", "e", 0, false); }),
              R"({"type":"position","group":"g","epoch":"e","offset":0,"recovered":false})");
    EXPECT_EQ(written([](ByteBuffer& out) {
                  append_join_ack(out, "1", {"g", "e", 0, false});
              }),
              R"({"type":"ack","id":1,"group":"g","epoch":"e","offset":0,"recovered":false})");
    EXPECT_EQ(written([](ByteBuffer& out) {
                  append_join_ack(out, "1", {"g", "e", 0, true});
              }),
              R"({"type":"ack","id":1,"group":"g","epoch":"e","offset":0,"recovered":true})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_publish_ack(out, "1", "e", 5); }),
              R"({"type":"ack","id":1,"epoch":"e","offset":5})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_ack(out, "-1"); }), R"({"type":"ack","id":-1})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_error(out, "", "bad_name", "No \"name\"."); }),
              R"({"type":"error","code":"bad_name","message":"No \"name\"."})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_error(out, "1", "c", "m"); }),
              R"({"type":"error","id":1,"code":"c","message":"m"})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_welcome(out, "a"); }),
              R"({"type":"welcome","clientId":"a"})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_draining(out, 1500); }),
              R"({"type":"draining","reconnectDelay":1500})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_queued(out, 3, 30'000); }),
              R"({"type":"queued","position":3,"timeout":30000})");
    EXPECT_EQ(written([](ByteBuffer& out) { append_preempted(out, 5000, "t-_"); }),
              R"({"type":"preempted","reason":"Higher priority connection needed",)"
              R"("reconnectDelay":5000,"ticket":"t-_"})");
    EXPECT_EQ(invalid_format, R"({"error":"Invalid message format"})");
}

}  // namespace
}  // namespace wspool::protocol
