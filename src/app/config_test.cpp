#include "app/config.h"

#include "app/config_file.h"
#include "app/settings.h"
#include "app/units.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace wspool::app {
namespace {

using std::chrono::seconds;

std::vector<std::string> errors_of(std::string_view text) {
    Config config;
    return read_config_text(text, "f.toml", config);
}

std::string only_error_of(std::string_view text) {
    const auto errors = errors_of(text);
    EXPECT_EQ(errors.size(), 1u) << text;
    return errors.empty() ? "" : errors.front();
}

void expect_says(const std::string& message, std::initializer_list<std::string_view> parts) {
    for (const auto part : parts) {
        EXPECT_NE(message.find(part), std::string::npos)
            << "\"" << message << "\" lacks \"" << part << "\"";
    }
}

struct TestSources {
    std::map<std::string, std::string> environment;
    std::vector<OptionValue> options;
    std::optional<std::string> file;

    [[nodiscard]] LoadedConfig load() const {
        const auto lookup = [this](const char* name) -> const char* {
            const auto found = environment.find(name);
            return found == environment.end() ? nullptr : found->second.c_str();
        };
        return load_config({file, lookup, options});
    }
};

class ConfigFile : public testing::Test {
  protected:
    std::string write(const std::string& text) {
        const auto* test = testing::UnitTest::GetInstance()->current_test_info();
        const std::string path = testing::TempDir() + "wspool_" + test->name() + ".toml";
        std::ofstream(path) << text;
        written_.push_back(path);
        return path;
    }
    void TearDown() override {
        for (const auto& path : written_) std::remove(path.c_str());
    }

  private:
    std::vector<std::string> written_;
};

// ---- errors of a file

TEST(Config, an_empty_file_gives_the_defaults) {
    Config config;
    EXPECT_TRUE(read_config_text("", "f", config).empty());
    EXPECT_EQ(config.limits.max_message_size, 64u * 1024);
    EXPECT_EQ(config.server.listen.front().port, 8080);
}

TEST(Config, defaults_are_those_of_the_layers_below) {
    const worker::WorkerOptions ours = worker_options(Config{});
    const worker::WorkerOptions theirs;
    EXPECT_EQ(ours.connections_max, theirs.connections_max);
    EXPECT_EQ(ours.exchange.duplicate_id, theirs.exchange.duplicate_id);
    EXPECT_EQ(ours.seats.shared.waiters_max, theirs.seats.shared.waiters_max);
    EXPECT_EQ(ours.seats.shared.wait_timeout, theirs.seats.shared.wait_timeout);
    EXPECT_EQ(ours.seats.shared.shares, theirs.seats.shared.shares);
    EXPECT_EQ(ours.seats.shared.preemption.grace, theirs.seats.shared.preemption.grace);
    EXPECT_EQ(ours.seats.shared.preemption.min_hold, theirs.seats.shared.preemption.min_hold);
    EXPECT_EQ(ours.seats.shared.preemption.idle_after, theirs.seats.shared.preemption.idle_after);
    EXPECT_EQ(ours.seats.shared.preemption.reconnect_delay,
              theirs.seats.shared.preemption.reconnect_delay);
    EXPECT_EQ(ours.seats.shared.preemption.budget_per_second,
              theirs.seats.shared.preemption.budget_per_second);
    EXPECT_EQ(ours.seats.ticket_time, theirs.seats.ticket_time);
    EXPECT_EQ(ours.seats.refuse, theirs.seats.refuse);
    EXPECT_EQ(ours.exchange.window_bytes, theirs.exchange.window_bytes);
    EXPECT_EQ(ours.exchange.history_bytes_max, theirs.exchange.history_bytes_max);
    ASSERT_EQ(ours.exchange.history.size(), theirs.exchange.history.size());
    EXPECT_EQ(ours.exchange.history[0].messages, theirs.exchange.history[0].messages);
    EXPECT_EQ(ours.exchange.history[0].bytes, theirs.exchange.history[0].bytes);
    EXPECT_EQ(ours.exchange.history[0].age, theirs.exchange.history[0].age);
    EXPECT_EQ(ours.json_depth_max, theirs.json_depth_max);
    EXPECT_EQ(ours.bad_messages_max, theirs.bad_messages_max);
    EXPECT_EQ(ours.exchange.groups_per_member_max, theirs.exchange.groups_per_member_max);
    EXPECT_EQ(ours.drain_time, theirs.drain_time);
    EXPECT_EQ(ours.engine.limits.message_size_max, theirs.engine.limits.message_size_max);
    EXPECT_EQ(ours.engine.limits.fragments_max, theirs.engine.limits.fragments_max);
    EXPECT_EQ(ours.engine.head.size_max, theirs.engine.head.size_max);
    EXPECT_EQ(ours.engine.head.fields_max, theirs.engine.head.fields_max);
    EXPECT_EQ(ours.engine.outbox_size_max, theirs.engine.outbox_size_max);
    EXPECT_EQ(ours.engine.deflate_size_min, theirs.engine.deflate_size_min);
    EXPECT_EQ(ours.engine.allow_deflate, theirs.engine.allow_deflate);
    EXPECT_EQ(ours.engine.handshake_timeout, theirs.engine.handshake_timeout);
    EXPECT_EQ(ours.engine.frame_timeout, theirs.engine.frame_timeout);
    EXPECT_EQ(ours.engine.message_timeout, theirs.engine.message_timeout);
    EXPECT_EQ(ours.engine.ping_interval, theirs.engine.ping_interval);
    EXPECT_EQ(ours.engine.pong_timeout, theirs.engine.pong_timeout);
    EXPECT_EQ(ours.engine.write_timeout, theirs.engine.write_timeout);
    EXPECT_EQ(ours.engine.close_timeout, theirs.engine.close_timeout);
    EXPECT_EQ(ours.engine.control_frames_per_second, theirs.engine.control_frames_per_second);
    EXPECT_EQ(ours.engine.control_frames_burst, theirs.engine.control_frames_burst);
    EXPECT_EQ(ours.engine.send_buffer, theirs.engine.send_buffer);
    EXPECT_EQ(loop_options(Config{}).batch_wait, io::LoopOptions{}.batch_wait);
    EXPECT_EQ(loop_options(Config{}).choice, io::LoopOptions{}.choice);
}

TEST(Config, groups_have_the_history_of_the_rule_with_their_prefix) {
    Config config;
    EXPECT_TRUE(read_config_text("[history]\n"
                                 "bytes = \"2MiB\"\n"
                                 "[[history.groups]]\n"
                                 "prefix = \"chat:\"\n"
                                 "messages = 1000\n"
                                 "[[history.groups]]\n"
                                 "prefix = \"chat:private:\"\n"
                                 "messages = 0\n"
                                 "age = \"1s\"\n",
                                 "f",
                                 config)
                    .empty());
    const auto rules = worker_options(config).exchange.history;
    ASSERT_EQ(rules.size(), 3u);
    EXPECT_EQ(rules[0].prefix, "");
    EXPECT_EQ(rules[0].messages, 100u);
    EXPECT_EQ(rules[1].prefix, "chat:");
    EXPECT_EQ(rules[1].messages, 1000u);
    EXPECT_EQ(rules[1].bytes, 2u * 1024 * 1024);
    EXPECT_EQ(rules[1].age, std::chrono::minutes(5));
    EXPECT_EQ(rules[2].messages, 0u);
    EXPECT_EQ(rules[2].age, std::chrono::seconds(1));
}

TEST(Config, a_rule_for_groups_that_cannot_be_is_told_with_its_line) {
    expect_says(only_error_of("[[history.groups]]\nprefix = \"a\"\nmesages = 1\n"
                              "messages = 1\n"),
                {"f.toml:3:1: ", "history.groups.mesages is unknown", "did you mean messages?"});
    expect_says(only_error_of("[[history.groups]]\nprefix = \"a\"\n"),
                {"f.toml:1:1: ", "lacks messages"});
    expect_says(only_error_of("[[history.groups]]\nprefix = \"a\"\nmessages = 1\n"
                              "[[history.groups]]\nprefix = \"a\"\nmessages = 2\n"),
                {"f.toml:4:1: ", "has the prefix of another"});
    expect_says(only_error_of("[history]\ngroups = 5\n"), {"f.toml:2:1: ", "is a list"});
}

TEST(Config, link_memory_is_shared_out_and_must_suffice_for_all_workers) {
    Config config;
    config.limits.link_memory = 12 * 1024 * 1024;
    EXPECT_EQ(worker_options(config, 2).exchange.window_bytes, 1024u * 1024);
    EXPECT_EQ(worker_options(config, 4).exchange.window_bytes, 12u * 1024 * 1024 / 20);
    EXPECT_EQ(check_link_memory(config, 12), "");
    expect_says(check_link_memory(config, 20), {"link_memory is 12 MiB", "20 workers", "28 MiB"});
    config.limits.max_message_size = 100 * 1024 * 1024;
    const worker::WorkerOptions large = worker_options(config, 2);
    EXPECT_GT(large.exchange.window_bytes, config.limits.max_message_size);
    EXPECT_GT(large.exchange.record_size_max, large.exchange.window_bytes);
    EXPECT_EQ(large.link.record_size_max, large.exchange.record_size_max);
    EXPECT_EQ(check_link_memory(config, 1), "");
}

TEST(Config, every_error_of_a_file_is_told_in_the_order_of_its_lines) {
    const auto errors = errors_of(
        "[limits]\n"
        "outbox = 64\n"
        "json_depht = 3\n"
        "[keepalive]\n"
        "ping_interval = \"soon\"\n"
        "[server]\n"
        "workers = 300\n");
    ASSERT_EQ(errors.size(), 4u);
    expect_says(errors[0], {"f.toml:2:10: ", "limits.outbox", "\"64B\""});
    expect_says(errors[1], {"f.toml:3:1: ", "json_depht", "did you mean json_depth?"});
    expect_says(errors[2], {"f.toml:5:17: ", "keepalive.ping_interval", "\"25s\"", "\"off\""});
    expect_says(errors[3], {"f.toml:7:11: ", "server.workers", "from 1 to 256, or \"auto\""});
}

TEST(Config, an_unknown_section_is_told_with_the_nearest) {
    expect_says(only_error_of("[limts]\noutbox = \"1MiB\"\n"),
                {"f.toml:1:2: ", "[limts]", "did you mean [limits]?"});
}

TEST(Config, a_section_of_a_later_version_is_not_taken_for_a_misspelling) {
    for (const std::string section : {"cluster", "events"}) {
        expect_says(only_error_of("[" + section + "]\nx = 1\n"),
                    {"f.toml:1:2: ",
                     "unknown section [" + section + "]",
                     "this version of wspool does not have it"});
    }
    for (const std::string section : {"listener", "service"}) {
        expect_says(
            only_error_of("[[" + section + "]]\nx = 1\n"),
            {"unknown section [[" + section + "]]", "this version of wspool does not have it"});
    }
}

TEST(Config, a_key_in_the_wrong_section_is_told_its_own) {
    expect_says(only_error_of("[limits]\nlisten = [\"127.0.0.1:0\"]\n"),
                {"limits.listen", "below [server]"});
    expect_says(only_error_of("workers = 1\n"),
                {"f.toml:1:1: ", "outside of any section", "[server]"});
}

TEST(Config, a_section_that_is_no_table_is_told) {
    expect_says(only_error_of("limits = 5\n"), {"f.toml:1:1: ", "[limits]"});
    expect_says(only_error_of("[[limits]]\noutbox = \"1MiB\"\n"), {"[limits]"});
}

TEST(Config, a_value_of_the_wrong_type_is_told_with_the_right_one) {
    expect_says(only_error_of("[server]\necho = \"yes\"\n"), {"server.echo", "true or false"});
    expect_says(only_error_of("[limits]\njson_depth = \"64\"\n"),
                {"limits.json_depth", "whole number"});
    expect_says(only_error_of("[limits]\njson_depth = 6.5\n"), {"whole number"});
    expect_says(only_error_of("[health]\ninterval = 2026-01-01\n"),
                {"health.interval", "date", "duration"});
    expect_says(only_error_of("[server]\nio = 5\n"), {"server.io", "\"uring\""});
    expect_says(only_error_of("[log]\nlevel = {}\n"), {"a table"});
    expect_says(only_error_of("[server]\nbatch_wait = false\n"), {"write \"off\""});
    expect_says(only_error_of("[server]\nlisten = [\n\"127.0.0.1:0\",\n8080]\n"),
                {"f.toml:4:1: ", "server.listen"});
}

TEST(Config, a_value_out_of_bounds_is_told_with_the_bounds) {
    expect_says(only_error_of("[limits]\nmax_message_size = \"2GiB\"\n"), {"\"1B\" to \"1GiB\""});
    expect_says(only_error_of("[limits]\nmax_connections_per_worker = 0\n"), {"from 1 to"});
    expect_says(only_error_of("[limits]\nhandshake_timeout = \"off\"\n"),
                {"limits.handshake_timeout", "duration"});
    expect_says(only_error_of("[limits]\nmax_connections_per_worker = -5\n"), {"-5"});
}

TEST(Config, a_choice_is_told_the_nearest) {
    expect_says(only_error_of("[server]\nio = \"urin\"\n"),
                {"\"auto\", \"uring\", \"epoll\"", "did you mean \"uring\"?"});
}

TEST(Config, with_tokens_there_must_be_an_issuer) {
    Config config;
    EXPECT_TRUE(read_config_text("[auth]\nmode = \"jwt\"\n", "f", config).empty());
    const auto errors = contradictions(config);
    ASSERT_EQ(errors.size(), 1u);
    expect_says(errors[0], {"auth.mode", "[[auth.issuer]]"});
    config.auth.mode = AuthMode::none;
    EXPECT_TRUE(contradictions(config).empty());
}

TEST(Config, origins_are_listed_or_those_of_the_same_host) {
    Config config;
    EXPECT_TRUE(read_config_text(
                    "[auth]\norigins = [\"https://A.example\", \"http://b:81\"]\n", "f", config)
                    .empty());
    ASSERT_TRUE(config.auth.origins.has_value());
    EXPECT_EQ(config.auth.origins->at(0), auth::parse_origin("https://a.example"));
    EXPECT_TRUE(read_config_text("[auth]\norigins = \"same-host\"\n", "f", config).empty());
    EXPECT_FALSE(config.auth.origins.has_value());
    for (const std::string value : {"\"*\"", "[\"*\"]", "[\"https://a.example/\"]", "[\"null\"]"})
        expect_says(only_error_of("[auth]\norigins = " + value + "\n"), {"auth.origins"});
    TestSources sources;
    sources.environment = {{"WSPOOL_AUTH_ORIGINS", "https://a.example,https://b.example"}};
    EXPECT_EQ(sources.load().config.auth.origins->size(), 2u);
}

TEST(Config, tokens_count_in_the_worker_only_where_they_are_asked_for) {
    Config config;
    EXPECT_FALSE(worker_options(config).auth.verifier.has_value());
    config.auth.mode = AuthMode::jwt;
    config.auth.query_token = true;
    config.auth.leeway = seconds(9);
    const worker::WorkerOptions options = worker_options(config);
    ASSERT_TRUE(options.auth.verifier.has_value());
    EXPECT_EQ(options.auth.verifier->leeway, seconds(9));
    EXPECT_TRUE(options.auth.takes_query_token);
}

TEST(Config, workers_are_counted_or_as_many_as_cores) {
    Config config;
    EXPECT_TRUE(read_config_text("[server]\nworkers = 3\n", "f", config).empty());
    EXPECT_EQ(config.server.workers, 3u);
    EXPECT_TRUE(read_config_text("[server]\nworkers = \"auto\"\n", "f", config).empty());
    EXPECT_EQ(config.server.workers, 0u);
    expect_says(only_error_of("[server]\nworkers = \"some\"\n"), {"whole number", "\"auto\""});
    expect_says(only_error_of("[limits]\njson_depth = \"auto\"\n"), {"whole number"});
}

TEST(Config, the_control_api_has_an_address_or_is_off) {
    Config config;
    EXPECT_TRUE(read_config_text("[control]\naddress = \"[::1]:9\"\n", "f", config).empty());
    ASSERT_TRUE(config.control.address.has_value());
    EXPECT_EQ(config.control.address->port, 9);
    EXPECT_TRUE(read_config_text("[control]\naddress = \"off\"\n", "f", config).empty());
    EXPECT_FALSE(config.control.address.has_value());
    expect_says(only_error_of("[control]\naddress = 8090\n"), {"an address"});
}

std::vector<std::string> contradictions_of(const std::string& text) {
    Config config;
    EXPECT_TRUE(read_config_text("[control]\n" + text, "f", config).empty());
    return contradictions(config);
}

TEST(Config, a_control_api_that_others_reach_wants_a_token) {
    const auto errors = contradictions_of("address = \"0.0.0.0:8090\"\n");
    ASSERT_EQ(errors.size(), 1u);
    expect_says(errors[0], {"control.address", "0.0.0.0:8090", "control.token", "loopback"});
    EXPECT_TRUE(
        contradictions_of("address = \"0.0.0.0:1\"\ntoken = \"0123456789abcdef\"\n").empty());
    EXPECT_TRUE(contradictions_of("address = \"0.0.0.0:1\"\ntoken_file = \"f\"\n").empty());
    EXPECT_TRUE(contradictions_of("address = \"unix:/tmp/c\"\n").empty());
}

TEST(Config, a_token_of_the_control_api_is_long_enough_and_fits_a_header) {
    const auto errors = contradictions_of("token = \"0123456789abcde\"\n");
    ASSERT_EQ(errors.size(), 1u);
    expect_says(errors[0], {"control.token", "15 bytes", "16"});
    EXPECT_EQ(errors[0].find("0123456789"), std::string::npos);
    EXPECT_EQ(contradictions_of("token = \"0123456789 abcdef\"\n").size(), 1u);
    EXPECT_EQ(contradictions_of("token = \"0123456789abcdef\"\ntoken_file = \"f\"\n").size(), 1u);
}

TEST(Config, a_token_may_stand_in_a_file_of_its_own) {
    const std::string path = testing::TempDir() + "wspool_token";
    const auto read = [&](const std::string& text) {
        std::ofstream(path) << text;
        Config config;
        config.control.token_file = path;
        auto errors = read_secrets(config);
        return errors.empty() ? config.control.token : errors.front();
    };
    EXPECT_EQ(read("0123456789abcdef\n"), "0123456789abcdef");
    expect_says(read("short\n"), {"control.token_file", path, "16"});
    expect_says(read("0123456789abcdef\n0123456789abcdef\n"), {"one line"});
    std::remove(path.c_str());
    Config config;
    config.control.token_file = path;
    expect_says(read_secrets(config).at(0), {"control.token_file", "cannot be opened"});
}

TEST(Config, rates_are_so_many_a_second_or_off) {
    Config config;
    EXPECT_TRUE(read_config_text("[limits]\nrate = \"100/s\"\nrate_bytes = \"256KiB\"\n"
                                 "connections_per_ip = 7\nconnect_rate_per_ip = \"20/s\"\n",
                                 "f",
                                 config)
                    .empty());
    const worker::WorkerOptions options = worker_options(config);
    EXPECT_EQ(options.rates.classes.at(0).messages_per_second, 100u);
    EXPECT_EQ(options.rates.classes.at(0).bytes_per_second, 256u * 1024);
    EXPECT_EQ(options.addresses.connections_max, 7u);
    EXPECT_EQ(options.addresses.connects_per_second, 20u);
    EXPECT_TRUE(read_config_text("[limits]\nrate = \"off\"\nrate_bytes = \"off\"\n"
                                 "connections_per_ip = \"off\"\nconnect_rate_per_ip = \"off\"\n",
                                 "f",
                                 config)
                    .empty());
    EXPECT_FALSE(worker_options(config).rates.is_on());
    EXPECT_FALSE(worker_options(config).addresses.is_on());
    expect_says(only_error_of("[limits]\nrate = 100\n"), {"limits.rate", "\"100/s\""});
    for (const std::string value : {"\"100\"", "\"0/s\"", "\"/s\"", "\"-1/s\"", "\"1/m\"", "\"\""})
        expect_says(only_error_of("[limits]\nrate = " + value + "\n"), {"limits.rate", "\"off\""});
}

TEST(Config, rate_classes_have_names_and_pools_may_name_one) {
    const std::string classes =
        "[[limits.rate_class]]\nname = \"feed\"\nrate = \"1000/s\"\n"
        "[[limits.rate_class]]\nname = \"bulk\"\nrate_bytes = \"1MiB\"\n";
    const std::string pool = "[[pool]]\nname = \"p\"\ncapacity = 5\npath = \"/p\"\n";
    Config config;
    const auto errors = read_config_text(
        classes + pool + "rate_class = \"bulk\"\nmax_message_size = \"16KiB\"\n", "f", config);
    ASSERT_TRUE(errors.empty()) << errors.front();
    EXPECT_TRUE(contradictions(config).empty());
    const worker::WorkerOptions options = worker_options(config);
    ASSERT_EQ(options.rates.classes.size(), 3u);
    EXPECT_EQ(options.rates.classes[1].messages_per_second, 1000u);
    EXPECT_EQ(options.rates.classes[1].bytes_per_second, 0u);
    EXPECT_EQ(options.rates.find("bulk"), 2u);
    EXPECT_EQ(options.seats.dedicated.at(0).rate_class, "bulk");
    EXPECT_EQ(options.seats.dedicated.at(0).message_size_max, 16u * 1024);

    expect_says(only_error_of("[[limits.rate_class]]\nrate = \"1/s\"\n"), {"name"});
    expect_says(only_error_of("[[limits.rate_class]]\nname = \"a\"\n"
                              "[[limits.rate_class]]\nname = \"a\"\n"),
                {"f.toml:3", "earlier"});
    config.pools[0].rate_class = "fed";
    config.pools[0].max_message_size = config.limits.max_message_size + 1;
    const auto wrong = contradictions(config);
    ASSERT_EQ(wrong.size(), 2u);
    expect_says(wrong[0], {"\"p\"", "rate_class \"fed\"", "[[limits.rate_class]]"});
    expect_says(wrong[1], {"\"p\"", "65537", "limits.max_message_size is 65536"});
}

TEST(Config, what_is_not_toml_is_told_with_its_place) {
    expect_says(only_error_of("[server]\nlisten = [\"x\"\n"), {"f.toml:", "this is not TOML"});
    expect_says(only_error_of("[server]\nworkers = 1\nworkers = 1\n"),
                {"f.toml:3:", "this is not TOML"});
}

RC_GTEST_PROP(Config, any_text_is_read_or_told_about, (const std::string& text)) {
    Config config;
    for (const auto& error : read_config_text(text, "f", config))
        RC_ASSERT(error.substr(0, 2) == "f:");
}

TEST(Config, addresses_are_read_in_every_form) {
    Config config;
    const auto errors = read_config_text(
        "[server]\nlisten = [\"127.0.0.1:0\", \"[::1]:8080\", \"unix:/tmp/wspool\", "
        "\"127.0.0.1:0\"]\n",
        "f",
        config);
    EXPECT_TRUE(errors.empty());
    ASSERT_EQ(config.server.listen.size(), 4u);
    EXPECT_EQ(config.server.listen[1].port, 8080);
    expect_says(only_error_of("[server]\nlisten = []\n"), {"empty"});
    expect_says(only_error_of("[server]\nlisten = [\"127.0.0.1:80\", \"127.0.0.1:80\"]\n"),
                {"twice"});
    expect_says(only_error_of("[server]\nlisten = \"localhost\"\n"),
                {"f.toml:2:10: ", "server.listen"});
}

RC_GTEST_PROP(Config, sizes_and_durations_in_a_file_mean_what_they_say, ()) {
    const auto size = *rc::gen::inRange<std::uint64_t>(1, 1ull << 30);
    const auto wait = std::chrono::microseconds(*rc::gen::inRange(1'000, 1'000'000'000));
    Config config;
    const auto errors =
        read_config_text("[limits]\nmax_message_size = \"" + format_size(size) +
                             "\"\nwrite_timeout = \"" + format_duration(wait) + "\"\n",
                         "f",
                         config);
    RC_ASSERT(errors.empty());
    RC_ASSERT(worker_options(config).engine.limits.message_size_max == size);
    RC_ASSERT(worker_options(config).engine.write_timeout == Duration(wait));
}

TEST_F(ConfigFile, that_is_not_there_is_told) {
    Config config;
    const auto errors = read_config_file("/nonexistent/wspool.toml", config);
    ASSERT_EQ(errors.size(), 1u);
    expect_says(errors[0], {"/nonexistent/wspool.toml", "No such file"});
}

TEST_F(ConfigFile, that_is_a_directory_is_told) {
    Config config;
    EXPECT_EQ(read_config_file("/tmp", config).size(), 1u);
}

// ---- precedence

TEST_F(ConfigFile, is_overruled_by_the_environment_and_that_by_options) {
    TestSources sources;
    sources.file = write(
        "[limits]\nmax_connections_per_worker = 1\njson_depth = 7\n[log]\nlevel = \"error\"\n");
    EXPECT_EQ(sources.load().config.limits.max_connections_per_worker, 1u);
    sources.environment["WSPOOL_LIMITS_MAX_CONNECTIONS_PER_WORKER"] = "2";
    EXPECT_EQ(sources.load().config.limits.max_connections_per_worker, 2u);
    sources.options = {{"max-connections", "3"}};
    const auto loaded = sources.load();
    EXPECT_TRUE(loaded.errors.empty());
    EXPECT_EQ(loaded.config.limits.max_connections_per_worker, 3u);
    EXPECT_EQ(loaded.config.limits.json_depth, 7u);
    EXPECT_EQ(loaded.config.log.level, LogLevel::error);
}

TEST_F(ConfigFile, its_list_is_replaced_not_added_to) {
    TestSources sources;
    sources.file = write("[server]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n");
    sources.options = {{"listen", "127.0.0.1:3"}, {"listen", "[::1]:4"}};
    const auto loaded = sources.load();
    EXPECT_TRUE(loaded.errors.empty());
    ASSERT_EQ(loaded.config.server.listen.size(), 2u);
    EXPECT_EQ(loaded.config.server.listen[0].port, 3);
    EXPECT_EQ(loaded.config.server.listen[1].port, 4);
}

TEST(ConfigEnvironment, has_a_long_name_for_each_key_and_a_short_one_for_each_option) {
    TestSources sources;
    sources.environment = {{"WSPOOL_LISTEN", "127.0.0.1:1,127.0.0.1:2"},
                           {"WSPOOL_SERVER_ECHO", "true"},
                           {"WSPOOL_MAX_CONNECTIONS", "9"},
                           {"WSPOOL_LOG_LEVEL", "warning"},
                           {"WSPOOL_KEEPALIVE_PING_INTERVAL", "off"}};
    const auto loaded = sources.load();
    EXPECT_TRUE(loaded.errors.empty());
    EXPECT_EQ(loaded.config.server.listen.size(), 2u);
    EXPECT_TRUE(loaded.config.server.echo);
    EXPECT_EQ(loaded.config.limits.max_connections_per_worker, 9u);
    EXPECT_EQ(loaded.config.log.level, LogLevel::warning);
    EXPECT_EQ(loaded.config.keepalive.ping_interval, Duration::zero());
}

TEST(ConfigEnvironment, errors_name_the_variable) {
    TestSources sources;
    sources.environment = {
        {"WSPOOL_WORKERS", "two"}, {"WSPOOL_LIMITS_OUTBOX", "64"}, {"WSPOOL_ECHO", "maybe"}};
    const auto errors = sources.load().errors;
    ASSERT_EQ(errors.size(), 3u);
    expect_says(errors[0], {"WSPOOL_WORKERS", "whole number"});
    expect_says(errors[1], {"WSPOOL_ECHO", "true or false"});
    expect_says(errors[2], {"WSPOOL_LIMITS_OUTBOX", "no unit"});
}

TEST(ConfigEnvironment, two_names_for_one_key_are_refused) {
    TestSources sources;
    sources.environment = {{"WSPOOL_ECHO", "true"}, {"WSPOOL_SERVER_ECHO", "false"}};
    const auto errors = sources.load().errors;
    ASSERT_EQ(errors.size(), 1u);
    expect_says(errors[0], {"WSPOOL_ECHO", "WSPOOL_SERVER_ECHO"});
}

TEST(ConfigEnvironment, takes_auto_for_a_count_that_may_be) {
    TestSources sources;
    sources.environment = {{"WSPOOL_WORKERS", "auto"}, {"WSPOOL_CONTROL", "off"}};
    const auto loaded = sources.load();
    EXPECT_TRUE(loaded.errors.empty());
    EXPECT_EQ(loaded.config.server.workers, 0u);
    EXPECT_FALSE(loaded.config.control.address.has_value());
}

TEST(ConfigOptions, errors_name_the_option) {
    TestSources sources;
    sources.options = {{"io", "kqueue"}, {"workers", "0"}};
    const auto errors = sources.load().errors;
    ASSERT_EQ(errors.size(), 2u);
    expect_says(errors[0], {"--workers", "from 1 to 256"});
    expect_says(errors[1], {"--io", "kqueue", "\"epoll\""});
}

// ---- the table and the example agree

TEST(ConfigTable, names_are_unique) {
    std::set<std::string> names, variables, options;
    for (const Setting& setting : settings()) {
        EXPECT_TRUE(names.insert(full_name(setting)).second) << full_name(setting);
        for (const auto& name : environment_names(setting))
            EXPECT_TRUE(variables.insert(name).second) << name;
        if (!setting.option.empty()) {
            EXPECT_TRUE(options.insert(std::string(setting.option)).second) << setting.option;
            EXPECT_FALSE(setting.help.empty()) << setting.option;
        }
    }
}

std::string example_text() {
    std::ifstream file(std::string(WSPOOL_ROOT) + "/config/wspool.example.toml");
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// So what it says of each key is the default.
TEST(ConfigExample, passes_and_changes_nothing) {
    const std::string text = example_text();
    ASSERT_FALSE(text.empty());
    Config config;
    const auto errors = read_config_text(text, "example", config);
    EXPECT_TRUE(errors.empty()) << errors.front();
    for (const Setting& setting : settings()) {
        EXPECT_TRUE(has_same_value(setting, config, Config{})) << full_name(setting);
    }
}

// Beginning with something else everywhere, so that a key that is not read is noticed.
TEST(ConfigExample, sets_every_key_back_to_its_default) {
    Config config;
    ASSERT_TRUE(read_config_text("[server]\nlisten = [\"127.0.0.1:3\"]\nworkers = 3\n"
                                 "single_process = true\nduplicate_id = \"allow\"\nio = \"uring\"\n"
                                 "batch_wait = \"off\"\necho = true\ndrain_time = \"5ms\"\n"
                                 "[compression]\nenabled = false\nmin_size = \"5KiB\"\n"
                                 "[control]\naddress = \"off\"\n"
                                 "[log]\nlevel = \"error\"\nformat = \"json\"\n",
                                 "f",
                                 config)
                    .empty());
    EXPECT_TRUE(read_config_text(example_text(), "example", config).empty());
    for (const Setting& setting : settings()) {
        EXPECT_TRUE(has_same_value(setting, config, Config{})) << full_name(setting);
    }
}

// By name, the values that the example gives; a key that is commented out there has none.
std::map<std::string, std::string> example_values() {
    std::istringstream lines(example_text());
    std::map<std::string, std::string> values;
    std::string line, section;
    while (std::getline(lines, line)) {
        if (!line.empty() && line.front() == '[') section = line.substr(1, line.find(']') - 1);
        const auto equals = line.find(" = ");
        if (line.empty() || line.front() == '#' || equals == std::string::npos) continue;
        values[section + "." + line.substr(0, equals)] = line.substr(equals + 3);
    }
    return values;
}

// The documentation has one row for every key, with its default, and none for what there is not.
TEST(ConfigDocumentation, has_a_row_for_every_key_with_its_default) {
    const auto defaults = example_values();
    std::ifstream file(std::string(WSPOOL_ROOT) + "/docs/configuration.md");
    std::set<std::string> documented;
    std::string line;
    while (std::getline(file, line)) {
        if (!line.starts_with("| `")) continue;
        const std::string key = line.substr(3, line.find('`', 3) - 3);
        const std::size_t dot = key.rfind('.');
        if (dot == std::string::npos || key.starts_with('[')) continue;
        EXPECT_NE(find_setting(key.substr(0, dot), key.substr(dot + 1)), nullptr) << key;
        EXPECT_TRUE(documented.insert(key).second) << key << " has two rows";
        const auto found = defaults.find(key);
        if (found == defaults.end()) continue;
        EXPECT_TRUE(line.starts_with("| `" + key + "` | `" + found->second + "` |"))
            << line << "\n  lacks the default " << found->second;
    }
    for (const Setting& setting : settings())
        EXPECT_TRUE(documented.contains(full_name(setting))) << full_name(setting);
}

TEST(ConfigDocumentation, names_what_needs_a_restart) {
    std::ifstream file(std::string(WSPOOL_ROOT) + "/docs/configuration.md");
    std::ostringstream content;
    content << file.rdbuf();
    const std::string text = content.str();
    const std::size_t begin = text.find("These need a restart:");
    ASSERT_NE(begin, std::string::npos);
    const std::string paragraph = text.substr(begin, text.find("\n\n", begin) - begin);
    for (const Setting& setting : settings()) {
        const std::string whole_section = std::string(setting.section) + ".*";
        const bool is_named = paragraph.find("`" + full_name(setting) + "`") != std::string::npos ||
                              paragraph.find("`" + whole_section + "`") != std::string::npos;
        EXPECT_EQ(is_named, !is_live(setting)) << full_name(setting);
    }
}

// What each variable says arrives, or is told as wrong.
TEST(ConfigEnvironment, is_read_under_every_name_of_every_key) {
    for (const Setting& setting : settings()) {
        for (const std::string& name : environment_names(setting)) {
            TestSources sources;
            sources.environment = {{name, "{}"}};
            const auto loaded = sources.load();
            EXPECT_TRUE(!loaded.errors.empty() || !has_same_value(setting, loaded.config, Config{}))
                << name;
        }
    }
}

TEST(ConfigExample, holds_every_key_that_there_is) {
    std::set<std::string> held;
    for (const auto& [name, value] : example_values()) held.insert(name);
    std::set<std::string> known;
    for (const Setting& setting : settings()) known.insert(full_name(setting));
    EXPECT_EQ(held, known);
}

// Any value of the example that is spoilt is told, and told on its line.
TEST(ConfigExample, each_key_is_really_read) {
    const std::string text = example_text();
    std::istringstream lines(text);
    std::string line;
    std::size_t number = 0, start = 0;
    while (std::getline(lines, line)) {
        ++number;
        const auto equals = line.find(" = ");
        if (!line.empty() && line.front() != '#' && equals != std::string::npos) {
            std::string spoilt = text;
            spoilt.replace(start + equals + 3, line.size() - equals - 3, "{ wrong = 1 }");
            expect_says(only_error_of(spoilt),
                        {"f.toml:" + std::to_string(number) + ":", line.substr(0, equals)});
        }
        start += line.size() + 1;
    }
}

TEST(Nearest, finds_swapped_lost_and_added_letters) {
    const std::vector<std::string_view> words = {"outbox", "json_depth", "head_size"};
    EXPECT_EQ(nearest("outbxo", words), "outbox");
    EXPECT_EQ(nearest("jsondepth", words), "json_depth");
    EXPECT_EQ(nearest("head_sizes", words), "head_size");
    EXPECT_EQ(nearest("zzzzzz", words), "");
}

}  // namespace
}  // namespace wspool::app
