#include "app/config.h"

#include "app/config_file.h"
#include "app/settings.h"
#include "base/token.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace wspool::app {
namespace {

void read_environment(const ConfigSources& sources, LoadedConfig& loaded) {
    if (!sources.environment) return;
    for (const Setting& setting : settings()) {
        std::string used;
        for (const std::string& name : environment_names(setting)) {
            const char* text = sources.environment(name.c_str());
            if (text == nullptr) continue;
            if (!used.empty()) {
                loaded.errors.push_back(
                    fmt::format("{} and {} are both set and mean the same; unset one", used, name));
                continue;
            }
            used = name;
            if (const auto error = assign_text(setting, text, loaded.config)) {
                loaded.errors.push_back(fmt::format("environment variable {}: {}", name, *error));
            }
        }
    }
}

void read_options(const std::vector<OptionValue>& options, LoadedConfig& loaded) {
    for (const Setting& setting : settings()) {
        std::string text;
        bool is_given = false;
        for (const auto& [option, value] : options) {
            if (setting.option.empty() || option != setting.option) continue;
            // A repeated option makes a list; of one that takes a single value the command line has
            // refused the second.
            if (is_given) text += ',';
            text += value;
            is_given = true;
        }
        if (!is_given) continue;
        if (const auto error = assign_text(setting, text, loaded.config)) {
            loaded.errors.push_back(fmt::format("--{}: {}", setting.option, *error));
        }
    }
}

void check_control(const Config& config, std::vector<std::string>& errors) {
    const Config::Control& control = config.control;
    const bool has_token = !control.token.empty() || !control.token_file.empty();
    if (control.address && !io::is_loopback(*control.address) && !has_token) {
        errors.push_back(
            fmt::format("control.address is \"{}\", which others can reach: set control.token or "
                        "control.token_file, or write a loopback address, a unix socket or \"off\"",
                        io::format_address(*control.address)));
    }
    if (!control.token.empty() && !control.token_file.empty()) {
        errors.emplace_back(
            "control.token and control.token_file are both set and mean the same; leave one out");
    }
    if (!control.token.empty() && control.token.size() < control_token_size_min) {
        errors.push_back(fmt::format("control.token has {} bytes; write at least {}, at random",
                                     control.token.size(),
                                     control_token_size_min));
    }
    if (!is_visible_ascii(control.token)) {
        errors.emplace_back(
            "control.token holds characters that a header cannot; write letters, digits and signs "
            "of ASCII");
    }
}

// What a pool says of the limits of others; the seats are checked by whoever divides them.
void check_pools(const Config& config, std::vector<std::string>& errors) {
    const auto& classes = config.limits.rate_classes;
    for (const Config::Pool& pool : config.pools) {
        const bool is_known = pool.rate_class.empty() ||
                              std::any_of(classes.begin(), classes.end(), [&](const auto& one) {
                                  return one.name == pool.rate_class;
                              });
        if (!is_known) {
            errors.push_back(fmt::format(
                "pool \"{}\" has the rate_class \"{}\", which no [[limits.rate_class]] is named; "
                "write one, or leave it out",
                pool.name,
                pool.rate_class));
        }
        if (pool.max_message_size > config.limits.max_message_size) {
            errors.push_back(
                fmt::format("pool \"{}\" has a max_message_size of {} bytes, but "
                            "limits.max_message_size is {}: "
                            "lower the one or raise the other",
                            pool.name,
                            pool.max_message_size,
                            config.limits.max_message_size));
        }
    }
}

// The file's first line, which must be all that there is.
Result<std::string> read_token(const std::string& path) {
    const auto close = [](std::FILE* file) { std::fclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
    if (file == nullptr) return fail(std::string("cannot be opened: ") + std::strerror(errno));
    std::string text(control_token_size_max + 2, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file.get()));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (text.size() < control_token_size_min || text.size() > control_token_size_max ||
        !is_visible_ascii(text)) {
        return fail(fmt::format("must hold one line of {} to {} letters, digits and signs of ASCII",
                                control_token_size_min,
                                control_token_size_max));
    }
    return text;
}

}  // namespace

std::vector<std::string> contradictions(const Config& config) {
    std::vector<std::string> errors;
    check_control(config, errors);
    const auto seats =
        worker::check(seat_options(config), config.limits.max_connections_per_worker);
    if (!seats) errors.push_back(seats.error().message);
    check_pools(config, errors);
    if (config.auth.mode == AuthMode::jwt && config.auth.issuers.empty()) {
        errors.emplace_back(
            "auth.mode is \"jwt\", but there is no [[auth.issuer]] whose tokens could be taken; "
            "write one");
    }
    return errors;
}

std::vector<std::string> read_secrets(Config& config) {
    if (config.control.token_file.empty()) return {};
    auto token = read_token(config.control.token_file);
    if (!token) {
        return {fmt::format(
            "control.token_file: {} {}", config.control.token_file, token.error().message)};
    }
    config.control.token = std::move(*token);
    return {};
}

LoadedConfig load_config(const ConfigSources& sources) {
    LoadedConfig loaded;
    if (sources.file_text) {
        loaded.errors = read_config_text(*sources.file_text, *sources.file, loaded.config);
    } else if (sources.file) {
        loaded.errors = read_config_file(*sources.file, loaded.config);
    }
    read_environment(sources, loaded);
    read_options(sources.options, loaded);
    if (loaded.errors.empty()) loaded.errors = contradictions(loaded.config);
    return loaded;
}

}  // namespace wspool::app
