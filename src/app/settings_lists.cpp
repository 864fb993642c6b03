// The lists of tables, and the settings of their elements (app/settings.h).
#include "app/config_file.h"
#include "app/settings.h"

#include <algorithm>
#include <array>
#include <vector>

namespace wspool::app {
namespace {

constexpr std::array<std::string_view, 3> algorithm_names = {"HS256", "RS256", "ES256"};

// Whether an earlier element has the same text there as the last one.
template <class Element>
bool repeats(const std::vector<Element>& list, std::string Element::*text) {
    return std::any_of(list.begin(), list.end() - 1, [&](const Element& earlier) {
        return earlier.*text == list.back().*text;
    });
}

constexpr std::array<std::string_view, 3> issuer_required = {"name", "audience", "keys"};
constexpr std::array<std::string_view, 1> key_required = {"alg"};

std::optional<std::string> complete_issuer(Config& config) {
    auth::VerifierOptions options = verifier_options(config.auth);
    auth::IssuerOptions added = std::move(options.issuers.back());
    options.issuers.pop_back();
    for (const auth::IssuerOptions& earlier : options.issuers) {
        if (earlier.name == added.name)
            return "has the name of an earlier one; put the keys of both below one";
    }
    options.issuers = {std::move(added)};
    const auto verifier = auth::Verifier::make(options);
    if (verifier) return {};
    return "cannot be used: " + verifier.error().message;
}

// The key is read now: a file that is missing or holds something else is told with its line, and
// the workers need no access to it.
std::optional<std::string> complete_key(Config& config) {
    Config::Auth::Key& key = config.auth.issuers.back().keys.back();
    if (key.file.empty() == key.secret.empty())
        return "has file and secret, or neither; write one of them";
    const bool is_secret = key.algorithm == auth::Algorithm::hs256;
    if (!key.secret.empty() && !is_secret)
        return "has a secret, which only HS256 takes; name the PEM file of the public key";
    std::string where = "has a secret that ";
    if (key.secret.empty()) {
        auto text = read_small_file(key.file);
        if (!text) return "names a file that cannot be read: " + text.error().message;
        key.material = is_secret ? std::string(auth::secret_in(*text)) : std::move(*text);
        where = "names the file " + key.file + ", which ";
    } else {
        key.material = key.secret;
    }
    const auto made = auth::Key::make(key.algorithm, key.material);
    if (!made) return where + made.error().message;
    return {};
}

constexpr std::array<std::string_view, 2> pool_required = {"name", "capacity"};

std::optional<std::string> check_pool(Config& config) {
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

constexpr std::array<std::string_view, 2> history_required = {"prefix", "messages"};

std::optional<std::string> check_history(Config& config) {
    const auto& groups = config.history.groups;
    if (repeats(groups, &Config::History::Groups::prefix))
        return "has the prefix of another; leave one of them out";
    return {};
}

constexpr std::array<std::string_view, 1> rate_class_required = {"name"};

std::optional<std::string> check_rate_class(Config& config) {
    const auto& classes = config.limits.rate_classes;
    if (repeats(classes, &Config::Limits::RateClass::name))
        return "has the name of an earlier one; rename or remove one of them";
    return {};
}

const ListSection lists[] = {
    {"limits.rate_class",
     worker::rate_classes_max,
     [](Config& c) { c.limits.rate_classes.emplace_back(); },
     rate_class_required,
     check_rate_class},
    {"pool",
     metrics::seat_pools_max - 1,
     [](Config& c) { c.pools.emplace_back(); },
     pool_required,
     check_pool},
    {"history.groups",
     64,
     [](Config& c) { c.history.groups.emplace_back(); },
     history_required,
     check_history},
    {"auth.issuer",
     64,
     [](Config& c) { c.auth.issuers.emplace_back(); },
     issuer_required,
     complete_issuer},
    {"auth.issuer.keys",
     64,
     [](Config& c) { c.auth.issuers.back().keys.emplace_back(); },
     key_required,
     complete_key},
};

#define FIELD(path) ([](Config & c) -> auto& { return c.path; })
#define CHOOSE(path, Enum)                                             \
    ([](Config& c, std::size_t i) { c.path = static_cast<Enum>(i); }), \
        ([](const Config& c) { return static_cast<std::size_t>(c.path); })
const Setting table[] = {
    {"limits.rate_class", "name", TextKind{FIELD(limits.rate_classes.back().name), 1, 128}},
    {"limits.rate_class", "rate", RateKind{FIELD(limits.rate_classes.back().rate), 1'000'000}},
    {"limits.rate_class",
     "rate_bytes",
     SizeKind{FIELD(limits.rate_classes.back().rate_bytes), 1024, std::uint64_t{1} << 30, true}},
    {"pool", "name", TextKind{FIELD(pools.back().name), 1, 64}},
    {"pool", "path", TextKind{FIELD(pools.back().path), 1, 1024}},
    {"pool", "priority", TextsKind{FIELD(pools.back().priorities), 4, 16}},
    {"pool", "claim", TextKind{FIELD(pools.back().claim), 1, 128}},
    {"pool", "rate_class", TextKind{FIELD(pools.back().rate_class), 1, 128}},
    {"pool",
     "max_message_size",
     SizeKind{FIELD(pools.back().max_message_size), 1, std::uint64_t{1} << 30}},
    {"pool", "capacity", CountKind{FIELD(pools.back().capacity), 1, 10'000'000}},
    {"pool", "shares", SharesKind{FIELD(pools.back().shares)}},
    {"pool", "max_waiters", CountKind{FIELD(pools.back().max_waiters), 0, 1'000'000}},
    {"pool",
     "wait_timeout",
     DurationsKind{
         FIELD(pools.back().wait_timeout), std::chrono::milliseconds(0), std::chrono::hours(24)}},
    {"history.groups", "prefix", TextKind{FIELD(history.groups.back().prefix), 1, 128}},
    {"history.groups", "messages", CountKind{FIELD(history.groups.back().messages), 0, 1'000'000}},
    {"history.groups",
     "bytes",
     SizeKind{FIELD(history.groups.back().bytes), 1024, std::uint64_t{1} << 30}},
    {"history.groups",
     "age",
     DurationKind{
         FIELD(history.groups.back().age), std::chrono::milliseconds(1), std::chrono::hours(24)}},
    {"auth.issuer", "name", TextKind{FIELD(auth.issuers.back().name), 1, 1024}},
    {"auth.issuer", "audience", TextKind{FIELD(auth.issuers.back().audience), 1, 1024}},
    {"auth.issuer.keys", "id", TextKind{FIELD(auth.issuers.back().keys.back().id), 1, 256}},
    {"auth.issuer.keys",
     "alg",
     ChoiceKind{algorithm_names,
                CHOOSE(auth.issuers.back().keys.back().algorithm, auth::Algorithm)}},
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
