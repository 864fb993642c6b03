#include <gtest/gtest.h>
#include <wspool/stats.h>

#include <regex>
#include <set>
#include <sstream>

namespace wspool::api {
namespace {

using namespace std::chrono_literals;

Stats two_hosts() {
    Stats stats;
    HostStats& first = stats.hosts["ws://127.0.0.1:9000"];
    first.total = 4;
    first.active = 2;
    first.idle = 1;
    first.connecting = 1;
    first.max = 6;
    first.oldest_wait = 1500ms;
    first.timeouts = 3;
    first.messages_sent = 18'446'744'073'709'551'615u;
    first.acquire = {4, 250ms, 100ms, 1s, 2s, 3s};
    stats.hosts["or\"ders\\\n wss://[::1]:443"].idle = 2;
    stats.handler_errors = 1;
    return stats;
}

bool has(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(PrometheusText, NamesEachFigureByHostAndState) {
    const std::string text = prometheus_text(two_hosts());
    for (const char* line : {
             R"(wspool_pool_connections{host="ws://127.0.0.1:9000",state="connecting"} 1)",
             R"(wspool_pool_connections{host="ws://127.0.0.1:9000",state="idle"} 1)",
             R"(wspool_pool_connections{host="ws://127.0.0.1:9000",state="in_use"} 2)",
             R"(wspool_pool_connections{host="ws://127.0.0.1:9000",state="closing"} 0)",
             R"(wspool_pool_connections_max{host="ws://127.0.0.1:9000"} 6)",
             R"(wspool_pool_oldest_wait_seconds{host="ws://127.0.0.1:9000"} 1.5)",
             R"(wspool_pool_acquire_failures_total{host="ws://127.0.0.1:9000",reason="timeout"} 3)",
             R"(wspool_pool_messages_sent_total{host="ws://127.0.0.1:9000"} 18446744073709551615)",
             R"(wspool_pool_acquire_seconds{host="ws://127.0.0.1:9000",quantile="0.95"} 1)",
             R"(wspool_pool_acquire_seconds_sum{host="ws://127.0.0.1:9000"} 1)",
             R"(wspool_pool_acquire_seconds_count{host="ws://127.0.0.1:9000"} 4)",
             R"(wspool_pool_handler_errors_total 1)",
         }) {
        EXPECT_TRUE(has(text, line)) << line << "\nis not in\n" << text;
    }
}

TEST(PrometheusText, AnyNameOfAPoolStaysWithinItsLabel) {
    const std::string text = prometheus_text(two_hosts());
    const std::string name = R"(host="or\"ders\\\n wss://[::1]:443")";
    EXPECT_TRUE(has(text, "wspool_pool_connections_max{" + name + "} 0")) << text;
}

// The format: each family once, with its type before its samples; counters end in _total.
TEST(PrometheusText, KeepsTheFormat) {
    for (const Stats& stats : {two_hosts(), Stats()}) {
        std::istringstream lines(prometheus_text(stats));
        const std::regex sample(R"re((wspool_pool_[a-z_]+))re"
                                R"re((\{host="([^"\\]|\\.)*"(,[a-z]+="[a-z0-9._]+")?\})?)re"
                                R"re( [0-9.e+-]+)re");
        std::set<std::string> families;
        std::string family;
        std::string type;
        for (std::string line; std::getline(lines, line);) {
            std::smatch parts;
            if (line.rfind("# HELP ", 0) == 0) continue;
            if (line.rfind("# TYPE ", 0) == 0) {
                family = line.substr(7, line.rfind(' ') - 7);
                type = line.substr(line.rfind(' ') + 1);
                EXPECT_TRUE(families.insert(family).second) << family;
                EXPECT_EQ(family.size() > 6 && family.substr(family.size() - 6) == "_total",
                          type == "counter")
                    << family;
                continue;
            }
            ASSERT_TRUE(std::regex_match(line, parts, sample)) << line;
            const std::string name = parts[1];
            EXPECT_TRUE(name == family || (type == "summary" &&
                                           (name == family + "_sum" || name == family + "_count")))
                << line;
        }
        EXPECT_GT(families.size(), 20u);
    }
}

}  // namespace
}  // namespace wspool::api
