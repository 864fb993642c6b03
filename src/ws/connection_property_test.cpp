#include "base/random.h"
#include "ws/connection.h"
#include "ws/connection_model.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace wspool::ws {
namespace {

using model::Said;

// What a peer might send: mostly right, so that the streams get somewhere.
class Peer {
  public:
    Peer(Prng& prng, Role role, bool has_deflate)
        : prng_(prng), role_(role), has_deflate_(has_deflate) {}

    std::string make_stream() {
        std::string bytes;
        for (auto count = prng_.below(12); count > 0; --count) bytes += make_message();
        if (prng_.chance(0.2)) bytes += make_control(Opcode::close);
        if (prng_.chance(0.4)) spoil(bytes);
        return bytes;
    }

  private:
    std::string make_payload() {
        constexpr std::string_view parts[] = {"a", "hello", "é", "€", "😀", "{\"type\":1}"};
        constexpr std::size_t sizes[] = {1, 20, 130, 400, 3000};
        const std::size_t size = prng_.below(sizes[prng_.below(std::size(sizes))]);
        std::string payload;
        while (payload.size() < size) payload += parts[prng_.below(std::size(parts))];
        if (prng_.chance(0.03)) payload += static_cast<char>(prng_.next());
        return payload;
    }

    std::string make_control(Opcode opcode) {
        std::string payload = make_payload().substr(0, prng_.below(124));
        if (opcode == Opcode::close && prng_.chance(0.7)) {
            payload = (prng_.chance(0.8) ? "\x03\xE8" : "\x03\xEC") + payload;
        }
        payload.resize(std::min(payload.size(), control_payload_size_max));
        return model::make_frame(role_, opcode, payload);
    }

    std::string make_message() {
        const bool is_compressed = has_deflate_ && prng_.chance(0.5);
        std::string payload = make_payload();
        if (is_compressed) payload = model::deflated(payload);
        Opcode opcode = prng_.chance(0.7) ? Opcode::text : Opcode::binary;
        std::string bytes;
        for (auto fragments = prng_.below(4); fragments > 0; --fragments) {
            const std::size_t size = prng_.below(payload.size() + 1);
            bytes += model::make_frame(role_,
                                       opcode,
                                       payload.substr(0, size),
                                       false,
                                       is_compressed && opcode != Opcode::continuation);
            payload.erase(0, size);
            opcode = Opcode::continuation;
            if (prng_.chance(0.3))
                bytes += make_control(prng_.chance(0.5) ? Opcode::ping : Opcode::pong);
        }
        return bytes +
               model::make_frame(
                   role_, opcode, payload, true, is_compressed && opcode != Opcode::continuation);
    }

    void spoil(std::string& bytes) {
        for (auto count = 1 + prng_.below(3); count > 0 && !bytes.empty(); --count) {
            const std::size_t at = prng_.below(bytes.size());
            switch (prng_.below(4)) {
                case 0:
                    bytes[at] = static_cast<char>(prng_.next());
                    break;
                case 1:
                    bytes[at] = static_cast<char>(bytes[at] ^ 1 << prng_.below(8));
                    break;
                case 2:
                    bytes.erase(at, 1 + prng_.below(5));
                    break;
                default:
                    bytes.resize(at);
                    break;
            }
        }
    }

    Prng& prng_;
    Role role_;
    bool has_deflate_;
};

Codec make_codec(Prng& prng, Inflater& inflater) {
    constexpr std::uint64_t sizes[] = {100, 1000, 65'536};
    Codec codec;
    codec.inflater = &inflater;
    codec.limits.message_size_max = sizes[prng.below(3)];
    if (prng.chance(0.3)) codec.limits.fragments_max = 3;
    if (prng.chance(0.3)) codec.limits.empty_fragments_max = 1;
    return codec;
}

void any_split_is_read_as_the_plain_decoder_reads_the_whole(std::uint64_t seed) {
    Prng prng(seed);
    const Role role = prng.chance(0.5) ? Role::server : Role::client;
    const bool has_deflate = prng.chance(0.5);
    Inflater inflater;
    const Codec codec = make_codec(prng, inflater);
    const std::string bytes = Peer(prng, role, has_deflate).make_stream();

    const std::vector<Said> expected =
        model::Decoder(role, has_deflate, codec.limits).decode(bytes);
    RC_ASSERT(model::read_whole(role, has_deflate, codec, bytes) == expected);

    for (const std::uint64_t piece_max : {1u, 4u, 50u, 2000u}) {
        Connection connection(role, has_deflate);
        RC_ASSERT(model::read_in_pieces(connection, codec, bytes, [&] {
                      return 1 + prng.below(piece_max);
                  }) == expected);
        const bool is_over = !expected.empty() && (expected.back().kind == EventKind::failed ||
                                                   expected.back().kind == EventKind::close);
        RC_ASSERT(connection.is_finished() == is_over);
        RC_ASSERT((connection.progress() == Progress::idle) == (connection.held_bytes() == 0));
    }
}

RC_GTEST_PROP(ConnectionProperty,
              AnySplitIsReadAsThePlainDecoderReadsTheWhole,
              (std::uint64_t seed)) {
    Prng seeds(seed);
    for (int i = 0; i < 30; ++i)
        any_split_is_read_as_the_plain_decoder_reads_the_whole(seeds.next());
}

// Every way to cut a short stream in three, for streams that have everything in them.
TEST(ConnectionProperty, EveryTwoCutsOfAShortStreamGiveTheSameEvents) {
    for (const Role role : {Role::server, Role::client}) {
        const auto frame = [&](Opcode opcode,
                               const std::string& payload,
                               bool is_final,
                               bool is_compressed = false) {
            return model::make_frame(role, opcode, payload, is_final, is_compressed);
        };
        const std::string streams[] = {
            frame(Opcode::text, "a€", false) + frame(Opcode::ping, "p", true) +
                frame(Opcode::continuation, "😀", true) + frame(Opcode::binary, "", true) +
                frame(Opcode::close,
                      "\x03\xE8"
                      "bye",
                      true) +
                "late",
            frame(Opcode::text, model::deflated("Hello"), true, true) +
                frame(Opcode::text, std::string(130, 'x'), true) + "\xF9",
            frame(Opcode::text, "ok", true) + frame(Opcode::text, "\xE2\x82", false) +
                frame(Opcode::pong, "", true) + frame(Opcode::continuation, "\x41more", true),
        };
        Inflater inflater;
        Codec codec;
        codec.inflater = &inflater;
        for (const std::string& bytes : streams) {
            const auto expected = model::Decoder(role, true, codec.limits).decode(bytes);
            EXPECT_GE(expected.size(), 2u);
            for (std::size_t first = 0; first <= bytes.size(); ++first) {
                for (std::size_t second = first; second <= bytes.size(); ++second) {
                    Connection connection(role, true);
                    std::vector<Said> said;
                    for (const std::string& piece : {bytes.substr(0, first),
                                                     bytes.substr(first, second - first),
                                                     bytes.substr(second)}) {
                        const auto more = model::read_in_pieces(
                            connection, codec, piece, [&] { return piece.size(); });
                        said.insert(said.end(), more.begin(), more.end());
                    }
                    ASSERT_EQ(said, expected) << first << ' ' << second;
                }
            }
        }
    }
}

}  // namespace
}  // namespace wspool::ws
