#include "app/config.h"

#include "app/config_file.h"
#include "app/settings.h"

#include <fmt/format.h>

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

}  // namespace

auth::VerifierOptions verifier_options(const Config::Auth& config) {
    auth::VerifierOptions options;
    options.leeway = config.leeway;
    for (const Config::Auth::Issuer& issuer : config.issuers) {
        auth::IssuerOptions& to = options.issuers.emplace_back();
        to.name = issuer.name;
        to.audience = issuer.audience;
        for (const Config::Auth::Key& key : issuer.keys)
            to.keys.push_back({key.id, key.algorithm, key.material});
    }
    return options;
}

worker::WorkerOptions worker_options(const Config& config) {
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
    if (config.auth.mode == AuthMode::jwt) {
        options.auth.verifier = verifier_options(config.auth);
        options.auth.origins = config.auth.origins;
        options.auth.takes_query_token = config.auth.query_token;
    }
    options.addresses.connections_max = limits.connections_per_ip;
    options.addresses.connects_per_second = limits.connect_rate_per_ip;
    options.rates.messages_per_second = limits.rate;
    options.rates.bytes_per_second = limits.rate_bytes;
    options.drain_time = config.server.drain_time;
    hub::HistoryRule& history = options.exchange.history.front();
    history.messages = static_cast<std::uint32_t>(config.history.messages);
    history.bytes = config.history.bytes;
    history.age = config.history.age;
    options.exchange.history_bytes_max = config.history.total;
    // The largest message must fit an empty window, whatever goes with it in its record (R61).
    options.exchange.window_bytes =
        std::max<std::size_t>(options.exchange.window_bytes, limits.max_message_size + 4096);
    return options;
}

io::LoopOptions loop_options(const Config& config) {
    io::LoopOptions options;
    options.choice = config.server.io;
    options.batch_wait = config.server.batch_wait;
    return options;
}

std::vector<std::string> contradictions(const Config& config) {
    std::vector<std::string> errors;
    if (config.auth.mode == AuthMode::jwt && config.auth.issuers.empty()) {
        errors.emplace_back(
            "auth.mode is \"jwt\", but there is no [[auth.issuer]] whose tokens could be taken; "
            "write one");
    }
    return errors;
}

LoadedConfig load_config(const ConfigSources& sources) {
    LoadedConfig loaded;
    if (sources.file) loaded.errors = read_config_file(*sources.file, loaded.config);
    read_environment(sources, loaded);
    read_options(sources.options, loaded);
    if (loaded.errors.empty()) loaded.errors = contradictions(loaded.config);
    return loaded;
}

}  // namespace wspool::app
