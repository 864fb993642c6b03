// Plain requests with bodies, and answers that come in a later turn, against raw streams over
// loopback, on both of the kernel's loops.
#include "session/engine.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>

namespace wspool::session {
namespace {

constexpr std::size_t body_size_max = 200'000;

std::string post(const std::string& body, const std::string& lines = "") {
    return "POST /x HTTP/1.1\r\nHost: x\r\n" + lines +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class PlainTest : public testing::TestWithParam<io::LoopChoice> {
  protected:
    void start(EngineOptions options = {}) {
        options.head.body_size_max = body_size_max;
        loop_ = std::move(io::make_loop({GetParam(), {}})->loop);
        peer_loop_ = std::move(io::make_loop({GetParam(), {}})->loop);
        engine_.emplace(*loop_, options, entropy_, counters_);
        address_ = *engine_->listen(*io::parse_address("127.0.0.1:0"));
        peer_ = peer_loop_->connect(address_, 1).value();
        ASSERT_TRUE(run_until([&] { return is_connected_; }));
    }
    void TearDown() override { engine_->check_invariants(); }

    bool run_until(const std::function<bool()>& done) {
        const Instant limit = loop_->now() + std::chrono::seconds(10);
        while (!done()) {
            if (loop_->now() > limit) return false;
            engine_->wait(loop_->now() + std::chrono::milliseconds(1));
            Event event;
            while (engine_->next(event)) on_engine(event);
            peer_loop_->wait(peer_loop_->now() + std::chrono::milliseconds(1));
            io::Event io_event{};
            while (peer_loop_->next_event(io_event)) {
                if (io_event.kind == io::EventKind::connected) is_connected_ = true;
                if (io_event.kind == io::EventKind::received) heard_ += as_text(io_event.bytes);
                const bool is_end =
                    io_event.kind == io::EventKind::ended || io_event.kind == io::EventKind::failed;
                if (is_end) is_ended_ = true;
            }
        }
        return true;
    }
    // Turns in which nothing but the clock moves: what must not happen has had its chance.
    void run_idle() {
        int turns = 0;
        ASSERT_TRUE(run_until([&] { return ++turns > 5; }));
    }

    void on_engine(const Event& event) {
        if (event.kind == EventKind::abandoned) {
            EXPECT_EQ(event.session, session_);
            ++abandoned_;
        }
        if (event.kind != EventKind::plain) return;
        session_ = event.session;
        body_ = as_text(event.payload);
        if (puts_off_) {
            engine_->put_off(event.session);
        } else {
            engine_->answer(event.session, 200, "answer\n");
        }
    }

    void say(const std::string& bytes) {
        said_.push_back(bytes);
        const ByteView view = as_bytes(said_.back());
        peer_loop_->send(peer_, std::span(&view, 1));
    }
    [[nodiscard]] bool has_heard(std::string_view text) const {
        return heard_.find(text) != std::string::npos;
    }

    SeededEntropy entropy_{3};
    metrics::Counters counters_;
    std::unique_ptr<io::Loop> loop_, peer_loop_;
    std::optional<Engine> engine_;
    io::Address address_;
    io::StreamId peer_;
    SessionId session_;
    std::string heard_;
    std::optional<std::string> body_;
    std::deque<std::string> said_;
    int abandoned_ = 0;
    bool puts_off_ = false;
    bool is_connected_ = false;
    bool is_ended_ = false;
};

TEST_P(PlainTest, ABodyComesWithItsRequest) {
    start();
    say(post("hello"));
    ASSERT_TRUE(run_until([&] { return has_heard("answer"); }));
    EXPECT_EQ(body_, "hello");
}

TEST_P(PlainTest, ABodyThatComesInPiecesIsWholeWhenItIsTold) {
    start();
    std::string body(100'000, 'a');
    body.back() = 'z';
    const std::string request = post(body);
    say(request.substr(0, 20));
    run_idle();
    say(request.substr(20, 60));
    run_idle();
    EXPECT_FALSE(body_.has_value());
    say(request.substr(80, 50'000));
    run_idle();
    EXPECT_FALSE(body_.has_value());
    say(request.substr(50'080));
    ASSERT_TRUE(run_until([&] { return has_heard("answer"); }));
    EXPECT_EQ(body_, body);
    EXPECT_FALSE(has_heard("100 Continue"));
}

TEST_P(PlainTest, WhoAsksForLeaveToSendItsBodyGetsIt) {
    start();
    const std::string request = post("hello", "Expect: 100-continue\r\n");
    say(request.substr(0, request.size() - 5));
    ASSERT_TRUE(run_until([&] { return has_heard("HTTP/1.1 100 Continue\r\n\r\n"); }));
    say("hello");
    ASSERT_TRUE(run_until([&] { return has_heard("answer"); }));
    EXPECT_EQ(body_, "hello");
}

TEST_P(PlainTest, ABodyThatIsTooLargeIsRefusedByItsHead) {
    start();
    say("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 200001\r\n\r\n");
    ASSERT_TRUE(run_until([&] { return has_heard(" 413 "); }));
    // Who sends it all the same reads the answer, and no reset.
    say(std::string(200'001, 'x'));
    ASSERT_TRUE(run_until([&] { return is_ended_; }));
    EXPECT_FALSE(body_.has_value());
    EXPECT_EQ(counters_.connections_rejected[static_cast<std::size_t>(metrics::RejectReason::body)],
              1u);
}

TEST_P(PlainTest, ABodyThatStopsIsRefusedInTime) {
    EngineOptions options;
    options.handshake_timeout = std::chrono::milliseconds(100);
    start(options);
    const std::string request = post("hello");
    say(request.substr(0, request.size() - 1));
    ASSERT_TRUE(run_until([&] { return has_heard(" 408 "); }));
    EXPECT_FALSE(body_.has_value());
}

TEST_P(PlainTest, AHeldRequestIsAnsweredInALaterTurn) {
    puts_off_ = true;
    start();
    say(post("hello"));
    ASSERT_TRUE(run_until([&] { return body_.has_value(); }));
    run_idle();
    EXPECT_TRUE(heard_.empty());
    engine_->answer(session_, 200, "late\n");
    ASSERT_TRUE(run_until([&] { return has_heard("late"); }));
    EXPECT_TRUE(has_heard(" 200 "));
    EXPECT_EQ(abandoned_, 0);
}

TEST_P(PlainTest, AHeldRequestThatNobodyAnswersIsAnsweredInTime) {
    puts_off_ = true;
    EngineOptions options;
    options.handshake_timeout = std::chrono::milliseconds(100);
    start(options);
    say(post("hello"));
    ASSERT_TRUE(run_until([&] { return has_heard(" 503 "); }));
    EXPECT_TRUE(run_until([&] { return abandoned_ == 1; }));
    engine_->answer(session_, 200, "too late\n");
    ASSERT_TRUE(run_until([&] { return is_ended_; }));
}

TEST_P(PlainTest, AHeldRequestIsAbandonedWhenItsClientIsReset) {
    puts_off_ = true;
    start();
    say(post("hello"));
    ASSERT_TRUE(run_until([&] { return body_.has_value(); }));
    peer_loop_->close(peer_, io::CloseMode::reset);
    EXPECT_TRUE(run_until([&] { return abandoned_ == 1; }));
}

TEST_P(PlainTest, WhoAsksForTheHeadAloneGetsNoBody) {
    start();
    say("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(run_until([&] { return is_ended_; }));
    EXPECT_TRUE(has_heard("Content-Length: 7\r\n"));
    EXPECT_TRUE(heard_.ends_with("\r\n\r\n"));
}

TEST_P(PlainTest, WhoComesOnTopOfTheBoundIsClosed) {
    EngineOptions options;
    options.sessions_max = 1;
    start(options);
    ASSERT_TRUE(run_until([&] { return engine_->session_count() == 1; }));
    const auto second = peer_loop_->connect(address_, 2);
    ASSERT_TRUE(second.has_value());
    ASSERT_TRUE(run_until([&] { return is_ended_; }));
    EXPECT_EQ(engine_->session_count(), 1u);
    say(post("hello"));
    ASSERT_TRUE(run_until([&] { return has_heard("answer"); }));
}

INSTANTIATE_TEST_SUITE_P(Loops,
                         PlainTest,
                         testing::Values(io::LoopChoice::uring, io::LoopChoice::epoll),
                         [](const auto& choice) {
                             return choice.param == io::LoopChoice::uring ? "uring" : "epoll";
                         });

}  // namespace
}  // namespace wspool::session
