#include "app/config_file.h"
#include "app/settings.h"
#include "auth/test_keys.h"

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

// 32 bytes, as the shortest secret has.
constexpr std::string_view key =
    R"({ alg = "HS256", secret = "0123456789abcdef0123456789abcdef" })";

std::string issuer(std::string_view name, std::string_view keys, std::string_view more = "") {
    std::string text = "[[auth.issuer]]\n";
    if (!name.empty()) text.append("name = ").append(name).append("\n");
    return text.append("audience = \"a\"\nkeys = [\n").append(keys).append("]\n").append(more);
}

class KeyFiles : public testing::Test {
  protected:
    std::string write(const std::string& name, std::string_view text) {
        const std::string path = testing::TempDir() + "wspool_key_" + name;
        std::ofstream(path, std::ios::binary) << text;
        written_.push_back(path);
        return path;
    }
    void TearDown() override {
        for (const auto& path : written_) std::remove(path.c_str());
    }

  private:
    std::vector<std::string> written_;
};

TEST_F(KeyFiles, of_each_element_are_read_however_it_is_written) {
    const std::string secret = write("secret", "0123456789abcdef0123456789abcdeX\n");
    const std::string rsa = write("rsa", auth::rsa_public_key);
    const std::string text =
        issuer("\"a\"",
               R"({ id = "1", alg = "HS256", file = ")" + secret +
                   R"(" }, { id = "2", alg = "RS256", file = ")" + rsa + "\" }\n") +
        "[[auth.issuer]]\nname = \"b\"\naudience = \"c\"\n"
        "[[auth.issuer.keys]]\nalg = \"HS256\"\n"
        "secret = \"0123456789abcdef0123456789abcdef\"\n";
    Config config;
    const auto errors = read_config_text(text, "f.toml", config);
    ASSERT_TRUE(errors.empty()) << errors.front();
    const auth::VerifierOptions options = verifier_options(config.auth);
    ASSERT_EQ(options.issuers.size(), 2u);
    EXPECT_EQ(options.issuers[0].name, "a");
    ASSERT_EQ(options.issuers[0].keys.size(), 2u);
    EXPECT_EQ(options.issuers[0].keys[0].id, "1");
    EXPECT_EQ(options.issuers[0].keys[0].material, "0123456789abcdef0123456789abcdeX");
    EXPECT_EQ(options.issuers[0].keys[1].algorithm, auth::Algorithm::rs256);
    EXPECT_EQ(options.issuers[0].keys[1].material, auth::rsa_public_key);
    EXPECT_EQ(options.issuers[1].audience, "c");
    ASSERT_EQ(options.issuers[1].keys.size(), 1u);
    EXPECT_TRUE(auth::Verifier::make(options).has_value());
}

TEST_F(KeyFiles, that_are_missing_or_hold_another_key_are_told_with_their_line) {
    expect_only_error(issuer("\"a\"", R"({ alg = "RS256", file = "/nonexistent" })"),
                      {"f.toml:5:1:", "/nonexistent: cannot be opened"});
    const std::string ec = write("ec", auth::ec_public_key);
    expect_only_error(issuer("\"a\"", R"({ alg = "RS256", file = ")" + ec + "\" }"),
                      {"f.toml:5:1:", ec, "no RSA key"});
    expect_only_error(issuer("\"a\"", R"({ alg = "HS256", file = ")" + ec + "\" }"),
                      {"f.toml:5:1:", ec, "public half"});
    const std::string small = write("small", "short\n");
    expect_only_error(issuer("\"a\"", R"({ alg = "HS256", file = ")" + small + "\" }"),
                      {"f.toml:5:1:", "has 5 bytes"});
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
    expect_only_error(issuer("", key), {"f.toml:1:", "this [[auth.issuer]] lacks name"});
    expect_only_error(issuer("\"a\"", R"({ secret = "x" })"),
                      {"f.toml:5:1:", "this [[auth.issuer.keys]] lacks alg"});
}

TEST(ConfigLists, what_does_not_fit_together_is_told_at_the_elements_place) {
    expect_only_error(issuer("\"a\"", R"({ alg = "HS256" })"),
                      {"f.toml:5:1:", "file and secret, or neither"});
    expect_only_error(issuer("\"a\"", R"({ alg = "RS256", secret = "x" })"),
                      {"f.toml:5:1:", "only HS256"});
    expect_only_error(issuer("\"a\"", R"({ alg = "HS256", secret = "short" })"),
                      {"f.toml:5:1:", "has 5 bytes", "32 random bytes"});
    expect_only_error(issuer("\"a\"", std::string(key) + "," + std::string(key)),
                      {"f.toml:1:1:", "needs an id"});
    expect_only_error(issuer("\"a\"", key) + issuer("\"a\"", key),
                      {"f.toml:6:1:", "the name of an earlier one"});
}

TEST(ConfigLists, a_misspelt_key_is_told_with_the_nearest_of_the_list) {
    expect_only_error(issuer("\"a\"", key, "audence = \"b\"\n"),
                      {"f.toml:6:1:", "auth.issuer.audence is unknown", "did you mean audience?"});
    expect_only_error("[auth]\nisuer = []\n", {"f.toml:2:1:", "did you mean issuer?"});
}

TEST(ConfigLists, a_list_that_is_written_as_a_section_is_told) {
    expect_only_error("[auth.issuer]\nname = \"a\"\n", {"f.toml:1:", "write [[auth.issuer]]"});
    expect_only_error("[auth]\nissuer = [5]\n", {"f.toml:2:11:", "no table"});
}

TEST(ConfigLists, are_bounded) {
    std::string keys;
    for (int i = 0; i < 65; ++i) keys.append(key).append(",");
    expect_only_error(issuer("\"a\"", keys), {"65 [[auth.issuer.keys]]; 64 are the most"});
}

TEST(ConfigLists, a_value_of_the_wrong_type_or_size_is_told) {
    expect_only_error(issuer("5", key), {"f.toml:2:8:", "auth.issuer.name"});
    expect_only_error(issuer("\"\"", key), {"has 0 bytes; write 1 to 1024"});
}

TEST(ConfigLists, a_secret_is_never_repeated) {
    for (const auto& error :
         errors_of(issuer("\"a\"", R"({ alg = "RS256", secret = "hush-hush" })"))) {
        EXPECT_EQ(error.find("hush"), std::string::npos) << error;
    }
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
