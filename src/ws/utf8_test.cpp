#include "ws/utf8.h"

#include "base/bytes.h"
#include "base/random.h"
#include "ws/connection_model.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace wspool::ws {
namespace {

using model::judge_text;
using model::Text;

void append_character(std::string& text, std::uint32_t c) {
    const auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
    if (c < 0x80) {
        add(c);
    } else if (c < 0x800) {
        add(0xC0 | c >> 6);
        add(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        add(0xE0 | c >> 12);
        add(0x80 | (c >> 6 & 0x3F));
        add(0x80 | (c & 0x3F));
    } else {
        add(0xF0 | c >> 18);
        add(0x80 | (c >> 12 & 0x3F));
        add(0x80 | (c >> 6 & 0x3F));
        add(0x80 | (c & 0x3F));
    }
}

// Text with runs of ASCII and of each length of character; sometimes with one byte spoilt.
std::string make_text(Prng& prng, std::size_t size) {
    constexpr std::uint32_t bounds[] = {0x80, 0x800, 0xD800, 0x110000};
    std::string text;
    while (text.size() < size) {
        const auto kind = prng.below(4);
        for (auto run = prng.below(40); run > 0; --run) {
            auto c = static_cast<std::uint32_t>(prng.below(bounds[kind]));
            if (c >= 0xD800 && c < 0xE000) c = 0x20AC;
            append_character(text, c);
        }
    }
    return text;
}

Text judge(std::string_view text) {
    Utf8Validator validator;
    if (!validator.accept(as_bytes(text))) return Text::invalid;
    return validator.is_complete() ? Text::valid : Text::cut_off;
}

TEST(Utf8, EverySequenceOfUpToThreeBytesIsJudgedAsTheDefinitionSays) {
    for (unsigned i = 0; i < 0x1000000; ++i) {
        // The third byte matters only at the edges of its ranges.
        const unsigned third = i >> 16;
        if (third != 0 && third != 0x7F && third != 0x80 && third != 0xBF && third != 0xC2) {
            i |= 0xFFFF;
            continue;
        }
        const std::string text = {static_cast<char>(i & 0xFF),
                                  static_cast<char>(i >> 8 & 0xFF),
                                  static_cast<char>(third)};
        ASSERT_EQ(judge(text), judge_text(text)) << std::hex << i;
    }
}

TEST(Utf8, EveryCharacterIsValidAndSurrogatesAreNot) {
    for (std::uint32_t c = 0; c < 0x110000; ++c) {
        std::string text;
        append_character(text, c);
        ASSERT_EQ(is_valid_utf8(as_bytes(text)), c < 0xD800 || c > 0xDFFF) << std::hex << c;
    }
}

TEST(Utf8, IsRefusedAtTheFirstByteThatCannotContinue) {
    for (const std::string_view start : {"\xE0\x80",
                                         "\xE0\x9F",
                                         "\xED\xA0",
                                         "\xF0\x8F",
                                         "\xF4\x90",
                                         "\xC2\x41",
                                         "\xE2\x82\x41",
                                         "\xF0\x9F\x98\x41"}) {
        Utf8Validator validator;
        EXPECT_TRUE(validator.accept(as_bytes(start).first(start.size() - 1)));
        EXPECT_FALSE(validator.is_complete());
        EXPECT_FALSE(validator.accept(as_bytes(start).last(1)));
        EXPECT_FALSE(validator.accept(as_bytes("a")));
        EXPECT_FALSE(validator.is_complete());
        validator.reset();
        EXPECT_TRUE(validator.accept(as_bytes("a")) && validator.is_complete());
    }
    for (const char* lead : {"\x80", "\xBF", "\xC0", "\xC1", "\xF5", "\xFF"}) {
        EXPECT_FALSE(Utf8Validator().accept(as_bytes(lead))) << lead;
    }
}

TEST(Utf8, OneBadByteIsFoundAtEveryPlaceOfALongText) {
    Prng prng(1);
    for (const char* bad : {"\xFF",
                            "\xC0\x80",
                            "\xED\xA0\x80",
                            "\xF4\x90\x80\x80",
                            "\xF0\x80\x80",
                            "\x80",
                            "\xE2\x82",
                            "\xF5\x80\x80\x80",
                            "\xE0\x81\x81",
                            "\xF0\x9F\x98"}) {
        for (std::size_t at = 0; at < 140; ++at) {
            for (const std::string& filler : {std::string("a"),
                                              std::string("\xC3\xA9"),
                                              std::string("\xE2\x82\xAC"),
                                              std::string("😀")}) {
                std::string text;
                while (text.size() < at) text += filler;
                text += bad;
                while (text.size() < 200) text += filler;
                ASSERT_EQ(judge(text), Text::invalid) << at << bad << filler;
            }
        }
    }
}

RC_GTEST_PROP(Utf8, AnySplitOfAnyTextIsJudgedAsTheDefinitionSays, (std::uint64_t seed)) {
    Prng prng(seed);
    std::string text = make_text(prng, prng.below(400));
    if (!text.empty() && prng.chance(0.5)) {
        text[prng.below(text.size())] = static_cast<char>(prng.next());
    }
    if (prng.chance(0.3)) text.resize(prng.below(text.size() + 1));
    const Text expected = judge_text(text);
    RC_ASSERT(judge(text) == expected);
    RC_ASSERT(is_valid_utf8(as_bytes(text)) == (expected == Text::valid));

    Utf8Validator validator;
    std::string so_far;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t size = 1 + prng.below(std::min<std::size_t>(text.size() - at, 100));
        so_far += text.substr(at, size);
        const bool is_accepted = validator.accept(as_bytes(text).subspan(at, size));
        RC_ASSERT(is_accepted == (judge_text(so_far) != Text::invalid));
        at += size;
    }
    RC_ASSERT(validator.is_complete() == (expected == Text::valid));
}

}  // namespace
}  // namespace wspool::ws
