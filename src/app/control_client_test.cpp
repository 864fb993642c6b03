#include "app/control_client.h"

#include "base/bytes.h"
#include "io/loop.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <thread>

namespace wspool::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Takes one connection, reads until `request_end` has come, says `answer`, and ends.
class Server {
  public:
    Server(const io::Address& address, std::string request_end, std::string answer)
        : request_end_(std::move(request_end)), answer_(std::move(answer)) {
        auto chosen = io::make_loop({.choice = io::LoopChoice::epoll});
        loop_ = std::move(chosen->loop);
        const auto listener = loop_->listen(address, {}, listener_owner);
        EXPECT_TRUE(listener) << listener.error().message;
        address_ = *loop_->local_address(*listener);
        thread_ = std::thread([this] { serve(); });
    }
    ~Server() { join(); }

    [[nodiscard]] const io::Address& address() const { return address_; }
    [[nodiscard]] const std::string& received() {
        join();
        return received_;
    }

  private:
    static constexpr std::uint64_t listener_owner = 7;

    void join() {
        if (thread_.joinable()) thread_.join();
    }

    void serve() {
        const Instant deadline = loop_->now() + seconds(10);
        bool is_answered = false;
        while (loop_->now() < deadline) {
            loop_->wait(deadline);
            io::Event event{};
            while (loop_->next_event(event)) {
                if (event.kind == io::EventKind::received) received_ += as_text(event.bytes);
                if (event.kind == io::EventKind::ended || event.kind == io::EventKind::failed)
                    return;
                if (is_answered || received_.find(request_end_) == std::string::npos) continue;
                is_answered = true;
                const ByteView piece = as_bytes(std::string_view(answer_));
                loop_->send(event.stream, {&piece, 1});
                loop_->shutdown_write(event.stream);
            }
        }
    }

    std::string request_end_;
    std::string answer_;
    std::string received_;
    std::unique_ptr<io::Loop> loop_;
    io::Address address_;
    std::thread thread_;
};

const io::Address any_port{io::Address::Family::ipv4, "127.0.0.1", 0};
constexpr std::string_view ok =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{}\r\n";

TEST(ControlClient, GivesStatusTypeAndBody) {
    Server server(any_port, "\r\n\r\n", std::string(ok));
    const auto answer = control_request(server.address(), "GET", "/api/stats", "", "", seconds(10));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->content_type, "application/json");
    EXPECT_EQ(answer->body, "{}\r\n");
    EXPECT_EQ(server.received(),
              "GET /api/stats HTTP/1.1\r\nHost: " + io::format_address(server.address()) +
                  "\r\nConnection: close\r\n\r\n");
}

TEST(ControlClient, SendsBodyAndTokenOverAUnixSocket) {
    const std::string path = testing::TempDir() + "wspool_control_client";
    (void)std::remove(path.c_str());
    Server server({io::Address::Family::unix_path, path, 0}, "{\"a\":1}", std::string(ok));
    const auto answer =
        control_request(server.address(), "POST", "/api/drain", "{\"a\":1}", "secret", seconds(10));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(server.received(),
              "POST /api/drain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
              "Authorization: Bearer secret\r\n"
              "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
    (void)std::remove(path.c_str());
}

TEST(ControlClient, SendsABodyLargerThanOneSend) {
    const std::string body = std::string(3'000'000, 'x') + "END";
    Server server(any_port, "END", std::string(ok));
    const auto answer = control_request(server.address(), "POST", "/", body, "", seconds(10));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(server.received().ends_with(body));
}

TEST(ControlClient, TellsWhatRefuses) {
    Server server(
        any_port, "\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    const auto answer = control_request(server.address(), "GET", "/readyz", "", "", seconds(10));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->body, "");
}

TEST(ControlClient, SaysThatNothingListens) {
    io::Address address;
    {
        Server server(any_port, "\r\n\r\n", std::string(ok));
        address = server.address();
        ASSERT_TRUE(control_request(address, "GET", "/", "", "", seconds(10)));
    }
    const auto answer = control_request(address, "GET", "/", "", "", seconds(10));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().os_code, ECONNREFUSED);
    EXPECT_NE(answer.error().message.find("is the gateway running"), std::string::npos);
}

TEST(ControlClient, SaysThatNothingAnswersInTime) {
    Server server(any_port, "never said", "");
    const auto answer = control_request(server.address(), "GET", "/", "", "", milliseconds(20));
    ASSERT_FALSE(answer);
    EXPECT_NE(answer.error().message.find("within 20ms"), std::string::npos)
        << answer.error().message;
}

TEST(ControlClient, SaysWhenWhatAnswersIsNoControlApi) {
    for (const std::string_view wrong : {"220 mail.example ESMTP\r\n\r\n",
                                         "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nshort",
                                         "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                                         "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                                         "HTTP/1.1 20"}) {
        Server server(any_port, "\r\n\r\n", std::string(wrong));
        const auto answer = control_request(server.address(), "GET", "/", "", "", seconds(10));
        ASSERT_FALSE(answer) << wrong;
        EXPECT_NE(answer.error().message.find("control API"), std::string::npos) << wrong;
    }
}

TEST(ControlClient, SendsNothingThatWouldForgeAField) {
    EXPECT_FALSE(control_request(any_port, "GET", "/\r\nX: y", "", "", seconds(1)));
    EXPECT_FALSE(control_request(any_port, "GET", "/", "", "a\nb", seconds(1)));
}

}  // namespace
}  // namespace wspool::app
