// The table of settings: each key of the configuration once, with its section, its kind, its bounds
// and where it lands in Config. File, environment, command line and the example's test all read
// this table, so that none of them can know a key that the others do not.
//
// Names: key K of section S is the environment variable WSPOOL_S_K in capitals; one that has an
// option
// --some-name may also be given as WSPOOL_SOME_NAME.
//
// Lists of tables ([[auth.issuer]]) have a table of their own (app/settings_lists.cpp): each is a
// section whose settings land in the element that was added last. They come from the file alone.
#pragma once

#include "app/config.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wspool::app {

struct FlagKind {
    bool& (*field)(Config&);
};
struct CountKind {
    std::uint64_t& (*field)(Config&);
    std::uint64_t min, max;
    std::string_view zero = {};  // the word for 0, where there is one: "auto", "off"
};
// So many a second, "100/s", or "off", which is 0.
struct RateKind {
    std::uint64_t& (*field)(Config&);
    std::uint64_t max;
};
struct SizeKind {
    std::uint64_t& (*field)(Config&);
    std::uint64_t min, max;
    bool may_be_off = false;
};
struct DurationKind {
    Duration& (*field)(Config&);
    Duration min, max;
    bool may_be_off = false;
};
struct ChoiceKind {
    std::span<const std::string_view> names;
    void (*set)(Config&, std::size_t index);
    std::size_t (*get)(const Config&);
    // Said for a value that a later version will know.
    std::string_view later_value = {};
    std::string_view later_mend = {};
};
struct TextKind {
    std::string& (*field)(Config&);
    std::size_t size_min, size_max;
};
struct TextsKind {
    std::vector<std::string>& (*field)(Config&);
    std::size_t count_max, size_max;
};
// A list of origins, or "same-host", which leaves it empty.
struct OriginsKind {
    std::optional<std::vector<auth::Origin>>& (*field)(Config&);
};
// A weight for each priority, or "off".
struct SharesKind {
    std::optional<pool::PerPriority<std::uint32_t>>& (*field)(Config&);
};
// A duration for each priority, or one for all.
struct DurationsKind {
    pool::PerPriority<Duration>& (*field)(Config&);
    Duration min, max;
};
struct AddressesKind {
    std::vector<io::Address>& (*field)(Config&);
};
// One, or "off".
struct OptionalAddressKind {
    std::optional<io::Address>& (*field)(Config&);
};

using SettingKind = std::variant<FlagKind,
                                 CountKind,
                                 SizeKind,
                                 DurationKind,
                                 ChoiceKind,
                                 RateKind,
                                 TextKind,
                                 TextsKind,
                                 SharesKind,
                                 DurationsKind,
                                 OriginsKind,
                                 AddressesKind,
                                 OptionalAddressKind>;

struct Setting {
    std::string_view section;
    std::string_view key;
    SettingKind kind;
    std::string_view option = {};  // without the dashes; empty when there is none
    std::string_view help = {};    // of the option
};

// [[name]]: a section that may be there several times. One whose name goes on after that of another
// list lies within its elements ([[auth.issuer.keys]], or keys = [{…}] below [[auth.issuer]]).
struct ListSection {
    std::string_view name;
    std::size_t count_max;
    void (*add)(Config&);  // an element, to which the settings of this section apply from then on
    std::span<const std::string_view> required;  // keys and lists without which none can be
    // Completes the element once it was read, or says what does not fit together, which is told at
    // its place; where keys were missing or wrong it is not asked.
    std::optional<std::string> (*complete)(Config&) = nullptr;
};

[[nodiscard]] std::span<const Setting> settings();
[[nodiscard]] std::span<const ListSection> list_sections();
[[nodiscard]] std::span<const Setting> list_settings();
[[nodiscard]] const ListSection* find_list(std::string_view name);
// Of sections and lists.
[[nodiscard]] const Setting* find_setting(std::string_view section, std::string_view key);
[[nodiscard]] const Setting* find_option(std::string_view option);
[[nodiscard]] std::vector<std::string_view> known_sections();
// Of a section or list, with the lists that lie within it.
[[nodiscard]] std::vector<std::string_view> keys_of(std::string_view section);
// "limits.outbox"
[[nodiscard]] std::string full_name(const Setting& setting);
// "WSPOOL_LIMITS_OUTBOX", and the option's form where there is one.
[[nodiscard]] std::vector<std::string> environment_names(const Setting& setting);

// A value as TOML gives it; only the types that some setting takes.
struct OtherValue {
    std::string_view type;  // "a date"
};
// { key = value, … } with whole numbers and strings alone.
struct TableValue {
    std::vector<std::pair<std::string, std::variant<std::int64_t, std::string>>> members;
};
using Value = std::variant<bool,
                           std::int64_t,
                           double,
                           std::string,
                           std::vector<std::string>,
                           TableValue,
                           OtherValue>;

// Sets the setting, or says in one sentence why not; `config` is then unchanged.
[[nodiscard]] std::optional<std::string> assign(const Setting& setting,
                                                const Value& value,
                                                Config& config);
// From an environment variable or an option, where everything is text; a list is separated by
// commas.
[[nodiscard]] std::optional<std::string> assign_text(const Setting& setting,
                                                     std::string_view text,
                                                     Config& config);

// Whether a reload (SIGHUP) applies the setting to what runs; if not, it needs a restart.
[[nodiscard]] bool is_live(const Setting& setting);
[[nodiscard]] std::size_t live_setting_count();
[[nodiscard]] bool has_same_value(const Setting& setting, const Config& a, const Config& b);
void copy_value(const Setting& setting, const Config& from, Config& to);

// The candidate nearest in spelling, or empty when none is near.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> candidates);

}  // namespace wspool::app
