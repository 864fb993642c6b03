#include "app/reload.h"

#include "app/config_file.h"
#include "app/log.h"
#include "app/settings.h"
#include "io/process.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace wspool::app {
namespace {

bool refuse(const std::vector<std::string>& errors) {
    for (const std::string& error : errors) log_error("SIGHUP: {}", error);
    log_error("SIGHUP: nothing was changed; mend this, and send it again");
    return false;
}

// Lists change as a whole.
template <class List>
void take_list(std::string_view name, const List& loaded, List& current, Reload& result) {
    if (loaded == current) return;
    current = loaded;
    result.changed.emplace_back(name);
}

void take_lists(const Config& loaded, Reload& result) {
    Config& config = result.config;
    take_list("[[history.groups]]", loaded.history.groups, config.history.groups, result);
    // The first issuer or the end of the last one goes with auth.mode.
    if (config.auth.mode == AuthMode::jwt)
        take_list("[[auth.issuer]]", loaded.auth.issuers, config.auth.issuers, result);
    if (loaded.limits.rate_classes != config.limits.rate_classes)
        result.needs_restart.emplace_back("[[limits.rate_class]]");
    if (loaded.pools != config.pools) result.needs_restart.emplace_back("[[pool]]");
}

}  // namespace

Reload reload(const ConfigSources& sources, const Config& current) {
    Reload result;
    result.config = current;
    LoadedConfig loaded = load_config(sources);
    result.errors = std::move(loaded.errors);
    if (result.errors.empty()) result.errors = read_secrets(loaded.config);
    if (!result.errors.empty()) return result;
    for (const Setting& setting : settings()) {
        if (has_same_value(setting, current, loaded.config)) continue;
        if (!is_live(setting)) {
            result.needs_restart.push_back(full_name(setting));
            continue;
        }
        copy_value(setting, loaded.config, result.config);
        result.changed.push_back(full_name(setting));
    }
    take_lists(loaded.config, result);
    const std::size_t workers =
        current.server.workers != 0 ? current.server.workers : io::usable_processors();
    if (auto error = check_link_memory(result.config, workers); !error.empty())
        return {
            .errors = {std::move(error)}, .config = current, .changed = {}, .needs_restart = {}};
    return result;
}

bool read_again(ConfigSources& sources) {
    if (!sources.file) return true;
    auto text = read_small_file(*sources.file);
    if (!text) return refuse({text.error().message});
    sources.file_text = std::move(*text);
    return true;
}

bool reload_and_log(const ConfigSources& sources, Config& config) {
    const Reload result = reload(sources, config);
    if (!result.errors.empty()) return refuse(result.errors);
    config = result.config;
    // First, so that a level that was raised or lowered counts for the lines below.
    set_up_log(config.log);
    if (result.changed.empty()) {
        log_info("SIGHUP: the configuration was read again, and no live setting has changed");
    } else {
        log_info("SIGHUP: the configuration was read again: {} changed",
                 fmt::join(result.changed, ", "));
    }
    for (const std::string& name : result.needs_restart) {
        log_warning("{} needs a restart: until then it stays as it was", name);
    }
    return true;
}

}  // namespace wspool::app
