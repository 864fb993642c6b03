// What the configuration means for the parts that take option structs.
#include "app/config.h"

#include <fmt/format.h>

#include <algorithm>

namespace wspool::app {
namespace {

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
    // As long as check_link_memory() holds, also after a reload.
    exchange.record_size_max = std::max<std::uint64_t>(
        exchange.record_size_max, std::max(config.limits.link_memory, window_min(config)) + mib);
    options.link.record_size_max = exchange.record_size_max;
    options.link.queue_size_max =
        std::max<std::uint64_t>(options.link.queue_size_max, 2 * config.limits.link_memory);
}

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

}  // namespace

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
        dedicated.rate_class = pool.rate_class;
        dedicated.message_size_max = pool.max_message_size;
        for (const std::string& word : pool.priorities) {
            if (const auto priority = pool::parse_priority(word))
                dedicated.priorities[pool::index_of(*priority)] = true;
        }
        dedicated.admission = admission_options(
            config, pool.capacity, pool.shares, pool.max_waiters, pool.wait_timeout);
    }
    return options;
}

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
    options.seats = seat_options(config);
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
    options.rates.classes = {{"", limits.rate, limits.rate_bytes}};
    for (const Config::Limits::RateClass& one : limits.rate_classes)
        options.rates.classes.push_back({one.name, one.rate, one.rate_bytes});
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

}  // namespace wspool::app
