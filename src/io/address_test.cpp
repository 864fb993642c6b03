#include "io/address.h"

#include "io/resolve.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace wspool::io {
namespace {

RC_GTEST_PROP(Address, AnyNumericAddressSurvivesFormattingAndParsing, ()) {
    const auto bytes =
        *rc::gen::container<std::vector<std::uint8_t>>(16, rc::gen::arbitrary<std::uint8_t>());
    const auto port = *rc::gen::arbitrary<std::uint16_t>();
    std::string v4;
    std::string v6;
    for (std::size_t i = 0; i < 4; ++i) v4 += (i > 0 ? "." : "") + std::to_string(bytes[i]);
    constexpr std::string_view hex = "0123456789abcdef";
    for (std::size_t i = 0; i < 16; ++i) {
        if (i > 0 && i % 2 == 0) v6 += ':';
        v6 += hex[bytes[i] >> 4];
        v6 += hex[bytes[i] & 15];
    }
    for (const std::string& text : {v4 + ":" + std::to_string(port),
                                    "[" + v6 + "]:" + std::to_string(port),
                                    "unix:/run/" + v4}) {
        const auto address = parse_address(text);
        RC_ASSERT(address.has_value());
        RC_ASSERT(parse_address(format_address(*address)).value() == *address);
    }
}

RC_GTEST_PROP(Address, AnyTextIsParsedOrRefusedWithASentence, (const std::string& text)) {
    const auto address = parse_address(text);
    if (!address) RC_ASSERT(!address.error().message.empty());
}

TEST(Address, PartsAreWhatWasWritten) {
    const Address v6 = parse_address("[0:0::1]:8080").value();
    EXPECT_EQ(v6, (Address{Address::Family::ipv6, "::1", 8080}));
    const Address path = parse_address("unix:/run/wspool.sock").value();
    EXPECT_EQ(path, (Address{Address::Family::unix_path, "/run/wspool.sock", 0}));
}

TEST(Address, WhatIsNoneIsRefused) {
    const std::string long_path = "unix:/" + std::string(107, 'x');
    for (const std::string& text : {std::string(),
                                    std::string("8080"),
                                    std::string(":8080"),
                                    std::string("127.0.0.1"),
                                    std::string("127.0.0.1:"),
                                    std::string("127.0.0.1:65536"),
                                    std::string("127.0.0.1:-1"),
                                    std::string("127.0.0.1: 80"),
                                    std::string("127.0.0.1:80x"),
                                    std::string("127.0.0.256:80"),
                                    std::string("127.1:80"),
                                    std::string("::1:80"),
                                    std::string("[::1]"),
                                    std::string("[::1]80"),
                                    std::string("[::1:80"),
                                    std::string("[127.0.0.1]:80"),
                                    std::string("localhost:80"),
                                    std::string("unix:"),
                                    std::string("unix:/a\0b", 9),
                                    long_path}) {
        EXPECT_FALSE(parse_address(text)) << text;
    }
    EXPECT_TRUE(parse_address("unix:/" + std::string(106, 'x')));
}

TEST(Address, LoopbackIsWhatOnlyThisMachineReaches) {
    for (const char* text : {"127.0.0.1:1", "127.255.0.9:1", "[::1]:1", "unix:/x"}) {
        EXPECT_TRUE(is_loopback(parse_address(text).value())) << text;
    }
    for (const char* text : {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "[fe80::1]:1", "128.0.0.1:1"}) {
        EXPECT_FALSE(is_loopback(parse_address(text).value())) << text;
    }
}

TEST(Resolve, NumericHostsAreThemselves) {
    EXPECT_EQ(resolve("127.0.0.1", 80).value(),
              std::vector<Address>{parse_address("127.0.0.1:80").value()});
    EXPECT_EQ(resolve("[::1]", 80).value(),
              std::vector<Address>{parse_address("[::1]:80").value()});
}

TEST(Resolve, LocalhostIsLoopback) {
    const auto found = resolve("localhost", 1234);
    ASSERT_TRUE(found);
    ASSERT_FALSE(found->empty());
    for (const Address& address : *found) {
        EXPECT_TRUE(is_loopback(address)) << format_address(address);
        EXPECT_EQ(address.port, 1234);
    }
}

TEST(Resolve, AHostThatCannotBeIsAnError) {
    const auto found = resolve(std::string(300, 'x'), 80);
    ASSERT_FALSE(found);
    EXPECT_NE(found.error().message.find("has no address"), std::string::npos);
}

std::string block_of(std::string_view text) {
    return address_block(*parse_address(text));
}

TEST(AddressBlock, is_the_address_or_the_first_half_of_it) {
    EXPECT_EQ(block_of("192.0.2.1:1"), block_of("192.0.2.1:2"));
    EXPECT_NE(block_of("192.0.2.1:1"), block_of("192.0.2.2:1"));
    EXPECT_EQ(block_of("[2001:db8::1]:1"), block_of("[2001:db8::ffff:1]:1"));
    EXPECT_EQ(block_of("[2001:db8::1]:1"), block_of("[2001:db8:0:0:1::]:1"));
    EXPECT_NE(block_of("[2001:db8::1]:1"), block_of("[2001:db8:0:1::1]:1"));
    EXPECT_EQ(block_of("[::ffff:192.0.2.1]:1"), block_of("192.0.2.1:1"));
    EXPECT_EQ(block_of("unix:/x"), "");
}

}  // namespace
}  // namespace wspool::io
