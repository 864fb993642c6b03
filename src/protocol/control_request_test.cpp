#include "protocol/control_request.h"

#include "protocol/json_object.h"
#include "protocol/json_oracle.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace wspool::protocol {
namespace {

using Command = std::variant<ControlCommand, ControlRefusal>;

const ControlLimits limits;

// "ok", or the code of the refusal.
std::string verdict(ControlVerb verb, std::string_view body) {
    const Command parsed = parse_control_command(verb, body, limits);
    const auto* refusal = std::get_if<ControlRefusal>(&parsed);
    return refusal == nullptr ? "ok" : std::string(refusal->code);
}

TEST(ControlRequest, KeepsAPayloadByteForByte) {
    for (const char* payload : {R"({"b" : 1.0e+3,"a":[ ] })",
                                "123456789012345678901234567890",
                                R"("\ud800 \u0041")",
                                "null",
                                "[1,\n 2]",
                                R"({"a":1,"a":2})"}) {
        const std::string body =
            R"( { "payload" : )" + std::string(payload) + R"( , "group":"g\u00e9" } )";
        const Command parsed = parse_control_command(ControlVerb::broadcast, body, limits);
        ASSERT_TRUE(std::holds_alternative<ControlCommand>(parsed)) << body;
        EXPECT_EQ(std::get<ControlCommand>(parsed).payload, payload);
        EXPECT_EQ(std::get<ControlCommand>(parsed).group, "g\xc3\xa9");
    }
}

TEST(ControlRequest, TakesEachVerbWithWhatItNeeds) {
    EXPECT_EQ(verdict(ControlVerb::broadcast, R"({"group":"g","payload":1})"), "ok");
    EXPECT_EQ(verdict(ControlVerb::direct, R"({"targetId":"t","payload":1})"), "ok");
    EXPECT_EQ(verdict(ControlVerb::join, R"({"clientId":"c","group":"g"})"), "ok");
    EXPECT_EQ(verdict(ControlVerb::leave, R"({"clientId":"c","group":"g"})"), "ok");
    EXPECT_EQ(verdict(ControlVerb::disconnect, R"({"clientId":"c"})"), "ok");
    const Command parsed = parse_control_command(
        ControlVerb::disconnect, R"({"clientId":"c","code":4000,"reason":"enough"})", limits);
    EXPECT_EQ(std::get<ControlCommand>(parsed).code, 4000);
    EXPECT_EQ(std::get<ControlCommand>(parsed).reason, "enough");
}

TEST(ControlRequest, RefusesWhatIsMissingOrNotKnown) {
    EXPECT_EQ(verdict(ControlVerb::broadcast, R"({"payload":1})"), "bad_request");
    EXPECT_EQ(verdict(ControlVerb::broadcast, R"({"group":"g"})"), "bad_request");
    EXPECT_EQ(verdict(ControlVerb::broadcast, R"({"group":1,"payload":1})"), "bad_request");
    EXPECT_EQ(verdict(ControlVerb::broadcast, R"({"group":"g","payload":1,"x":1})"), "bad_request");
    EXPECT_EQ(verdict(ControlVerb::direct, R"({"clientId":"c","payload":1})"), "bad_request");
    EXPECT_EQ(verdict(ControlVerb::join, R"({"clientId":"c"})"), "bad_request");
    EXPECT_EQ(verdict(ControlVerb::leave, R"({"group":"g"})"), "bad_request");
    EXPECT_EQ(verdict(ControlVerb::disconnect, "{}"), "bad_request");
}

TEST(ControlRequest, RefusesWhatIsNoObjectOfJson) {
    for (const char* body : {"",
                             "1",
                             "[]",
                             "{",
                             R"({"group":"g","payload":1}x)",
                             R"({"group":"g","payload":1}{})",
                             R"({"group":"g","group":"g","payload":1})",
                             R"({"group":"g","gr\u006fup":"g","payload":1})",
                             R"({"group":"g","payload":01})",
                             R"({"group":"g","payload":NaN})",
                             "{\"group\":\"g\",\"payload\":\"\xff\"}",
                             R"({"group":"g","payload":1,})"}) {
        EXPECT_EQ(verdict(ControlVerb::broadcast, body), "bad_request") << body;
    }
}

TEST(ControlRequest, RefusesNamesThatCannotBeOne) {
    EXPECT_EQ(verdict(ControlVerb::broadcast, R"({"group":"","payload":1})"), "bad_name");
    EXPECT_EQ(verdict(ControlVerb::broadcast, R"({"group":"a\nb","payload":1})"), "bad_name");
    EXPECT_EQ(verdict(ControlVerb::broadcast, R"({"group":"\ud800","payload":1})"), "bad_name");
    const std::string long_one(129, 'a');
    EXPECT_EQ(verdict(ControlVerb::join, R"({"group":"g","clientId":")" + long_one + "\"}"),
              "bad_name");
}

TEST(ControlRequest, RefusesCodesThatMayNotBeSent) {
    for (const char* code : {"0",
                             "999",
                             "1002",
                             "1005",
                             "1006",
                             "1015",
                             "2999",
                             "5000",
                             "70000",
                             "1e3",
                             "1000.0",
                             "\"1000\"",
                             "-1000"}) {
        const std::string body = std::string(R"({"clientId":"c","code":)") + code + "}";
        EXPECT_EQ(verdict(ControlVerb::disconnect, body), "bad_request") << code;
    }
    EXPECT_EQ(verdict(ControlVerb::disconnect, R"({"clientId":"c","code":1000,"reason":""})"),
              "ok");
    const std::string long_one(124, 'a');
    EXPECT_EQ(verdict(ControlVerb::disconnect, R"({"clientId":"c","reason":")" + long_one + "\"}"),
              "bad_request");
    EXPECT_EQ(verdict(ControlVerb::disconnect, R"({"clientId":"c","reason":"\ud800"})"),
              "bad_request");
}

std::string nested(std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
}

TEST(ControlRequest, BoundsTheNestingOfAPayloadAlikeWithAndWithoutABatch) {
    const auto single = [](std::size_t depth) {
        return R"({"group":"g","payload":)" + nested(depth) + "}";
    };
    const auto batch = [&](std::size_t depth) {
        return R"({"commands":[{"broadcast":)" + single(depth) + "}]}";
    };
    using Batch = std::vector<ControlCommand>;
    EXPECT_EQ(verdict(ControlVerb::broadcast, single(63)), "ok");
    EXPECT_EQ(verdict(ControlVerb::broadcast, single(64)), "bad_request");
    EXPECT_TRUE(std::holds_alternative<Batch>(parse_control_batch(batch(63), limits)));
    EXPECT_FALSE(std::holds_alternative<Batch>(parse_control_batch(batch(64), limits)));
}

TEST(ControlRequest, ABatchIsItsCommandsInOrder) {
    const auto parsed = parse_control_batch(
        R"({"commands": [ {"broadcast":{"group":"g","payload":[1, 2]}} ,
            {"disconnect":{"clientId":"c"}}]})",
        limits);
    const auto* commands = std::get_if<std::vector<ControlCommand>>(&parsed);
    ASSERT_NE(commands, nullptr);
    ASSERT_EQ(commands->size(), 2u);
    EXPECT_EQ((*commands)[0].verb, ControlVerb::broadcast);
    EXPECT_EQ((*commands)[0].payload, "[1, 2]");
    EXPECT_EQ((*commands)[1].verb, ControlVerb::disconnect);
}

TEST(ControlRequest, ABatchIsRefusedWholeWithThePlaceOfTheFirstMistake) {
    const auto parsed = parse_control_batch(
        R"({"commands":[{"leave":{"group":"g","clientId":"c"}},{"leave":{"group":"g"}}]})", limits);
    const auto* refusal = std::get_if<ControlRefusal>(&parsed);
    ASSERT_NE(refusal, nullptr);
    EXPECT_NE(refusal->message.find("commands[1]"), std::string::npos);
    for (const char* body : {R"({"commands":[{}]})",
                             R"({"commands":[{"fly":{}}]})",
                             R"({"commands":[1]})",
                             R"({"commands":{}})",
                             R"({"commands":[],"x":1})",
                             "[]"}) {
        EXPECT_TRUE(std::holds_alternative<ControlRefusal>(parse_control_batch(body, limits)))
            << body;
    }
}

TEST(ControlRequest, ABatchHasABound) {
    std::string body = R"({"commands":[)";
    for (int i = 0; i < 3; ++i) {
        body += std::string(i == 0 ? "" : ",") + R"({"disconnect":{"clientId":"c"}})";
    }
    body += "]}";
    using Batch = std::vector<ControlCommand>;
    EXPECT_TRUE(std::holds_alternative<Batch>(parse_control_batch(body, {.batch_max = 3})));
    EXPECT_FALSE(std::holds_alternative<Batch>(parse_control_batch(body, {.batch_max = 2})));
}

RC_GTEST_PROP(ControlRequest,
              AnObjectHasTheMembersThatAnotherReaderFinds,
              (const std::string& key, const std::string& value, bool is_list)) {
    nlohmann::ordered_json document;
    document["a"] = is_list ? nlohmann::ordered_json::array({1, "x"}) : nlohmann::ordered_json(1.5);
    try {
        document["b" + key] = value;
        const std::string text = document.dump(2);
        std::vector<JsonMember> members;
        RC_ASSERT(read_json_object(text, 10, 4, members));
        RC_ASSERT(members.size() == 2u);
        RC_ASSERT(members[1].key == "b" + key);
        RC_ASSERT(read_json_string(members[1].value) == value);
        RC_ASSERT(nlohmann::ordered_json::parse(members[0].value.text) == document["a"]);
    } catch (const nlohmann::json::type_error&) {
        // what was drawn is no UTF-8
    }
}

}  // namespace
}  // namespace wspool::protocol
