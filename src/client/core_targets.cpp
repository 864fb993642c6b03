// URLs and hosts: found by what they are, made when they are new, forgotten when unused.
#include "client/core_state.h"

#include <algorithm>

namespace wspool::client {
namespace {

// Everything that tells connections apart, unambiguously: each part with its size.
std::string canonical_name(const std::string& host, const ws::Url& url, const TargetSpec& spec) {
    std::string name;
    const auto add = [&name](std::string_view part) {
        name.append(std::to_string(part.size())).append(":").append(part);
    };
    add(host);
    add(url.target);
    for (const auto& subprotocol : spec.subprotocols) add(subprotocol);
    name += '|';
    for (const auto& [field, value] : spec.headers) {
        add(field);
        add(value);
    }
    name += '|' + std::to_string(reinterpret_cast<std::uintptr_t>(spec.tls.get()));
    return name;
}

ws::ClientHandshake handshake_of(const ws::Url& url, const TargetSpec& spec) {
    ws::ClientHandshake handshake;
    handshake.host = url.authority();
    handshake.target = url.target;
    handshake.key = "AAAAAAAAAAAAAAAAAAAAAA==";  // to be judged, not sent
    handshake.subprotocols = spec.subprotocols;
    handshake.headers = spec.headers;
    return handshake;
}

std::string host_name(const ws::Url& url, const std::string& pool) {
    const std::string host = url.is_ipv6 ? "[" + url.host + "]" : url.host;
    return (pool.empty() ? "" : pool + " ") + (url.is_secure ? "wss://" : "ws://") + host + ":" +
           std::to_string(url.port);
}

}  // namespace

Result<TargetId> Core::State::find_or_make(std::string_view url,
                                           const TargetSpec& spec,
                                           bool is_plain) {
    const std::uint64_t url_hash = sip_hash(url, hash_key);
    if (is_plain) {
        const std::uint32_t known = target_urls.find(url_hash, [&](std::uint32_t i) {
            return targets[i].is_plain && targets[i].url == url;
        });
        if (known != none) return target_id(known);
    }
    if (is_draining) return fail("the pool is closed");
    auto parsed = ws::parse_url(url);
    if (!parsed) return tl::unexpected(parsed.error());
    TargetSpec whole = spec;
    if (!parsed->is_secure) whole.tls = nullptr;
    if (parsed->is_secure && whole.tls == nullptr) whole.tls = options.defaults.tls;
    if (parsed->is_secure && whole.tls == nullptr) {
        return fail("wss:// needs TLS, and this pool was given nothing to verify a server with");
    }
    if (const auto head = ws::make_upgrade_request(handshake_of(*parsed, whole)); !head)
        return tl::unexpected(head.error());
    const auto dedicated =
        std::find_if(options.pools.begin(), options.pools.end(), [&](const DedicatedPool& pool) {
            return pool.name == whole.pool;
        });
    if (!whole.pool.empty() && dedicated == options.pools.end())
        return fail("there is no dedicated pool \"" + whole.pool + "\"");
    const std::string canonical = canonical_name(host_name(*parsed, whole.pool), *parsed, whole);
    const std::uint64_t hash = sip_hash(canonical, hash_key);
    const std::uint32_t known =
        target_names.find(hash, [&](std::uint32_t i) { return targets[i].canonical == canonical; });
    if (known != none) return target_id(known);

    if (target_indexes.used() >= options.max_targets) sweep(Duration(1));
    if (target_indexes.used() >= options.max_targets) {
        return fail("max_targets (" + std::to_string(options.max_targets) +
                    ") URLs are in use already");
    }
    const auto host = host_of(*parsed, whole.pool);
    if (!host) return tl::unexpected(host.error());
    const std::uint32_t index = target_indexes.take();
    targets.grow_to(index);
    Target& target = targets[index];
    target.url = url;
    target.canonical = canonical;
    target.url_hash = url_hash;
    target.hash = hash;
    target.parsed = std::move(*parsed);
    target.spec = std::move(whole);
    target.is_plain = is_plain;
    target.host = *host;
    target.used_at = now();
    const std::uint32_t key = hosts[*host].keys.take();
    target.key = pool::KeyId{key};
    if (hosts[*host].targets.size() <= key) hosts[*host].targets.resize(key + 1, none);
    hosts[*host].targets[key] = index;
    target_urls.insert(url_hash, index);
    target_names.insert(hash, index);
    if (sweep_at == never) sweep_at = now() + options.forget_after;
    if (hosts[*host].pool == nullptr) {
        pool::PoolOptions host_options = options.host;
        if (dedicated != options.pools.end() && !target.spec.pool.empty()) {
            host_options.max_size = dedicated->max_size;
            host_options.max_waiters = dedicated->max_waiters;
        }
        // Last, because it may want connections at once.
        hosts[*host].pool = std::make_unique<pool::Pool>(
            host_options, now(), entropy.next_u64(), ceiling.get(), *host);
        touch(*host);
        settle();
    }
    return target_id(index);
}

// The host, new without a pool yet.
Result<std::uint32_t> Core::State::host_of(const ws::Url& url, const std::string& pool) {
    std::string name = host_name(url, pool);
    const std::uint64_t hash = sip_hash(name, hash_key);
    const std::uint32_t known =
        host_names.find(hash, [&](std::uint32_t i) { return hosts[i].name == name; });
    if (known != none) return known;
    const std::uint32_t index = host_indexes.take();
    hosts.grow_to(index);
    hosts[index].name = std::move(name);
    hosts[index].hash = hash;
    host_names.insert(hash, index);
    return index;
}

// Connections kept in store are of the first target of their host, which stays as long.
bool Core::State::is_unused(const Target& target) const {
    const Host& host = hosts[target.host];
    const bool is_of_store = options.host.min_idle > 0 && target.key == options.host.min_idle_key;
    return target.pins == 0 && target.queue.is_empty() && target.shards.empty() &&
           target.suspended == 0 && !is_of_store && !host.pool->is_used(target.key);
}

void Core::State::sweep(Duration unused_for) {
    for (std::uint32_t i = 0; i < target_indexes.end(); ++i) {
        const Target& target = targets[i];
        if (target.host == none || !is_unused(target)) continue;
        if (now() - target.used_at >= unused_for) forget(i);
    }
    sweep_at = target_indexes.used() > 0 && !is_drained ? now() + options.forget_after : never;
}

void Core::State::forget(std::uint32_t index) {
    Target& target = targets[index];
    Host& host = hosts[target.host];
    const std::uint32_t host_index = target.host;
    const auto key = static_cast<std::uint32_t>(target.key);
    if (target.courier != none) free_call(target.courier);
    host.targets[key] = none;
    host.keys.give_back(key);
    target_urls.erase(target.url_hash, index);
    target_names.erase(target.hash, index);
    const std::uint32_t generation = target.generation + 1;
    target = Target{};
    target.generation = generation;
    target_indexes.give_back(index);
    if (host.keys.used() == 0) forget_host(host_index);
}

void Core::State::forget_host(std::uint32_t index) {
    Host& host = hosts[index];
    WSPOOL_ASSERT(host.pool->size() == 0);
    host_deadlines.remove(index);
    host_names.erase(host.hash, index);
    std::erase(stale, index);
    std::erase(touched, index);
    host = Host{};
    host_indexes.give_back(index);
}

}  // namespace wspool::client
