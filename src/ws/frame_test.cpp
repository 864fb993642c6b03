#include "ws/frame.h"

#include "base/bytes.h"
#include "ws/frame_header.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <string>

namespace wspool::ws {
namespace {

constexpr std::uint64_t boundaries[] = {
    0, 1, 125, 126, 127, 0xFFFF, 0x1'0000, 0x7FFF'FFFF, 0x1'0000'0000, INT64_MAX};

std::string write(const FrameHeader& header) {
    std::byte out[frame_header_size_max];
    return std::string(as_text({out, write_frame_header(header, out)}));
}

RC_GTEST_PROP(FrameHeader, IsReadAsItWasWritten, ()) {
    FrameHeader header;
    header.opcode =
        *rc::gen::element(Opcode::text, Opcode::binary, Opcode::close, Opcode::ping, Opcode::pong);
    const bool is_in_control = is_control(header.opcode);
    header.payload_size = is_in_control
                              ? *rc::gen::inRange<std::uint64_t>(0, 126)
                              : *rc::gen::oneOf(rc::gen::elementOf(std::vector<std::uint64_t>(
                                                    std::begin(boundaries), std::end(boundaries))),
                                                rc::gen::inRange<std::uint64_t>(0, INT64_MAX));
    header.is_final = is_in_control || *rc::gen::arbitrary<bool>();
    header.is_compressed = !is_in_control && *rc::gen::arbitrary<bool>();
    header.is_masked = *rc::gen::arbitrary<bool>();
    if (header.is_masked) {
        for (std::byte& byte : header.mask) byte = std::byte{*rc::gen::arbitrary<std::uint8_t>()};
    }
    const std::string bytes = write(header);
    RC_ASSERT(bytes.size() == frame_header_size(header.payload_size, header.is_masked));

    const HeaderRules rules{header.is_masked ? Role::server : Role::client, true, false};
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        FrameHeader unused;
        const HeaderReading early = read_frame_header(as_bytes(bytes).first(size), rules, unused);
        RC_ASSERT(early.failure == Failure::none && early.size == 0u);
        RC_ASSERT(written_frame_size(as_bytes(bytes).first(size)) == 0u);
    }
    FrameHeader read;
    const HeaderReading reading = read_frame_header(as_bytes(bytes), rules, read);
    RC_ASSERT(reading.failure == Failure::none);
    RC_ASSERT(reading.size == bytes.size());
    RC_ASSERT(read.opcode == header.opcode);
    RC_ASSERT(read.is_final == header.is_final);
    RC_ASSERT(read.is_compressed == header.is_compressed);
    RC_ASSERT(read.payload_size == header.payload_size);
    RC_ASSERT(read.is_masked == header.is_masked);
    RC_ASSERT(read.mask == header.mask);
    RC_ASSERT(written_frame_size(as_bytes(bytes)) == bytes.size() + header.payload_size);
}

TEST(FrameHeader, HasTheBytesOfTheExamplesInTheRfc) {
    FrameHeader header;
    header.payload_size = 5;
    EXPECT_EQ(write(header), "\x81\x05");
    header.is_masked = true;
    header.mask = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
    EXPECT_EQ(write(header), "\x81\x85\x37\xfa\x21\x3d");
    header = {};
    header.opcode = Opcode::binary;
    header.payload_size = 256;
    EXPECT_EQ(write(header), std::string("\x82\x7E\x01\x00", 4));
    header.payload_size = 65536;
    EXPECT_EQ(write(header), std::string("\x82\x7F\0\0\0\0\0\x01\0\0", 10));
}

}  // namespace
}  // namespace wspool::ws
