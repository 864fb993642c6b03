// The worker over loopback: clients of our own engine, one thread, both of the kernel's loops. Real
// clients and misbehaving ones are in test/integration; whole runs from a seed in sim/.
#include "base/hash.h"
#include "worker/worker_bed.h"

namespace wspool::worker {
namespace {

using metrics::CloseReason;
using metrics::RejectReason;

using WorkerTest = WorkerBed;

TEST_P(WorkerTest, carries_a_broadcast_to_the_other_members_and_no_further) {
    start();
    const auto alice = connect(1, "/?clientId=alice");
    const auto bob = connect(2, "/?clientId=bob");
    const auto carol = connect(3, "/?clientId=carol");
    EXPECT_EQ(ask(alice, 1, R"({"type":"join","group":"g","id":1})").substr(0, 32),
              R"({"type":"ack","id":1,"group":"g")");
    (void)ask(bob, 2, R"({"type":"join","group":"g","id":1,"offsets":true})");
    say(carol, R"({"type":"broadcast","group":"g","payload": [1, 1e400] })");
    ASSERT_TRUE(run_until([&] { return heard_[1].size() == 2 && heard_[2].size() == 2; }));
    EXPECT_EQ(heard_[1][1], R"({"type":"broadcast","group":"g","payload":[1, 1e400]})");
    EXPECT_EQ(heard_[2][1], R"({"type":"broadcast","group":"g","payload":[1, 1e400],"offset":1})");
    say(alice, R"({"type":"leave","group":"g"})");
    say(alice, R"({"type":"broadcast","group":"g","payload":2})");
    ASSERT_TRUE(run_until([&] { return heard_[2].size() == 3; }));
    EXPECT_EQ(heard_[1].size(), 2u);
    EXPECT_TRUE(heard_[3].empty());
}

TEST_P(WorkerTest, carries_a_direct_message_under_the_senders_true_name) {
    start();
    const auto alice = connect(1, "/?clientId=alice");
    (void)connect(2, "/?clientId=b%22ob");
    say(alice, R"({"type":"direct","targetId":"b\u0022ob","payload":{"x":1},"from":"mallory"})");
    ASSERT_TRUE(run_until([&] { return heard_[2].size() == 1; }));
    EXPECT_EQ(heard_[2][0], R"({"type":"direct","payload":{"x":1},"from":"alice"})");
    EXPECT_NE(ask(alice, 1, R"({"type":"direct","targetId":"nobody","payload":1,"id":"q"})")
                  .find(R"("id":"q","code":"unknown_target")"),
              std::string::npos);
    EXPECT_EQ(ask(alice, 1, R"({"type":"direct","targetId":"alice","payload":0})"),
              R"({"type":"direct","payload":0,"from":"alice"})");
}

TEST_P(WorkerTest, a_newer_connection_of_an_id_replaces_the_older) {
    start();
    const auto old = connect(1, "/?clientId=x");
    (void)ask(old, 1, R"({"type":"join","group":"g","id":1})");
    const auto renewed = connect(2, "/?clientId=x");
    ASSERT_TRUE(run_until([&] { return closed_.count(1) == 1; }));
    EXPECT_EQ(closed_[1], ws::CloseCode::replaced);
    EXPECT_EQ(worker_->counters().groups, 0u);
    EXPECT_EQ(ask(renewed, 2, R"({"type":"direct","targetId":"x","payload":1})"),
              R"({"type":"direct","payload":1,"from":"x"})");
    EXPECT_EQ(closed(CloseReason::replaced), 1u);
}

TEST_P(WorkerTest, ids_may_be_refused_or_shared_instead) {
    WorkerOptions options;
    options.exchange.duplicate_id = hub::DuplicateId::reject;
    start(options);
    (void)connect(1, "/?clientId=x");
    (void)connect(2, "/?clientId=x");
    EXPECT_NE(refusal_.find("409"), std::string::npos) << refusal_;
    EXPECT_EQ(rejected(RejectReason::duplicate_id), 1u);

    options.exchange.duplicate_id = hub::DuplicateId::allow;
    start(options);
    const auto one = connect(3, "/?clientId=x");
    (void)connect(4, "/?clientId=x");
    say(one, R"({"type":"direct","targetId":"x","payload":1})");
    EXPECT_TRUE(run_until([&] { return heard_[3].size() == 1 && heard_[4].size() == 1; }));
}

// Each attempt at a taken id may ask the holder for a sign of life (R53): who only knows an id must
// not be able to flood its holder with pings, whose pongs would count against it.
TEST_P(WorkerTest, attempts_at_a_taken_id_do_not_wear_its_holder_out) {
    WorkerOptions options;
    options.exchange.duplicate_id = hub::DuplicateId::reject;
    start(options);
    const auto holder = connect(1, "/?clientId=x");
    for (std::uint64_t attempt = 0; attempt < 40; ++attempt) {
        (void)connect(100 + attempt, "/?clientId=x");
    }
    EXPECT_EQ(rejected(RejectReason::duplicate_id), 40u);
    EXPECT_EQ(closed_.count(1), 0u);
    EXPECT_EQ(ask(holder, 1, R"({"type":"ping"})"), R"({"type":"pong"})");
}

TEST_P(WorkerTest, refuses_what_it_cannot_take) {
    WorkerOptions options;
    options.connections_max = 1;
    options.seats.shared.waiters_max = {};
    start(options);
    (void)connect(1, "/?priority=urgent");
    EXPECT_NE(refusal_.find("400"), std::string::npos);
    (void)connect(2, "/?clientId=%00");
    EXPECT_EQ(rejected(RejectReason::bad_name), 1u);
    (void)connect(3, "/?priority=low");
    (void)connect(4, "/");
    EXPECT_NE(refusal_.find("503"), std::string::npos);
    EXPECT_EQ(rejected(RejectReason::capacity), 1u);
}

TEST_P(WorkerTest, bounds_groups_and_patience) {
    WorkerOptions options;
    options.exchange.groups_per_member_max = 2;
    options.bad_messages_max = 3;
    start(options);
    const auto client = connect(1, "/");
    say(client, R"({"type":"join","group":"a"})");
    say(client, R"({"type":"join","group":"b"})");
    EXPECT_NE(ask(client, 1, R"({"type":"join","group":"c"})").find("too_many_groups"),
              std::string::npos);
    EXPECT_EQ(ask(client, 1, "{"), R"({"error":"Invalid message format"})");
    say(client, "[]");
    say(client, R"({"type":"ping"} {"type":"ping"})");
    ASSERT_TRUE(run_until([&] { return closed_.count(1) == 1; }));
    EXPECT_EQ(closed_[1], ws::CloseCode::policy);
    EXPECT_EQ(worker_->counters().bad_messages, 3u);
}

TEST_P(WorkerTest, takes_new_bounds_for_clients_that_are_there) {
    WorkerOptions options;
    start(options);
    const auto client = connect(1, "/");
    EXPECT_EQ(ask(client, 1, R"({"type":"hello","a":[[1]]})").substr(0, 15), R"({"type":"echo",)");
    options.json_depth_max = 2;
    options.exchange.groups_per_member_max = 1;
    options.bad_messages_max = 2;
    options.engine.limits.message_size_max = 100;
    worker_->set_options(options);
    EXPECT_EQ(ask(client, 1, R"({"type":"hello","a":[[1]]})"),
              R"({"error":"Invalid message format"})");
    say(client, R"({"type":"join","group":"a"})");
    EXPECT_NE(ask(client, 1, R"({"type":"join","group":"b"})").find("too_many_groups"),
              std::string::npos);
    say(client, R"({"type":"hello","a":")" + std::string(100, 'x') + "\"}");
    ASSERT_TRUE(run_until([&] { return closed_.count(1) == 1; }));
    EXPECT_EQ(closed_[1], ws::CloseCode::too_big);
}

TEST_P(WorkerTest, welcomes_who_speaks_its_subprotocol) {
    start();
    (void)connect(1, "/?clientId=alice", {"other", "bearer.t", "wspool.v1"});
    EXPECT_EQ(subprotocol_, "wspool.v1");
    ASSERT_TRUE(run_until([&] { return heard_[1].size() == 1; }));
    EXPECT_EQ(heard_[1][0], R"({"type":"welcome","clientId":"alice"})");
    (void)connect(2, "/", {"other", "bearer.t"});
    EXPECT_EQ(subprotocol_, "bearer.t");
}

TEST_P(WorkerTest, echoes_raw_where_that_is_asked_for) {
    WorkerOptions options;
    options.echo = true;
    start(options);
    const auto client = connect(1, "/echo");
    EXPECT_EQ(ask(client, 1, "no JSON at all"), "no JSON at all");
    const auto other = connect(2, "/echoes");
    EXPECT_EQ(ask(other, 2, R"({"type":"hello"})"),
              R"({"type":"echo","payload":{"type":"hello"}})");
}

TEST_P(WorkerTest, drains_everybody_and_turns_newcomers_away) {
    WorkerOptions options;
    options.drain_time = std::chrono::milliseconds(100);
    start(options);
    for (std::uint64_t tag = 1; tag <= 5; ++tag) (void)connect(tag, "/");
    worker_->begin_drain();
    (void)connect(6, "/");
    EXPECT_NE(refusal_.find("503"), std::string::npos);
    ASSERT_TRUE(run_until([&] { return worker_->is_finished(); }));
    for (std::uint64_t tag = 1; tag <= 5; ++tag) {
        EXPECT_EQ(closed_[tag], ws::CloseCode::service_restart);
        EXPECT_EQ(heard_[tag].back().substr(0, 36), R"({"type":"draining","reconnectDelay":)");
    }
    EXPECT_EQ(worker_->counters().connections, 0u);
}

TEST_P(WorkerTest, shuts_down_at_once_when_told_to) {
    start();
    for (std::uint64_t tag = 1; tag <= 3; ++tag) (void)connect(tag, "/");
    worker_->begin_drain();
    worker_->shut_down();
    ASSERT_TRUE(run_until([&] { return worker_->is_finished(); }));
    EXPECT_EQ(closed(CloseReason::drained) + closed(CloseReason::shutdown), 3u);
}

// Its id is homed at a worker that is not there.
TEST_P(WorkerTest, turns_who_waits_for_an_id_away_when_it_is_shut_down) {
    WorkerOptions options;
    options.is_alone = false;
    options.exchange.index_count = 2;
    start(options);
    worker_->become_home();
    std::string id = "x";
    while (sip_hash(id, options.exchange.key) % 2 == 0) id += 'x';
    connect_unanswered(1, "/?clientId=" + id);
    for (std::uint64_t tag = 2; tag <= 3; ++tag) (void)connect(tag, "/");  // it has come before
    const std::size_t before = settled_;
    worker_->shut_down();
    EXPECT_EQ(rejected(RejectReason::draining), 1u);
    ASSERT_TRUE(run_until([&] { return settled_ > before && worker_->is_finished(); }));
    EXPECT_NE(refusal_.find("503"), std::string::npos) << refusal_;
    EXPECT_EQ(closed(CloseReason::shutdown), 2u);
}

INSTANTIATE_TEST_SUITE_P(Loops,
                         WorkerTest,
                         testing::Values(io::LoopChoice::uring, io::LoopChoice::epoll),
                         [](const auto& loop) {
                             return loop.param == io::LoopChoice::uring ? "uring" : "epoll";
                         });

}  // namespace
}  // namespace wspool::worker
