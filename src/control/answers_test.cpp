#include "control/answers.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <new>
#include <string>

namespace wspool::control {
namespace {

using metrics::Counters;
using metrics::Life;
using metrics::ProcessState;
using nlohmann::json;
using std::chrono::seconds;

constexpr Instant start{seconds(100)};

class AnswersTest : public testing::Test {
  protected:
    AnswersTest() {
        for (std::size_t place = 0; place < 3; ++place) {
            set_state(place, ProcessState::ready);
        }
        set_state(page.master_place(), ProcessState::ready);
    }

    void set_state(std::size_t place, ProcessState state) {
        Life life;
        life.state = state;
        life.pid = 1000 + place;
        life.started_at = start;
        page.set_life(place, life);
    }

    [[nodiscard]] Answer get(std::string_view path) const {
        return answer_from_page(path, {page, 50, start + seconds(10)});
    }
    [[nodiscard]] json result(std::string_view path) const {
        return json::parse(get(path).body).at("result");
    }

    struct Free {
        void operator()(std::byte* bytes) const {
            ::operator delete[](bytes, std::align_val_t(64));
        }
    };
    const std::size_t size = metrics::Page::size_for(2);
    std::unique_ptr<std::byte, Free> memory{new (std::align_val_t(64)) std::byte[size]()};
    metrics::Page page{{memory.get(), size}, 2};
};

TEST_F(AnswersTest, ReadyUntilTheDrainBegins) {
    EXPECT_EQ(get("/readyz").status, 200);
    set_state(page.master_place(), ProcessState::draining);
    EXPECT_EQ(get("/readyz").status, 503);
    EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(AnswersTest, ReadyAsLongAsOneWorkerServes) {
    set_state(0, ProcessState::dead);
    EXPECT_EQ(get("/readyz").status, 200);
    set_state(1, ProcessState::starting);
    EXPECT_EQ(get("/readyz").status, 503);
}

TEST_F(AnswersTest, StatsAddTheWorkersUp) {
    Counters counters;
    counters.seating.seats[0][2] = 5;
    counters.seating.changes = 1;
    counters.messages_received = 30;
    counters.messages_sent = 20;
    counters.add(metrics::CloseReason::drained);
    page.publish(0, counters, start);
    page.publish(1, counters, start);
    page.publish(2, counters, start);  // control's are its own matter
    const json stats = result("/api/stats");
    EXPECT_EQ(stats["connections"]["current"], 10);
    EXPECT_EQ(stats["connections"]["max"], 100);
    EXPECT_EQ(stats["connections"]["utilization"], 10.0);
    EXPECT_EQ(stats["uptime"], 10.0);
    EXPECT_EQ(stats["throughput"]["messagesPerSecond"], 6.0);
    EXPECT_EQ(stats["throughput"]["messagesOutPerSecond"], 4.0);
    EXPECT_EQ(stats["closedBy"]["drained"], 2);
}

TEST_F(AnswersTest, WorkersAreListedWithTheirLives) {
    Life life;
    life.state = ProcessState::dead;
    life.restarts = 4;
    life.incarnation = 9;
    life.death = metrics::DeathKind::signal;
    life.death_detail = 11;
    life.died_at = start + seconds(4);
    page.set_life(1, life);
    const json listed = result("/api/workers");
    ASSERT_EQ(listed["workers"].size(), 2u);
    EXPECT_TRUE(listed["workers"][0]["lastDeath"].is_null());
    EXPECT_EQ(listed["workers"][0]["uptime"], 10.0);
    const json& dead = listed["workers"][1];
    EXPECT_EQ(dead["worker"], 1);
    EXPECT_EQ(dead["state"], "dead");
    EXPECT_EQ(dead["restarts"], 4);
    EXPECT_EQ(dead["uptime"], 0.0);
    EXPECT_EQ(dead["lastDeath"], (json{{"kind", "signal"}, {"detail", 11}, {"secondsAgo", 6.0}}));
    EXPECT_EQ(listed["control"]["pid"], 1002);
}

TEST_F(AnswersTest, MetricsHaveALabelPerWorker) {
    Counters counters;
    counters.connections_opened = 7;
    page.publish(1, counters, start + seconds(9));
    const Answer given = get("/metrics");
    EXPECT_EQ(given.status, 200);
    EXPECT_NE(given.content_type.find("version=0.0.4"), std::string_view::npos);
    for (const char* line : {"wspool_connections_opened_total{worker=\"0\"} 0\n",
                             "wspool_connections_opened_total{worker=\"1\"} 7\n",
                             "wspool_connections_max{worker=\"1\"} 50\n",
                             "wspool_worker_up{worker=\"control\"} 1\n",
                             "wspool_worker_heartbeat_age_seconds{worker=\"1\"} 1\n",
                             "# TYPE wspool_connections gauge\n",
                             "# TYPE wspool_dropped_total counter\n"}) {
        EXPECT_NE(given.body.find(line), std::string::npos) << line;
    }
}

TEST_F(AnswersTest, StatsTellWhoDidNotGetIn) {
    Counters counters;
    counters.add(metrics::RejectReason::timeout);
    counters.add(metrics::RejectReason::capacity);
    counters.add(metrics::RejectReason::descriptors);
    counters.add(metrics::RejectReason::malformed);
    page.publish(0, counters, start);
    EXPECT_EQ(result("/api/stats")["errors"],
              (json{{"timeout", 1}, {"capacity", 2}, {"other", 1}}));
}

TEST_F(AnswersTest, SeatsAreToldByPoolAndPriority) {
    Counters counters;
    metrics::Seating& seating = counters.seating;
    seating.seats[0][1] = 3;
    seating.seats[1][0] = 2;
    seating.waiters[0][3] = 4;
    seating.waiting_since =
        static_cast<std::uint64_t>((start + seconds(7)).time_since_epoch().count());
    seating.preemptions[3][1] = 5;
    seating.add_seated();
    seating.add_waited(metrics::AcquireResult::timed_out, seconds(12));
    page.publish(0, counters, start + seconds(9));
    const std::vector<SeatPoolFact> pools = {{"default", 40}, {"trading", 10}};
    const Facts facts{page, 50, start + seconds(10), pools};
    const std::string text = answer_from_page("/metrics", facts).body;
    for (const char* line :
         {R"(wspool_connections{worker="0",pool="default",priority="high"} 3)",
          R"(wspool_connections{worker="0",pool="trading",priority="critical"} 2)",
          R"(wspool_connections{worker="1",pool="trading",priority="low"} 0)",
          R"(wspool_waiters{worker="0",pool="default",priority="low"} 4)",
          R"(wspool_oldest_wait_seconds{worker="0"} 3)",
          R"(wspool_preemptions_total{worker="0",from="low",to="high"} 5)",
          R"(wspool_acquire_total{worker="0",result="timed_out"} 1)",
          R"(wspool_acquire_seconds_bucket{worker="0",le="10"} 1)",
          R"(wspool_acquire_seconds_bucket{worker="0",le="15"} 2)",
          R"(wspool_acquire_seconds_count{worker="0"} 2)",
          R"(wspool_acquire_seconds_sum{worker="0"} 12)"}) {
        EXPECT_NE(text.find(std::string(line) + "\n"), std::string::npos) << line;
    }
    const json stats = json::parse(answer_from_page("/api/stats", facts).body)["result"];
    EXPECT_EQ(stats["connections"]["current"], 5);
    EXPECT_EQ(stats["byPriority"]["critical"], 2);
    EXPECT_EQ(stats["waiting"]["low"], 4);
    EXPECT_EQ(stats["oldestWait"], 3.0);
    EXPECT_EQ(stats["preemptions"]["low"]["high"], 5);
    EXPECT_EQ(stats["pools"]["trading"]["max"], 20);
    EXPECT_EQ(stats["pools"]["default"]["byPriority"]["high"], 3);
}

}  // namespace
}  // namespace wspool::control
