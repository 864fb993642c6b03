#include "ws/connection.h"

#include "ws/connection_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace wspool::ws {
namespace {

using model::deflated;
using model::keep;
using model::make_frame;
using model::Said;
using std::string_literals::operator""s;

static_assert(sizeof(Connection) == 16);

Said message(const std::string& payload, Opcode opcode = Opcode::text) {
    return {EventKind::message, opcode, Failure::none, CloseCode::none, payload};
}
Said failed(Failure failure) {
    return {EventKind::failed, Opcode::text, failure, CloseCode::none, ""};
}
Said ping(const std::string& payload) {
    return {EventKind::ping, Opcode::text, Failure::none, CloseCode::none, payload};
}
Said closed(CloseCode code, const std::string& reason = "") {
    return {EventKind::close, Opcode::text, Failure::none, code, reason};
}

// One connection with what it needs, fed by hand.
struct Reader {
    explicit Reader(Role role = Role::server, bool has_deflate = false)
        : connection(role, has_deflate) {
        codec.inflater = &inflater;
    }

    std::vector<Said> feed(std::string bytes) {
        return model::read_in_pieces(connection, codec, bytes, [&] { return bytes.size(); });
    }
    std::vector<Said> feed_bytewise(const std::string& bytes) {
        return model::read_in_pieces(connection, codec, bytes, [] { return 1; });
    }

    Inflater inflater;
    Codec codec;
    Connection connection;
};

std::string frame(Opcode opcode, const std::string& payload, bool is_final = true) {
    return make_frame(Role::server, opcode, payload, is_final);
}

std::string close_payload(unsigned code, const std::string& reason = "") {
    return std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)} + reason;
}

// Whole at once, byte by byte, and as the model says.
void expect_events(const std::string& bytes,
                   const std::vector<Said>& expected,
                   Role role = Role::server,
                   bool has_deflate = false) {
    Reader whole(role, has_deflate);
    EXPECT_EQ(whole.feed(bytes), expected);
    Reader bytewise(role, has_deflate);
    EXPECT_EQ(bytewise.feed_bytewise(bytes), expected);
    EXPECT_EQ(model::Decoder(role, has_deflate, {}).decode(bytes), expected);
}

void expect_failure(const std::string& bytes,
                    Failure failure,
                    Role role = Role::server,
                    bool has_deflate = false) {
    SCOPED_TRACE(name(failure));
    expect_events(bytes, {failed(failure)}, role, has_deflate);
    // What follows a failure is swallowed.
    expect_events(
        bytes + make_frame(role, Opcode::text, "late"), {failed(failure)}, role, has_deflate);
}

TEST(Failure, EachHasItsCloseCodeAndItsOwnName) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < failure_count; ++i) names.insert(name(static_cast<Failure>(i)));
    EXPECT_EQ(names.size(), failure_count);
    EXPECT_EQ(close_code(Failure::none), CloseCode::none);
    for (const Failure failure : {Failure::bad_mask,
                                  Failure::bad_reserved_bits,
                                  Failure::bad_opcode,
                                  Failure::bad_control_frame,
                                  Failure::bad_continuation,
                                  Failure::bad_length,
                                  Failure::bad_close_frame}) {
        EXPECT_EQ(close_code(failure), CloseCode::protocol_error);
    }
    EXPECT_EQ(close_code(Failure::bad_utf8), CloseCode::invalid_payload);
    EXPECT_EQ(close_code(Failure::bad_deflate), CloseCode::invalid_payload);
    EXPECT_EQ(close_code(Failure::too_big), CloseCode::too_big);
    EXPECT_EQ(close_code(Failure::inflated_too_big), CloseCode::too_big);
    EXPECT_EQ(close_code(Failure::too_many_fragments), CloseCode::policy);
}

TEST(Connection, MessagesOfEitherKindAndAnySizeArriveInOrder) {
    for (const Role role : {Role::server, Role::client}) {
        std::string bytes;
        std::vector<Said> expected;
        for (const std::size_t size : {0u, 1u, 125u, 126u, 127u, 1000u, 65'535u, 65'536u}) {
            const std::string payload(size, 'x');
            bytes += make_frame(role, Opcode::text, payload);
            bytes += make_frame(role, Opcode::binary, payload);
            expected.push_back(message(payload));
            expected.push_back(message(payload, Opcode::binary));
        }
        expect_events(bytes, expected, role);
    }
}

TEST(Connection, AMessageThatLiesWholeInTheInputIsReturnedInPlace) {
    Reader reader;
    std::string bytes = frame(Opcode::text, "Hello") + frame(Opcode::ping, "?");
    MutableBytes input = std::as_writable_bytes(std::span(bytes));
    const Event text = reader.connection.read(input, reader.codec);
    EXPECT_EQ(keep(text), message("Hello"));
    EXPECT_EQ(text.payload.data(), reinterpret_cast<std::byte*>(bytes.data() + 6));
    EXPECT_EQ(reader.connection.held_bytes(), 0u);
    const Event question = reader.connection.read(input, reader.codec);
    EXPECT_EQ(keep(question), ping("?"));
    EXPECT_TRUE(input.empty());
    EXPECT_EQ(reader.connection.held_bytes(), 0u);
}

TEST(Connection, FragmentsAreJoinedAndControlFramesPassBetweenThem) {
    expect_events(frame(Opcode::text, "H", false) + frame(Opcode::ping, "1") +
                      frame(Opcode::continuation, "", false) + frame(Opcode::pong, "2") +
                      frame(Opcode::continuation, "ello") + frame(Opcode::binary, "next"),
                  {ping("1"),
                   {EventKind::pong, Opcode::text, Failure::none, CloseCode::none, "2"},
                   message("Hello"),
                   message("next", Opcode::binary)});
    expect_events(frame(Opcode::text, "H", false) + frame(Opcode::close, close_payload(1000)),
                  {closed(CloseCode::normal)});
}

TEST(Connection, NothingIsHeldBetweenMessages) {
    Reader reader;
    const std::string bytes = frame(Opcode::text, std::string(5000, 'a'), false) +
                              frame(Opcode::ping, "ping") +
                              frame(Opcode::continuation, std::string(5000, 'b'));
    for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
        EXPECT_TRUE(reader.feed(bytes.substr(i, 1)).empty() || i == 5000 + 8 + 6 + 4 - 1);
        EXPECT_NE(reader.connection.progress(), Progress::idle);
        EXPECT_GT(reader.connection.held_bytes(), 0u);
    }
    EXPECT_EQ(reader.feed(bytes.substr(bytes.size() - 1)).size(), 1u);
    EXPECT_EQ(reader.connection.progress(), Progress::idle);
    EXPECT_EQ(reader.connection.held_bytes(), 0u);
}

TEST(Connection, APayloadThatWasGatheredStaysUntilTheNextRead) {
    Reader reader;
    std::string bytes = frame(Opcode::text, "Hello");
    MutableBytes front = std::as_writable_bytes(std::span(bytes).first(8));
    EXPECT_EQ(reader.connection.read(front, reader.codec).kind, EventKind::none);
    MutableBytes back = std::as_writable_bytes(std::span(bytes).subspan(8));
    const Event event = reader.connection.read(back, reader.codec);
    EXPECT_EQ(reader.connection.progress(), Progress::idle);
    Connection moved = std::move(reader.connection);
    EXPECT_EQ(keep(event), message("Hello"));
    EXPECT_EQ(moved.read(back, reader.codec).kind, EventKind::none);
    EXPECT_EQ(moved.held_bytes(), 0u);
}

TEST(Connection, ProgressTellsAFrameFromAFragmentedMessage) {
    Reader reader;
    EXPECT_EQ(reader.connection.progress(), Progress::idle);
    reader.feed(frame(Opcode::text, "abc").substr(0, 1));
    EXPECT_EQ(reader.connection.progress(), Progress::in_frame);
    reader.feed(frame(Opcode::text, "abc").substr(1));
    EXPECT_EQ(reader.connection.progress(), Progress::idle);
    reader.feed(frame(Opcode::text, "abc", false));
    EXPECT_EQ(reader.connection.progress(), Progress::in_message);
    reader.feed(frame(Opcode::ping, "") + frame(Opcode::continuation, "d").substr(0, 6));
    EXPECT_EQ(reader.connection.progress(), Progress::in_message);
    reader.feed(frame(Opcode::continuation, "d").substr(6));
    EXPECT_EQ(reader.connection.progress(), Progress::idle);
}

TEST(Connection, AFrameWithTheWrongMaskingFails) {
    expect_failure("\x81\x05Hello", Failure::bad_mask, Role::server);
    expect_failure(frame(Opcode::text, "Hello"), Failure::bad_mask, Role::client);
    expect_failure("\x81\x00"s, Failure::bad_mask, Role::server);
}

TEST(Connection, ReservedBitsFailUnlessDeflateGivesTheFirstItsMeaning) {
    for (unsigned first = 0; first < 256; ++first) {
        if ((first & 0x70) == 0) continue;
        const std::string bytes{static_cast<char>(first), '\x80', 'k', 'e', 'y', '!'};
        expect_failure(bytes, Failure::bad_reserved_bits, Role::server, false);
        const unsigned opcode = first & 0xF;
        const bool is_data = opcode == 1 || opcode == 2;
        if ((first & 0x70) == 0x40 && is_data) continue;
        expect_failure(bytes, Failure::bad_reserved_bits, Role::server, true);
    }
    expect_failure(make_frame(Role::server, Opcode::text, "a", false, true) +
                       make_frame(Role::server, Opcode::continuation, "b", true, true),
                   Failure::bad_reserved_bits,
                   Role::server,
                   true);
}

TEST(Connection, UnknownOpcodesFailWhateverLengthTheyDeclare) {
    for (const unsigned opcode : {3u, 4u, 5u, 6u, 7u, 11u, 12u, 13u, 14u, 15u}) {
        for (const unsigned final : {0x00u, 0x80u}) {
            const std::string first(1, static_cast<char>(final | opcode));
            expect_failure(first, Failure::bad_opcode);
            expect_failure(first + "\xFF\x40\0\0\0\0\0\0\0"s, Failure::bad_opcode);
        }
    }
}

TEST(Connection, ControlFramesThatAreLongOrFragmentedFail) {
    for (const Opcode opcode : {Opcode::close, Opcode::ping, Opcode::pong}) {
        expect_failure(frame(opcode, "", false), Failure::bad_control_frame);
        expect_failure(frame(opcode, std::string(126, 'a')), Failure::bad_control_frame);
        expect_failure(frame(opcode, std::string(70'000, 'a')).substr(0, 2),
                       Failure::bad_control_frame);
    }
    expect_events(frame(Opcode::ping, std::string(125, 'a')), {ping(std::string(125, 'a'))});
}

TEST(Connection, ContinuationsAndNewMessagesInTheWrongPlaceFail) {
    expect_failure(frame(Opcode::continuation, "a"), Failure::bad_continuation);
    expect_failure(frame(Opcode::continuation, "a", false), Failure::bad_continuation);
    expect_failure(frame(Opcode::text, "a", false) + frame(Opcode::text, "b"),
                   Failure::bad_continuation);
    expect_failure(frame(Opcode::binary, "a", false) + frame(Opcode::binary, "b", false),
                   Failure::bad_continuation);
}

TEST(Connection, LengthsThatAreNotTheShortestFail) {
    for (const std::string& length : {"\xFE\x00\x00"s,
                                      "\xFE\x00\x7D"s,
                                      "\xFF\0\0\0\0\0\0\0\x05"s,
                                      "\xFF\0\0\0\0\0\0\xFF\xFF"s,
                                      "\xFF\x80\0\0\0\0\0\0\0"s,
                                      "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s}) {
        expect_failure("\x82" + length, Failure::bad_length);
    }
}

// What a header alone must lead to, for every length that ever broke a decoder.
TEST(Connection, EveryDangerousLengthIsJudgedAtTheHeaderAndAllocatesNothing) {
    const std::uint64_t lengths[] = {125,
                                     126,
                                     127,
                                     65'535,
                                     65'536,
                                     (1ull << 31) - 1,
                                     1ull << 31,
                                     (1ull << 31) + 1,
                                     (1ull << 32) - 1,
                                     1ull << 32,
                                     (1ull << 32) + 1,
                                     INT64_MAX,
                                     1ull << 63,
                                     UINT64_MAX};
    constexpr std::size_t held_max = 1024;
    for (const std::uint64_t length : lengths) {
        for (const bool is_masked : {false, true}) {
            for (const Opcode opcode :
                 {Opcode::ping, Opcode::text, Opcode::binary, Opcode::continuation}) {
                FrameHeader header;
                header.opcode = opcode;
                header.payload_size = length;
                header.is_masked = is_masked;
                std::byte out[frame_header_size_max];
                const std::string bytes(as_text({out, write_frame_header(header, out)}));
                Reader reader;
                if (opcode == Opcode::continuation) {
                    EXPECT_TRUE(reader.feed(frame(Opcode::binary, "a", false)).empty());
                }
                Failure expected = Failure::none;
                const std::uint64_t room = opcode == Opcode::continuation ? 65'535 : 65'536;
                if (length > room) expected = Failure::too_big;
                if (length >> 63 != 0) expected = Failure::bad_length;
                if (opcode == Opcode::ping && length > 125) expected = Failure::bad_control_frame;
                if (!is_masked) expected = Failure::bad_mask;
                const std::vector<Said> said = reader.feed(bytes);
                if (expected == Failure::none) {
                    EXPECT_TRUE(said.empty()) << length;
                } else {
                    EXPECT_EQ(said, std::vector{failed(expected)}) << length;
                }
                EXPECT_LE(reader.connection.held_bytes(), held_max);
            }
        }
    }
}

TEST(Connection, AMessageMayBeAsLongAsTheLimitAndNoLonger) {
    const std::string whole(65'536, 'a');
    expect_events(frame(Opcode::text, whole), {message(whole)});
    expect_failure(frame(Opcode::text, whole + "a"), Failure::too_big);
    const std::string most(65'535, 'a');
    expect_events(frame(Opcode::text, most, false) + frame(Opcode::continuation, "a"),
                  {message(whole)});
    expect_failure(frame(Opcode::text, most, false) + frame(Opcode::continuation, "aa"),
                   Failure::too_big);
    expect_failure(
        frame(Opcode::text, whole, false) + "\x80\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s + "mask",
        Failure::too_big);
}

TEST(Connection, ALimitBeyondWhatBuffersCanCountIsTheirLimit) {
    Reader reader;
    reader.codec.limits.message_size_max = UINT64_MAX;
    EXPECT_TRUE(reader.feed(frame(Opcode::binary, std::string(1000, 'a'), false)).empty());
    EXPECT_EQ(reader.feed("\x80\xFF\0\0\0\0\xFF\xFF\xFF\xFFmask"s),
              std::vector{failed(Failure::too_big)});
}

TEST(Connection, MemoryGrowsWithWhatArrivedNotWithWhatWasDeclared) {
    Reader reader;
    reader.codec.limits.message_size_max = 1ull << 31;
    const std::string header = "\x82\xFF\0\0\0\0\x40\0\0\0"s + std::string(4, '\0');
    EXPECT_TRUE(reader.feed(header).empty());
    std::size_t arrived = 0;
    for (int i = 0; i < 100; ++i) {
        EXPECT_LE(reader.connection.held_bytes(), 1024 + 2 * arrived);
        EXPECT_TRUE(reader.feed(std::string(1000, 'a')).empty());
        arrived += 1000;
    }
}

TEST(Connection, FragmentsAreCountedAndEmptyOnesMore) {
    Reader reader;
    reader.codec.limits.fragments_max = 1000;
    reader.codec.limits.empty_fragments_max = 10;
    const auto feed_many = [&](int count, const std::string& bytes) {
        std::vector<Said> said;
        for (int i = 0; i < count && said.empty(); ++i) said = reader.feed(bytes);
        return said;
    };
    EXPECT_TRUE(reader.feed(frame(Opcode::binary, "", false)).empty());
    EXPECT_TRUE(feed_many(9, frame(Opcode::continuation, "", false)).empty());
    EXPECT_TRUE(feed_many(989, frame(Opcode::continuation, "a", false)).empty());
    EXPECT_EQ(reader.feed(frame(Opcode::continuation, "")),
              std::vector{message(std::string(989, 'a'), Opcode::binary)});
    // The count begins anew with each message.
    EXPECT_TRUE(reader.feed(frame(Opcode::binary, "b", false)).empty());
    EXPECT_TRUE(feed_many(999, frame(Opcode::continuation, "b", false)).empty());
    EXPECT_LE(reader.connection.held_bytes(), 4096u);
    EXPECT_EQ(reader.feed(frame(Opcode::continuation, "b")),
              std::vector{failed(Failure::too_many_fragments)});
}

TEST(Connection, EmptyFragmentsWithoutEndFail) {
    Reader reader;
    EXPECT_TRUE(reader.feed(frame(Opcode::text, "", false)).empty());
    const std::string empty = frame(Opcode::continuation, "", false);
    for (int i = 1; i < 256; ++i) ASSERT_TRUE(reader.feed(empty).empty());
    EXPECT_LE(reader.connection.held_bytes(), 512u);
    EXPECT_EQ(reader.feed(empty), std::vector{failed(Failure::too_many_fragments)});
    EXPECT_EQ(reader.connection.held_bytes(), 0u);
}

TEST(Connection, AWholeMessageIsNoFragmentWhateverTheLimits) {
    Reader reader;
    reader.codec.limits.fragments_max = 0;
    reader.codec.limits.empty_fragments_max = 0;
    EXPECT_EQ(reader.feed_bytewise(frame(Opcode::text, "") + frame(Opcode::text, "a")),
              (std::vector{message(""), message("a")}));
}

TEST(Connection, CloseFramesGiveTheirCodeAndReason) {
    expect_events(frame(Opcode::close, ""), {closed(CloseCode::no_status)});
    for (const unsigned code : {1000u, 1001u, 1003u, 1007u, 1011u, 1012u, 1014u, 3000u, 4999u}) {
        expect_events(frame(Opcode::close, close_payload(code)),
                      {closed(static_cast<CloseCode>(code))});
    }
    const std::string reason = std::string(119, 'r') + "😀";
    expect_events(frame(Opcode::close, close_payload(1000, reason)) + frame(Opcode::text, "late"),
                  {closed(CloseCode::normal, reason)});
}

TEST(Connection, BadCloseFramesFail) {
    expect_failure(frame(Opcode::close, "a"), Failure::bad_close_frame);
    for (const unsigned code :
         {0u, 999u, 1004u, 1005u, 1006u, 1015u, 1100u, 2999u, 5000u, 65535u}) {
        expect_failure(frame(Opcode::close, close_payload(code)), Failure::bad_close_frame);
    }
    expect_failure(frame(Opcode::close, close_payload(1000, "\xFF")), Failure::bad_utf8);
    expect_failure(frame(Opcode::close, close_payload(1000, "\xE2\x82")), Failure::bad_utf8);
}

TEST(Connection, IsFinishedAfterACloseAndAfterAFailure) {
    for (const std::string& last : {frame(Opcode::close, ""), "\xFF"s}) {
        Reader reader;
        EXPECT_FALSE(reader.connection.is_finished());
        EXPECT_EQ(reader.feed(last).size(), 1u);
        EXPECT_TRUE(reader.connection.is_finished());
        EXPECT_TRUE(reader.feed(frame(Opcode::text, "late") + frame(Opcode::close, "")).empty());
        EXPECT_EQ(reader.connection.held_bytes(), 0u);
        EXPECT_EQ(reader.connection.progress(), Progress::idle);
    }
}

TEST(Connection, TextThatIsNoUtf8FailsAtItsFirstBadByteInsideAnUnfinishedFrame) {
    Reader reader;
    const std::string bytes = frame(Opcode::text, "ok \xED\xA0 and much more");
    EXPECT_TRUE(reader.feed_bytewise(bytes.substr(0, 6 + 4)).empty());
    EXPECT_EQ(reader.feed(bytes.substr(10, 1)), std::vector{failed(Failure::bad_utf8)});
    expect_failure(frame(Opcode::text, "\xE2\x82"), Failure::bad_utf8);
    expect_failure(frame(Opcode::text, "\xE2", false) + frame(Opcode::continuation, ""),
                   Failure::bad_utf8);
    expect_events(frame(Opcode::text, "\xE2", false) + frame(Opcode::ping, "\xFF") +
                      frame(Opcode::continuation, "\x82\xAC"),
                  {ping("\xFF"), message("€")});
    expect_events(frame(Opcode::binary, "\xFF"), {message("\xFF", Opcode::binary)});
}

TEST(Connection, ValidMessagesBeforeABadFrameInTheSameReadComeFirst) {
    expect_events(frame(Opcode::text, "one") + frame(Opcode::ping, "two") + "\x83",
                  {message("one"), ping("two"), failed(Failure::bad_opcode)});
}

TEST(Connection, CompressedMessagesAreInflatedWholeOrInFragments) {
    for (const Role role : {Role::server, Role::client}) {
        const std::string text(3000, 'a');
        const std::string compressed = deflated(text);
        expect_events(make_frame(role, Opcode::text, compressed, true, true) +
                          make_frame(role, Opcode::binary, compressed.substr(0, 4), false, true) +
                          make_frame(role, Opcode::ping, "between") +
                          make_frame(role, Opcode::continuation, compressed.substr(4)) +
                          make_frame(role, Opcode::text, "plain") +
                          make_frame(role, Opcode::text, "\0"s, true, true),
                      {message(text),
                       ping("between"),
                       message(text, Opcode::binary),
                       message("plain"),
                       message("")},
                      role,
                      true);
    }
}

TEST(Connection, WhatCannotBeInflatedOrInflatesToBadTextFails) {
    const auto compressed_frame = [](const std::string& payload) {
        return make_frame(Role::server, Opcode::text, payload, true, true);
    };
    expect_failure(compressed_frame("\x06"), Failure::bad_deflate, Role::server, true);
    expect_failure(compressed_frame(""), Failure::bad_deflate, Role::server, true);
    expect_failure(compressed_frame(deflated("\xFF")), Failure::bad_utf8, Role::server, true);
    expect_failure(compressed_frame(deflated("\xE2\x82")), Failure::bad_utf8, Role::server, true);
}

TEST(Connection, ABombIsStoppedAtTheLimitWholeOrSpreadOverFragments) {
    const std::string bomb = deflated(std::string(16 << 20, '\0'));
    ASSERT_LT(bomb.size(), 65'536u * 2);
    Reader reader(Role::server, true);
    reader.codec.limits.message_size_max = 65'536 * 2;
    EXPECT_EQ(reader.feed(make_frame(Role::server, Opcode::binary, bomb, true, true)),
              std::vector{failed(Failure::inflated_too_big)});

    Reader fragmented(Role::server, true);
    fragmented.codec.limits = reader.codec.limits;
    std::size_t at = 0;
    for (; at + 1000 < bomb.size(); at += 1000) {
        EXPECT_TRUE(fragmented
                        .feed(make_frame(Role::server,
                                         at == 0 ? Opcode::binary : Opcode::continuation,
                                         bomb.substr(at, 1000),
                                         false,
                                         at == 0))
                        .empty());
        EXPECT_LE(fragmented.connection.held_bytes(), 4096 + 2 * (at + 1000));
    }
    EXPECT_EQ(fragmented.feed(make_frame(Role::server, Opcode::continuation, bomb.substr(at))),
              std::vector{failed(Failure::inflated_too_big)});
    // The limit is on the message, and what cannot be compressed is a little longer on the wire.
    const std::string message_at_limit(65'536, 'x');
    expect_events(make_frame(Role::server, Opcode::binary, deflated(message_at_limit), true, true),
                  {message(message_at_limit, Opcode::binary)},
                  Role::server,
                  true);
    expect_failure(
        make_frame(Role::server, Opcode::binary, deflated(message_at_limit + "x"), true, true),
        Failure::inflated_too_big,
        Role::server,
        true);
    expect_failure("\xC2\xFF\0\0\0\0\0\x01\x20\x41mask"s, Failure::too_big, Role::server, true);
}

TEST(Connection, AClientWhoseServerKeepsItsContextInflatesWithIt) {
    Reader reader(Role::client, true);
    Inflater keeping(true);
    reader.codec.inflater = &keeping;
    const auto compressed_frame = [](const std::string& payload) {
        return make_frame(Role::client, Opcode::text, payload, true, true);
    };
    EXPECT_EQ(reader.feed(compressed_frame("\xf2\x48\xcd\xc9\xc9\x07\x00"s) +
                          compressed_frame("\xf2\x00\x11\x00\x00"s)),
              (std::vector{message("Hello"), message("Hello")}));
}

}  // namespace
}  // namespace wspool::ws
