#include "ws/deflate.h"

#include "base/random.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>

namespace wspool::ws {
namespace {

using std::string_literals::operator""s;

std::string compress(Deflater& deflater, std::string_view message, int window_bits = 15) {
    ByteBuffer out;
    deflater.compress(as_bytes(message), out, window_bits);
    return std::string(as_text(out.view()));
}

struct Inflated {
    InflateOutcome outcome;
    std::string message;
    friend bool operator==(const Inflated&, const Inflated&) = default;
};

Inflated inflate(Inflater& inflater, std::string_view compressed, std::size_t size_max = 1 << 20) {
    ByteBuffer out;
    const InflateOutcome outcome = inflater.decompress(as_bytes(compressed), size_max, out);
    return {outcome, outcome == InflateOutcome::ok ? std::string(as_text(out.view())) : ""};
}

Inflated inflate(std::string_view compressed) {
    Inflater inflater;
    return inflate(inflater, compressed);
}

// Between noise and a single repeated byte.
std::string make_message(Prng& prng, std::size_t size) {
    const std::uint64_t letters = 1 + prng.below(256);
    std::string message(size, '\0');
    for (char& c : message) c = static_cast<char>(prng.below(letters));
    return message;
}

const Inflated invalid{InflateOutcome::invalid, ""};

RC_GTEST_PROP(Deflate, WhatIsCompressedInflatesToTheSame, (std::uint64_t seed)) {
    Prng prng(seed);
    Deflater deflater(static_cast<int>(prng.below(10)));
    Inflater inflater;
    for (int i = 0; i < 3; ++i) {
        const std::string message = make_message(prng, prng.below(1ull << prng.below(18)));
        const int window_bits = 9 + static_cast<int>(prng.below(7));
        const std::string compressed = compress(deflater, message, window_bits);
        // The bound that ws/connection holds a compressed message to.
        RC_ASSERT(compressed.size() <= message.size() + message.size() / 8 + 64);
        RC_ASSERT(inflate(inflater, compressed) == (Inflated{InflateOutcome::ok, message}));
        RC_ASSERT(inflate(inflater, compressed, message.size()).outcome == InflateOutcome::ok);
        if (message.empty()) continue;
        RC_ASSERT(inflate(inflater, compressed, message.size() - 1).outcome ==
                  InflateOutcome::too_big);
    }
}

TEST(Deflate, TheExamplesOfTheRfcInflateToHello) {
    Deflater deflater;
    EXPECT_EQ(compress(deflater, "Hello"), "\xf2\x48\xcd\xc9\xc9\x07\x00"s);
    const std::string_view examples[] = {
        {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7},                           // fixed codes
        {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11},          // stored
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8},                       // BFINAL
        {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13},  // two blocks
        {"\x01\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11},          // stored, BFINAL
        {"\x01\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f", 10},              // and nothing after it
    };
    for (const std::string_view example : examples) {
        EXPECT_EQ(inflate(example), (Inflated{InflateOutcome::ok, "Hello"}));
    }
}

TEST(Deflate, AnEmptyMessageIsOneZeroByte) {
    Deflater deflater;
    EXPECT_EQ(compress(deflater, ""), "\0"s);
    EXPECT_EQ(inflate("\0"s), (Inflated{InflateOutcome::ok, ""}));
}

TEST(Deflate, BlocksAfterOneThatSaysItIsTheLastAreInflatedToo) {
    const std::string block = "\x01\x02\x00\xfd\xff\x61\x62"s;
    std::string blocks;
    for (int i = 0; i < 1000; ++i) blocks += block;
    const Inflated inflated = inflate(blocks + "\0"s);
    EXPECT_EQ(inflated.outcome, InflateOutcome::ok);
    EXPECT_EQ(inflated.message.size(), 2000u);
}

TEST(Deflate, WhatIsCutOffOrNotDeflateIsInvalid) {
    Deflater deflater;
    const std::string compressed = compress(deflater, "Hello, hello, hello, hello!");
    for (std::size_t size = 0; size < compressed.size(); ++size) {
        EXPECT_EQ(inflate(compressed.substr(0, size)), invalid) << size;
    }
    EXPECT_EQ(inflate(""), invalid);
    EXPECT_EQ(inflate("\x06"), invalid);                        // a type of block there is not
    EXPECT_EQ(inflate("\x00\x05\x00\x00\x00Hello"s), invalid);  // lengths that do not match
    EXPECT_EQ(inflate("\x4b\x04\xa2\x00"s), invalid);           // a distance before the beginning
    EXPECT_EQ(inflate("\x00\x05\x00\xfa\xff\x48"s), invalid);   // a stored block that is too short
}

TEST(Deflate, AfterSomethingInvalidTheNextMessageIsInflatedAfresh) {
    Deflater deflater;
    for (const bool keeps_context : {false, true}) {
        Inflater inflater(keeps_context);
        EXPECT_EQ(inflate(inflater, "\x06"), invalid);
        EXPECT_EQ(inflate(inflater, compress(deflater, "a")), (Inflated{InflateOutcome::ok, "a"}));
    }
}

TEST(Deflate, TheWindowOfThePeerGoesOnOnlyWhenItIsKept) {
    // "Hello" twice, the second time as a reference to the first: RFC 7692 section 7.2.3.2.
    const std::string first = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;
    const std::string second = "\xf2\x00\x11\x00\x00"s;
    Inflater keeping(true);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(inflate(keeping, i == 0 ? first : second),
                  (Inflated{InflateOutcome::ok, "Hello"}));
    }
    Inflater forgetting;
    EXPECT_EQ(inflate(forgetting, first), (Inflated{InflateOutcome::ok, "Hello"}));
    EXPECT_EQ(inflate(forgetting, second), invalid);
    // Also over a block that says it is the last.
    Inflater over_the_end(true);
    EXPECT_EQ(inflate(over_the_end, "\xf3\x48\xcd\xc9\xc9\x07\x00"s).message, "Hello");
    EXPECT_EQ(inflate(over_the_end, second), (Inflated{InflateOutcome::ok, "Hello"}));
    EXPECT_EQ(inflate(over_the_end, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s).message, "Hello");
    EXPECT_EQ(inflate(over_the_end, second), (Inflated{InflateOutcome::ok, "Hello"}));
}

TEST(Deflate, ABombIsStoppedAtTheLimitAndHoldsNoMoreMemoryThanTwiceIt) {
    Deflater deflater(9);
    const std::string bomb = compress(deflater, std::string(64 << 20, '\0'));
    ASSERT_LT(bomb.size(), 70'000u);
    Inflater inflater;
    for (const std::size_t size_max : {0u, 1u, 65'536u, 100'000u}) {
        ByteBuffer out;
        EXPECT_EQ(inflater.decompress(as_bytes(bomb), size_max, out), InflateOutcome::too_big);
        EXPECT_LE(out.size(), size_max);
        EXPECT_LE(out.capacity(), std::max<std::size_t>(64, 2 * size_max));
    }
}

TEST(Deflate, TheMessageIsAppendedToWhatIsThere) {
    Deflater deflater;
    ByteBuffer out;
    out.append("before:");
    deflater.compress(as_bytes("Hello"), out);
    EXPECT_EQ(as_text(out.view()), "before:\xf2\x48\xcd\xc9\xc9\x07\x00"s);
    ByteBuffer message;
    message.append("before:");
    Inflater inflater;
    EXPECT_EQ(inflater.decompress(out.view().subspan(7), 5, message), InflateOutcome::ok);
    EXPECT_EQ(as_text(message.view()), "before:Hello");
}

}  // namespace
}  // namespace wspool::ws
