#include "app/config_file.h"
#include "app/settings.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <sstream>

namespace wspool::app {
namespace {

std::vector<std::string> errors_of(std::string_view text) {
    Config config;
    return read_config_text(text, "f.toml", config);
}

void expect_only_error(std::string_view text, std::initializer_list<std::string_view> parts) {
    const auto errors = errors_of(text);
    ASSERT_EQ(errors.size(), 1u) << text;
    for (const auto part : parts) {
        EXPECT_NE(errors[0].find(part), std::string::npos)
            << "\"" << errors[0] << "\" lacks \"" << part << "\"";
    }
}

constexpr std::string_view two_issuers =
    "[[auth.issuer]]\n"
    "name = \"a\"\n"
    "keys = [{ id = \"1\", alg = \"HS256\", secret = \"x\" }, { alg = \"RS256\", file = \"y\" }]\n"
    "[[auth.issuer]]\n"
    "name = \"b\"\n"
    "audience = \"c\"\n"
    "[[auth.issuer.keys]]\n"
    "alg = \"ES256\"\n"
    "file = \"z\"\n";

TEST(ConfigLists, each_element_gets_its_own_keys_however_it_is_written) {
    Config config;
    EXPECT_TRUE(read_config_text(two_issuers, "f.toml", config).empty());
    ASSERT_EQ(config.auth.issuers.size(), 2u);
    const auto& [a, b] = std::tie(config.auth.issuers[0], config.auth.issuers[1]);
    EXPECT_EQ(a.name, "a");
    EXPECT_EQ(a.audience, "");
    ASSERT_EQ(a.keys.size(), 2u);
    EXPECT_EQ(a.keys[0].id, "1");
    EXPECT_EQ(a.keys[0].secret, "x");
    EXPECT_EQ(a.keys[1].algorithm, KeyAlgorithm::rs256);
    EXPECT_EQ(a.keys[1].file, "y");
    EXPECT_EQ(b.audience, "c");
    ASSERT_EQ(b.keys.size(), 1u);
    EXPECT_EQ(b.keys[0].file, "z");
}

TEST(ConfigLists, pools_of_seats_have_who_matches_and_fit_into_a_worker) {
    const std::string pool = "[[pool]]\nname = \"a\"\ncapacity = 5\n";
    Config config;
    EXPECT_TRUE(read_config_text(pool + "path = \"/x\"\npriority = [\"low\"]\n"
                                        "shares = { high = 1, low = 2 }\nwait_timeout = \"2s\"\n",
                                 "f.toml",
                                 config)
                    .empty());
    ASSERT_EQ(config.pools.size(), 1u);
    EXPECT_EQ(config.pools[0].shares, (pool::PerPriority<std::uint32_t>{0, 1, 0, 2}));
    EXPECT_EQ(config.pools[0].wait_timeout[0], std::chrono::seconds(2));
    const worker::SeatOptions seats = worker_options(config).seats;
    EXPECT_EQ(seats.dedicated[0].admission.seats_max, 5u);
    EXPECT_TRUE(seats.dedicated[0].priorities[3]);
    EXPECT_TRUE(contradictions(config).empty());
    config.limits.max_connections_per_worker = 4;
    ASSERT_EQ(contradictions(config).size(), 1u);
    EXPECT_NE(contradictions(config)[0].find("have 5 seats"), std::string::npos);
    expect_only_error(pool, {"f.toml:1:", "matches nobody"});
    expect_only_error(pool + "priority = [\"urgent\"]\n", {"f.toml:1:", "\"urgent\""});
    expect_only_error(pool + "path = \"x\"\n", {"f.toml:1:", "does not begin with /"});
    expect_only_error(pool + "path = \"/\"\nshares = { urgent = 1 }\n",
                      {"f.toml:5:10:", "\"urgent\", which is no priority"});
}

TEST(ConfigLists, shares_and_times_are_said_in_a_table_or_in_the_environment) {
    Config config;
    const Setting* shares = find_setting("admission", "shares");
    const Setting* timeout = find_setting("admission", "wait_timeout");
    EXPECT_FALSE(assign_text(*shares, "critical=10,low=30", config));
    EXPECT_EQ(config.admission.shares, (pool::PerPriority<std::uint32_t>{10, 0, 0, 30}));
    EXPECT_FALSE(assign_text(*shares, "off", config));
    EXPECT_FALSE(config.admission.shares.has_value());
    EXPECT_TRUE(assign_text(*shares, "critical=x", config));
    EXPECT_TRUE(assign_text(*shares, "critical=0", config));
    EXPECT_FALSE(assign_text(*timeout, "low=7s", config));
    EXPECT_EQ(config.admission.wait_timeout[3], std::chrono::seconds(7));
    EXPECT_EQ(config.admission.wait_timeout[0], std::chrono::seconds(5));
    EXPECT_FALSE(assign_text(*timeout, "1s", config));
    EXPECT_EQ(config.admission.wait_timeout[3], std::chrono::seconds(1));
    expect_only_error("[admission]\nwait_timeout = { low = 5 }\n", {"f.toml:2:16:", "no duration"});
    expect_only_error("[admission]\nshares = 5\n", {"f.toml:2:10:", "is a number"});
}

TEST(ConfigLists, an_empty_list_is_none) {
    EXPECT_TRUE(errors_of("[auth]\nissuer = []\n").empty());
}

TEST(ConfigLists, what_an_element_lacks_is_told_at_its_place) {
    expect_only_error("[[auth.issuer]]\nkeys = [{ alg = \"HS256\", secret = \"x\" }]\n",
                      {"f.toml:1:", "this [[auth.issuer]] lacks name"});
    expect_only_error("[[auth.issuer]]\nname = \"a\"\nkeys = [\n{ secret = \"x\" }]\n",
                      {"f.toml:4:1:", "this [[auth.issuer.keys]] lacks alg"});
}

TEST(ConfigLists, what_does_not_fit_together_is_told_at_the_elements_place) {
    expect_only_error("[[auth.issuer]]\nname = \"a\"\nkeys = [\n{ alg = \"HS256\" }]\n",
                      {"f.toml:4:1:", "file and secret, or neither"});
    expect_only_error(
        "[[auth.issuer]]\nname = \"a\"\nkeys = [\n{ alg = \"RS256\", secret = \"x\" }]\n",
        {"f.toml:4:1:", "only HS256"});
}

TEST(ConfigLists, a_misspelt_key_is_told_with_the_nearest_of_the_list) {
    expect_only_error(
        "[[auth.issuer]]\nname = \"a\"\nadience = \"b\"\nkeys = [{ alg = \"HS256\", secret = \"x\" "
        "}]\n",
        {"f.toml:3:1:", "auth.issuer.adience is unknown", "did you mean audience?"});
    expect_only_error("[auth]\nisuer = []\n", {"f.toml:2:1:", "did you mean issuer?"});
}

TEST(ConfigLists, a_list_that_is_written_as_a_section_is_told) {
    expect_only_error("[auth.issuer]\nname = \"a\"\n", {"f.toml:1:", "write [[auth.issuer]]"});
    expect_only_error("[auth]\nissuer = [5]\n", {"f.toml:2:11:", "no table"});
}

TEST(ConfigLists, are_bounded) {
    std::string text = "[[auth.issuer]]\nname = \"a\"\nkeys = [";
    for (int i = 0; i < 65; ++i) text += "{ alg = \"HS256\", secret = \"x\" },";
    expect_only_error(text + "]\n", {"f.toml:3:1:", "65 [[auth.issuer.keys]]; 64 are the most"});
}

TEST(ConfigLists, a_value_of_the_wrong_type_or_size_is_told_but_not_repeated) {
    const std::string keys = "keys = [{ alg = \"HS256\", secret = \"x\" }]\n";
    expect_only_error("[[auth.issuer]]\nname = 5\n" + keys, {"f.toml:2:8:", "auth.issuer.name"});
    expect_only_error("[[auth.issuer]]\nname = \"\"\n" + keys, {"has 0 bytes; write 1 to 1024"});
}

// In the example lists are commented out: it has each of their names and keys all the same.
TEST(ConfigLists, the_example_names_every_key) {
    std::ifstream file(std::string(WSPOOL_ROOT) + "/config/wspool.example.toml");
    std::ostringstream stream;
    stream << file.rdbuf();
    const std::string text = stream.str();
    for (const ListSection& list : list_sections()) {
        const std::string name(list.name);
        const std::string inline_name = name.substr(name.rfind('.') + 1) + " = [{";
        EXPECT_TRUE(text.find("# [[" + name + "]]") != std::string::npos ||
                    text.find(inline_name) != std::string::npos)
            << name;
    }
    for (const Setting& setting : list_settings())
        EXPECT_NE(text.find(std::string(setting.key) + " = "), std::string::npos)
            << full_name(setting);
}

}  // namespace
}  // namespace wspool::app
