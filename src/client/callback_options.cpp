#include "client/callback_options.h"

#include "ws/handshake.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

namespace wspool::client {
namespace {

// What peers get to say goodbye when the pool closes: nobody waits longer for close_all().
constexpr Duration close_timeout = std::chrono::seconds(1);
constexpr std::uint32_t default_size = 20;

std::uint32_t total_of(const api::Options& options) {
    const std::uint32_t size =
        options.max_size.value_or(std::max(default_size, options.max_connections_per_host));
    if (options.max_total_connections == 0) return size;
    return std::min(size, options.max_total_connections);
}

// A duration of the user's that may be `infinite`, in a place where zero means "never".
Duration or_off(Duration duration) {
    return duration == api::infinite ? Duration::zero() : duration;
}

pool::PoolOptions host_options(const api::Options& options) {
    pool::PoolOptions host;
    host.max_size = options.max_connections_per_host;
    host.min_idle = options.min_idle;
    host.max_waiters = options.max_waiters;
    host.max_connecting = options.max_connecting;
    host.reuse_policy = options.reuse_policy == api::ReusePolicy::lifo ? pool::ReusePolicy::lifo
                                                                       : pool::ReusePolicy::fifo;
    host.connect_timeout = options.connect_timeout;
    host.idle_timeout = or_off(options.idle_timeout);
    host.max_lifetime = or_off(options.max_lifetime);
    host.max_lifetime_jitter = options.max_lifetime_jitter;
    host.validate_on_acquire = options.validate_on_acquire;
    host.validate_bypass = options.validate_bypass;
    host.validate_timeout = options.ping_timeout;
    host.close_timeout = close_timeout;
    host.leak_detection_threshold = or_off(options.leak_detection_threshold);
    host.reconnect.initial_delay = options.reconnect.initial_delay;
    host.reconnect.max_delay = options.reconnect.max_delay;
    host.reconnect.multiplier = options.reconnect.multiplier;
    host.reconnect.jitter =
        options.reconnect.jitter == api::Jitter::full ? pool::Jitter::full : pool::Jitter::none;
    host.reconnect.max_attempts = options.reconnect.max_attempts;
    host.reconnect.stable_after = options.reconnect.stable_after;
    host.reconnect.min_delay = std::min(
        {host.reconnect.min_delay, options.reconnect.initial_delay, options.reconnect.max_delay});
    host.shares = options.shares;
    host.lendable = options.lendable;
    host.preemption.grace = options.preempt.grace;
    host.preemption.min_hold = options.preempt.min_hold;
    host.preemption.reconnect_delay = options.preempt.reconnect_delay;
    host.preemption.budget_per_second = options.preempt.budget_per_second;
    host.has_histograms = options.measure_durations;
    return host;
}

}  // namespace

CoreOptions core_options(const api::Options& options) {
    CoreOptions core;
    core.host = host_options(options);
    core.max_total_connections = total_of(options);
    for (const api::DedicatedPool& pool : options.pools) {
        core.pools.push_back({pool.name,
                              pool.max_connections_per_host.value_or(core.host.max_size),
                              pool.max_waiters.value_or(core.host.max_waiters)});
    }
    core.ping_interval = or_off(options.ping_interval);
    core.ping_timeout = options.ping_timeout;
    core.compression = options.compression;
    core.max_message_size = options.max_message_size;
    core.outbox_size_max = std::max(core.outbox_size_max, options.max_message_size);
    core.max_queued_messages = options.max_queued_messages;
    core.max_queued_bytes = options.max_queued_bytes;
    core.overflow =
        options.overflow == api::Overflow::reject ? Overflow::reject : Overflow::drop_oldest;
    core.max_requests = options.max_waiters;
    core.subscriptions_per_connection = options.subscriptions_per_connection;
    core.defaults.headers = options.headers;
    core.defaults.subprotocols = options.subprotocols;
    return core;
}

bool is_default(const api::TlsOptions& options) {
    return options.ca_file.empty() && options.certificate_file.empty() &&
           options.key_file.empty() && !options.insecure_accept_any_certificate;
}

Result<io::TlsClient> make_tls(const api::TlsOptions& options) {
    return io::TlsClient::make({options.ca_file,
                                options.certificate_file,
                                options.key_file,
                                options.insecure_accept_any_certificate});
}

pool::Priority priority_of(api::Priority priority) {
    return static_cast<pool::Priority>(priority);
}

}  // namespace wspool::client

namespace wspool::api {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds duration_max = std::chrono::hours(24 * 365);

Error bad(std::string message) {
    return {errc::bad_option, std::move(message)};
}

Result<void> check_durations(const Options& options) {
    struct Named {
        std::string_view name;
        nanoseconds value;
        bool is_positive = false;
    };
    const Named all[] = {
        {"acquire_timeout", options.acquire_timeout},
        {"connect_timeout", options.connect_timeout, true},
        {"idle_timeout", options.idle_timeout},
        {"max_lifetime", options.max_lifetime},
        {"ping_interval", options.ping_interval},
        {"ping_timeout", options.ping_timeout, true},
        {"validate_bypass", options.validate_bypass},
        {"leak_detection_threshold", options.leak_detection_threshold},
        {"reconnect.initial_delay", options.reconnect.initial_delay},
        {"reconnect.max_delay", options.reconnect.max_delay},
        {"reconnect.stable_after", options.reconnect.stable_after},
        {"preempt.grace", options.preempt.grace},
        {"preempt.min_hold", options.preempt.min_hold},
        {"preempt.reconnect_delay", options.preempt.reconnect_delay},
        {"priority_timeouts[0] (critical)", options.priority_timeouts[0]},
        {"priority_timeouts[1] (high)", options.priority_timeouts[1]},
        {"priority_timeouts[2] (normal)", options.priority_timeouts[2]},
        {"priority_timeouts[3] (low)", options.priority_timeouts[3]},
    };
    for (const Named& one : all) {
        const std::string name(one.name);
        if (one.value < nanoseconds::zero()) {
            return bad(name + " is negative; give it a duration of zero or more");
        }
        if (one.is_positive && one.value == nanoseconds::zero()) {
            return bad(name + " is zero, and nothing could be done in no time; give it more");
        }
        if (one.value > duration_max && one.value != infinite) {
            return bad(name + " is more than a year; say wspool::infinite where that is meant");
        }
    }
    const nanoseconds finite[] = {
        options.connect_timeout, options.ping_timeout, options.reconnect.max_delay};
    if (std::count(std::begin(finite), std::end(finite), infinite) > 0) {
        return bad(
            "connect_timeout, ping_timeout and reconnect.max_delay have to end some time; "
            "give them a duration of at most a year");
    }
    return {};
}

Result<void> check_counts(const Options& options) {
    if (options.max_connections_per_host == 0) {
        return bad("max_connections_per_host is 0, so nothing could be connected; at least 1");
    }
    if (options.max_size == 0u) {
        return bad("max_size is 0, so nothing could be connected; at least 1, or leave it out");
    }
    if (options.max_connecting == 0) {
        return bad("max_connecting is 0, so nothing could be connected; at least 1");
    }
    if (options.min_idle > options.max_connections_per_host) {
        return bad(
            "min_idle is more than max_connections_per_host; lower the one or raise the other");
    }
    if (options.max_message_size == 0) {
        return bad("max_message_size is 0, so nothing could be received; at least 1");
    }
    if (options.subscriptions_per_connection == 0) {
        return bad("subscriptions_per_connection is 0, so nothing could be subscribed; at least 1");
    }
    return {};
}

Result<void> check_pools(const Options& options) {
    std::set<std::string_view> names;
    for (const DedicatedPool& pool : options.pools) {
        if (pool.name.empty()) return bad("one of `pools` has no name; calls choose it by that");
        if (!names.insert(pool.name).second) {
            return bad("pools: \"" + pool.name + "\" is there twice; give each its own name");
        }
        if (pool.max_connections_per_host == 0u) {
            return bad("pools: max_connections_per_host of \"" + pool.name + "\" is 0; at least 1");
        }
    }
    return {};
}

}  // namespace

Result<void> check(const Options& options) {
    if (auto checked = check_counts(options); !checked) return checked;
    if (auto checked = check_durations(options); !checked) return checked;
    if (auto checked = check_pools(options); !checked) return checked;
    // NaN is neither.
    if (!(options.max_lifetime_jitter >= 0 && options.max_lifetime_jitter <= 1)) {
        return bad("max_lifetime_jitter is a part of max_lifetime: from 0 to 1");
    }
    if (auto checked = client::check(client::core_options(options)); !checked) {
        return bad(checked.error().message);
    }
    ws::ClientHandshake handshake;
    handshake.host = "example.org";
    handshake.target = "/";
    handshake.key = "AAAAAAAAAAAAAAAAAAAAAA==";
    handshake.subprotocols = options.subprotocols;
    handshake.headers = options.headers;
    if (auto request = ws::make_upgrade_request(handshake); !request) {
        return bad(request.error().message);
    }
    if (!client::is_default(options.tls)) {
        if (auto made = client::make_tls(options.tls); !made) {
            return bad("tls: " + made.error().message);
        }
    }
    return {};
}

}  // namespace wspool::api
