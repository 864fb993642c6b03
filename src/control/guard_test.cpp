#include "control/guard.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>

namespace wspool::control {
namespace {

const std::string token = "0123456789abcdef";

struct Asked {
    std::string method = "GET";
    std::string path = "/api/stats";
    std::string host = "127.0.0.1:8090";
    std::string lines = {};  // more of them
};

// The status of the refusal; 200 for none.
int judge(const GuardOptions& options, const Asked& asked) {
    const std::string text = asked.method + " " + asked.path + " HTTP/1.1\r\nHost: " + asked.host +
                             "\r\n" + asked.lines + "\r\n";
    const auto parsed = http::parse_request_head(as_bytes(text), {.body_size_max = 100});
    const auto* head = std::get_if<http::RequestHead>(&parsed);
    if (head == nullptr) return 0;
    const auto refused = Guard(options).judge(*head);
    return refused ? refused->status : 200;
}

TEST(Guard, AsksForTheTokenOnEverythingButHealth) {
    const GuardOptions options{.token = token};
    for (const char* path : {"/metrics",
                             "/api/stats",
                             "/healthz/",
                             "/readyz.",
                             "/Healthz",
                             "//",
                             "/dashboard",
                             "/dashboard.js/"}) {
        EXPECT_EQ(judge(options, {.path = path}), 401) << path;
        EXPECT_EQ(
            judge(options, {.path = path, .lines = "Authorization: bearer " + token + "\r\n"}), 200)
            << path;
    }
    for (const char* path : {"/healthz", "/readyz", "/healthz?a"}) {
        EXPECT_EQ(judge(options, {.path = path}), 200) << path;
    }
}

TEST(Guard, AsksForNoTokenOnTheDashboardButForHostAndOrigin) {
    for (const char* path : {"/", "/?a", "/dashboard.js", "/dashboard.css"}) {
        EXPECT_EQ(judge({.token = token}, {.path = path}), 200) << path;
        EXPECT_EQ(judge({}, {.path = path}), 200) << path;
        for (const GuardOptions& options : {GuardOptions{}, GuardOptions{.token = token}}) {
            EXPECT_EQ(judge(options, {.path = path, .lines = "Origin: http://evil.example\r\n"}),
                      403)
                << path;
        }
        const GuardOptions on_loopback{.token = {}, .checks_host = true};
        EXPECT_EQ(judge(on_loopback, {.path = path, .host = "evil.example"}), 403) << path;
    }
}

TEST(Guard, TakesTheTokenAloneAndWhole) {
    const GuardOptions options{.token = token};
    for (const std::string& value : {std::string("Bearer"),
                                     std::string("Bearer "),
                                     "Bearer " + token.substr(1),
                                     "Bearer " + token + "0",
                                     std::string("Bearer 0123456789abcdeF"),
                                     "Basic " + token,
                                     token,
                                     "Bearer " + token + ", Bearer " + token}) {
        EXPECT_EQ(judge(options, {.lines = "Authorization: " + value + "\r\n"}), 401) << value;
    }
    const std::string good = "Authorization: Bearer " + token + "\r\n";
    EXPECT_EQ(judge(options, {.lines = good + good}), 401);
    EXPECT_EQ(judge(options, {.path = "/api/stats?access_token=" + token}), 401);
}

TEST(Guard, RefusesPagesOfOtherSites) {
    const GuardOptions options;
    for (const char* origin : {"http://evil.example",
                               "null",
                               "http://127.0.0.1",
                               "http://127.0.0.1:8091",
                               "file://127.0.0.1:8090",
                               "http://127.0.0.1:8090.evil.example",
                               ""}) {
        EXPECT_EQ(judge(options, {.lines = std::string("Origin: ") + origin + "\r\n"}), 403)
            << origin;
    }
    EXPECT_EQ(judge(options, {.lines = "Origin: http://127.0.0.1:8090\r\n"}), 200);
    EXPECT_EQ(judge(options, {.lines = "Origin: https://127.0.0.1:8090\r\n"}), 200);
    const std::string own = "Origin: http://127.0.0.1:8090\r\n";
    EXPECT_EQ(judge(options, {.lines = own + own}), 403);
}

TEST(Guard, RefusesNamesThatMayHaveBeenMadePointHere) {
    const GuardOptions options{.token = {}, .checks_host = true};
    for (const char* host : {"evil.example",
                             "evil.example:8090",
                             "127.0.0.1.evil.example",
                             "notlocalhost",
                             "localhost.evil.example",
                             "1.2.3.4a"}) {
        EXPECT_EQ(judge(options, {.host = host}), 403) << host;
    }
    for (const char* host : {"localhost",
                             "LOCALHOST:8090",
                             "localhost.",
                             "a.localhost:1",
                             "127.0.0.1",
                             "[::1]:8090"}) {
        EXPECT_EQ(judge(options, {.host = host}), 200) << host;
    }
    EXPECT_EQ(judge({.token = token}, {.host = "evil.example"}), 401);
    EXPECT_EQ(judge({}, {.host = "any.name"}), 200);
}

TEST(Guard, WantsABodyToCallItselfJson) {
    const std::string body = "Content-Length: 2\r\n";
    for (const char* type : {"application/x-www-form-urlencoded",
                             "text/plain",
                             "multipart/form-data; boundary=a",
                             "text/plain; application/json",
                             ""}) {
        EXPECT_EQ(judge({}, {.method = "POST", .lines = body + "Content-Type: " + type + "\r\n"}),
                  415)
            << type;
    }
    EXPECT_EQ(judge({}, {.method = "POST", .lines = body}), 415);
    const std::string json = "Content-Type: Application/JSON; charset=utf-8\r\n";
    EXPECT_EQ(judge({}, {.method = "POST", .lines = body + json}), 200);
    EXPECT_EQ(judge({}, {.method = "POST", .lines = body + json + json}), 415);
    EXPECT_EQ(judge({}, {.method = "POST"}), 200);
}

TEST(Guard, ComparesSecretsWhole) {
    EXPECT_TRUE(is_same_secret("abc", "abc"));
    EXPECT_FALSE(is_same_secret("abc", "abd"));
    EXPECT_FALSE(is_same_secret("abc", "ab"));
    EXPECT_FALSE(is_same_secret("abc", "abcd"));
    EXPECT_TRUE(is_same_secret("", ""));
}

}  // namespace
}  // namespace wspool::control
