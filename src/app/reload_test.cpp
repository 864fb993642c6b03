#include "app/reload.h"

#include "app/config_file.h"
#include "app/settings.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace wspool::app {
namespace {

using std::chrono::seconds;

ConfigSources sources_with(std::string file_text) {
    ConfigSources sources;
    sources.file = "f.toml";
    sources.file_text = std::move(file_text);
    return sources;
}

TEST(Reload, LiveSettingsChangeAndTheOthersStay) {
    const Reload result = reload(sources_with("[limits]\n"
                                              "outbox = \"2MiB\"\n"
                                              "max_connections_per_worker = 7\n"
                                              "[server]\n"
                                              "listen = [\"127.0.0.1:1\"]\n"
                                              "[log]\n"
                                              "level = \"error\"\n"),
                                 Config{});
    EXPECT_TRUE(result.errors.empty());
    EXPECT_EQ(result.config.limits.outbox, 2u * 1024 * 1024);
    EXPECT_EQ(result.config.log.level, LogLevel::error);
    EXPECT_EQ(result.config.server.listen, Config{}.server.listen);
    EXPECT_EQ(result.config.limits.max_connections_per_worker,
              Config{}.limits.max_connections_per_worker);
    EXPECT_EQ(result.changed, (std::vector<std::string>{"limits.outbox", "log.level"}));
    EXPECT_EQ(result.needs_restart,
              (std::vector<std::string>{"server.listen", "limits.max_connections_per_worker"}));
}

TEST(Reload, AMistakeChangesNothingAtAll) {
    Config current;
    current.limits.outbox = 12345;
    const Reload result =
        reload(sources_with("[limits]\noutbox = \"2MiB\"\njson_depth = \"deep\"\n"), current);
    ASSERT_EQ(result.errors.size(), 1u);
    EXPECT_EQ(result.errors.front().substr(0, 11), "f.toml:3:14");
    EXPECT_EQ(result.config.limits.outbox, 12345u);
    EXPECT_TRUE(result.changed.empty());
}

TEST(Reload, ListsChangeAsAWholeOrNeedARestart) {
    const std::string issuer =
        "[[auth.issuer]]\nname = \"i\"\naudience = \"a\"\n"
        "keys = [{ alg = \"HS256\", secret = \"";
    const auto text = [&](const std::string& secret) {
        return "[auth]\nmode = \"jwt\"\n" + issuer + secret + "\" }]\n";
    };
    const Config before = load_config(sources_with(text(std::string(32, 'x')))).config;
    ASSERT_EQ(before.auth.issuers.size(), 1u);
    const Reload result =
        reload(sources_with(text(std::string(40, 'y')) +
                            "[[history.groups]]\nprefix = \"chat:\"\nmessages = 5\n"
                            "[[pool]]\nname = \"p\"\npath = \"/p\"\ncapacity = 5\n"),
               before);
    EXPECT_TRUE(result.errors.empty()) << result.errors.front();
    EXPECT_EQ(result.changed, (std::vector<std::string>{"[[history.groups]]", "[[auth.issuer]]"}));
    EXPECT_EQ(result.needs_restart, std::vector<std::string>{"[[pool]]"});
    EXPECT_EQ(result.config.auth.issuers.front().keys.front().secret, std::string(40, 'y'));
    EXPECT_EQ(result.config.history.groups.size(), 1u);
    EXPECT_TRUE(result.config.pools.empty());
}

TEST(Reload, WhatLinkMemoryCannotHoldIsAMistake) {
    Config current;
    current.server.workers = 8;
    const Reload result =
        reload(sources_with("[limits]\nmax_message_size = \"512MiB\"\n"), current);
    ASSERT_EQ(result.errors.size(), 1u);
    EXPECT_NE(result.errors.front().find("limits.link_memory"), std::string::npos);
    EXPECT_EQ(result.config.limits.max_message_size, Config{}.limits.max_message_size);
    EXPECT_TRUE(result.changed.empty());
}

TEST(Reload, WhatTheFileSaysNoMoreIsTheDefaultAgain) {
    Config current;
    current.limits.outbox = 12345;
    const Reload result = reload(sources_with(""), current);
    EXPECT_EQ(result.config.limits.outbox, Config{}.limits.outbox);
    EXPECT_EQ(result.changed, std::vector<std::string>{"limits.outbox"});
}

TEST(Reload, EnvironmentAndOptionsStillOverruleTheFile) {
    ConfigSources sources = sources_with("[log]\nlevel = \"error\"\n[limits]\noutbox = \"2MiB\"\n");
    sources.environment = [](const char* name) {
        return std::string_view(name) == "WSPOOL_LIMITS_OUTBOX" ? "3MiB" : nullptr;
    };
    sources.options = {{"log-level", "debug"}};
    const Reload result = reload(sources, Config{});
    EXPECT_EQ(result.config.limits.outbox, 3u * 1024 * 1024);
    EXPECT_EQ(result.config.log.level, LogLevel::debug);
}

TEST(Reload, TheFileIsReadAnewEachTime) {
    ConfigSources sources;
    sources.file = testing::TempDir() + "wspool_reload.toml";
    std::ofstream(*sources.file) << "[limits]\noutbox = \"2MiB\"\n";
    Config config;
    ASSERT_TRUE(read_again(sources) && reload_and_log(sources, config));
    EXPECT_EQ(config.limits.outbox, 2u * 1024 * 1024);
    std::ofstream(*sources.file) << "[limits]\noutbox = \"4MiB\"\n";
    ASSERT_TRUE(read_again(sources) && reload_and_log(sources, config));
    EXPECT_EQ(config.limits.outbox, 4u * 1024 * 1024);
    std::remove(sources.file->c_str());
    EXPECT_FALSE(read_again(sources));
    EXPECT_EQ(config.limits.outbox, 4u * 1024 * 1024);
}

TEST(Reload, EachLiveSettingIsOneThatThereIs) {
    const auto live = std::count_if(settings().begin(), settings().end(), is_live);
    EXPECT_EQ(static_cast<std::size_t>(live), live_setting_count());
}

TEST(Reload, EverySettingIsCopiedAndComparedByItself) {
    int tried = 0;
    for (const Setting& setting : settings()) {
        Config changed;
        for (const char* text : {"true",
                                 "false",
                                 "3",
                                 "20",
                                 "5KiB",
                                 "5ms",
                                 "150ms",
                                 "5/s",
                                 "127.0.0.1:3",
                                 "allow",
                                 "uring",
                                 "error",
                                 "json"}) {
            const auto error = assign_text(setting, text, changed);
            if (!error && !has_same_value(setting, changed, Config{})) break;
        }
        if (has_same_value(setting, changed, Config{})) continue;  // takes none of these
        ++tried;
        Config copy;
        copy_value(setting, changed, copy);
        for (const Setting& other : settings()) {
            EXPECT_TRUE(has_same_value(other, copy, changed)) << full_name(other);
        }
        copy_value(setting, Config{}, copy);
        EXPECT_TRUE(has_same_value(setting, copy, Config{})) << full_name(setting);
    }
    EXPECT_GE(tried, 38);
}

}  // namespace
}  // namespace wspool::app
