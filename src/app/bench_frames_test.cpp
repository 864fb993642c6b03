#include "app/bench_frames.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <tuple>
#include <vector>

namespace wspool::app {
namespace {

struct Heard {
    ws::Opcode opcode;
    std::uint64_t size;
    std::string control;
    friend bool operator==(const Heard&, const Heard&) = default;
};

std::ostream& operator<<(std::ostream& out, const Heard& heard) {
    return out << static_cast<int>(heard.opcode) << ":" << heard.size << ":" << heard.control;
}

std::string server_frame(ws::Opcode opcode, bool is_final, const std::string& payload) {
    ws::FrameHeader header;
    header.opcode = opcode;
    header.is_final = is_final;
    header.payload_size = payload.size();
    std::array<std::byte, ws::frame_header_size_max> raw;
    const std::size_t size = ws::write_frame_header(header, raw.data());
    return std::string(as_text(ByteView(raw.data(), size))) + payload;
}

// Cuts `stream` at random places and collects what is heard.
std::vector<Heard> hear(const std::string& stream, const std::vector<std::size_t>& cuts) {
    ReplyReader reader;
    std::vector<Heard> heard;
    const auto sink = [&](ws::Opcode opcode, std::uint64_t size, ByteView payload) {
        const bool is_control = static_cast<unsigned>(opcode) >= 8;
        heard.push_back({opcode, size, is_control ? std::string(as_text(payload)) : ""});
    };
    std::string_view rest = stream;
    for (const std::size_t cut : cuts) {
        const auto piece = rest.substr(0, cut);
        RC_ASSERT(reader.feed(as_bytes(piece), sink));
        rest.remove_prefix(piece.size());
    }
    RC_ASSERT(reader.feed(as_bytes(rest), sink));
    return heard;
}

RC_GTEST_PROP(ReplyReader, any_split_of_the_bytes_gives_the_same_messages, ()) {
    const auto sizes = *rc::gen::container<std::vector<std::size_t>>(
        rc::gen::element<std::size_t>(0, 1, 3, 125, 126, 127, 1'000, 65'535, 65'536, 70'000));
    std::string stream;
    std::vector<Heard> expected;
    for (const std::size_t size : sizes) {
        const std::string payload(size, 'p');
        const auto kind = *rc::gen::inRange(0, 4);
        if (kind == 0 && size <= ws::control_payload_size_max) {
            stream += server_frame(ws::Opcode::ping, true, payload);
            expected.push_back({ws::Opcode::ping, size, payload});
        } else if (kind == 1) {
            stream += server_frame(ws::Opcode::text, false, payload);
            stream += server_frame(ws::Opcode::pong, true, "between");
            stream += server_frame(ws::Opcode::continuation, true, "end");
            expected.push_back({ws::Opcode::pong, 7, "between"});
            expected.push_back({ws::Opcode::text, size + 3, ""});
        } else {
            stream += server_frame(ws::Opcode::binary, true, payload);
            expected.push_back({ws::Opcode::binary, size, ""});
        }
    }
    const auto cuts =
        *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 500));
    RC_ASSERT(hear(stream, cuts) == expected);
    RC_ASSERT(hear(stream, {}) == expected);
}

TEST(ReplyReader, refuses_what_no_server_may_send) {
    const auto sink = [](ws::Opcode, std::uint64_t, ByteView) {};
    const auto accepts = [&](std::string_view stream) {
        return ReplyReader().feed(as_bytes(stream), sink);
    };
    EXPECT_TRUE(accepts("\x81\x01x"));
    EXPECT_FALSE(accepts("\x81\x81xxxxx"));  // masked
    EXPECT_FALSE(accepts("\xC1\x01x"));      // compressed, though it was not offered
    EXPECT_FALSE(accepts(std::string_view("\x89\x7E\x01\x00", 4)));  // a ping of 256 bytes
}

RC_GTEST_PROP(FrameRun, every_slice_continues_the_stream_of_equal_frames, ()) {
    SeededEntropy entropy(1);
    const std::string payload(*rc::gen::element<std::size_t>(0, 1, 64, 200, 70'000), 'p');
    const FrameRun run(ws::Opcode::binary, payload, 100'000, entropy);
    std::string frame, stream;
    SeededEntropy same(1);
    append_masked_frame(frame, ws::Opcode::binary, payload, same);
    RC_ASSERT(run.frame_size() == frame.size());
    const auto position = *rc::gen::inRange<std::size_t>(0, frame.size());
    const auto size = *rc::gen::inRange<std::size_t>(0, 100'000);
    while (stream.size() < position + size) stream += frame;
    RC_ASSERT(as_text(run.slice(position, size)) ==
              std::string_view(stream).substr(position, size));
}

}  // namespace
}  // namespace wspool::app
