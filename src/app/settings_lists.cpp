// The lists of tables, and the settings of their elements (app/settings.h).
#include "app/settings.h"

#include <array>

namespace wspool::app {
namespace {

constexpr std::array<std::string_view, 3> algorithm_names = {"HS256", "RS256", "ES256"};

constexpr std::array<std::string_view, 2> issuer_required = {"name", "keys"};
constexpr std::array<std::string_view, 1> key_required = {"alg"};

std::optional<std::string> check_key(const Config& config) {
    const Config::Auth::Key& key = config.auth.issuers.back().keys.back();
    if (key.file.empty() == key.secret.empty())
        return "has file and secret, or neither; write one of them";
    if (!key.secret.empty() && key.algorithm != KeyAlgorithm::hs256)
        return "has a secret, which only HS256 takes; name the PEM file of the public key";
    return {};
}

constexpr std::array<std::string_view, 2> pool_required = {"name", "capacity"};

std::optional<std::string> check_pool(const Config& config) {
    const Config::Pool& pool = config.pools.back();
    for (const std::string& word : pool.priorities) {
        if (!pool::parse_priority(word)) {
            return "names the priority \"" + word +
                   "\", which is none of \"critical\", \"high\", \"normal\", \"low\"";
        }
    }
    if (!pool.path.empty() && pool.path.front() != '/')
        return "has a path that does not begin with /; write it as in \"/trading\"";
    if (pool.path.empty() && pool.priorities.empty() && pool.claim.empty())
        return "matches nobody; give it a path, priority or claim";
    return {};
}

const ListSection lists[] = {
    {"pool",
     metrics::seat_pools_max - 1,
     [](Config& c) { c.pools.emplace_back(); },
     pool_required,
     check_pool},
    {"auth.issuer", 64, [](Config& c) { c.auth.issuers.emplace_back(); }, issuer_required},
    {"auth.issuer.keys",
     64,
     [](Config& c) { c.auth.issuers.back().keys.emplace_back(); },
     key_required,
     check_key},
};

#define FIELD(path) ([](Config & c) -> auto& { return c.path; })
#define CHOOSE(path, Enum) ([](Config& c, std::size_t i) { c.path = static_cast<Enum>(i); })
const Setting table[] = {
    {"pool", "name", TextKind{FIELD(pools.back().name), 1, 64}},
    {"pool", "path", TextKind{FIELD(pools.back().path), 1, 1024}},
    {"pool", "priority", TextsKind{FIELD(pools.back().priorities), 4, 16}},
    {"pool", "claim", TextKind{FIELD(pools.back().claim), 1, 128}},
    {"pool", "capacity", CountKind{FIELD(pools.back().capacity), 1, 10'000'000}},
    {"pool", "shares", SharesKind{FIELD(pools.back().shares)}},
    {"pool", "max_waiters", CountKind{FIELD(pools.back().max_waiters), 0, 1'000'000}},
    {"pool",
     "wait_timeout",
     DurationsKind{
         FIELD(pools.back().wait_timeout), std::chrono::milliseconds(0), std::chrono::hours(24)}},
    {"auth.issuer", "name", TextKind{FIELD(auth.issuers.back().name), 1, 1024}},
    {"auth.issuer", "audience", TextKind{FIELD(auth.issuers.back().audience), 1, 1024}},
    {"auth.issuer.keys", "id", TextKind{FIELD(auth.issuers.back().keys.back().id), 1, 256}},
    {"auth.issuer.keys",
     "alg",
     ChoiceKind{algorithm_names, CHOOSE(auth.issuers.back().keys.back().algorithm, KeyAlgorithm)}},
    {"auth.issuer.keys", "file", TextKind{FIELD(auth.issuers.back().keys.back().file), 1, 4096}},
    {"auth.issuer.keys",
     "secret",
     TextKind{FIELD(auth.issuers.back().keys.back().secret), 1, 4096}},
};
#undef FIELD
#undef CHOOSE

}  // namespace

std::span<const ListSection> list_sections() {
    return lists;
}

std::span<const Setting> list_settings() {
    return table;
}

const ListSection* find_list(std::string_view name) {
    for (const ListSection& list : lists) {
        if (list.name == name) return &list;
    }
    return nullptr;
}

}  // namespace wspool::app
