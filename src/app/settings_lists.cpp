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

constexpr std::array<std::string_view, 2> history_required = {"prefix", "messages"};

std::optional<std::string> check_history(const Config& config) {
    const auto& groups = config.history.groups;
    for (std::size_t i = 0; i + 1 < groups.size(); ++i) {
        if (groups[i].prefix == groups.back().prefix)
            return "has the prefix of another; leave one of them out";
    }
    return {};
}

const ListSection lists[] = {
    {"history.groups",
     64,
     [](Config& c) { c.history.groups.emplace_back(); },
     history_required,
     check_history},
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
