#include "app/cli.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace wspool::app {
namespace {

struct Outcome {
    Parsed parsed;
    std::string out;
    std::string err;
};

Outcome parse(std::initializer_list<const char*> words) {
    std::vector<const char*> argv = {"wspool"};
    argv.insert(argv.end(), words);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Outcome outcome;
    outcome.parsed = parse_command_line(static_cast<int>(argv.size()), argv.data());
    outcome.out = testing::internal::GetCapturedStdout();
    outcome.err = testing::internal::GetCapturedStderr();
    return outcome;
}

void expect_refused(std::initializer_list<const char*> words, const std::string& part) {
    const Outcome outcome = parse(words);
    EXPECT_FALSE(outcome.parsed.command.has_value()) << part;
    EXPECT_EQ(outcome.parsed.exit_status, exit_unusable) << part;
    EXPECT_NE(outcome.err.find(part), std::string::npos)
        << "\"" << outcome.err << "\" lacks \"" << part << "\"";
    EXPECT_EQ(outcome.out, "") << part;
}

TEST(CommandLine, without_arguments_prints_help) {
    const Outcome outcome = parse({});
    EXPECT_EQ(outcome.parsed.exit_status, exit_ok);
    for (const char* verb : {"serve", "connect", "send", "bench", "check", "top"}) {
        EXPECT_NE(outcome.out.find(verb), std::string::npos) << verb;
    }
}

TEST(CommandLine, tells_the_version_and_help_with_status_zero) {
    const Outcome version = parse({"--version"});
    EXPECT_EQ(version.parsed.exit_status, exit_ok);
    EXPECT_EQ(version.out.substr(0, 7), "wspool ");
    for (const auto& words : {std::initializer_list<const char*>{"--help"},
                              {"serve", "--help"},
                              {"bench", "echo", "--help"}}) {
        const Outcome help = parse(words);
        EXPECT_EQ(help.parsed.exit_status, exit_ok);
        EXPECT_FALSE(help.out.empty());
    }
}

TEST(CommandLine, mistakes_have_status_two) {
    expect_refused({"sevre"}, "sevre");
    expect_refused({"serve", "--lisen", "127.0.0.1:0"}, "--lisen");
    expect_refused({"serve", "stray"}, "stray");
    expect_refused({"check"}, "file");
    expect_refused({"connect"}, "url");
    expect_refused({"connect", "ws://h/", "--wait", "5"}, "no unit");
    expect_refused({"connect", "ws://h/", "--header", "no colon"}, "Name: value");
    expect_refused({"bench"}, "subcommand");
    expect_refused({"bench", "echo", "ws://h/", "--connections", "0"}, "from 1");
    expect_refused({"bench", "echo", "ws://h/", "--mode", "cooked"}, "cooked");
}

TEST(CommandLine, verbs_of_later_versions_say_so) {
    for (const char* verb : {"rebalance", "upgrade"}) {
        expect_refused({verb}, "this version of wspool does not have it");
    }
}

TEST(CommandLine, top_has_defaults_and_reads_its_options) {
    const Outcome plain = parse({"top"});
    ASSERT_TRUE(plain.parsed.command.has_value()) << plain.err;
    EXPECT_EQ(io::format_address(std::get<TopArgs>(*plain.parsed.command).control),
              "127.0.0.1:8090");
    const Outcome outcome =
        parse({"top", "--once", "--control", "unix:/run/w", "--interval", "500ms"});
    ASSERT_TRUE(outcome.parsed.command.has_value()) << outcome.err;
    const auto& args = std::get<TopArgs>(*outcome.parsed.command);
    EXPECT_EQ(io::format_address(args.control), "unix:/run/w");
    EXPECT_EQ(args.interval, std::chrono::milliseconds(500));
    EXPECT_TRUE(args.once);
    expect_refused({"top", "--interval", "1ms"}, "100ms");
    expect_refused({"top", "--control", "nowhere"}, "nowhere");
}

TEST(CommandLine, drain_has_defaults_and_reads_its_options) {
    const Outcome plain = parse({"drain"});
    ASSERT_TRUE(plain.parsed.command.has_value()) << plain.err;
    EXPECT_EQ(io::format_address(std::get<DrainArgs>(*plain.parsed.command).control),
              "127.0.0.1:8090");
    EXPECT_TRUE(std::get<DrainArgs>(*plain.parsed.command).waits);
    const Outcome outcome =
        parse({"drain", "--control", "unix:/run/w", "--no-wait", "--token", "t"});
    ASSERT_TRUE(outcome.parsed.command.has_value()) << outcome.err;
    const auto& args = std::get<DrainArgs>(*outcome.parsed.command);
    EXPECT_EQ(io::format_address(args.control), "unix:/run/w");
    EXPECT_EQ(args.token, "t");
    EXPECT_FALSE(args.waits);
    expect_refused({"drain", "--control", "nowhere"}, "nowhere");
}

TEST(CommandLine, token_takes_patterns_and_long_times) {
    const Outcome outcome = parse({"token",
                                   "--id",
                                   "alice",
                                   "--priority",
                                   "high",
                                   "--join",
                                   "a*",
                                   "--join",
                                   "b",
                                   "--expires",
                                   "720h",
                                   "--config",
                                   "f"});
    ASSERT_TRUE(outcome.parsed.command.has_value());
    const auto& args = std::get<TokenArgs>(*outcome.parsed.command);
    EXPECT_EQ(args.id, "alice");
    EXPECT_EQ(args.priority, pool::Priority::high);
    EXPECT_EQ(args.join, (std::vector<std::string>{"a*", "b"}));
    EXPECT_FALSE(args.publish.has_value());
    EXPECT_EQ(args.expires, std::chrono::hours(720));
    expect_refused({"token", "--priority", "urgent"}, "none of critical");
}

TEST(CommandLine, serve_collects_options_and_repeats_listen) {
    const Outcome outcome = parse({"serve",
                                   "--listen",
                                   "127.0.0.1:0",
                                   "--listen",
                                   "[::1]:0",
                                   "--echo",
                                   "--max-connections",
                                   "5",
                                   "--config",
                                   "w.toml"});
    ASSERT_TRUE(outcome.parsed.command.has_value()) << outcome.err;
    const auto& args = std::get<ServeArgs>(*outcome.parsed.command);
    EXPECT_EQ(args.config_file, "w.toml");
    const std::vector<OptionValue> expected = {{"listen", "127.0.0.1:0"},
                                               {"listen", "[::1]:0"},
                                               {"echo", "true"},
                                               {"max-connections", "5"}};
    for (const auto& option : expected) {
        EXPECT_NE(std::find(args.options.begin(), args.options.end(), option), args.options.end())
            << option.first;
    }
    EXPECT_EQ(args.options.size(), expected.size());
}

TEST(CommandLine, send_takes_messages_as_they_are) {
    const Outcome outcome = parse({"send", "ws://h/", "[1,2]", R"({"a":[]})", "", "--wait", "2s"});
    ASSERT_TRUE(outcome.parsed.command.has_value()) << outcome.err;
    const auto& args = std::get<SendArgs>(*outcome.parsed.command);
    EXPECT_EQ(args.messages, (std::vector<std::string>{"[1,2]", R"({"a":[]})", ""}));
    EXPECT_EQ(args.wait, std::chrono::seconds(2));
    expect_refused({"send", "ws://h/"}, "message");
}

TEST(CommandLine, connect_reads_headers_and_switches) {
    const Outcome outcome = parse({"connect",
                                   "ws://h/",
                                   "--header",
                                   "A: b",
                                   "--header",
                                   "C:d: e",
                                   "--subprotocol",
                                   "wspool.v1",
                                   "--no-compression",
                                   "--wait",
                                   "250ms"});
    ASSERT_TRUE(outcome.parsed.command.has_value()) << outcome.err;
    const auto& args = std::get<ConnectArgs>(*outcome.parsed.command);
    ASSERT_EQ(args.headers.size(), 2u);
    EXPECT_EQ(args.headers[0], (std::pair<std::string, std::string>("A", "b")));
    EXPECT_EQ(args.headers[1], (std::pair<std::string, std::string>("C", "d: e")));
    EXPECT_EQ(args.subprotocols, std::vector<std::string>{"wspool.v1"});
    EXPECT_FALSE(args.compression);
    EXPECT_EQ(args.wait, std::chrono::milliseconds(250));
}

TEST(CommandLine, bench_reads_its_load) {
    const Outcome outcome = parse({"bench",
                                   "echo",
                                   "ws://h/echo",
                                   "--connections",
                                   "7",
                                   "--in-flight",
                                   "16",
                                   "--size",
                                   "16KiB",
                                   "--duration",
                                   "2s",
                                   "--batch-wait",
                                   "50us",
                                   "--json",
                                   "--token",
                                   "a.b.c",
                                   "--server-pid",
                                   "1"});
    ASSERT_TRUE(outcome.parsed.command.has_value()) << outcome.err;
    const auto& args = std::get<BenchArgs>(*outcome.parsed.command);
    EXPECT_EQ(args.kind, BenchKind::echo);
    EXPECT_EQ(args.connections, 7u);
    EXPECT_EQ(args.in_flight, 16u);
    EXPECT_EQ(args.size, 16'384u);
    EXPECT_EQ(args.duration, std::chrono::seconds(2));
    EXPECT_EQ(args.loop.batch_wait, std::chrono::microseconds(50));
    EXPECT_TRUE(args.json);
    EXPECT_EQ(args.token, "a.b.c");
    EXPECT_EQ(args.server_pids, std::vector<std::uint64_t>{1});
}

}  // namespace
}  // namespace wspool::app
