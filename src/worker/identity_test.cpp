// What is settled by the order of things, on the worker's own loop; the whole matrix, with tokens
// of another maker, is test/integration/test_identity.py.
#include "auth/mint.h"
#include "auth/test_keys.h"
#include "worker/worker.h"

#include <gtest/gtest.h>

#include <functional>

namespace wspool::worker {
namespace {

using metrics::CloseReason;
using metrics::RejectReason;

constexpr WallTime noon{std::chrono::seconds(1'800'000'000)};

class IdentityTest : public testing::Test {
  protected:
    IdentityTest() {
        options_.auth.verifier.emplace();
        options_.auth.verifier->issuers = {
            {"i", "a", {{"", auth::Algorithm::hs256, std::string(auth::test_secret)}}}};
        worker_.emplace(*server_loop_, options_, entropy_);
        worker_->set_wall_clock(noon, server_loop_->now());
        address_ = worker_->listen(*io::parse_address("127.0.0.1:0")).value();
    }

    [[nodiscard]] std::string token(std::string subject, std::chrono::seconds life) {
        auth::MintOptions options;
        options.issuer = "i";
        options.audience = "a";
        options.subject = std::move(subject);
        options.issued = noon;
        options.expires = noon + life;
        options.permissions.join = {"a*"};
        auth::Key key = *auth::Key::make(auth::Algorithm::hs256, auth::test_secret);
        return *auth::mint(options, key);
    }

    void connect(std::uint64_t tag, const std::string& with_token) {
        ws::ClientHandshake handshake;
        handshake.host = "localhost";
        handshake.target = "/?clientId=mallory&priority=critical";
        handshake.key = ws::make_key(entropy_);
        handshake.subprotocols = {"wspool.v1", "bearer." + with_token};
        sessions_[tag] = *clients_.connect(address_, handshake, tag);
    }

    bool run_until(const std::function<bool()>& done) {
        const Instant limit = client_loop_->now() + std::chrono::seconds(10);
        while (!done()) {
            if (client_loop_->now() > limit) return false;
            (void)worker_->turn(server_loop_->now() + std::chrono::milliseconds(1));
            clients_.wait(client_loop_->now() + std::chrono::milliseconds(1));
            session::Event event;
            while (clients_.next(event)) {
                if (event.kind == session::EventKind::message)
                    heard_[event.tag].emplace_back(as_text(event.payload));
                if (event.kind == session::EventKind::closed) closed_[event.tag] = event.code;
                if (event.kind == session::EventKind::failed) failed_[event.tag] = event.text;
            }
        }
        return true;
    }

    SeededEntropy entropy_{7};
    metrics::Counters client_counters_;
    std::unique_ptr<io::Loop> server_loop_ = std::move(io::make_loop({})->loop);
    std::unique_ptr<io::Loop> client_loop_ = std::move(io::make_loop({})->loop);
    WorkerOptions options_;
    std::optional<Worker> worker_;
    session::Engine clients_{*client_loop_, {}, entropy_, client_counters_};
    io::Address address_;
    std::map<std::uint64_t, session::SessionId> sessions_;
    std::map<std::uint64_t, std::vector<std::string>> heard_;
    std::map<std::uint64_t, ws::CloseCode> closed_;
    std::map<std::uint64_t, std::string> failed_;
};

TEST_F(IdentityTest, a_client_is_who_its_token_says_whatever_its_request_says) {
    connect(1, token("alice", std::chrono::hours(1)));
    ASSERT_TRUE(run_until([&] { return !heard_[1].empty(); }));
    EXPECT_EQ(heard_[1][0], R"({"type":"welcome","clientId":"alice"})");
}

TEST_F(IdentityTest, a_client_is_closed_when_its_token_ends_and_its_id_is_free_again) {
    worker_->set_wall_clock(noon + std::chrono::milliseconds(800), server_loop_->now());
    connect(1, token("alice", std::chrono::seconds(1)));
    connect(2, token("bob", std::chrono::hours(1)));
    ASSERT_TRUE(run_until([&] { return closed_.count(1) == 1; }));
    EXPECT_EQ(closed_[1], ws::CloseCode::unauthenticated);
    EXPECT_EQ(closed_.count(2), 0u);
    const auto& counters = worker_->counters();
    EXPECT_EQ(counters.connections_closed[static_cast<std::size_t>(CloseReason::token_expired)],
              1u);
    connect(3, token("alice", std::chrono::hours(1)));
    ASSERT_TRUE(run_until([&] { return !heard_[3].empty(); }));
    worker_->check_invariants();
}

TEST_F(IdentityTest, a_token_that_has_ended_is_refused_when_the_clock_says_so) {
    worker_->set_wall_clock(noon + std::chrono::hours(2), server_loop_->now());
    connect(1, token("alice", std::chrono::hours(1)));
    ASSERT_TRUE(run_until([&] { return failed_.count(1) == 1; }));
    const auto& rejected = worker_->counters().connections_rejected;
    EXPECT_EQ(rejected[static_cast<std::size_t>(RejectReason::expired_token)], 1u);
}

TEST_F(IdentityTest, groups_outside_of_the_patterns_are_forbidden) {
    connect(1, token("alice", std::chrono::hours(1)));
    ASSERT_TRUE(run_until([&] { return heard_[1].size() == 1; }));
    for (const std::string_view text : {R"({"type":"join","group":"b","id":1})",
                                        R"({"type":"join","group":"ab","id":2})",
                                        R"({"type":"broadcast","group":"b","payload":1,"id":3})"})
        (void)clients_.send(sessions_[1], ws::Opcode::text, as_bytes(text));
    ASSERT_TRUE(run_until([&] { return heard_[1].size() == 4; }));
    EXPECT_NE(heard_[1][1].find(R"("id":1,"code":"forbidden")"), std::string::npos) << heard_[1][1];
    EXPECT_NE(heard_[1][2].find(R"("ack","id":2)"), std::string::npos) << heard_[1][2];
    EXPECT_NE(heard_[1][3].find(R"("ack","id":3)"), std::string::npos) << heard_[1][3];
}

}  // namespace
}  // namespace wspool::worker
