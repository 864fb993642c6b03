// The turn, and the events that it yields.
#include "client/core.h"

#include "client/core_state.h"

#include <algorithm>
#include <utility>

namespace wspool::client {
namespace {

constexpr std::uint64_t resolver_tag = std::uint64_t{1} << 32;

session::EngineOptions engine_options(const CoreOptions& options) {
    session::EngineOptions engine;
    engine.limits.message_size_max = options.max_message_size;
    // Ours is checked before each send, and refuses; the engine's would end the session.
    engine.outbox_size_max = SIZE_MAX;
    // The pools' deadlines come first.
    engine.handshake_timeout = options.host.connect_timeout + std::chrono::seconds(1);
    engine.close_timeout = options.host.close_timeout + std::chrono::seconds(1);
    engine.ping_interval = options.ping_interval;
    engine.pong_timeout = options.ping_timeout;
    engine.write_timeout = options.write_timeout;
    // A server may ping as it likes; its pings are answered once per turn of a blocked stream.
    engine.control_frames_per_second = 0;
    return engine;
}

}  // namespace

Core::State::State(io::Loop& loop,
                   NameResolver& resolver_in,
                   const CoreOptions& options_in,
                   Entropy& entropy_in)
    : options(options_in),
      resolver(resolver_in),
      entropy(entropy_in),
      engine(loop, engine_options(options), entropy, counters),
      time(engine.now()),
      hash_key{entropy.next_u64(), entropy.next_u64()},
      random(entropy.next_u64()),
      host_deadlines(HostPosition{&hosts}),
      call_deadlines(CallPosition{&calls}),
      staggers(StaggerPosition{&connections}) {
    WSPOOL_ASSERT(check(options));
    if (options.max_total_connections > 0)
        ceiling = std::make_unique<pool::Ceiling>(options.max_total_connections);
    if (resolver.fd() < 0) return;
    const auto watched = engine.watch(resolver.fd(), resolver_tag);
    WSPOOL_ASSERT(watched.has_value());
}

// ---- the turn

void Core::State::wait(Instant deadline) {
    // Who does not wait need not know for how long.
    engine.wait(deadline <= time ? deadline : std::min(deadline, next_deadline()));
    time = engine.now();
    settle_sends();
    run_timers();
    // A resolver without a descriptor is asked in every turn.
    if (resolver.fd() < 0) {
        for (io::Resolution resolution; resolver.next(resolution);) on_resolved(resolution);
    }
    if (!touched.empty() || ceiling != nullptr) settle();
}

void Core::State::refresh_deadlines() {
    for (const std::uint32_t index : stale) {
        Host& host = hosts[index];
        host.has_stale_deadline = false;
        host_deadlines.remove(index);
        const Instant due = host.pool->next_deadline();
        if (due != never) host_deadlines.insert(index, due);
    }
    stale.clear();
}

Instant Core::State::next_deadline() const {
    if (!told.empty() || sent_groups_told < sent_groups.size()) return Instant::min();
    // What is sent now is told at once, not when the peer says something.
    if (!tracked.empty() && engine.has_unflushed()) return Instant::min();
    Instant due = next_timer();
    for (const std::uint32_t index : stale) due = std::min(due, hosts[index].pool->next_deadline());
    return due;
}

Instant Core::State::next_timer() const {
    return std::min(
        {host_deadlines.first_due(), call_deadlines.first_due(), staggers.first_due(), sweep_at});
}

void Core::State::run_timers() {
    if (!stale.empty()) refresh_deadlines();
    if (next_timer() > now()) return;
    while (staggers.first_due() <= now()) start_attempt(staggers.first());
    while (host_deadlines.first_due() <= now()) {
        const std::uint32_t host = host_deadlines.first();
        host_deadlines.remove(host);
        explain_timeouts(host);
        hosts[host].pool->on_deadline(now());
        touch(host);
        settle();
    }
    while (call_deadlines.first_due() <= now()) {
        const std::uint32_t call = call_deadlines.first();
        call_deadlines.remove(call);
        on_call_due(call);
        settle();
    }
    if (sweep_at <= now()) sweep(options.forget_after);
}

bool Core::State::next(CoreEvent& event) {
    for (;;) {
        if (sent_groups_told < sent_groups.size()) {
            deliver_sent(event);
            return true;
        }
        if (!told.empty()) return deliver(event);
        if (!engine.next(engine_event)) return false;
        if (engine_event.kind != session::EventKind::message) {
            on_engine_event(engine_event);
            settle();
            continue;
        }
        const std::uint32_t index = find_connection(engine_event.tag);
        if (index == none || connections[index].state != Connection::State::open) continue;
        Connection& connection = connections[index];
        Host& host = host_of_target(connection.target);
        ++host.messages_received;
        host.bytes_received += engine_event.payload.size();
        note_used(connection);
        const bool is_binary = engine_event.opcode == ws::Opcode::binary;
        if (!is_binary && answer(connection, as_text(engine_event.payload))) {
            settle();
            continue;
        }
        event = CoreEvent{};
        event.kind = CoreEventKind::message;
        event.is_binary = is_binary;
        event.target = target_id(connection.target);
        event.url = targets[connection.target].url;
        event.payload = engine_event.payload;
        for (std::uint32_t i = connection.holders.front(); i != none; i = calls[i].links.next) {
            if (calls[i].kind != Call::Kind::acquire) continue;
            event.lease = {i, calls[i].generation};
            event.tag = calls[i].tag;
            break;
        }
        return true;
    }
}

void Core::State::on_engine_event(const session::Event& event) {
    if (event.kind == session::EventKind::readable) {
        if (event.tag != resolver_tag) {
            told.push_back({});
            told.back().event.kind = CoreEventKind::readable;
            told.back().event.tag = event.tag;
            return;
        }
        for (io::Resolution resolution; resolver.next(resolution);) on_resolved(resolution);
        return;
    }
    const std::uint32_t index = find_connection(event.tag);
    if (index == none) return;
    Connection& connection = connections[index];
    const std::uint32_t host = targets[connection.target].host;
    switch (event.kind) {
        case session::EventKind::opened:
            return on_opened(index, event);
        case session::EventKind::failed:
            return on_attempt_failed(index, event);
        case session::EventKind::pong:
            hosts[host].pool->on_validated(connection.slot, true, now());
            return touch(host);
        case session::EventKind::closed:
            return on_closed(index, event);
        case session::EventKind::released: {
            if (event.session != connection.session) return;
            const pool::SlotId slot = connection.slot;
            on_gone(index);
            hosts[host].pool->on_closed(slot, now());
            return touch(host);
        }
        case session::EventKind::message:
        case session::EventKind::abandoned:
        case session::EventKind::opening:
        case session::EventKind::plain:
        case session::EventKind::readable:
        case session::EventKind::stream:
            return;
    }
}

// ---- events

CoreEvent& Core::State::tell(CoreEventKind kind,
                             std::uint32_t target,
                             std::uint64_t tag,
                             std::string text) {
    targets[target].used_at = now();
    Told& last = told.emplace_back();
    last.event.kind = kind;
    last.event.target = target_id(target);
    last.event.tag = tag;
    last.text = std::move(text);
    return last.event;
}

bool Core::State::deliver(CoreEvent& event) {
    delivered = std::move(told.front());
    told.pop_front();
    event = delivered.event;
    event.text = delivered.text;
    event.payload = as_bytes(delivered.payload);
    const std::uint32_t target = find(event.target);
    if (target != none) event.url = targets[target].url;
    return true;
}

// Without the detour through `told`: this is the one event that comes with every message. A target
// is not forgotten in the turn in which something of it was sent.
void Core::State::deliver_sent(CoreEvent& event) {
    const SentGroup& group = sent_groups[sent_groups_told++];
    event = CoreEvent{};
    event.kind = CoreEventKind::sent;
    event.tags = std::span(sent_tags).subspan(sent_tags_told, group.count);
    event.target = target_id(group.target);
    event.url = targets[group.target].url;
    sent_tags_told += group.count;
}

// ---- the end

void Core::State::drain(Instant deadline) {
    const bool is_first = !std::exchange(is_draining, true);
    // First the pools: what ends below must not be granted to who ends next.
    for (std::uint32_t i = 0; i < host_indexes.end(); ++i) {
        if (hosts[i].pool == nullptr) continue;
        hosts[i].pool->drain(deadline, now());
        touch(i);
    }
    settle();
    for (std::uint32_t i = 0; is_first && i < target_indexes.end(); ++i) {
        if (targets[i].host == none) continue;
        while (!targets[i].shards.empty()) end_shard(targets[i].shards.front());
        const std::uint32_t courier = targets[i].courier;
        // What is under way on an open connection has until the deadline; the rest has none.
        if (courier == none || calls[courier].state != Call::State::leased)
            fail_queue(i, ErrorCode::pool_closed, 0);
        serve_queue(i);
    }
    settle();
    note_drained();
}

void Core::State::note_drained() {
    if (!is_draining || is_drained) return;
    for (std::uint32_t i = 0; i < host_indexes.end(); ++i) {
        if (hosts[i].pool != nullptr && !hosts[i].is_drained) return;
    }
    is_drained = true;
    sweep_at = never;
    told.push_back({});
    told.back().event.kind = CoreEventKind::drained;
}

}  // namespace wspool::client
