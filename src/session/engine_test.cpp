// The engine against itself over loopback, on both of the kernel's loops, without TLS and with it:
// a server engine and a client engine pumped in turns by one thread, and raw streams where a peer
// must misbehave.
#include "session/engine.h"

#include "io/tls_loop.h"
#include "io/tls_test_certificates.h"
#include "session/full_loop.h"
#include "ws/frame.h"
#include "ws/mask.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace wspool::session {
namespace {

using metrics::CloseReason;

constexpr std::string_view upgrade_request =
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

std::string masked_frame(ws::Opcode opcode, std::string payload, bool is_final = true) {
    ws::FrameHeader header;
    header.opcode = opcode;
    header.is_final = is_final;
    header.payload_size = payload.size();
    header.is_masked = true;
    header.mask = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    std::array<std::byte, ws::frame_header_size_max> head;
    const std::size_t size = ws::write_frame_header(header, head.data());
    (void)ws::apply_mask(std::as_writable_bytes(std::span(payload)), header.mask);
    return std::string(as_text({head.data(), size})) + payload;
}

enum class Over { nothing, tls, full };

struct Way {
    io::LoopChoice choice;
    Over over;
};

class EngineTest : public testing::TestWithParam<Way> {
  protected:
    static bool has_tls() { return GetParam().over == Over::tls; }

    static std::unique_ptr<io::Loop> make_loop() {
        auto made = io::make_loop({GetParam().choice, {}});
        EXPECT_TRUE(made);
        if (GetParam().over == Over::tls) {
            return std::make_unique<io::TlsLoop>(std::move(made->loop));
        }
        if (GetParam().over == Over::full) {
            return std::make_unique<FullLoop>(std::move(made->loop));
        }
        return std::move(made->loop);
    }

    static io::ConnectOptions connect_options(const std::string& name = "localhost") {
        if (!has_tls()) return {};
        return {&io::test_client(), name};
    }

    void start(EngineOptions server_options = {}, EngineOptions client_options = {}) {
        server_loop_ = make_loop();
        client_loop_ = make_loop();
        server_.emplace(*server_loop_, server_options, entropy_, server_counters_);
        client_.emplace(*client_loop_, client_options, entropy_, client_counters_);
        auto address = server_->listen(*io::parse_address("127.0.0.1:0"),
                                       has_tls() ? &io::test_server() : nullptr);
        ASSERT_TRUE(address) << address.error().message;
        address_ = *address;
    }

    void TearDown() override {
        if (!server_) return;
        server_->check_invariants();
        client_->check_invariants();
    }

    // Runs both ends until `done`; false when that takes longer than ten seconds.
    bool run_until(const std::function<bool()>& done) {
        const Instant limit = server_loop_->now() + std::chrono::seconds(10);
        while (!done()) {
            if (server_loop_->now() > limit) return false;
            server_->wait(server_loop_->now() + std::chrono::milliseconds(1));
            Event event;
            while (server_->next(event)) on_server(event);
            client_->wait(client_loop_->now() + std::chrono::milliseconds(1));
            while (client_->next(event)) on_client(event);
        }
        return true;
    }

    void on_server(const Event& event) {
        switch (event.kind) {
            case EventKind::opening:
                if (has_tls()) {
                    EXPECT_FALSE(server_->release(event.session));  // its keys are here
                }
                server_->accept(event.session, "", 7);
                if (pings_at_once_) server_->ping(event.session);
                server_session_ = event.session;
                server_target_ = event.request->target;
                break;
            case EventKind::plain:
                server_->refuse(event.session, 426, "", metrics::RejectReason::upgrade);
                break;
            case EventKind::message:
                EXPECT_EQ(event.tag, 7u);
                if (echoes_) (void)server_->send(event.session, event.opcode, event.payload);
                received_by_server_.emplace_back(as_text(event.payload));
                break;
            case EventKind::closed:
                server_closed_.push_back(event.reason);
                server_codes_.push_back(event.code);
                break;
            case EventKind::opened:
            case EventKind::failed:
            case EventKind::pong:
            case EventKind::abandoned:
            case EventKind::released:
            case EventKind::readable:
            case EventKind::stream:
                break;
        }
    }

    void on_client(const Event& event) {
        switch (event.kind) {
            case EventKind::opened:
                ++opened_;
                break;
            case EventKind::message:
                received_.emplace_back(as_text(event.payload));
                break;
            case EventKind::closed:
                client_closed_.push_back(event.reason);
                client_codes_.push_back(event.code);
                break;
            case EventKind::failed:
                failures_.emplace_back(event.text);
                break;
            case EventKind::pong:
                ++pongs_;
                break;
            case EventKind::released:
                EXPECT_EQ(client_closed_.size(), ++released_);
                break;
            case EventKind::abandoned:
            case EventKind::opening:
            case EventKind::plain:
            case EventKind::readable:
            case EventKind::stream:
                break;
        }
    }

    SessionId connect(bool offer_deflate = false) {
        ws::ClientHandshake handshake;
        handshake.host = "localhost";
        handshake.target = "/";
        handshake.key = ws::make_key(entropy_);
        handshake.offer_deflate = offer_deflate;
        const auto session = client_->connect(address_, handshake, 3, connect_options());
        EXPECT_TRUE(session);
        const std::size_t before = opened_;
        EXPECT_TRUE(run_until([&] { return opened_ > before; }));
        return *session;
    }

    // A raw peer on a loop of its own: sends `bytes`, at most `piece_size` of them in each turn,
    // and returns all that came back until `done` or the end.
    std::string talk(std::string_view bytes,
                     const std::function<bool(const std::string&)>& done,
                     std::size_t piece_size = SIZE_MAX) {
        const std::unique_ptr<io::Loop> made = make_loop();
        io::Loop& loop = *made;
        const auto stream = loop.connect(address_, 0, connect_options());
        EXPECT_TRUE(stream);
        std::string answer;
        bool is_connected = false;
        bool is_blocked = false;
        bool has_ended = false;
        run_until([&] {
            if (is_connected && !is_blocked && !has_ended && !bytes.empty()) {
                const ByteView piece = as_bytes(bytes.substr(0, piece_size));
                loop.send(*stream, std::span(&piece, 1));
                bytes.remove_prefix(piece.size());
            }
            loop.wait(Instant::min());
            is_blocked = is_blocked || !loop.short_sends().empty();
            EXPECT_FALSE(is_blocked && GetParam().over != Over::full);
            io::Event event;
            while (loop.next_event(event)) {
                if (event.kind == io::EventKind::connected) {
                    is_connected = true;
                } else if (event.kind == io::EventKind::writable) {
                    is_blocked = false;
                } else if (event.kind == io::EventKind::received) {
                    answer += as_text(event.bytes);
                } else if (event.kind == io::EventKind::ended ||
                           event.kind == io::EventKind::failed) {
                    has_ended = true;
                    talk_ended_well_ = event.kind == io::EventKind::ended;
                }
            }
            return has_ended || done(answer);
        });
        loop.close(*stream);
        loop.wait(Instant::min());
        return answer;
    }

    SeededEntropy entropy_{1};
    metrics::Counters server_counters_, client_counters_;
    std::unique_ptr<io::Loop> server_loop_, client_loop_;
    std::optional<Engine> server_, client_;
    io::Address address_;
    SessionId server_session_;
    std::string server_target_;  // read after the acceptance
    bool echoes_ = true;
    bool talk_ended_well_ = false;  // by an end, not a failure
    bool pings_at_once_ = false;
    std::size_t opened_ = 0, pongs_ = 0, released_ = 0;
    std::vector<std::string> received_, received_by_server_, failures_;
    std::vector<CloseReason> server_closed_, client_closed_;
    std::vector<ws::CloseCode> server_codes_, client_codes_;
};

TEST_P(EngineTest, echoes_messages_of_all_sizes_compressed_or_not) {
    EngineOptions options;
    options.limits.message_size_max = 2 * 1024 * 1024;
    start(options, options);
    for (const bool deflate : {false, true}) {
        const SessionId session = connect(deflate);
        for (const std::size_t size :
             {0u, 1u, 125u, 126u, 127u, 4090u, 65535u, 65536u, 1'000'000u}) {
            std::string text(size, 'x');
            for (std::size_t i = 0; i < size; i += 7) text[i] = static_cast<char>('a' + i % 26);
            received_.clear();
            ASSERT_EQ(client_->send(session, ws::Opcode::text, as_bytes(text)),
                      SendOutcome::queued);
            ASSERT_TRUE(run_until([&] { return !received_.empty(); })) << size;
            EXPECT_EQ(received_.front(), text);
        }
    }
    EXPECT_TRUE(server_counters_.is_conserved());
}

TEST_P(EngineTest, keeps_order_when_much_is_in_flight) {
    start();
    const SessionId session = connect();
    for (int i = 0; i < 5000; ++i) {
        const std::string text = std::to_string(i);
        (void)client_->send(session, ws::Opcode::text, as_bytes(text));
    }
    ASSERT_TRUE(run_until([&] { return received_.size() == 5000; }));
    for (int i = 0; i < 5000; ++i)
        ASSERT_EQ(received_[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST_P(EngineTest, a_peer_that_pipelines_more_than_the_outbox_holds_is_slowed_down_not_closed) {
    start();
    const SessionId session = connect();
    const std::string text(60'000, 'y');
    for (int i = 0; i < 200; ++i) (void)client_->send(session, ws::Opcode::text, as_bytes(text));
    ASSERT_TRUE(run_until([&] { return received_.size() == 200; }));
    EXPECT_TRUE(server_closed_.empty());
}

TEST_P(EngineTest, either_side_may_close_and_both_learn_the_code) {
    start();
    const SessionId first = connect();
    client_->close(first, ws::CloseCode::normal, "bye", CloseReason::by_peer);
    ASSERT_TRUE(
        run_until([&] { return client_->session_count() + server_->session_count() == 0; }));
    EXPECT_EQ(server_closed_, std::vector{CloseReason::by_peer});
    EXPECT_EQ(server_codes_, std::vector{ws::CloseCode::normal});

    (void)connect();
    server_->close(
        server_session_, ws::CloseCode::service_restart, "restart", CloseReason::drained);
    ASSERT_TRUE(
        run_until([&] { return client_->session_count() + server_->session_count() == 0; }));
    EXPECT_EQ(client_codes_.back(), ws::CloseCode::service_restart);
    EXPECT_EQ(server_closed_.back(), CloseReason::drained);
}

TEST_P(EngineTest, a_ping_that_was_asked_for_is_answered_once) {
    start();
    const SessionId session = connect();
    client_->ping(session);
    ASSERT_TRUE(run_until([&] { return pongs_ == 1; }));
    // Others keep the session alive, and are told to nobody.
    server_->ping(server_session_);
    client_->ping(session);
    client_->send(session, ws::Opcode::text, as_bytes("x"));
    ASSERT_TRUE(run_until([&] { return received_.size() == 1; }));
    EXPECT_EQ(pongs_, 2u);
}

TEST_P(EngineTest, an_aborted_session_ends_at_once_and_is_released_after_it_was_closed) {
    start();
    const SessionId session = connect();
    client_->abort(session);
    EXPECT_EQ(client_->session_count(), 0u);
    client_->abort(session);
    ASSERT_TRUE(run_until([&] { return released_ == 1 && !server_closed_.empty(); }));
    EXPECT_EQ(client_closed_, std::vector{CloseReason::shutdown});
    EXPECT_EQ(server_closed_, std::vector{CloseReason::peer_lost});

    ws::ClientHandshake handshake;
    handshake.host = "localhost";
    handshake.target = "/";
    handshake.key = ws::make_key(entropy_);
    client_->abort(*client_->connect(address_, handshake, 3, connect_options()));
    (void)connect();
    EXPECT_TRUE(failures_.empty());
    EXPECT_EQ(released_, 1u);
}

TEST_P(EngineTest, what_is_not_sent_yet_is_known_until_the_session_is_gone) {
    start();
    const SessionId session = connect();
    EXPECT_EQ(client_->unsent_messages(session), 0u);
    client_->send(session, ws::Opcode::text, as_bytes("x"));
    EXPECT_EQ(client_->unsent_messages(session), 1u);
    EXPECT_TRUE(client_->has_unflushed());
    ASSERT_TRUE(run_until([&] { return received_by_server_.size() == 1; }));
    EXPECT_EQ(client_->unsent_messages(session), 0u);
    EXPECT_FALSE(client_->has_unflushed());
    client_->abort(session);
    EXPECT_EQ(client_->unsent_messages(session), std::nullopt);
}

TEST_P(EngineTest, a_frame_and_a_bad_one_in_one_write_are_answered_and_failed) {
    start();
    std::string bytes(upgrade_request);
    bytes += masked_frame(ws::Opcode::text, "good");
    bytes += "\x81\x01x";  // unmasked
    const std::string answer = talk(bytes, [](const std::string&) { return false; });
    EXPECT_NE(answer.find("\x81\x04good"), std::string::npos);
    EXPECT_NE(answer.find("\x03\xEA"), std::string::npos);  // 1002
    EXPECT_EQ(server_closed_, std::vector{CloseReason::bad_mask});
}

TEST_P(EngineTest, a_head_in_pieces_opens_and_the_bytes_behind_it_are_frames) {
    start();
    std::string bytes(upgrade_request);
    bytes += masked_frame(ws::Opcode::text, "first");
    const std::string answer = talk(
        bytes, [](const std::string& so_far) { return so_far.find("first") != std::string::npos; });
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 101");
    EXPECT_EQ(received_by_server_, std::vector<std::string>{"first"});
}

TEST_P(EngineTest, what_is_known_of_a_request_in_pieces_outlives_its_acceptance) {
    start();
    const std::string answer = talk(
        upgrade_request,
        [](const std::string& so_far) { return so_far.find("\r\n\r\n") != std::string::npos; },
        40);
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 101");
    EXPECT_EQ(server_target_, "/");
}

TEST_P(EngineTest, an_unfinished_request_is_answered_408) {
    EngineOptions options;
    options.handshake_timeout = std::chrono::milliseconds(100);
    start(options);
    const std::string answer =
        talk("GET / HTTP/1.1\r\nHost", [](const std::string&) { return false; });
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 408");
}

TEST_P(EngineTest, a_refusal_is_delivered_whole_and_then_the_stream_ends_at_once) {
    start();
    const auto never_done = [](const std::string&) { return false; };
    const std::string answer = talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n", never_done);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 426 ")) << answer;
    EXPECT_TRUE(talk_ended_well_);
    ASSERT_TRUE(run_until([&] { return server_->session_count() == 0; }));
    EXPECT_EQ(server_counters_.close_timeouts, 0u);
}

TEST_P(EngineTest, an_unfinished_message_ends_with_1008) {
    EngineOptions options;
    options.frame_timeout = std::chrono::milliseconds(100);
    options.message_timeout = std::chrono::milliseconds(100);
    start(options);
    const std::string in_frame =
        std::string(upgrade_request) + masked_frame(ws::Opcode::text, "abc").substr(0, 7);
    EXPECT_NE(talk(in_frame, [](const std::string&) { return false; }).find("\x03\xF0"),
              std::string::npos);
    const std::string in_message =
        std::string(upgrade_request) + masked_frame(ws::Opcode::text, "abc", false);
    EXPECT_NE(talk(in_message, [](const std::string&) { return false; }).find("\x03\xF0"),
              std::string::npos);
    EXPECT_EQ(server_closed_,
              (std::vector{CloseReason::partial_timeout, CloseReason::partial_timeout}));
}

TEST_P(EngineTest, a_pong_that_comes_in_pieces_is_finished_when_it_is_whole) {
    EngineOptions options;
    options.frame_timeout = std::chrono::milliseconds(100);
    pings_at_once_ = true;
    start(options);
    const std::string bytes = std::string(upgrade_request) + masked_frame(ws::Opcode::pong, "");
    const Instant until = server_loop_->now() + std::chrono::milliseconds(400);
    (void)talk(
        bytes, [&](const std::string&) { return server_loop_->now() > until; }, 4);
    EXPECT_EQ(
        server_counters_.connections_closed[static_cast<std::size_t>(CloseReason::partial_timeout)],
        0u);
}

TEST_P(EngineTest, a_peer_that_answers_no_ping_is_closed) {
    EngineOptions options;
    options.ping_interval = std::chrono::milliseconds(60);
    options.pong_timeout = std::chrono::milliseconds(60);
    options.close_timeout = std::chrono::milliseconds(60);
    start(options);
    const std::string answer = talk(upgrade_request, [](const std::string&) { return false; });
    EXPECT_NE(answer.find(std::string("\x89\x00", 2)), std::string::npos);
    EXPECT_EQ(server_closed_, std::vector{CloseReason::pong_timeout});
    EXPECT_TRUE(run_until([&] { return server_->session_count() == 0; }));
}

TEST_P(EngineTest, a_peer_that_answers_pings_stays) {
    EngineOptions options;
    options.ping_interval = std::chrono::milliseconds(40);
    options.pong_timeout = std::chrono::milliseconds(200);
    start(options);
    const SessionId session = connect();
    const Instant until = server_loop_->now() + std::chrono::milliseconds(600);
    EXPECT_TRUE(run_until([&] { return server_loop_->now() > until; }));
    EXPECT_TRUE(client_->is_open(session));
}

TEST_P(EngineTest, new_times_count_for_sessions_that_are_there) {
    EngineOptions options;
    options.ping_interval = Duration::zero();
    start(options);
    options.ping_interval = std::chrono::milliseconds(60);
    options.pong_timeout = std::chrono::milliseconds(60);
    options.close_timeout = std::chrono::milliseconds(60);
    bool is_set = false;
    const std::string answer = talk(upgrade_request, [&](const std::string& heard) {
        if (!is_set && heard.find("\r\n\r\n") != std::string::npos) {
            server_->set_options(options);
            is_set = true;
        }
        return false;
    });
    EXPECT_TRUE(is_set);
    EXPECT_EQ(server_closed_, std::vector{CloseReason::pong_timeout});
}

TEST_P(EngineTest, a_flood_of_pings_ends_with_1008) {
    start();
    std::string bytes(upgrade_request);
    for (int i = 0; i < 100; ++i) bytes += masked_frame(ws::Opcode::ping, "p");
    const std::string answer = talk(bytes, [](const std::string&) { return false; });
    EXPECT_NE(answer.find("\x03\xF0"), std::string::npos);
    EXPECT_EQ(server_closed_, std::vector{CloseReason::control_rate});
}

TEST_P(EngineTest, who_takes_nothing_is_closed_as_a_slow_consumer_and_memory_stays_bounded) {
    EngineOptions options;
    options.outbox_size_max = 200'000;
    options.close_timeout = std::chrono::milliseconds(200);
    start(options);
    const SessionId session = connect();
    client_->pause(session);
    const std::string text(50'000, 'z');
    while (server_closed_.empty()) {
        Frame frame;
        const ByteView view = as_bytes(text);
        frame = server_->frame(ws::Opcode::text, std::span(&view, 1));
        (void)server_->send_frame(server_session_, frame);
        ASSERT_TRUE(run_until([turns = 0]() mutable { return ++turns > 2; }));
        EXPECT_LE(server_->outbox_size(server_session_), options.outbox_size_max + 60'000);
    }
    EXPECT_EQ(server_closed_, std::vector{CloseReason::slow_consumer});
    ASSERT_TRUE(run_until([&] { return server_->session_count() == 0; }));
    EXPECT_TRUE(server_counters_.is_conserved());
    EXPECT_EQ(server_counters_.outbox_bytes, 0u);
}

TEST_P(EngineTest, one_frame_reaches_many_in_slices) {
    start();
    std::vector<SessionId> members;
    echoes_ = false;
    for (int i = 0; i < 600; ++i) {
        (void)connect(i % 3 == 0);
        members.push_back(server_session_);
    }
    const std::string text(1000, 'm');
    for (int round = 0; round < 5; ++round) {
        const ByteView view = as_bytes(text);
        Frame frame = server_->frame(ws::Opcode::text, std::span(&view, 1));
        for (const SessionId member : members) {
            ASSERT_EQ(server_->send_frame(member, frame), SendOutcome::queued);
        }
    }
    ASSERT_TRUE(run_until([&] { return received_.size() == 3000; }));
    for (const std::string& one : received_) ASSERT_EQ(one, text);
}

TEST_P(EngineTest, a_refused_connection_is_reported_as_a_sentence) {
    start();
    ws::ClientHandshake handshake;
    handshake.host = "localhost";
    handshake.target = "/";
    handshake.key = ws::make_key(entropy_);
    const auto session =
        client_->connect(*io::parse_address("127.0.0.1:1"), handshake, 0, connect_options());
    ASSERT_TRUE(session);
    ASSERT_TRUE(run_until([&] { return !failures_.empty(); }));
    EXPECT_NE(failures_[0].find("refused"), std::string::npos) << failures_[0];
}

TEST_P(EngineTest, why_the_handshake_of_tls_failed_is_reported_as_a_sentence) {
    if (!has_tls()) return;
    start();
    ws::ClientHandshake handshake;
    handshake.host = "localhost";
    handshake.target = "/";
    handshake.key = ws::make_key(entropy_);
    ASSERT_TRUE(client_->connect(address_, handshake, 0, connect_options("elsewhere")));
    ASSERT_TRUE(run_until([&] { return !failures_.empty() && server_->session_count() == 0; }));
    EXPECT_EQ(failures_[0],
              "the server's certificate is for \"localhost\", \"127.0.0.1\", \"::1\", not for "
              "\"elsewhere\"");
    EXPECT_EQ(client_->session_count(), 0u);
}

// Over TLS all of a send may be taken while the kernel has not: what is left is still delivered.
TEST_P(EngineTest, a_session_that_closes_while_its_stream_is_blocked_delivers_everything_first) {
    EngineOptions options;
    options.limits.message_size_max = 64 * 1024 * 1024;
    options.outbox_size_max = 64 * 1024 * 1024;
    start(options, options);
    const SessionId session = connect();
    client_->pause(session);
    const std::string text(200'000, 'b');
    std::size_t sent = 0;
    // Until a send was short; over TLS the outbox is then often empty.
    for (int quiet_turns = 0; quiet_turns < 3; ++sent) {
        ASSERT_EQ(server_->send(server_session_, ws::Opcode::text, as_bytes(text)),
                  SendOutcome::queued);
        ASSERT_TRUE(run_until([turns = 0]() mutable { return ++turns > 1; }));
        quiet_turns = server_->outbox_size(server_session_) > 0 ? quiet_turns + 1 : 0;
    }
    server_->close(server_session_, ws::CloseCode::going_away, "", CloseReason::drained);
    client_->resume(session);
    ASSERT_TRUE(run_until([&] { return !client_codes_.empty(); }));
    EXPECT_EQ(received_.size(), sent);
    EXPECT_EQ(client_codes_, std::vector{ws::CloseCode::going_away});
    ASSERT_TRUE(run_until([&] { return server_->session_count() == 0; }));
    EXPECT_EQ(server_counters_.close_timeouts, 0u);
    EXPECT_TRUE(server_counters_.is_conserved());
}

// For the leak checker of the sanitized run.
TEST_P(EngineTest, an_engine_may_end_while_there_is_something_to_send) {
    start();
    const SessionId session = connect();
    const std::string large(100'000, 'x');
    for (const std::string_view text : {std::string_view("small"), std::string_view(large)}) {
        ASSERT_EQ(client_->send(session, ws::Opcode::text, as_bytes(text)), SendOutcome::queued);
    }
}

std::string way_name(const testing::TestParamInfo<Way>& way) {
    const std::string loop = way.param.choice == io::LoopChoice::uring ? "uring" : "epoll";
    switch (way.param.over) {
        case Over::nothing:
            return loop;
        case Over::tls:
            return loop + "_tls";
        case Over::full:
            return loop + "_full";
    }
    return {};
}

INSTANTIATE_TEST_SUITE_P(Loops,
                         EngineTest,
                         testing::Values(Way{io::LoopChoice::uring, Over::nothing},
                                         Way{io::LoopChoice::epoll, Over::nothing},
                                         Way{io::LoopChoice::uring, Over::tls},
                                         Way{io::LoopChoice::epoll, Over::tls},
                                         Way{io::LoopChoice::epoll, Over::full}),
                         way_name);

}  // namespace
}  // namespace wspool::session
