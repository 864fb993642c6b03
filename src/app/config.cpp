#include "app/config.h"

#include "app/config_file.h"
#include "app/settings.h"
#include "base/token.h"

#include <fmt/format.h>

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

}  // namespace

namespace {

pool::AdmissionOptions admission_options(
    const Config& config,
    std::uint64_t seats,
    const std::optional<pool::PerPriority<std::uint32_t>>& shares,
    std::uint64_t max_waiters,
    const pool::PerPriority<Duration>& wait_timeout) {
    const Config::Admission& rules = config.admission;
    pool::AdmissionOptions options;
    options.seats_max = static_cast<std::uint32_t>(seats);
    options.shares = shares;
    options.waiters_max.fill(static_cast<std::uint32_t>(max_waiters));
    options.wait_timeout = wait_timeout;
    options.preemption.grace = rules.grace;
    options.preemption.min_hold = rules.min_hold;
    options.preemption.reconnect_delay = rules.reconnect_delay;
    options.preemption.idle_after = rules.idle_after;
    options.preemption.budget_per_second = static_cast<double>(rules.preemption_percent) / 100;
    return options;
}

worker::SeatOptions seat_options(const Config& config) {
    const Config::Admission& rules = config.admission;
    worker::SeatOptions options;
    options.refuse = rules.refuse;
    options.ticket_time = rules.ticket_time;
    options.is_traced = config.log.level == LogLevel::debug;
    options.shared = admission_options(
        config, options.shared.seats_max, rules.shares, rules.max_waiters, rules.wait_timeout);
    for (const Config::Pool& pool : config.pools) {
        worker::SeatPoolOptions& dedicated = options.dedicated.emplace_back();
        dedicated.name = pool.name;
        dedicated.path = pool.path;
        dedicated.claim = pool.claim;
        for (const std::string& word : pool.priorities) {
            if (const auto priority = pool::parse_priority(word))
                dedicated.priorities[pool::index_of(*priority)] = true;
        }
        dedicated.admission = admission_options(
            config, pool.capacity, pool.shares, pool.max_waiters, pool.wait_timeout);
    }
    return options;
}

}  // namespace

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
    options.seats = seat_options(config);
    options.exchange.duplicate_id = config.server.duplicate_id;
    options.echo = config.server.echo;
    options.json_depth_max = limits.json_depth;
    options.bad_messages_max = static_cast<std::uint32_t>(limits.bad_messages);
    options.exchange.groups_per_member_max = static_cast<std::uint32_t>(limits.groups_per_client);
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

namespace {

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
