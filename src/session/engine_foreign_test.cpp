// What the engine shares with others: streams on its loop that are not its own, listeners and
// connections that other processes opened or go on with.
#include "io/descriptor_channel.h"
#include "io/listener.h"
#include "session/engine.h"
#include "ws/frame.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace wspool::session {
namespace {

constexpr std::string_view upgrade_request =
    "GET /way?x=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

constexpr std::uint64_t foreign = foreign_owner | 5;

std::string masked_text(std::string_view payload) {
    ws::FrameHeader header;
    header.opcode = ws::Opcode::text;
    header.payload_size = payload.size();
    header.is_masked = true;  // with noughts, which change nothing
    std::array<std::byte, ws::frame_header_size_max> head;
    const std::size_t size = ws::write_frame_header(header, head.data());
    return std::string(as_text({head.data(), size})).append(payload);
}

// An engine, and what happened to its sessions.
struct Process {
    explicit Process(io::LoopChoice choice, const EngineOptions& options = {})
        : loop(std::move(io::make_loop({choice, {}})->loop)),
          engine(*loop, options, entropy, counters) {}

    void turn() {
        engine.wait(loop->now() + std::chrono::milliseconds(1));
        Event event;
        while (engine.next(event)) {
            if (on_event) {
                on_event(event);
            } else if (event.kind == EventKind::opening) {
                targets.emplace_back(event.request->target);
                engine.accept(event.session, "", 0);
                session = event.session;
            } else if (event.kind == EventKind::message) {
                messages.emplace_back(as_text(event.payload));
                (void)engine.send(event.session, event.opcode, event.payload);
            } else if (event.kind == EventKind::closed) {
                reasons.push_back(event.reason);
            }
        }
        engine.check_invariants();
    }

    SeededEntropy entropy{1};
    metrics::Counters counters;
    std::unique_ptr<io::Loop> loop;
    Engine engine;
    SessionId session;
    std::vector<std::string> targets, messages;
    std::vector<metrics::CloseReason> reasons;
    std::function<void(Event&)> on_event;  // instead of all that
};

// A client that says what it is told to, and remembers the answer.
struct Client {
    Client(io::LoopChoice choice, const io::Address& address)
        : loop(std::move(io::make_loop({choice, {}})->loop)),
          stream(loop->connect(address, 0).value()) {}

    void turn() {
        if (is_connected && !text.empty()) {
            in_flight = std::move(text);
            text.clear();
            const ByteView piece = as_bytes(in_flight);
            loop->send(stream, {&piece, 1});
        }
        loop->wait(Instant::min());
        io::Event event{};
        while (loop->next_event(event)) {
            if (event.kind == io::EventKind::connected) is_connected = true;
            if (event.kind == io::EventKind::received) answer += as_text(event.bytes);
            if (event.kind == io::EventKind::ended || event.kind == io::EventKind::failed) {
                has_ended = true;
            }
        }
    }
    [[nodiscard]] bool was_told(std::string_view what) const {
        return answer.find(what) != std::string::npos;
    }

    std::unique_ptr<io::Loop> loop;
    io::StreamId stream;
    std::string text, in_flight, answer;
    bool is_connected = false;
    bool has_ended = false;
};

class EngineForeign : public testing::TestWithParam<io::LoopChoice> {
  protected:
    // Turns of all of them until `done`; false when that takes ten seconds.
    template <class... Parts>
    static bool run_until(const std::function<bool()>& done, Parts&... parts) {
        Process probe(io::LoopChoice::epoll);
        const Instant limit = probe.loop->now() + std::chrono::seconds(10);
        while (!done()) {
            if (probe.loop->now() > limit) return false;
            (parts.turn(), ...);
            probe.loop->wait(Instant::min());
        }
        return true;
    }
};

TEST_P(EngineForeign, AcceptsFromAListenerThatSomebodyElseOpened) {
    Process process(GetParam());
    const auto listening =
        io::open_listeners({io::Address::Family::ipv4, "127.0.0.1", 0}, listen_options({}), 1);
    ASSERT_TRUE(listening);
    const auto address = process.engine.listen_on(listening->descriptors[0]);
    ASSERT_TRUE(address);
    EXPECT_EQ(*address, listening->address);
    Client client(GetParam(), *address);
    client.text = std::string(upgrade_request) + masked_text("hello");
    ASSERT_TRUE(run_until([&] { return client.was_told("\x81\x05hello"); }, process, client));
    EXPECT_EQ(process.messages, std::vector<std::string>{"hello"});
}

TEST_P(EngineForeign, HandsOutWhatBefallsStreamsOfOthersAndTheirShortSends) {
    Process process(GetParam());
    const auto ends = io::make_socket_pair(io::PairKind::stream).value();
    const io::StreamId first = process.loop->adopt(ends[0], foreign).value();
    const io::StreamId second = process.loop->adopt(ends[1], foreign + 1).value();
    std::vector<io::EventKind> kinds;
    std::string received;
    process.on_event = [&](const Event& event) {
        ASSERT_EQ(event.kind, EventKind::stream);
        kinds.push_back(event.stream->kind);
        if (event.stream->kind != io::EventKind::received) return;
        EXPECT_EQ(event.stream->owner, foreign + 1);
        EXPECT_EQ(event.stream->stream, second);
        received += as_text(event.stream->bytes);
    };
    process.loop->pause(second);
    const std::string text(io::send_size_max, 'x');
    std::size_t taken = 0;
    bool is_short = false;
    while (!is_short) {
        const ByteView piece = as_bytes(text);
        process.loop->send(first, {&piece, 1});
        process.turn();
        is_short = !process.engine.foreign_short_sends().empty();
        taken += is_short ? process.engine.foreign_short_sends()[0].sent : text.size();
    }
    EXPECT_EQ(process.engine.foreign_short_sends()[0].owner, foreign);
    process.turn();
    EXPECT_TRUE(process.engine.foreign_short_sends().empty());
    process.loop->resume(second);
    const auto has_room = [&] {
        return std::find(kinds.begin(), kinds.end(), io::EventKind::writable) != kinds.end();
    };
    ASSERT_TRUE(run_until([&] { return received.size() == taken && has_room(); }, process));
    process.loop->close(first);
    ASSERT_TRUE(run_until([&] { return kinds.back() == io::EventKind::ended; }, process));
}

// ---- from engine to engine (R44)

// However the client's bytes come: the second engine sees what the first one would have seen.
TEST_P(EngineForeign, AConnectionThatWasReleasedUnansweredGoesOnInAnotherEngine) {
    const bool holds = rc::check([&] {
        Process first(GetParam());
        Process second(GetParam());
        const auto address = first.engine.listen(*io::parse_address("127.0.0.1:0"));
        RC_ASSERT(address.has_value());
        std::optional<Released> on_its_way;
        first.on_event = [&](const Event& event) {
            RC_ASSERT(event.kind == EventKind::opening);
            auto released = first.engine.release(event.session);
            RC_ASSERT(released.has_value());
            RC_ASSERT(event.request->target == "/way?x=1");
            on_its_way = std::move(*released);
        };
        std::string rest(upgrade_request);
        for (const std::string_view text : {"one", "two", "three"}) rest += masked_text(text);
        Client client(GetParam(), *address);
        RC_ASSERT(run_until([&] { return client.is_connected; }, client));
        const auto say_some = [&] {
            const std::size_t size = *rc::gen::inRange<std::size_t>(1, rest.size() + 1);
            client.text = rest.substr(0, size);
            rest.erase(0, size);
        };
        RC_ASSERT(run_until(
            [&] {
                if (!on_its_way && !rest.empty()) say_some();
                return on_its_way.has_value();
            },
            client,
            first));
        RC_ASSERT(first.engine.session_count() == 0u);
        const int fd = on_its_way->fd;
        const auto adopted = second.engine.adopt(fd, on_its_way->bytes.view());
        RC_ASSERT(adopted.has_value());
        on_its_way.reset();  // the engine has its own copy
        RC_ASSERT(run_until(
            [&] {
                if (!rest.empty()) say_some();
                return client.was_told("\x81\x05three");
            },
            client,
            second,
            first));
        RC_ASSERT(second.targets == std::vector<std::string>{"/way?x=1"});
        RC_ASSERT(second.messages == (std::vector<std::string>{"one", "two", "three"}));
        RC_ASSERT(second.session == *adopted);
        RC_ASSERT(first.counters.connections_opened == 0u);
        RC_ASSERT(second.counters.connections == 1u);
        RC_ASSERT(!client.has_ended);
    });
    EXPECT_TRUE(holds);
}

// What the first engine knows of it and the bytes do not say goes along: when it was accepted.
TEST_P(EngineForeign, AnAdoptedConnectionIsAsOldAsItsReleaserSays) {
    EngineOptions options;
    options.handshake_timeout = std::chrono::seconds(2);
    Process process(GetParam(), options);
    const auto ends = io::make_socket_pair(io::PairKind::stream).value();
    const auto adopted = process.engine.adopt(
        ends[0], as_bytes(upgrade_request), {.tag = 17, .waited = std::chrono::seconds(1)});
    ASSERT_TRUE(adopted);
    std::optional<Released> released;
    process.on_event = [&](const Event& event) {
        if (event.kind != EventKind::opening) return;
        EXPECT_EQ(event.tag, 17u);
        EXPECT_FALSE(process.engine.release(event.session, upgrade_request.size() - 1));
        auto outcome = process.engine.release(event.session, upgrade_request.size());
        ASSERT_TRUE(outcome);
        released = std::move(*outcome);
    };
    ASSERT_TRUE(run_until([&] { return released.has_value(); }, process));
    EXPECT_GE(released->waited, std::chrono::milliseconds(980));
    EXPECT_LE(released->waited, std::chrono::seconds(2));
    // Unfinished, and as old as may be: refused at once.
    ASSERT_TRUE(process.engine.adopt(
        released->fd, as_bytes("GET / HT"), {.tag = 0, .waited = std::chrono::hours(1)}));
    const io::StreamId peer = process.loop->adopt(ends[1], foreign).value();
    std::string answer;
    process.on_event = [&](const Event& event) {
        if (event.kind == EventKind::stream && event.stream->kind == io::EventKind::received)
            answer += as_text(event.stream->bytes);
    };
    ASSERT_TRUE(run_until([&] { return answer.find("408") != std::string::npos; }, process));
    process.loop->close(peer);
}

TEST_P(EngineForeign, OnlyWhoWaitsForAnAnswerIsReleased) {
    Process process(GetParam());
    const auto address = process.engine.listen(*io::parse_address("127.0.0.1:0"));
    ASSERT_TRUE(address);
    Client client(GetParam(), *address);
    client.text = std::string(upgrade_request) + masked_text("hello");
    ASSERT_TRUE(run_until([&] { return !process.messages.empty(); }, process, client));
    EXPECT_FALSE(process.engine.release(process.session));
    EXPECT_FALSE(process.engine.release(SessionId{}));
    EXPECT_TRUE(process.engine.is_open(process.session));
}

TEST_P(EngineForeign, AnAdoptedConnectionWithoutItsRequestHasTheTimeOfAnAcceptedOne) {
    EngineOptions options;
    options.handshake_timeout = std::chrono::milliseconds(50);
    Process process(GetParam(), options);
    const auto ends = io::make_socket_pair(io::PairKind::stream).value();
    ASSERT_TRUE(process.engine.adopt(ends[0], as_bytes("GET / HT")));
    const io::StreamId peer = process.loop->adopt(ends[1], foreign).value();
    std::string answer;
    process.on_event = [&](const Event& event) {
        if (event.kind != EventKind::stream) return;
        if (event.stream->kind == io::EventKind::received) answer += as_text(event.stream->bytes);
        if (event.stream->kind == io::EventKind::ended) process.loop->close(peer);
    };
    ASSERT_TRUE(run_until([&] { return process.engine.session_count() == 0; }, process));
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 408");
}

INSTANTIATE_TEST_SUITE_P(Loops,
                         EngineForeign,
                         testing::Values(io::LoopChoice::uring, io::LoopChoice::epoll),
                         [](const auto& choice) {
                             return choice.param == io::LoopChoice::uring ? "uring" : "epoll";
                         });

}  // namespace
}  // namespace wspool::session
