#include "app/config_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

// The library is linked, not compiled in: five seconds less for this file.
#define TOML_HEADER_ONLY 0
#define TOML_SHARED_LIB 1
#include "app/settings.h"

#include <toml++/toml.h>

namespace wspool::app {
namespace {

// Sections that other versions of wspool have: a file that names them is not misspelt, it is too
// new.
constexpr std::array<std::string_view, 4> later_sections = {
    "listener", "cluster", "service", "events"};

struct Finding {
    toml::source_position where;
    std::string what;
};

class Reader {
  public:
    Reader(std::string_view name, Config& config) : name_(name), config_(config) {}

    void read(const toml::table& root) {
        for (const auto& [key, node] : root) read_section(key, node);
    }
    void add(toml::source_position where, std::string what) {
        findings_.push_back({where, std::move(what)});
    }
    [[nodiscard]] std::vector<std::string> take() {
        std::stable_sort(
            findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
                return std::pair(a.where.line, a.where.column) <
                       std::pair(b.where.line, b.where.column);
            });
        std::vector<std::string> result;
        for (const Finding& finding : findings_) {
            result.push_back(fmt::format(
                "{}:{}:{}: {}", name_, finding.where.line, finding.where.column, finding.what));
        }
        return result;
    }

  private:
    void read_section(const toml::key& key, const toml::node& node) {
        const std::string_view section = key.str();
        if (const ListSection* list = find_list(section)) return read_list(*list, key, node);
        const auto sections = known_sections();
        if (std::find(sections.begin(), sections.end(), section) != sections.end()) {
            if (const auto* table = node.as_table()) {
                for (const auto& [name, value] : *table) read_key(section, name, value);
            } else {
                add(key.source().begin,
                    fmt::format(
                        "{0} is not a section here; write [{0}] on a line of its own, with its "
                        "keys below",
                        section));
            }
            return;
        }
        const bool is_later = std::find(later_sections.begin(), later_sections.end(), section) !=
                              later_sections.end();
        const bool is_list = node.is_array_of_tables();
        const std::string written =
            is_list ? fmt::format("[[{}]]", section) : fmt::format("[{}]", section);
        if (is_later) {
            add(key.source().begin,
                fmt::format(
                    "unknown section {}: this version of wspool does not have it; take it out",
                    written));
        } else if (node.is_table() || is_list) {
            const std::string_view near = nearest(section, sections);
            add(key.source().begin,
                near.empty()
                    ? fmt::format("unknown section {}; known are [{}]",
                                  written,
                                  fmt::join(sections, "], ["))
                    : fmt::format("unknown section {}; did you mean [{}]?", written, near));
        } else {
            add(key.source().begin, unknown_key("", section));
        }
    }

    void read_list(const ListSection& list, const toml::key& key, const toml::node& node) {
        const auto* array = node.as_array();
        if (array == nullptr) {
            add(key.source().begin,
                fmt::format(
                    "{0} is a list; write [[{0}]], in two brackets, before the keys of each",
                    list.name));
            return;
        }
        if (array->size() > list.count_max) {
            add(key.source().begin,
                fmt::format("there are {} [[{}]]; {} are the most",
                            array->size(),
                            list.name,
                            list.count_max));
            return;
        }
        for (const toml::node& element : *array) {
            if (const auto* table = element.as_table()) {
                read_element(list, *table);
            } else {
                add(element.source().begin,
                    fmt::format("an element of {} is no table; write {{ key = value, … }}",
                                list.name));
            }
        }
    }

    void read_element(const ListSection& list, const toml::table& table) {
        const std::size_t findings_before = findings_.size();
        list.add(config_);
        for (const auto& [name, value] : table) read_key(list.name, name, value);
        for (const std::string_view needed : list.required) {
            if (table.contains(needed)) continue;
            add(table.source().begin,
                fmt::format("this [[{}]] lacks {}; it cannot do without", list.name, needed));
        }
        if (list.check == nullptr || findings_.size() != findings_before) return;
        if (const auto error = list.check(config_))
            add(table.source().begin, fmt::format("this [[{}]] {}", list.name, *error));
    }

    void read_key(std::string_view section, const toml::key& key, const toml::node& node) {
        if (const ListSection* list = find_list(fmt::format("{}.{}", section, key.str())))
            return read_list(*list, key, node);
        const Setting* setting = find_setting(section, key.str());
        if (setting == nullptr) {
            add(key.source().begin, unknown_key(section, key.str()));
            return;
        }
        auto where = node.source().begin;
        const Value value = value_of(node, where);
        if (const auto error = assign(*setting, value, config_)) {
            add(where, fmt::format("{}: {}", full_name(*setting), *error));
        }
    }

    // A wrong element of a list moves `where` to it.
    [[nodiscard]] static Value value_of(const toml::node& node, toml::source_position& where) {
        if (const auto* text = node.as_string()) return text->get();
        if (const auto* number = node.as_integer()) return number->get();
        if (const auto* number = node.as_floating_point()) return number->get();
        if (const auto* flag = node.as_boolean()) return flag->get();
        if (const auto* table = node.as_table()) return table_of(*table, where);
        const auto* array = node.as_array();
        if (array == nullptr) return OtherValue{"a date or time"};
        std::vector<std::string> list;
        for (const toml::node& element : *array) {
            const auto* text = element.as_string();
            if (text == nullptr) {
                where = element.source().begin;
                return OtherValue{"a list with an element that is not a string"};
            }
            list.push_back(text->get());
        }
        return list;
    }

    [[nodiscard]] static Value table_of(const toml::table& table, toml::source_position& where) {
        TableValue value;
        for (const auto& [key, member] : table) {
            if (const auto* number = member.as_integer()) {
                value.members.emplace_back(key.str(), number->get());
            } else if (const auto* text = member.as_string()) {
                value.members.emplace_back(key.str(), text->get());
            } else {
                where = key.source().begin;
                return OtherValue{"a table with a member that is no number and no string"};
            }
        }
        return value;
    }

    [[nodiscard]] static std::string unknown_key(std::string_view section, std::string_view key) {
        const std::string what = section.empty()
                                     ? fmt::format("{} stands outside of any section", key)
                                     : fmt::format("{}.{} is unknown", section, key);
        // What is near in an element of a list comes first: such keys have short names (file,
        // name).
        const auto here = keys_of(section);
        const auto near_here = nearest(key, here);
        const bool is_list = find_list(section) != nullptr;
        for (const Setting& setting : settings()) {
            if (setting.key == key && !(is_list && !near_here.empty())) {
                return fmt::format("{}; it belongs below [{}]", what, setting.section);
            }
        }
        if (!near_here.empty()) return fmt::format("{}; did you mean {}?", what, near_here);
        std::vector<std::string_view> everywhere;
        for (const Setting& setting : settings()) everywhere.push_back(setting.key);
        if (const auto near = nearest(key, everywhere); !near.empty()) {
            const auto found = std::find(everywhere.begin(), everywhere.end(), near);
            const Setting& setting =
                settings()[static_cast<std::size_t>(found - everywhere.begin())];
            return fmt::format("{}; did you mean {} below [{}]?", what, near, setting.section);
        }
        if (here.empty()) return what + "; take it out";
        return fmt::format("{}; [{}] has {}", what, section, fmt::join(here, ", "));
    }

    std::string_view name_;
    Config& config_;
    std::vector<Finding> findings_;
};

}  // namespace

std::vector<std::string> read_config_text(std::string_view text,
                                          std::string_view name,
                                          Config& config) {
    Reader reader(name, config);
    try {
        const toml::table root = toml::parse(text, name);
        reader.read(root);
    } catch (const toml::parse_error& error) {
        reader.add(error.source().begin,
                   fmt::format("this is not TOML: {}; the rest of the file was not checked",
                               error.description()));
    }
    return reader.take();
}

Result<std::string> load_config_text(const std::string& path) {
    const auto close = [](std::FILE* file) { std::fclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
    if (file == nullptr) {
        return fail(fmt::format("{}: cannot be opened: {}", path, std::strerror(errno)));
    }
    std::string text(config_size_max + 1, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file.get()));
    if (std::ferror(file.get()) != 0) {
        return fail(fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
    }
    if (text.size() > config_size_max) {
        return fail(fmt::format("{}: is longer than 1 MiB; name the right file", path));
    }
    return text;
}

std::vector<std::string> read_config_file(const std::string& path, Config& config) {
    const auto text = load_config_text(path);
    if (!text) return {text.error().message};
    return read_config_text(*text, path, config);
}

}  // namespace wspool::app
