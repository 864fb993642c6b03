// Pausing a session's reading: what a worker does whose client has to wait (R6, R14).
#include "session/engine.h"
#include "ws/frame.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

namespace wspool::session {
namespace {

using metrics::CloseReason;
using std::chrono::milliseconds;

constexpr std::string_view upgrade_request =
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

std::string masked_frame(ws::Opcode opcode, std::string_view payload) {
    ws::FrameHeader header;
    header.opcode = opcode;
    header.payload_size = payload.size();
    header.is_masked = true;  // with noughts, which change nothing
    std::array<std::byte, ws::frame_header_size_max> head;
    const std::size_t size = ws::write_frame_header(header, head.data());
    return std::string(as_text({head.data(), size})).append(payload);
}

std::string text_frame(std::string_view payload) {
    return masked_frame(ws::Opcode::text, payload);
}

// An engine with one session, and the raw client at its other end: on one loop, as a stream that is
// not the engine's.
struct World {
    explicit World(const EngineOptions& options = {})
        : loop(std::move(io::make_loop({io::LoopChoice::automatic, {}})->loop)),
          engine(*loop, options, entropy, counters) {
        const auto address = engine.listen(*io::parse_address("127.0.0.1:0"));
        client = loop->connect(*address, foreign_owner).value();
        EXPECT_TRUE(run_until([this] { return is_connected; }));
        say(upgrade_request);
        EXPECT_TRUE(run_until([this] { return engine.is_open(session); }));
    }

    void say(std::string_view bytes) { outbox += bytes; }

    void turn() {
        const std::string in_flight = std::exchange(outbox, "");
        if (!in_flight.empty() && !has_ended) {
            const ByteView piece = as_bytes(in_flight);
            loop->send(client, {&piece, 1});
        }
        engine.wait(loop->now() + milliseconds(1));
        EXPECT_TRUE(engine.foreign_short_sends().empty() || has_ended);
        Event event;
        while (engine.next(event)) {
            switch (event.kind) {
                case EventKind::opening:
                    session = event.session;
                    engine.accept(event.session, "", 0);
                    if (pauses_at_once) engine.pause(event.session);
                    break;
                case EventKind::message:
                    EXPECT_FALSE(is_paused);
                    messages.emplace_back(as_text(event.payload));
                    if (on_message) on_message();
                    break;
                case EventKind::closed:
                    reasons.push_back(event.reason);
                    break;
                case EventKind::stream:
                    on_client(*event.stream);
                    break;
                case EventKind::plain:
                case EventKind::opened:
                case EventKind::failed:
                case EventKind::pong:
                case EventKind::abandoned:
                case EventKind::released:
                case EventKind::readable:
                    ADD_FAILURE();
                    break;
            }
        }
        engine.check_invariants();
    }

    void on_client(const io::Event& event) {
        if (event.kind == io::EventKind::connected) is_connected = true;
        if (event.kind == io::EventKind::received) answer += as_text(event.bytes);
        if (event.kind == io::EventKind::ended || event.kind == io::EventKind::failed) {
            has_ended = true;
        }
    }

    bool run_until(const std::function<bool()>& done) {
        const Instant limit = loop->now() + std::chrono::seconds(10);
        while (!done()) {
            if (loop->now() > limit) return false;
            turn();
        }
        return true;
    }
    void run_for(Duration time) {
        const Instant limit = loop->now() + time;
        while (loop->now() < limit) turn();
    }

    void pause() {
        engine.pause(session);
        is_paused = true;
    }
    void resume() {
        is_paused = false;
        engine.resume(session);
    }

    [[nodiscard]] bool was_pinged() const {
        return answer.find(std::string("\x89\x00", 2)) != std::string::npos;
    }

    SeededEntropy entropy{1};
    metrics::Counters counters;
    std::unique_ptr<io::Loop> loop;
    Engine engine;
    io::StreamId client;
    SessionId session;
    std::string outbox, answer;
    std::vector<std::string> messages;
    std::vector<CloseReason> reasons;
    std::function<void()> on_message;
    bool is_connected = false;
    bool has_ended = false;
    bool is_paused = false;
    bool pauses_at_once = false;
};

TEST(EnginePause, NoMessageComesWhilePausedAndAllComeInOrderAfterwards) {
    EXPECT_TRUE(rc::check([] {
        World world;
        const auto steps =
            *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>());
        std::vector<std::string> said;
        std::size_t until_pause = 0;
        world.on_message = [&] {
            if (until_pause > 0 && --until_pause == 0) world.pause();
        };
        std::string bytes;
        for (const std::uint8_t step : steps) {
            switch (step % 5) {
                case 0:
                case 1:
                    said.push_back(std::to_string(said.size()) + std::string(step, 'x'));
                    bytes += text_frame(said.back());
                    break;
                case 2:
                    until_pause = 1 + step / 5 % 4;
                    break;
                case 3:
                    world.resume();
                    if (step % 2 == 0) world.pause();
                    break;
                default: {
                    const std::size_t size = std::min<std::size_t>(bytes.size(), step * 7u);
                    world.say(bytes.substr(0, size));
                    bytes.erase(0, size);
                    world.turn();
                    break;
                }
            }
        }
        until_pause = 0;
        world.say(bytes);
        world.resume();
        RC_ASSERT(world.run_until([&] { return world.messages.size() == said.size(); }));
        RC_ASSERT(world.messages == said);
        RC_ASSERT(world.reasons.empty());
    }));
}

TEST(EnginePause, APauseWhileTheRequestIsAnsweredHoldsBackWhatCameBehindIt) {
    World world;
    world.pauses_at_once = true;
    const auto address = world.engine.listen(*io::parse_address("127.0.0.1:0"));
    world.client = world.loop->connect(*address, foreign_owner).value();
    world.is_connected = false;
    ASSERT_TRUE(world.run_until([&] { return world.is_connected; }));
    const SessionId before = world.session;
    world.say(std::string(upgrade_request) + text_frame("early"));
    ASSERT_TRUE(world.run_until([&] { return world.session != before; }));
    world.run_for(milliseconds(20));
    EXPECT_TRUE(world.messages.empty());
    world.resume();
    ASSERT_TRUE(world.run_until([&] { return !world.messages.empty(); }));
    EXPECT_EQ(world.messages, std::vector<std::string>{"early"});
}

TEST(EnginePause, WhatASessionSendsOnWhileNotReadIsHeldUpToOneReceive) {
    World world;
    std::string bytes;
    std::size_t count = 0;
    for (const std::string frame = text_frame(std::string(1000, 'x'));
         bytes.size() + frame.size() <= io::receive_max;
         ++count) {
        bytes += frame;
    }
    world.on_message = [&] { world.pause(); };
    const std::uint64_t before = world.counters.bytes_received;
    for (int i = 0; i < 3; ++i) {
        world.say(bytes);
        world.turn();
    }
    ASSERT_TRUE(world.run_until([&] { return !world.messages.empty(); }));
    world.run_for(milliseconds(20));
    EXPECT_EQ(world.messages.size(), 1u);
    EXPECT_LE(world.counters.bytes_received - before, io::receive_max);
    world.on_message = {};
    world.resume();
    EXPECT_TRUE(world.run_until([&] { return world.messages.size() == 3 * count; }));
}

TEST(EnginePause, TheKeepaliveClockStandsStill) {
    EngineOptions options;
    options.ping_interval = milliseconds(100);
    options.pong_timeout = milliseconds(100);
    World world(options);
    world.pause();
    world.run_for(milliseconds(500));
    EXPECT_FALSE(world.was_pinged());
    world.resume();
    world.turn();
    EXPECT_FALSE(world.was_pinged());
    const Instant resumed = world.loop->now();
    ASSERT_TRUE(world.run_until([&] { return world.was_pinged(); }));
    EXPECT_GE(world.loop->now() - resumed, milliseconds(30));
    // Nor does the answer become overdue while nobody reads it.
    world.pause();
    world.run_for(milliseconds(500));
    EXPECT_TRUE(world.reasons.empty());
    world.resume();
    const Instant again = world.loop->now();
    ASSERT_TRUE(world.run_until([&] { return !world.reasons.empty(); }));
    EXPECT_EQ(world.reasons, std::vector{CloseReason::pong_timeout});
    EXPECT_GE(world.loop->now() - again, milliseconds(50));
}

TEST(EnginePause, AMessageWhoseRestIsNotReadIsNotLate) {
    EngineOptions options;
    options.frame_timeout = milliseconds(100);
    World world(options);
    const std::string frame = text_frame("whole");
    world.say(frame.substr(0, 8));
    world.run_for(milliseconds(20));
    world.pause();
    world.say(frame.substr(8));
    world.run_for(milliseconds(400));
    EXPECT_TRUE(world.reasons.empty());
    world.resume();
    ASSERT_TRUE(world.run_until([&] { return !world.messages.empty(); }));
    EXPECT_EQ(world.messages, std::vector<std::string>{"whole"});
    // What does not come once it is read again, is.
    world.say(frame.substr(0, 8));
    world.run_for(milliseconds(20));
    world.pause();
    world.run_for(milliseconds(200));
    world.resume();
    const Instant resumed = world.loop->now();
    ASSERT_TRUE(world.run_until([&] { return !world.reasons.empty(); }));
    EXPECT_EQ(world.reasons, std::vector{CloseReason::partial_timeout});
    EXPECT_GE(world.loop->now() - resumed, milliseconds(30));
}

TEST(EnginePause, APausedSessionThatIsClosedStillSeesThePeersAnswer) {
    World world;
    world.on_message = [&] { world.pause(); };
    world.say(text_frame("one") + text_frame("never told") +
              masked_frame(ws::Opcode::close, "\x03\xE9"));
    ASSERT_TRUE(world.run_until([&] { return !world.messages.empty(); }));
    world.is_paused = false;
    world.engine.close(world.session, ws::CloseCode::going_away, "", CloseReason::drained);
    ASSERT_TRUE(world.run_until([&] { return world.has_ended; }));
    EXPECT_EQ(world.messages.size(), 1u);
    EXPECT_EQ(world.reasons, std::vector{CloseReason::drained});
    world.loop->close(world.client);
    ASSERT_TRUE(world.run_until([&] { return world.engine.session_count() == 0; }));
    EXPECT_EQ(world.counters.close_timeouts, 0u);
}

TEST(EnginePause, APausedSessionThatIsGivenUpLeavesNothing) {
    World world;
    world.on_message = [&] { world.pause(); };
    world.say(text_frame("one") + text_frame("two"));
    ASSERT_TRUE(world.run_until([&] { return !world.messages.empty(); }));
    world.is_paused = false;
    world.engine.resume(world.session);
    world.engine.abort(world.session);
    world.run_for(milliseconds(5));
    EXPECT_EQ(world.messages.size(), 1u);
    EXPECT_EQ(world.engine.session_count(), 0u);
}

// ---- held: paused from the start, and watched

std::string close_frame() {
    return masked_frame(ws::Opcode::close, std::string_view("\x03\xe8", 2));
}

TEST(EngineHold, WhatAHeldSessionSaysComesInOrderWhenItIsResumed) {
    EXPECT_TRUE(rc::check([] {
        World world;
        world.engine.hold(world.session);
        world.is_paused = true;
        const auto sizes =
            *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange(0u, 3000u));
        std::vector<std::string> said;
        for (const std::uint32_t size : sizes) {
            said.emplace_back(size, 'x');
            world.say(text_frame(said.back()));
            if (size % 3 == 0) world.turn();
        }
        world.turn();
        RC_ASSERT(world.messages.empty());
        world.resume();
        RC_ASSERT(world.run_until([&] { return world.messages.size() == said.size(); }));
        RC_ASSERT(world.messages == said);
    }));
}

TEST(EngineHold, AHeldSessionThatClosesIsReportedWhateverItSaidBefore) {
    for (const std::size_t size : {0u, 1u, 125u, 126u, 3000u}) {
        World world;
        world.engine.hold(world.session);
        // Its payload holds what looks like a close.
        const std::string said = text_frame(std::string(size, '\x08')) + close_frame();
        for (const char byte : said.substr(0, 20)) {
            world.say({&byte, 1});
            world.turn();
        }
        EXPECT_EQ(world.reasons.size(), size < 5 ? 1u : 0u) << size;
        world.say(std::string_view(said).substr(std::min<std::size_t>(20, said.size())));
        ASSERT_TRUE(world.run_until([&] { return !world.reasons.empty(); })) << size;
        EXPECT_EQ(world.reasons.front(), CloseReason::by_peer);
        EXPECT_TRUE(world.messages.empty());
    }
}

TEST(EngineHold, AHeldSessionThatBreaksOffIsReported) {
    World world;
    world.engine.hold(world.session);
    world.say(text_frame("x"));
    world.turn();
    world.loop->close(world.client, io::CloseMode::graceful);
    ASSERT_TRUE(world.run_until([&] { return !world.reasons.empty(); }));
    EXPECT_EQ(world.reasons.front(), CloseReason::peer_lost);
}

TEST(EngineHold, AFloodOfAHeldSessionStaysInItsSocket) {
    World world;
    world.engine.hold(world.session);
    world.say(std::string(100'000, 'x'));
    world.run_for(milliseconds(50));
    const std::uint64_t received = world.counters.bytes_received;
    EXPECT_LE(received, 400'000u);
    world.say(text_frame("y"));
    world.run_for(milliseconds(20));
    EXPECT_EQ(world.counters.bytes_received, received);
}

}  // namespace
}  // namespace wspool::session
