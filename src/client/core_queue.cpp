// Messages that need no lease: those that wait for a connection, in one line for each target, and
// those that are on their way. What carries the line is a shard of the target's subscriptions, once
// it has replayed them, or else the courier: one acquire for the whole line, so that it keeps its
// order, and asks for one connection.
#include "client/core_state.h"

namespace wspool::client {

Outcome Core::State::send_once(std::uint32_t index,
                               ws::Opcode opcode,
                               ByteView payload,
                               const SendSpec& spec) {
    Target& target = targets[index];
    target.used_at = now();
    if (target.is_stopped) wake(index);
    if (const std::uint32_t carrier = find_carrier(index, payload.size()); carrier != none) {
        push_tracked(carrier, opcode, payload, spec.tag);
        return {.kind = Outcome::Kind::pending};
    }
    if (!target.queue.is_empty() || !target.shards.empty())
        return enqueue(index, opcode, payload, spec);
    if (const ErrorCode error = ask_courier(index); error != ErrorCode::none) {
        settle();
        if (error != ErrorCode::circuit_open || options.max_queued_messages == 0)
            return refuse(index, error);
        target.is_down = true;
        rest_courier(index);
        return enqueue(index, opcode, payload, spec);
    }
    const Outcome outcome = enqueue(index, opcode, payload, spec);
    if (calls[target.courier].state == Call::State::leased)
        flush(index, calls[target.courier].connection);
    settle();
    return outcome;
}

bool Core::State::send_now(std::uint32_t index,
                           ws::Opcode opcode,
                           ByteView payload,
                           std::uint64_t tag) {
    if (targets[index].is_stopped) return false;
    const std::uint32_t carrier = find_carrier(index, payload.size());
    if (carrier == none) return false;
    targets[index].used_at = now();
    push_tracked(carrier, opcode, payload, tag);
    return true;
}

std::uint32_t Core::State::find_carrier(std::uint32_t index, std::size_t size) {
    const Target& target = targets[index];
    if (!target.queue.is_empty()) return none;
    std::uint32_t carrier = none;
    if (target.shards.empty()) {
        carrier = find_idle(index);
        if (carrier == none) return none;
    } else {
        const std::uint32_t shard = open_shard(target);
        if (shard == none) return none;
        carrier = calls[shard].connection;
    }
    if (has_room(connections[carrier], size)) return carrier;
    if (!target.shards.empty()) track(carrier);
    return none;
}

// A message needs no lease of its own: it is gone from here at once. (What the pool has to do is
// due later by that, never sooner.)
std::uint32_t Core::State::find_idle(std::uint32_t index) {
    Target& target = targets[index];
    Host& host = hosts[target.host];
    if (target.carrier != none && target.carrier_at == now() &&
        target.carrier_changes == host.changes)
        return target.carrier;
    const pool::SlotId idle = host.pool->use_idle(target.key, now());
    if (idle == pool::SlotId{}) return none;
    const std::uint32_t carrier = connection_of(host, idle);
    connections[carrier].used_at = now();
    // With fifo the next message goes over the next connection.
    target.carrier = options.host.reuse_policy == pool::ReusePolicy::lifo ? carrier : none;
    target.carrier_at = now();
    target.carrier_changes = host.changes;
    return carrier;
}

Outcome Core::State::enqueue(std::uint32_t index,
                             ws::Opcode opcode,
                             ByteView payload,
                             const SendSpec& spec) {
    Target& target = targets[index];
    Host& host = hosts[target.host];
    const std::uint32_t bound =
        target.is_down ? options.max_queued_messages : host.pool->options().max_waiters;
    const auto has_no_room = [&] {
        return host.queued_messages >= bound ||
               host.queued_bytes + payload.size() > options.max_queued_bytes;
    };
    const bool drops =
        options.overflow == Overflow::drop_oldest && payload.size() <= options.max_queued_bytes;
    while (has_no_room()) {
        ++host.dropped_messages;
        if (!drops || target.queue.is_empty()) {
            const Outcome outcome = refuse(index, ErrorCode::message_queue_full);
            serve_queue(index);
            settle();
            return outcome;
        }
        fail_message(target.queue.front(), ErrorCode::message_queue_full);
    }
    const std::uint32_t call = make_call(Call::Kind::message, index, spec.tag);
    calls[call].state = Call::State::queued;
    calls[call].opcode = opcode;
    calls[call].payload.append(payload);
    target.queue.push_back(call_links(), call);
    ++host.queued_messages;
    host.queued_bytes += payload.size();
    rest_until(call, spec.deadline);
    return {.kind = Outcome::Kind::pending, .call = {call, calls[call].generation}};
}

// ---- the way out

bool Core::State::has_room(const Connection& connection, std::size_t size) const {
    const std::size_t waiting = engine.outbox_size(connection.session);
    return waiting == 0 || waiting + size <= options.outbox_size_max;
}

SendOutcome Core::State::push(Connection& connection, ws::Opcode opcode, ByteView payload) {
    if (connection.state != Connection::State::open) return SendOutcome::gone;
    if (!has_room(connection, payload.size())) return SendOutcome::full;
    return hand_over(connection, opcode, payload) ? SendOutcome::queued : SendOutcome::gone;
}

bool Core::State::hand_over(Connection& connection, ws::Opcode opcode, ByteView payload) {
    if (engine.send(connection.session, opcode, payload) != session::SendOutcome::queued)
        return false;
    ++connection.pushed;
    connection.pushed_bytes += payload.size();
    note_used(connection);
    return true;
}

void Core::State::push_tracked(std::uint32_t index,
                               ws::Opcode opcode,
                               ByteView payload,
                               std::uint64_t tag) {
    Connection& connection = connections[index];
    if (!hand_over(connection, opcode, payload)) {
        // It is ending, and this is told in this turn.
        tell(CoreEventKind::failed,
             connection.target,
             tag,
             explain(connection.target, ErrorCode::connection_lost))
            .error = ErrorCode::connection_lost;
        return;
    }
    connection.sends.push_back({tag, connection.pushed});
    if (!connection.is_tracked) track(index);
}

void Core::State::track(std::uint32_t index) {
    if (connections[index].is_tracked) return;
    connections[index].is_tracked = true;
    tracked.push_back(index);
}

// The kernel has taken the first `taken` messages of the connection.
void Core::State::note_sent(Connection& connection, std::uint64_t taken) {
    std::uint32_t count = 0;
    for (; count < connection.sends.size(); ++count) {
        if (connection.sends[count].position > taken) break;
        sent_tags.push_back(connection.sends[count].tag);
    }
    if (count == 0) return;
    connection.sends.pop_front(count);
    targets[connection.target].used_at = now();
    sent_groups.push_back({connection.target, count});
}

// After each wait(): what the kernel has taken meanwhile is sent, and where there is room again,
// more follows.
void Core::State::settle_sends() {
    if (sent_groups_told == sent_groups.size()) {
        sent_groups.clear();
        sent_tags.clear();
        sent_groups_told = sent_tags_told = 0;
    }
    std::vector<std::uint32_t> visited;
    visited.swap(tracked);
    for (const std::uint32_t index : visited) {
        Connection& connection = connections[index];
        connection.is_tracked = false;
        const auto unsent = engine.unsent_messages(connection.session);
        if (!unsent) continue;  // what was not sent is told when it is gone
        note_sent(connection, connection.pushed - *unsent);
        // Who carries a line holds it.
        if (connection.state == Connection::State::open && !connection.holders.is_empty())
            flush(connection.target, index);
        if (connection.sends.size() > 0) track(index);
    }
    if (tracked.empty()) {
        visited.clear();
        tracked.swap(visited);  // its memory is kept
    }
}

// Sends of the line what the connection has room for, if it may carry it.
void Core::State::flush(std::uint32_t index, std::uint32_t connection_index) {
    Target& target = targets[index];
    Connection& connection = connections[connection_index];
    std::uint32_t courier = none;
    bool carries = false;
    for (std::uint32_t i = connection.holders.front(); i != none; i = calls[i].links.next) {
        if (calls[i].kind == Call::Kind::courier) courier = i;
        carries |= calls[i].kind == Call::Kind::courier || calls[i].kind == Call::Kind::shard;
    }
    if (!carries || connection.state != Connection::State::open) return;
    while (!target.queue.is_empty()) {
        const std::uint32_t call = target.queue.front();
        if (!has_room(connection, calls[call].payload.size())) {
            track(connection_index);
            return;
        }
        push_tracked(
            connection_index, calls[call].opcode, calls[call].payload.view(), calls[call].tag);
        unqueue(call);
        if (!engine.is_open(connection.session)) return;
    }
    if (courier != none) end_lease(courier, false);
}

// ---- the carrier

void Core::State::note_used(Connection& connection) {
    // Whoever gives it back tells it by that; only preemption asks before.
    if (connection.used_at == now() || (!connection.holders.is_empty() && !options.host.shares))
        return;
    connection.used_at = now();
    host_of_target(connection.target).pool->note_used(connection.slot, now());
}

// Lets the courier ask for a connection, if it is idle.
ErrorCode Core::State::ask_courier(std::uint32_t index) {
    if (targets[index].courier == none)
        targets[index].courier = make_call(Call::Kind::courier, index, 0);
    const std::uint32_t courier = targets[index].courier;
    if (calls[courier].state != Call::State::idle) return ErrorCode::none;
    const ErrorCode error = ask(courier, {});
    if (error == ErrorCode::none) targets[index].is_down = false;
    return error;
}

// Sees to it that somebody carries the line, or that nobody waits in vain for an empty one.
void Core::State::serve_queue(std::uint32_t index) {
    Target& target = targets[index];
    const std::uint32_t courier = target.courier;
    if (target.queue.is_empty() || !target.shards.empty()) {
        if (courier != none && calls[courier].state == Call::State::waiting) {
            hosts[target.host].pool->cancel(calls[courier].waiter, now());
            touch(target.host);
            calls[courier].state = Call::State::idle;
        } else if (courier != none && calls[courier].state == Call::State::resting) {
            rest_until(courier, never);
            calls[courier].state = Call::State::idle;
        } else if (courier != none && calls[courier].state == Call::State::leased &&
                   target.queue.is_empty()) {
            end_lease(courier, false);
        }
        const std::uint32_t shard = target.queue.is_empty() ? none : open_shard(target);
        if (shard != none) flush(index, calls[shard].connection);
        return;
    }
    if (const ErrorCode error = ask_courier(index); error != ErrorCode::none) {
        on_carrier_failed(index, error);
    } else if (calls[target.courier].state == Call::State::leased) {
        flush(index, calls[target.courier].connection);
    }
}

// The host is down, or has no room: the line is cut to what is kept meanwhile.
void Core::State::on_carrier_failed(std::uint32_t index, ErrorCode error) {
    Target& target = targets[index];
    const bool is_down = error == ErrorCode::connect_failed ||
                         error == ErrorCode::connect_timeout || error == ErrorCode::circuit_open;
    target.is_down = is_down;
    fail_queue(index, error, is_down ? options.max_queued_messages : 0);
    if (target.queue.is_empty() || !target.shards.empty()) return;
    rest_courier(index);
}

void Core::State::rest_courier(std::uint32_t index) {
    const std::uint32_t courier = targets[index].courier;
    calls[courier].state = Call::State::resting;
    rest_until(courier, now() + failure_delay());
}

void Core::State::fail_queue(std::uint32_t index, ErrorCode error, std::uint32_t kept) {
    pool::IndexList& queue = targets[index].queue;
    const bool drops_oldest = options.overflow == Overflow::drop_oldest;
    while (!queue.is_empty() && host_of_target(index).queued_messages > kept)
        fail_message(drops_oldest ? queue.front() : queue.back(), error);
}

void Core::State::fail_message(std::uint32_t index, ErrorCode error) {
    const std::uint32_t target = calls[index].target;
    tell(CoreEventKind::failed, target, calls[index].tag, explain(target, error)).error = error;
    unqueue(index);
}

void Core::State::unqueue(std::uint32_t index) {
    const Call& call = calls[index];
    Host& host = host_of_target(call.target);
    targets[call.target].queue.remove(call_links(), index);
    --host.queued_messages;
    host.queued_bytes -= call.payload.size();
    free_call(index);
}

}  // namespace wspool::client
