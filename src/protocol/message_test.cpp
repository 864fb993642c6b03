#include "protocol/message.h"

#include "protocol/json_oracle.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wspool::protocol {
namespace {

// The message in a block of exactly its size, so that ASan sees a read beyond it.
struct Parsed {
    explicit Parsed(std::string_view text, bool is_utf8 = false, const ParserOptions& options = {})
        : parser(options), bytes(std::make_unique<char[]>(text.size())) {
        std::copy(text.begin(), text.end(), bytes.get());
        outcome = parser.parse(as_bytes({bytes.get(), text.size()}), is_utf8, message);
    }
    Parser parser;
    std::unique_ptr<char[]> bytes;
    ClientMessage message;
    ParseOutcome outcome;
};

ParseOutcome outcome_of(std::string_view text) {
    const Parsed parsed(text);
    const Parsed known(text, true);
    // Whether the bytes were checked before makes no difference to what is UTF-8.
    if (parsed.outcome != ParseOutcome::malformed) {
        EXPECT_EQ(parsed.outcome, known.outcome) << text;
    }
    return parsed.outcome;
}

bool is_well_formed(std::string_view text) {
    return outcome_of(text) != ParseOutcome::malformed;
}

bool payload_passes(const std::string& payload) {
    const Parsed parsed(R"({"type":"broadcast","group":"g","payload": )" + payload + " }");
    if (parsed.outcome != ParseOutcome::ok) return false;
    EXPECT_EQ(parsed.message.payload, payload);
    return true;
}

std::string space() {
    return *rc::gen::resize(
        3, rc::gen::container<std::string>(rc::gen::elementOf(std::string(" \n\r\t"))));
}

std::string random_string() {
    const auto pieces = *rc::gen::resize(8,
                                         rc::gen::container<std::vector<std::string>>(
                                             rc::gen::element<std::string>("a",
                                                                           "type",
                                                                           " ",
                                                                           "\\n",
                                                                           "\\\"",
                                                                           "\\\\",
                                                                           "\\/",
                                                                           "\\u0041",
                                                                           "\\u00e9",
                                                                           "\xc3\xa9",
                                                                           "\xf0\x9f\x98\x80",
                                                                           "\\ud83d\\ude00",
                                                                           "0123456789abcdef",
                                                                           "{",
                                                                           "]",
                                                                           ",",
                                                                           "\x7f")));
    std::string text = "\"";
    for (const std::string& piece : pieces) text += piece;
    return text + '"';
}

std::string random_value(int depth) {
    switch (*rc::gen::inRange(0, depth > 0 ? 9 : 7)) {
        case 0:
            return random_string();
        case 1:
            return "true";
        case 2:
            return "false";
        case 3:
            return "null";
        case 4:
            return std::to_string(*rc::gen::arbitrary<std::int64_t>());
        case 5:
            return *rc::gen::element<std::string>(
                "-0", "0.5", "1e10", "1E-3", "-12.50e+2", "123456789012345678901234567890");
        case 6:
            return *rc::gen::element<std::string>("[]", "{}", "[ ]", "{\n}");
        case 7: {
            std::string text = "[" + space();
            const int count = *rc::gen::inRange(1, 4);
            for (int i = 0; i < count; ++i) {
                text += (i > 0 ? "," : "") + space() + random_value(depth - 1) + space();
            }
            return text + "]";
        }
        default: {
            std::string text = "{" + space();
            const int count = *rc::gen::inRange(1, 4);
            for (int i = 0; i < count; ++i) {
                text += (i > 0 ? "," : "") + space() + random_string() + space() + ":" + space() +
                        random_value(depth - 1) + space();
            }
            return text + "}";
        }
    }
}

std::string mutated(std::string text) {
    const auto count = *rc::gen::inRange(1, 4);
    for (int i = 0; i < count && !text.empty(); ++i) {
        const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
        switch (*rc::gen::inRange(0, 3)) {
            case 0:
                text.erase(at, *rc::gen::inRange<std::size_t>(1, 4));
                break;
            case 1:
                text[at] = *rc::gen::arbitrary<char>();
                break;
            default:
                text.insert(at,
                            *rc::gen::element<std::string>("\"",
                                                           "\\",
                                                           "{",
                                                           "}",
                                                           "[",
                                                           "]",
                                                           ",",
                                                           ":",
                                                           "0",
                                                           "-",
                                                           ".",
                                                           "e",
                                                           "\\u",
                                                           "\\ud800",
                                                           " ",
                                                           "\x01",
                                                           "\xff",
                                                           "true",
                                                           "nul",
                                                           "1e999",
                                                           R"("type":1,)"));
        }
    }
    return text;
}

void expect_as_the_oracle(const std::string& text) {
    const Verdict verdict = JsonOracle::judge(text, ParserOptions().depth_max);
    if (verdict == Verdict::undecided) return;
    RC_ASSERT(is_well_formed(text) == (verdict == Verdict::accepted));
}

RC_GTEST_PROP(JsonGrammar, takes_every_generated_document_as_a_payload, ()) {
    const std::string value = random_value(4);
    RC_ASSERT(payload_passes(value));
    RC_ASSERT(nlohmann::json::accept(value));
}

RC_GTEST_PROP(JsonGrammar, agrees_with_another_reader_on_generated_messages, ()) {
    expect_as_the_oracle(random_value(4));
    expect_as_the_oracle(space() + "{" + random_string() + ":" + random_value(2) + "," +
                         random_string() + ":" + random_value(2) + "}" + space());
}

RC_GTEST_PROP(JsonGrammar, agrees_with_another_reader_on_mutated_messages, ()) {
    const std::string begin = "{\"type\":\"broadcast\",\"group\":\"g\",\"payload\":";
    for (int i = 0; i < 20; ++i) {
        expect_as_the_oracle(mutated(begin + random_value(3) + ",\"id\":7}"));
    }
}

RC_GTEST_PROP(JsonGrammar, agrees_with_another_reader_on_the_grammars_own_signs, ()) {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::elementOf(std::string("{}[]\",:\\01-.eEtrufalsn \t")));
    expect_as_the_oracle(text);
    expect_as_the_oracle("{\"a\":" + text + "}");
    expect_as_the_oracle("{" + text + "}");
}

RC_GTEST_PROP(JsonGrammar, never_crashes_on_arbitrary_bytes, (const std::string& text)) {
    (void)is_well_formed(text);
    (void)is_well_formed("{\"type\":\"" + text);
    (void)Parsed(text, true);
}

TEST(JsonGrammar, takes_what_it_allows) {
    for (const char* payload : {"0",
                                "-0",
                                "1",
                                "-1",
                                "0.0",
                                "1e5",
                                "1E+5",
                                "1e-05",
                                "12345678901234567890123",
                                "1e999",
                                "-1e-999",
                                "true",
                                "false",
                                "null",
                                R"("")",
                                R"("\ud800")",
                                R"("\udc00\ud800")",
                                R"("\uD83D\uDE00")",
                                R"("\u0000")",
                                R"("\/\b\f\n\r\t\"\\")",
                                "\"\x7f\"",
                                "[]",
                                "{}",
                                "[[]]",
                                "[{}]",
                                R"({"a":{"a":1},"b":[1,2]})",
                                R"({"a":1,"a":2})",
                                "[ 1 ,\n2\t]",
                                R"({"__proto__":{"constructor":1}})",
                                R"("01234567890123456789")"}) {
        EXPECT_TRUE(payload_passes(payload)) << payload;
    }
}

TEST(JsonGrammar, refuses_what_it_does_not_allow) {
    const std::vector<std::string> payloads = {"",
                                               "01",
                                               "-",
                                               "-01",
                                               "+1",
                                               ".5",
                                               "1.",
                                               "1.e5",
                                               "1e",
                                               "1e+",
                                               "0x1",
                                               "1_0",
                                               "1 2",
                                               "NaN",
                                               "Infinity",
                                               "-Infinity",
                                               "tru",
                                               "True",
                                               "truee",
                                               "nul",
                                               "undefined",
                                               "'a'",
                                               "\"",
                                               "\"a",
                                               "\"\\\"",
                                               "\"\\q\"",
                                               "\"\\u\"",
                                               "\"\\u12\"",
                                               "\"\\u123g\"",
                                               "\"\\U0041\"",
                                               "\"\n\"",
                                               "\"\t\"",
                                               "\"\x1f\"",
                                               std::string("\"\0\"", 3),
                                               "\"0123456789abcdef\x01\"",
                                               "\"\xff\"",
                                               "\"\xc0\x80\"",
                                               "\"\xed\xa0\x80\"",
                                               "\"\xf4\x90\x80\x80\"",
                                               "\"\xe2\x82\"",
                                               "[",
                                               "]",
                                               "[1",
                                               "[1,",
                                               "[1,]",
                                               "[,1]",
                                               "[,]",
                                               "[1,,2]",
                                               "[1 2]",
                                               "[1}",
                                               "{",
                                               "}}",
                                               "{\"a\"",
                                               "{\"a\":",
                                               "{\"a\":1",
                                               "{\"a\":1,",
                                               "{\"a\":1,}",
                                               "{,}",
                                               "{\"a\" 1}",
                                               "{a:1}",
                                               "{1:1}",
                                               "{\"a\":1 \"b\":2}",
                                               "{\"a\":1]",
                                               "{\"a\":}",
                                               "{:1}",
                                               "{null:1}",
                                               "[1,2}]",
                                               "1//a",
                                               "/*a*/1",
                                               "1\v",
                                               "\xa0"};
    for (const std::string& payload : payloads) {
        EXPECT_EQ(outcome_of("{\"type\":\"ping\",\"x\":" + payload + "}"), ParseOutcome::malformed)
            << payload;
    }
}

TEST(JsonGrammar, takes_one_object_and_nothing_around_it) {
    EXPECT_TRUE(is_well_formed("{}"));
    EXPECT_TRUE(is_well_formed(" \t\r\n{ \t\r\n} \t\r\n"));
    const std::vector<std::string> texts = {"",
                                            " ",
                                            "[]",
                                            "1",
                                            "\"a\"",
                                            "null",
                                            "true",
                                            "{}{}",
                                            "{} {}",
                                            "{}1",
                                            "{},",
                                            "{}]",
                                            "{}x",
                                            "\xef\xbb\xbf{}",
                                            "{}\xef\xbb\xbf",
                                            std::string("{}\0", 3),
                                            std::string("\0{}", 3),
                                            "{",
                                            "}",
                                            "{\"a\"",
                                            "{\"a\":",
                                            "{\"a\":1",
                                            "{\"a\":1,",
                                            "{\"a\":1,}",
                                            "{,\"a\":1}",
                                            "{\"a\":1,,\"b\":1}"};
    for (const std::string& text : texts) EXPECT_FALSE(is_well_formed(text)) << text;
}

TEST(JsonGrammar, refuses_every_beginning_of_a_message) {
    const std::string text =
        R"({"type":"join","group":"a\u00e9b","since":{"epoch":"e","offset":12})"
        R"(,"x":[true,-1.5e3,{}]})";
    EXPECT_EQ(outcome_of(text), ParseOutcome::ok);
    for (std::size_t size = 0; size < text.size(); ++size) {
        EXPECT_FALSE(is_well_formed(text.substr(0, size))) << size;
    }
}

std::string nested(std::size_t depth, const char* open, const char* inside, const char* close) {
    std::string text = "{\"x\":";
    for (std::size_t i = 1; i < depth; ++i) text += open;
    text += inside;
    for (std::size_t i = 1; i < depth; ++i) text += close;
    return text + "}";
}

TEST(JsonDepth, is_bounded_to_the_level) {
    for (const std::size_t depth_max : {1u, 2u, 63u, 64u, 65u, 127u, 128u, 129u, 1024u}) {
        const ParserOptions options{.depth_max = depth_max, .name_size_max = 128};
        for (const std::size_t depth : {depth_max - 1, depth_max, depth_max + 1}) {
            if (depth == 0) continue;
            const auto expected = depth <= depth_max ? ParseOutcome::ok : ParseOutcome::malformed;
            EXPECT_EQ(Parsed(nested(depth, "[", "1", "]"), true, options).outcome, expected)
                << depth;
            EXPECT_EQ(Parsed(nested(depth, "{\"a\":", "1", "}"), true, options).outcome, expected);
            EXPECT_EQ(Parsed(nested(depth, "[1,", "1", ",{}]"), true, options).outcome ==
                          ParseOutcome::ok,
                      depth == 1 || depth < depth_max)
                << depth;
        }
    }
}

TEST(JsonDepth, is_bounded_whatever_the_settings_say) {
    const ParserOptions options{.depth_max = 2'000'000, .name_size_max = 128};
    EXPECT_EQ(Parsed(nested(1'024, "[", "1", "]"), true, options).outcome, ParseOutcome::ok);
    EXPECT_EQ(Parsed(nested(1'000'000, "[", "1", "]"), true, options).outcome,
              ParseOutcome::malformed);
    EXPECT_EQ(Parsed("{}", true, {.depth_max = 0, .name_size_max = 1}).outcome,
              ParseOutcome::malformed);
    EXPECT_EQ(Parsed(std::string(1'000'000, '['), true).outcome, ParseOutcome::malformed);
    EXPECT_EQ(Parsed(std::string(1'000'000, '{'), true).outcome, ParseOutcome::malformed);
}

TEST(JsonDepth, remembers_which_brackets_are_open_across_words_of_the_stack) {
    const ParserOptions options{.depth_max = 200, .name_size_max = 128};
    for (std::size_t wrong = 0; wrong < 150; ++wrong) {
        std::string open;
        std::string close;
        for (std::size_t i = 0; i < 150; ++i) {
            const bool is_object = (i * 7 + i / 5) % 3 == 0;
            open += is_object ? "{\"a\":" : "[";
            close += (i == wrong) != is_object ? '}' : ']';
        }
        std::reverse(close.begin(), close.end());
        EXPECT_EQ(Parsed("{\"x\":" + open + "1" + close + "}", true, options).outcome,
                  ParseOutcome::malformed);
    }
}

TEST(Envelope, refuses_a_key_twice_however_it_is_spelt) {
    for (const char* text : {R"({"type":"ping","type":"ping"})",
                             R"({"type":"ping","t\u0079pe":"ping"})",
                             R"({"t\u0079pe":"ping","type":"ping"})",
                             R"({"\u0074ype":"ping","t\u0079pe":"ping"})",
                             R"({"id":1,"id":1})",
                             R"({"x":1,"x":1})",
                             R"({"x":1,"\u0078":1})",
                             R"({"":1,"":1})",
                             R"({"\/":1,"/":1})",
                             R"({"\ud83d\ude00":1,"😀":1})",
                             R"({"\ud800":1,"\uD800":1})",
                             R"({"\ud800a":1,"\ud800\u0061":1})",
                             R"({"payload":1,"type":"direct","payload":2})"}) {
        EXPECT_EQ(outcome_of(text), ParseOutcome::malformed) << text;
    }
    for (const char* text : {R"({"type":"ping","Type":"ping"})",
                             R"({"x":1,"X":1})",
                             R"({"a":{"b":1,"b":2}})",
                             R"({"\ud800":1,"\ud801":1})",
                             R"({"\ud800":1,"\\ud800":1})",
                             R"({"type ":1,"type":"ping"})",
                             R"({"__proto__":1,"constructor":2})",
                             R"({"a\u0000":1,"a":1})"}) {
        EXPECT_EQ(outcome_of(text), ParseOutcome::ok) << text;
    }
}

TEST(Envelope, finds_a_key_twice_among_any_number) {
    for (const int count : {1, 2, 7, 8, 9, 10, 100, 20'000}) {
        std::string text = "{\"type\":\"ping\"";
        for (int i = 0; i < count; ++i) text += ",\"" + std::to_string(i * 7919) + "\":0";
        EXPECT_EQ(outcome_of(text + "}"), ParseOutcome::ok) << count;
        EXPECT_EQ(outcome_of(text + ",\"0\":0}"), ParseOutcome::malformed) << count;
        EXPECT_EQ(outcome_of(text + ",\"\\u0030\":0}"), ParseOutcome::malformed) << count;
    }
}

struct Case {
    const char* text;
    ParseOutcome outcome;
    MessageType type;
};

TEST(ClientMessage, has_the_outcome_of_the_table) {
    using enum MessageType;
    constexpr auto good = ParseOutcome::ok;
    constexpr auto bad = ParseOutcome::bad_request;
    constexpr auto bad_name = ParseOutcome::bad_name;
    const Case table[] = {
        {R"({})", good, other},
        {R"({"type":null})", good, other},
        {R"({"type":1})", good, other},
        {R"({"type":["join"]})", good, other},
        {R"({"type":"Join"})", good, other},
        {R"({"type":"join "})", good, other},
        {R"({"type":"join\u0000"})", good, other},
        {R"({"type":"\ud800"})", good, other},
        {R"({"type":"__proto__"})", good, other},
        {R"({"type":"x","id":[],"group":1,"since":1})", good, other},
        {R"({"type":"ping"})", good, ping},
        {R"({"type":"p\u0069ng"})", good, ping},
        {R"({"type":"ping","group":1,"payload":[],"since":0,"offsets":0})", good, ping},
        {R"({"type":"join","group":"g"})", good, join},
        {R"({"type":"join"})", bad, join},
        {R"({"type":"join","group":null})", bad, join},
        {R"({"type":"join","group":1})", bad, join},
        {R"({"type":"join","group":["g"]})", bad, join},
        {R"({"type":"join","group":""})", bad_name, join},
        {R"({"type":"join","group":"\u0000"})", bad_name, join},
        {R"({"type":"join","group":"a\nb"})", bad_name, join},
        {R"({"type":"join","group":"\u007f"})", bad_name, join},
        {R"({"type":"join","group":"\u0085"})", bad_name, join},
        {R"({"type":"join","group":"\ud800"})", bad_name, join},
        {R"({"type":"join","group":"\ude00\ud83d"})", bad_name, join},
        {R"({"type":"join","group":"__proto__"})", good, join},
        {R"({"type":"join","group":"g","offsets":true})", good, join},
        {R"({"type":"join","group":"g","offsets":false})", good, join},
        {R"({"type":"join","group":"g","offsets":1})", bad, join},
        {R"({"type":"join","group":"g","offsets":null})", bad, join},
        {R"({"type":"join","group":"g","offsets":"true"})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":"e","offset":0}})", good, join},
        {R"({"type":"join","group":"g","since":{ "offset" : 0 , "x":[], "epoch" : "" } })",
         good,
         join},
        {R"({"type":"join","group":"g","since":{"\u0065poch":"e","offset":18446744073709551615}})",
         good,
         join},
        {R"({"type":"join","group":"g","since":null})", bad, join},
        {R"({"type":"join","group":"g","since":[]})", bad, join},
        {R"({"type":"join","group":"g","since":"e"})", bad, join},
        {R"({"type":"join","group":"g","since":{}})", bad, join},
        {R"({"type":"join","group":"g","since":{ }})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":"e"}})", bad, join},
        {R"({"type":"join","group":"g","since":{"offset":1}})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":1,"offset":1}})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":"e","offset":"1"}})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":"e","offset":-1}})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":"e","offset":-0}})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":"e","offset":1.0}})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":"e","offset":1e2}})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":"e","offset":18446744073709551616}})",
         bad,
         join},
        {R"({"type":"join","group":"g","since":{"epoch":"e","offset":1,"offset":1}})", bad, join},
        {R"({"type":"join","group":"g","since":{"epoch":"e","offset":1,"epo\u0063h":"e"}})",
         bad,
         join},
        {R"({"type":"leave","group":"g"})", good, leave},
        {R"({"type":"leave","group":"g","since":1,"offsets":1})", good, leave},
        {R"({"type":"leave"})", bad, leave},
        {R"({"type":"broadcast","group":"g","payload":1})", good, broadcast},
        {R"({"type":"broadcast","group":"g","payload":null})", good, broadcast},
        {R"({"type":"broadcast","group":"g"})", bad, broadcast},
        {R"({"type":"broadcast","payload":1})", bad, broadcast},
        {R"({"type":"broadcast","targetId":"g","payload":1})", bad, broadcast},
        {R"({"type":"broadcast","group":"","payload":1})", bad_name, broadcast},
        {R"({"type":"direct","targetId":"t","payload":{}})", good, direct},
        {R"({"type":"direct","targetId":"t"})", bad, direct},
        {R"({"type":"direct","group":"t","payload":1})", bad, direct},
        {R"({"type":"direct","targetId":7,"payload":1})", bad, direct},
        {R"({"type":"direct","targetId":"","payload":1})", bad_name, direct},
    };
    for (const Case& row : table) {
        const Parsed parsed(row.text);
        EXPECT_EQ(parsed.outcome, row.outcome) << row.text;
        EXPECT_EQ(parsed.message.type, row.type) << row.text;
    }
}

TEST(ClientMessage, holds_what_was_sent) {
    const Parsed join(R"({"type":"join","group":"r\u00f6\"m","id":7,"offsets":true,)"
                      R"("since":{"epoch":"\u0065","offset":12}})");
    ASSERT_EQ(join.outcome, ParseOutcome::ok);
    EXPECT_EQ(join.message.group, "r\xc3\xb6\"m");
    EXPECT_EQ(join.message.id, "7");
    EXPECT_TRUE(join.message.wants_offsets);
    ASSERT_TRUE(join.message.since);
    EXPECT_EQ(join.message.since->epoch, "e");
    EXPECT_EQ(join.message.since->offset, 12u);

    const Parsed direct(
        R"( { "payload" : { "a" : [ 1 ] } , "targetId" : "\ud83d\ude00" , "type" : "direct" } )");
    ASSERT_EQ(direct.outcome, ParseOutcome::ok);
    EXPECT_EQ(direct.message.target, "\xf0\x9f\x98\x80");
    EXPECT_EQ(direct.message.payload, R"({ "a" : [ 1 ] })");
    EXPECT_EQ(direct.message.id, "");
}

TEST(ClientMessage, starts_afresh_with_each_parse) {
    Parser parser;
    ClientMessage message;
    const std::string first = R"({"type":"join","group":"\u0061","id":"\u0062","offsets":true,)"
                              R"("since":{"epoch":"e","offset":1},"x":1})";
    ASSERT_EQ(parser.parse(as_bytes(first), true, message), ParseOutcome::ok);
    ASSERT_EQ(parser.parse(as_bytes(R"({"type":"ping","x":1})"), true, message), ParseOutcome::ok);
    EXPECT_EQ(message.group, "");
    EXPECT_EQ(message.id, "");
    EXPECT_FALSE(message.wants_offsets);
    EXPECT_FALSE(message.since);
    ASSERT_EQ(parser.parse(as_bytes("{\"type\":\"ping\",\"id\":1"), true, message),
              ParseOutcome::malformed);
    EXPECT_EQ(message.type, MessageType::other);
    EXPECT_EQ(message.id, "");
}

TEST(MessageId, is_an_integer_or_a_short_string_and_is_kept_as_it_was_written) {
    const std::string long_text(64, 'a');
    for (const std::string& id :
         {std::string("0"),
          std::string("-0"),
          std::string("-1"),
          std::string("18446744073709551615"),
          std::string("-9223372036854775808"),
          std::string("\"\""),
          std::string("\"a\\u0062\\n\""),
          '"' + long_text + '"',
          "\"" + long_text.substr(6) + "\\u0061\\u0061\\u0061\\u0061\\u0061\\u0061\"",
          std::string("\"__proto__\"")}) {
        const Parsed parsed("{\"type\":\"ping\",\"id\":" + id + "}");
        EXPECT_EQ(parsed.outcome, ParseOutcome::ok) << id;
        EXPECT_EQ(parsed.message.id, id);
    }
    for (const std::string& id : {std::string("1.0"),
                                  std::string("1e2"),
                                  std::string("1E2"),
                                  std::string("null"),
                                  std::string("true"),
                                  std::string("[]"),
                                  std::string("{}"),
                                  std::string("123456789012345678901"),
                                  '"' + long_text + "a\"",
                                  '"' + long_text.substr(1) + "\\u00e9\""}) {
        const Parsed parsed("{\"type\":\"ping\",\"id\":" + id + "}");
        EXPECT_EQ(parsed.outcome, ParseOutcome::bad_request) << id;
        EXPECT_EQ(parsed.message.id, "");
    }
}

TEST(MessageId, is_known_also_when_the_rest_is_bad) {
    for (const char* text : {R"({"type":"join","id":"x"})",
                             R"({"id":"x","type":"join","group":""})",
                             R"({"type":"join","group":"g","since":1,"id":"x"})"}) {
        const Parsed parsed(text);
        EXPECT_NE(parsed.outcome, ParseOutcome::ok);
        EXPECT_EQ(parsed.message.id, "\"x\"") << text;
    }
}

TEST(IsValidName, follows_the_table) {
    for (const std::string& name : {std::string("a"),
                                    std::string(128, 'a'),
                                    std::string("a b"),
                                    std::string("\xc2\xa0"),
                                    std::string("\xc3\x80"),
                                    std::string("\xf0\x9f\x98\x80"),
                                    std::string("\xe2\x80\x80"),
                                    std::string("\xe0\xa0\x82\x7e"),
                                    std::string("__proto__"),
                                    std::string("a\"\\/")}) {
        EXPECT_TRUE(is_valid_name(name)) << name;
    }
    for (const std::string& name : {std::string(),
                                    std::string(129, 'a'),
                                    std::string(1, '\0'),
                                    std::string("a\n"),
                                    std::string("\x1f"),
                                    std::string("\x7f"),
                                    std::string("\xc2\x80"),
                                    std::string("a\xc2\x9f"),
                                    std::string("\xc3\xa9\x7f"),
                                    std::string("\xff"),
                                    std::string("\xc3"),
                                    std::string("\xc0\x80"),
                                    std::string("\xed\xa0\x80"),
                                    std::string("\xf4\x90\x80\x80"),
                                    std::string("\xe2\x82"),
                                    std::string(127, 'a') + "\xc3\xa9"}) {
        EXPECT_FALSE(is_valid_name(name)) << name;
    }
    EXPECT_FALSE(is_valid_name("abc", 2));
}

TEST(Utf8, is_checked_in_binary_messages_at_every_place) {
    const std::string plain = R"({"type":"ping","x":"0123456789abcdef0123456789abcdef"})";
    for (std::size_t at = 0; at < plain.size(); ++at) {
        for (const char bad : {'\x80', '\xc0', '\xff', '\xf5'}) {
            std::string text = plain;
            text[at] = bad;
            EXPECT_FALSE(is_well_formed(text)) << at;
        }
    }
}

}  // namespace
}  // namespace wspool::protocol
