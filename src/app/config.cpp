#include "app/config.h"

#include "app/config_file.h"
#include "app/settings.h"

#include <fmt/format.h>

#include <algorithm>

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

constexpr std::uint64_t mib = 1024 * 1024;

// What a window must have room for at least: the largest message, whatever goes with it in its
// record (R61).
std::uint64_t window_min(const Config& config) {
    return config.limits.max_message_size + 4096;
}

// How many windows may be full of what one worker holds at once: each of the others and the control
// process has one at each home (R62).
std::uint64_t window_count(std::uint64_t workers) {
    return workers * (workers + 1);
}

std::vector<hub::HistoryRule> history_rules(const Config& config) {
    const auto& all = config.history;
    std::vector<hub::HistoryRule> rules = {
        {"", static_cast<std::uint32_t>(all.messages), all.bytes, all.age}};
    for (const Config::History::Groups& groups : all.groups) {
        rules.push_back({groups.prefix,
                         static_cast<std::uint32_t>(groups.messages),
                         groups.bytes != 0 ? groups.bytes : all.bytes,
                         groups.age != Duration{} ? groups.age : all.age});
    }
    return rules;
}

// Nothing of ours may exceed what links take for nonsense, or for a peer that takes nothing.
void bound_links(const Config& config, std::size_t workers, worker::WorkerOptions& options) {
    hub::ExchangeOptions& exchange = options.exchange;
    const std::uint64_t even = config.limits.link_memory / window_count(workers);
    exchange.window_bytes =
        std::max(window_min(config), std::min<std::uint64_t>(exchange.window_bytes, even));
    exchange.record_size_max =
        std::max<std::uint64_t>(exchange.record_size_max, window_min(config) + mib);
    options.link.record_size_max = exchange.record_size_max;
    options.link.queue_size_max =
        std::max<std::uint64_t>(options.link.queue_size_max, 2 * config.limits.link_memory);
}

}  // namespace

std::string check_link_memory(const Config& config, std::size_t workers) {
    const std::uint64_t needed = window_min(config) * window_count(workers);
    if (workers < 2 || needed <= config.limits.link_memory) return {};
    return fmt::format(
        "limits.link_memory is {} MiB, but with {} workers and messages of up to {} bytes "
        "(limits.max_message_size) one worker may hold {} MiB for the others: set it to so much, "
        "or lower one of them",
        config.limits.link_memory / mib,
        workers,
        config.limits.max_message_size,
        (needed + mib - 1) / mib);
}

worker::WorkerOptions worker_options(const Config& config, std::size_t workers) {
    worker::WorkerOptions options;
    const auto& limits = config.limits;
    auto& engine = options.engine;
    engine.limits.message_size_max = limits.max_message_size;
    engine.limits.fragments_max = static_cast<std::uint32_t>(limits.fragments);
    engine.head.size_max = limits.head_size;
    engine.head.fields_max = limits.head_fields;
    engine.allow_deflate = config.compression.enabled;
    engine.deflate_size_min = config.compression.min_size;
    engine.outbox_size_max = limits.outbox;
    engine.handshake_timeout = limits.handshake_timeout;
    engine.frame_timeout = limits.frame_timeout;
    engine.message_timeout = limits.message_timeout;
    engine.ping_interval = config.keepalive.ping_interval;
    engine.pong_timeout = config.keepalive.pong_timeout;
    engine.write_timeout = limits.write_timeout;
    engine.close_timeout = limits.close_timeout;
    engine.control_frames_per_second = static_cast<std::uint32_t>(limits.control_frames);
    engine.control_frames_burst = static_cast<std::uint32_t>(limits.control_frames_burst);
    engine.send_buffer = static_cast<int>(limits.send_buffer);
    options.connections_max = limits.max_connections_per_worker;
    options.exchange.duplicate_id = config.server.duplicate_id;
    options.echo = config.server.echo;
    options.json_depth_max = limits.json_depth;
    options.bad_messages_max = static_cast<std::uint32_t>(limits.bad_messages);
    options.exchange.groups_per_member_max = static_cast<std::uint32_t>(limits.groups_per_client);
    options.drain_time = config.server.drain_time;
    options.exchange.history = history_rules(config);
    options.exchange.history_bytes_max = config.history.total;
    bound_links(config, workers, options);
    return options;
}

io::LoopOptions loop_options(const Config& config) {
    io::LoopOptions options;
    options.choice = config.server.io;
    options.batch_wait = config.server.batch_wait;
    return options;
}

LoadedConfig load_config(const ConfigSources& sources) {
    LoadedConfig loaded;
    if (sources.file) loaded.errors = read_config_file(*sources.file, loaded.config);
    read_environment(sources, loaded);
    read_options(sources.options, loaded);
    return loaded;
}

}  // namespace wspool::app
