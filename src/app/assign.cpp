// Values into Config, by the kind of their setting (app/settings.h).
#include "app/settings.h"
#include "app/units.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace wspool::app {
namespace {

using Outcome = std::optional<std::string>;

std::string_view type_name(const Value& value) {
    struct Visitor {
        std::string_view operator()(bool) const { return "a boolean"; }
        std::string_view operator()(std::int64_t) const { return "a number"; }
        std::string_view operator()(double) const { return "a number with a fraction"; }
        std::string_view operator()(const std::string&) const { return "a string"; }
        std::string_view operator()(const std::vector<std::string>&) const { return "a list"; }
        std::string_view operator()(const TableValue&) const { return "a table"; }
        std::string_view operator()(const OtherValue& other) const { return other.type; }
    };
    return std::visit(Visitor{}, value);
}

// Numbers are often written where a string with a unit is needed: then the mend names the very
// number.
std::string wrong_type(const Value& value, std::string_view needed, std::string_view unit) {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (number != nullptr && *number >= 0 && !unit.empty()) {
        return fmt::format(
            "is a number without a unit; write {}, as in \"{}{}\"", needed, *number, unit);
    }
    return fmt::format("is {}; write {}", type_name(value), needed);
}

Outcome assign_to(const FlagKind& kind, const Value& value, Config& config) {
    const bool* flag = std::get_if<bool>(&value);
    if (flag == nullptr) return wrong_type(value, "true or false, without quotes", "");
    kind.field(config) = *flag;
    return {};
}

Outcome assign_to(const CountKind& kind, const Value& value, Config& config) {
    const auto* text = std::get_if<std::string>(&value);
    if (!kind.zero.empty() && text != nullptr && *text == kind.zero) {
        kind.field(config) = 0;
        return {};
    }
    const auto* number = std::get_if<std::int64_t>(&value);
    const std::string or_zero =
        kind.zero.empty() ? std::string() : fmt::format(", or \"{}\"", kind.zero);
    if (number == nullptr) {
        return wrong_type(value, fmt::format("a whole number without quotes{}", or_zero), "");
    }
    if (*number < 0 || static_cast<std::uint64_t>(*number) < kind.min ||
        static_cast<std::uint64_t>(*number) > kind.max) {
        return fmt::format(
            "is {}; write a number from {} to {}{}", *number, kind.min, kind.max, or_zero);
    }
    kind.field(config) = static_cast<std::uint64_t>(*number);
    return {};
}

Outcome assign_to(const SizeKind& kind, const Value& value, Config& config) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return wrong_type(value, "a string with a size", "B");
    if (kind.may_be_off && *text == "off") {
        kind.field(config) = 0;
        return {};
    }
    const auto size = parse_size(*text);
    if (!size) return size.error().message;
    if (*size < kind.min || *size > kind.max) {
        return fmt::format("is \"{}\"; write a size from \"{}\" to \"{}\"{}",
                           *text,
                           format_size(kind.min),
                           format_size(kind.max),
                           kind.may_be_off ? ", or \"off\"" : "");
    }
    kind.field(config) = *size;
    return {};
}

Outcome assign_to(const DurationKind& kind, const Value& value, Config& config) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) {
        const bool* flag = std::get_if<bool>(&value);
        if (kind.may_be_off && flag != nullptr && !*flag) return "is false; write \"off\"";
        return wrong_type(value, "a string with a duration", "s");
    }
    if (kind.may_be_off && *text == "off") {
        kind.field(config) = Duration::zero();
        return {};
    }
    const auto duration = parse_duration(*text);
    if (!duration) {
        return duration.error().message + (kind.may_be_off ? ", or write \"off\"" : "");
    }
    if (*duration < kind.min || *duration > kind.max) {
        return fmt::format("is \"{}\"; write a duration from \"{}\" to \"{}\"{}",
                           *text,
                           format_duration(kind.min),
                           format_duration(kind.max),
                           kind.may_be_off ? ", or \"off\"" : "");
    }
    kind.field(config) = *duration;
    return {};
}

Outcome assign_to(const ChoiceKind& kind, const Value& value, Config& config) {
    const std::string choices = fmt::format("\"{}\"", fmt::join(kind.names, "\", \""));
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) {
        return wrong_type(value, kind.names.size() == 1 ? choices : "one of " + choices, "");
    }
    const auto found = std::find(kind.names.begin(), kind.names.end(), *text);
    if (found != kind.names.end()) {
        kind.set(config, static_cast<std::size_t>(found - kind.names.begin()));
        return {};
    }
    if (!kind.later_value.empty() && *text == kind.later_value) {
        return fmt::format("is \"{}\", but {}", *text, kind.later_mend);
    }
    const std::string_view near = nearest(*text, kind.names);
    return fmt::format("is \"{}\", which is none of {}{}",
                       *text,
                       choices,
                       near.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", near));
}

Outcome assign_to(const RateKind& kind, const Value& value, Config& config) {
    constexpr std::string_view unit = "/s";
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return wrong_type(value, "how many a second, or \"off\"", unit);
    if (*text == "off") {
        kind.field(config) = 0;
        return {};
    }
    const bool has_unit = text->ends_with(unit);
    const auto count =
        parse_count(std::string_view(*text).substr(0, text->size() - (has_unit ? 2 : 0)));
    if (!has_unit || !count || *count == 0 || *count > kind.max) {
        return fmt::format("is \"{}\"; write \"1/s\" to \"{}/s\", or \"off\"", *text, kind.max);
    }
    kind.field(config) = *count;
    return {};
}

Outcome assign_to(const TextKind& kind, const Value& value, Config& config) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return wrong_type(value, "a string", "");
    if (text->size() < kind.size_min || text->size() > kind.size_max) {
        // The text itself is not told: it may be a secret.
        return fmt::format(
            "has {} bytes; write {} to {}", text->size(), kind.size_min, kind.size_max);
    }
    kind.field(config) = *text;
    return {};
}

Outcome assign_to(const TextsKind& kind, const Value& value, Config& config) {
    const auto* list = std::get_if<std::vector<std::string>>(&value);
    if (list == nullptr) return wrong_type(value, "a list of strings, as in [\"…\"]", "");
    if (list->size() > kind.count_max) {
        return fmt::format("has {} elements; {} are the most", list->size(), kind.count_max);
    }
    for (const std::string& text : *list) {
        if (text.empty() || text.size() > kind.size_max) {
            return fmt::format(
                "has an element of {} bytes; write 1 to {}", text.size(), kind.size_max);
        }
    }
    kind.field(config) = *list;
    return {};
}

Outcome assign_to(const OriginsKind& kind, const Value& value, Config& config) {
    constexpr std::string_view mend =
        "a list of origins, as in [\"https://app.example\"], or \"same-host\"";
    if (const auto* text = std::get_if<std::string>(&value)) {
        if (*text != "same-host") return fmt::format("is \"{}\"; write {}", *text, mend);
        kind.field(config).reset();
        return {};
    }
    const auto* list = std::get_if<std::vector<std::string>>(&value);
    if (list == nullptr) return wrong_type(value, mend, "");
    std::vector<auth::Origin> origins;
    for (const std::string& text : *list) {
        auto origin = auth::parse_origin(text);
        if (!origin) {
            return fmt::format(
                "names \"{}\", which is no origin; write scheme://host or scheme://host:port, "
                "without a path",
                text);
        }
        origins.push_back(std::move(*origin));
    }
    kind.field(config) = std::move(origins);
    return {};
}

constexpr std::string_view shares_example =
    "{ critical = 10, high = 20, normal = 40, low = 30 }, or \"off\"";

Outcome assign_to(const SharesKind& kind, const Value& value, Config& config) {
    const auto* text = std::get_if<std::string>(&value);
    if (text != nullptr && *text == "off") {
        kind.field(config).reset();
        return {};
    }
    const auto* table = std::get_if<TableValue>(&value);
    if (table == nullptr) return wrong_type(value, shares_example, "");
    pool::PerPriority<std::uint32_t> shares{};
    for (const auto& [word, member] : table->members) {
        const auto priority = pool::parse_priority(word);
        if (!priority) {
            return fmt::format(
                "names \"{}\", which is no priority; write {}", word, shares_example);
        }
        const auto* number = std::get_if<std::int64_t>(&member);
        if (number == nullptr || *number < 0 || *number > 1'000'000) {
            return fmt::format(
                "says no whole number from 0 to 1000000 for {}; write {}", word, shares_example);
        }
        shares[pool::index_of(*priority)] = static_cast<std::uint32_t>(*number);
    }
    if (shares == pool::PerPriority<std::uint32_t>{}) {
        return fmt::format("gives nobody a share; write {}", shares_example);
    }
    kind.field(config) = shares;
    return {};
}

constexpr std::string_view durations_example =
    "a duration, or { critical = \"5s\", high = \"15s\", normal = \"30s\", low = \"60s\" }";

Outcome assign_to(const DurationsKind& kind, const Value& value, Config& config) {
    TableValue all;
    const auto* table = std::get_if<TableValue>(&value);
    if (const auto* text = std::get_if<std::string>(&value)) {
        for (const pool::Priority priority : pool::all_priorities)
            all.members.emplace_back(name(priority), *text);
        table = &all;
    }
    if (table == nullptr) return wrong_type(value, durations_example, "s");
    pool::PerPriority<Duration> durations = kind.field(config);
    for (const auto& [word, member] : table->members) {
        const auto priority = pool::parse_priority(word);
        if (!priority) {
            return fmt::format(
                "names \"{}\", which is no priority; write {}", word, durations_example);
        }
        const auto* text = std::get_if<std::string>(&member);
        if (text == nullptr) {
            return fmt::format("says no duration for {}; write {}", word, durations_example);
        }
        const auto duration = parse_duration(*text);
        if (!duration) return duration.error().message;
        if (*duration < kind.min || *duration > kind.max) {
            return fmt::format("is \"{}\" for {}; write a duration from \"{}\" to \"{}\"",
                               *text,
                               word,
                               format_duration(kind.min),
                               format_duration(kind.max));
        }
        durations[pool::index_of(*priority)] = *duration;
    }
    kind.field(config) = durations;
    return {};
}

Outcome assign_to(const AddressesKind& kind, const Value& value, Config& config) {
    std::vector<std::string> texts;
    if (const auto* one = std::get_if<std::string>(&value)) {
        texts.push_back(*one);
    } else if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
        texts = *list;
    } else {
        return wrong_type(value, "a list of addresses, as in [\"127.0.0.1:8080\"]", "");
    }
    if (texts.empty()) return "is empty; name at least one address, as in [\"127.0.0.1:8080\"]";
    std::vector<io::Address> addresses;
    for (const std::string& text : texts) {
        auto address = io::parse_address(text);
        if (!address) return address.error().message;
        const bool can_clash =
            address->port != 0 || address->family == io::Address::Family::unix_path;
        if (can_clash &&
            std::find(addresses.begin(), addresses.end(), *address) != addresses.end()) {
            return fmt::format("names \"{}\" twice; leave one out", text);
        }
        addresses.push_back(std::move(*address));
    }
    kind.field(config) = std::move(addresses);
    return {};
}

Outcome assign_to(const OptionalAddressKind& kind, const Value& value, Config& config) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) {
        return wrong_type(value, "an address, as in \"127.0.0.1:8090\", or \"off\"", "");
    }
    if (*text == "off") {
        kind.field(config).reset();
        return {};
    }
    auto address = io::parse_address(*text);
    if (!address) return address.error().message;
    kind.field(config) = std::move(*address);
    return {};
}

// The text of an environment variable or option as the value that the kind takes.
struct FromText {
    std::string_view text;

    Value operator()(const FlagKind&) const {
        if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
        if (text == "false" || text == "0" || text == "no" || text == "off") return false;
        return std::string(text);
    }
    Value operator()(const CountKind&) const {
        const auto count = parse_count(text);
        if (count && *count <= INT64_MAX) return static_cast<std::int64_t>(*count);
        return std::string(text);
    }
    Value operator()(const SizeKind&) const { return std::string(text); }
    Value operator()(const DurationKind&) const { return std::string(text); }
    Value operator()(const ChoiceKind&) const { return std::string(text); }
    Value operator()(const RateKind&) const { return std::string(text); }
    Value operator()(const OptionalAddressKind&) const { return std::string(text); }
    Value operator()(const TextKind&) const { return std::string(text); }
    Value operator()(const TextsKind&) const { return split(); }
    Value operator()(const SharesKind&) const { return pairs(true); }
    Value operator()(const DurationsKind&) const { return pairs(false); }
    Value operator()(const OriginsKind&) const {
        if (text == "same-host") return std::string(text);
        return split();
    }
    Value operator()(const AddressesKind&) const { return split(); }

    // "critical=10,high=20"; a text without "=" is itself.
    [[nodiscard]] Value pairs(bool are_numbers) const {
        if (text.find('=') == std::string_view::npos) return std::string(text);
        TableValue table;
        for (const std::string& part : split()) {
            const std::size_t equals = std::min(part.find('='), part.size());
            auto& member = table.members.emplace_back(part.substr(0, equals), std::string()).second;
            const std::string word = part.substr(std::min(equals + 1, part.size()));
            const auto count = parse_count(word);
            if (are_numbers && count && *count <= INT64_MAX) {
                member = static_cast<std::int64_t>(*count);
            } else {
                member = word;
            }
        }
        return table;
    }
    [[nodiscard]] std::vector<std::string> split() const {
        std::vector<std::string> list;
        std::string_view rest = text;
        while (true) {
            const std::size_t comma = rest.find(',');
            list.emplace_back(rest.substr(0, comma));
            if (comma == std::string_view::npos) return list;
            rest.remove_prefix(comma + 1);
        }
    }
};

}  // namespace

std::optional<std::string> assign(const Setting& setting, const Value& value, Config& config) {
    return std::visit([&](const auto& kind) { return assign_to(kind, value, config); },
                      setting.kind);
}

// By value where a field is read: the table's accessors are made for assigning.
bool has_same_value(const Setting& setting, const Config& a, const Config& b) {
    return std::visit(
        [left = a, right = b](const auto& kind) mutable {
            if constexpr (requires { kind.field; }) {
                return kind.field(left) == kind.field(right);
            } else if constexpr (requires { kind.get; }) {
                return kind.get(left) == kind.get(right);
            } else {
                return true;  // it has one value only
            }
        },
        setting.kind);
}

void copy_value(const Setting& setting, const Config& from, Config& to) {
    std::visit(
        [source = from, &to](const auto& kind) mutable {
            if constexpr (requires { kind.field; }) {
                kind.field(to) = kind.field(source);
            } else if constexpr (requires { kind.get; }) {
                kind.set(to, kind.get(source));
            }
        },
        setting.kind);
}

std::optional<std::string> assign_text(const Setting& setting,
                                       std::string_view text,
                                       Config& config) {
    const Value value = std::visit(FromText{text}, setting.kind);
    const auto* count = std::get_if<CountKind>(&setting.kind);
    const bool is_number = count != nullptr && (count->zero.empty() || text != count->zero);
    const bool is_flag = std::holds_alternative<FlagKind>(setting.kind);
    if (is_number && !std::holds_alternative<std::int64_t>(value)) {
        return fmt::format("is \"{}\", which is not a whole number", text.substr(0, 40));
    }
    if (is_flag && !std::holds_alternative<bool>(value)) {
        return fmt::format("is \"{}\"; write true or false", text.substr(0, 40));
    }
    return assign(setting, value, config);
}

}  // namespace wspool::app
