// Openings that are decided in a later turn, against raw streams over loopback, on both of the
// kernel's loops.
#include "session/engine.h"
#include "ws/frame.h"
#include "ws/mask.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace wspool::session {
namespace {

constexpr std::string_view request =
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

std::string masked_text(std::string payload) {
    ws::FrameHeader header;
    header.opcode = ws::Opcode::text;
    header.payload_size = payload.size();
    header.is_masked = true;
    header.mask = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    std::array<std::byte, ws::frame_header_size_max> head;
    const std::size_t size = ws::write_frame_header(header, head.data());
    (void)ws::apply_mask(std::as_writable_bytes(std::span(payload)), header.mask);
    return std::string(as_text({head.data(), size})) + payload;
}

class DeferTest : public testing::TestWithParam<io::LoopChoice> {
  protected:
    void start(const EngineOptions& options = {}) {
        loop_ = std::move(io::make_loop({GetParam(), {}})->loop);
        peer_loop_ = std::move(io::make_loop({GetParam(), {}})->loop);
        engine_.emplace(*loop_, options, entropy_, counters_);
        const auto address = engine_->listen(*io::parse_address("127.0.0.1:0"));
        peer_ = peer_loop_->connect(*address, 1).value();
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
                if (io_event.kind == io::EventKind::connected) say(std::string(request) + behind_);
                if (io_event.kind == io::EventKind::received) heard_ += as_text(io_event.bytes);
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
        if (event.kind == EventKind::opening) {
            session_ = event.session;
            engine_->defer(event.session, "chosen");
        } else if (event.kind == EventKind::message) {
            messages_.emplace_back(as_text(event.payload));
        } else if (event.kind == EventKind::abandoned) {
            EXPECT_EQ(event.session, session_);
            ++abandoned_;
        }
    }

    void say(const std::string& bytes) {
        said_.push_back(bytes);
        const ByteView view = as_bytes(said_.back());
        peer_loop_->send(peer_, std::span(&view, 1));
    }

    SeededEntropy entropy_{3};
    metrics::Counters counters_;
    std::unique_ptr<io::Loop> loop_, peer_loop_;
    std::optional<Engine> engine_;
    io::StreamId peer_;
    SessionId session_;
    std::string behind_, heard_;
    std::deque<std::string> said_;
    std::vector<std::string> messages_;
    int abandoned_ = 0;
};

TEST_P(DeferTest, ADeferredOpeningIsAcceptedLaterAndThenReadOn) {
    behind_ = masked_text("early");
    start();
    ASSERT_TRUE(run_until([&] { return session_.index != UINT32_MAX; }));
    run_idle();
    EXPECT_TRUE(messages_.empty());
    EXPECT_TRUE(heard_.empty());
    EXPECT_EQ(counters_.connections, 0u);
    engine_->accept(session_, "ignored", 0);
    ASSERT_TRUE(run_until([&] { return messages_.size() == 1; }));
    EXPECT_EQ(messages_[0], "early");
    EXPECT_NE(heard_.find(" 101 "), std::string::npos);
    EXPECT_NE(heard_.find("Sec-WebSocket-Protocol: chosen"), std::string::npos);
    EXPECT_EQ(abandoned_, 0);
}

TEST_P(DeferTest, ADeferredOpeningIsRefusedLater) {
    start();
    ASSERT_TRUE(run_until([&] { return session_.index != UINT32_MAX; }));
    engine_->refuse(session_, 409, "taken\n", metrics::RejectReason::duplicate_id);
    ASSERT_TRUE(run_until([&] { return heard_.find("taken") != std::string::npos; }));
    EXPECT_NE(heard_.find(" 409 "), std::string::npos);
}

TEST_P(DeferTest, ADeferredOpeningIsAbandonedWhenItsClientIsGone) {
    start();
    ASSERT_TRUE(run_until([&] { return session_.index != UINT32_MAX; }));
    peer_loop_->close(peer_, io::CloseMode::reset);
    ASSERT_TRUE(run_until([&] { return abandoned_ == 1; }));
    engine_->accept(session_, "", 0);  // stale: nothing happens
    EXPECT_EQ(counters_.connections, 0u);
}

TEST_P(DeferTest, ADeferredOpeningIsNotDeferredForEver) {
    EngineOptions options;
    options.handshake_timeout = std::chrono::milliseconds(100);
    start(options);
    ASSERT_TRUE(run_until([&] { return abandoned_ == 1; }));
    ASSERT_TRUE(run_until([&] { return heard_.find(" 503 ") != std::string::npos; }));
}

INSTANTIATE_TEST_SUITE_P(Loops,
                         DeferTest,
                         testing::Values(io::LoopChoice::uring, io::LoopChoice::epoll),
                         [](const auto& choice) {
                             return choice.param == io::LoopChoice::uring ? "uring" : "epoll";
                         });

}  // namespace
}  // namespace wspool::session
