// Who acquires: the calls, from what was asked to the one outcome of each.
#include "client/core_reply.h"
#include "client/core_state.h"

#include <utility>

namespace wspool::client {

std::uint32_t Core::State::make_call(Call::Kind kind, std::uint32_t target, std::uint64_t tag) {
    const std::uint32_t index = call_indexes.take();
    calls.grow_to(index);
    Call& call = calls[index];
    WSPOOL_ASSERT(call.state == Call::State::free);
    call.kind = kind;
    call.state = Call::State::idle;
    call.target = target;
    call.tag = tag;
    call.must_discard = call.is_persistent = false;
    call.sessions = 0;
    return index;
}

void Core::State::free_call(std::uint32_t index) {
    Call& call = calls[index];
    call_deadlines.remove(index);
    call.state = Call::State::free;
    call.connection = none;
    ++call.generation;
    call.payload.release();
    call.id.clear();
    call_indexes.give_back(index);
}

// ---- asking the pool

ErrorCode Core::State::ask(std::uint32_t index, const pool::AcquireRequest& asked) {
    Call& call = calls[index];
    Target& target = targets[call.target];
    Host& host = hosts[target.host];
    pool::AcquireRequest request = asked;
    request.key = target.key;
    request.tag = tag_of_call(index);
    target.used_at = now();
    const pool::Acquired acquired = host.pool->acquire(request, now());
    touch(target.host);
    switch (acquired.kind) {
        case pool::Acquired::Kind::leased:
            attach(index, acquired.lease, acquired.slot);
            return ErrorCode::none;
        case pool::Acquired::Kind::waiting:
            call.state = Call::State::waiting;
            call.waiter = acquired.waiter;
            return ErrorCode::none;
        case pool::Acquired::Kind::failed:
            return code_of(host, acquired.error);
    }
    WSPOOL_UNREACHABLE();
}

Outcome Core::State::acquire(std::uint32_t target, const AcquireSpec& spec) {
    wake(target);
    const std::uint32_t index = make_call(Call::Kind::acquire, target, spec.tag);
    calls[index].is_persistent = spec.is_persistent;
    calls[index].priority = spec.priority;
    if (spec.is_persistent) calls[index].id = spec.client;
    const ErrorCode error = ask(index,
                                {.client = spec.client,
                                 .priority = spec.priority,
                                 .deadline = spec.deadline,
                                 .waits = spec.deadline > now(),
                                 .is_returning = spec.is_returning});
    const Call& call = calls[index];
    Outcome outcome;
    if (error != ErrorCode::none) {
        free_call(index);
        outcome = refuse(target, error);
    } else if (call.state == Call::State::leased) {
        outcome = {.kind = Outcome::Kind::done, .lease = {index, call.generation}};
    } else {
        outcome = {.kind = Outcome::Kind::pending, .call = {index, call.generation}};
    }
    settle();
    return outcome;
}

Outcome Core::State::request(std::uint32_t target,
                             std::string_view id,
                             ByteView payload,
                             const SendSpec& spec) {
    wake(target);
    if (host_of_target(target).requests >= options.max_requests)
        return refuse(target, ErrorCode::capacity);
    const std::uint32_t index = make_call(Call::Kind::request, target, spec.tag);
    Call& call = calls[index];
    const CallId named{index, call.generation};
    call.payload.append(payload);
    call.id = id;
    rest_until(index, spec.deadline);
    ++host_of_target(target).requests;
    const ErrorCode error =
        ask(index, {.client = {}, .priority = spec.priority, .waits = spec.deadline > now()});
    if (error != ErrorCode::none) {
        end_request(index);
        settle();
        return refuse(target, error);
    }
    if (call.state == Call::State::leased) begin_request(index);
    settle();
    return {.kind = Outcome::Kind::pending, .call = named};
}

void Core::State::begin_request(std::uint32_t index) {
    Call& call = calls[index];
    Connection& connection = connections[call.connection];
    if (push(connection, ws::Opcode::text, call.payload.view()) == SendOutcome::full) {
        const std::uint32_t target = call.target;
        const std::uint64_t tag = call.tag;
        end_lease(index, false);
        tell(CoreEventKind::failed, target, tag, explain(target, ErrorCode::message_queue_full))
            .error = ErrorCode::message_queue_full;
        return;
    }
    // If the connection is ending, its end is told soon, and revokes this lease.
    call.payload.release();
}

bool Core::State::answer(Connection& connection, std::string_view text) {
    std::string_view id;
    for (std::uint32_t i = connection.holders.front(); i != none; i = calls[i].links.next) {
        if (calls[i].kind != Call::Kind::request) continue;
        if (id.empty()) id = find_reply_id(text);
        if (id.empty()) return false;
        if (calls[i].id != id) continue;
        tell(CoreEventKind::replied, calls[i].target, calls[i].tag);
        told.back().payload = text;
        end_lease(i, false);
        return true;
    }
    return false;
}

// ---- leases

void Core::State::attach(std::uint32_t index, pool::LeaseId lease, pool::SlotId slot) {
    Call& call = calls[index];
    call.state = Call::State::leased;
    call.lease = lease;
    call.connection = connection_of(host_of_target(call.target), slot);
    ++call.sessions;
    connections[call.connection].holders.push_back(call_links(), index);
}

void Core::State::detach(std::uint32_t index) {
    Call& call = calls[index];
    connections[call.connection].holders.remove(call_links(), index);
    call.connection = none;
    call.state = Call::State::idle;
}

// Of an acquire or a request, which is done with it; of a courier or a shard, which goes on.
void Core::State::end_lease(std::uint32_t index, bool is_discarded) {
    const pool::LeaseId lease = calls[index].lease;
    const std::uint32_t host = targets[calls[index].target].host;
    detach(index);
    targets[calls[index].target].used_at = now();
    if (calls[index].kind == Call::Kind::request) end_request(index);
    if (calls[index].kind == Call::Kind::acquire) free_call(index);
    if (is_discarded) {
        hosts[host].pool->discard(lease, now());
    } else {
        hosts[host].pool->release(lease, now());
    }
    touch(host);
}

void Core::State::end_request(std::uint32_t index) {
    --host_of_target(calls[index].target).requests;
    free_call(index);
}

bool Core::State::cancel(std::uint32_t index) {
    Call& call = calls[index];
    if (call.kind == Call::Kind::courier || call.kind == Call::Kind::shard) return false;
    if (call.kind == Call::Kind::acquire && call.sessions > 0) return false;
    if (call.kind == Call::Kind::message) {
        const std::uint32_t target = call.target;
        unqueue(index);
        serve_queue(target);
    } else if (call.state == Call::State::waiting) {
        const std::uint32_t host = targets[call.target].host;
        const bool was_waiting = hosts[host].pool->cancel(call.waiter, now());
        WSPOOL_ASSERT(was_waiting);
        touch(host);
        call.kind == Call::Kind::request ? end_request(index) : free_call(index);
    } else if (call.kind == Call::Kind::request) {
        end_lease(index, false);
    } else {
        return false;
    }
    settle();
    return true;
}

// ---- what pools say of them

void Core::State::on_granted(std::uint32_t index, pool::LeaseId lease, pool::SlotId slot) {
    attach(index, lease, slot);
    const Call& call = calls[index];
    switch (call.kind) {
        case Call::Kind::acquire:
            if (call.sessions > 1) return on_resumed(index);
            tell(CoreEventKind::granted, call.target, call.tag).lease = {index, call.generation};
            return;
        case Call::Kind::request:
            return begin_request(index);
        case Call::Kind::courier:
            return flush(call.target, call.connection);
        case Call::Kind::shard:
            return replay(index);
        case Call::Kind::message:
            break;
    }
    WSPOOL_UNREACHABLE();
}

// It waited, and gets nothing.
void Core::State::on_refused(std::uint32_t index, ErrorCode error) {
    const Call::Kind kind = calls[index].kind;
    const std::uint32_t target = calls[index].target;
    const std::uint64_t tag = calls[index].tag;
    switch (kind) {
        case Call::Kind::acquire:
            if (calls[index].sessions > 0) return on_resume_refused(index, error);
            free_call(index);
            break;
        case Call::Kind::request:
            end_request(index);
            break;
        case Call::Kind::courier:
            calls[index].state = Call::State::idle;
            return on_carrier_failed(target, error);
        case Call::Kind::shard:
            calls[index].state = Call::State::idle;
            if (error == ErrorCode::pool_closed) return end_shard(index);
            rest_shard(index, failure_delay());
            return on_carrier_failed(target, error);
        case Call::Kind::message:
            WSPOOL_UNREACHABLE();
    }
    tell(CoreEventKind::failed, target, tag, explain(target, error)).error = error;
}

// The pool has taken its lease back.
void Core::State::on_revoked(std::uint32_t index, ErrorCode error) {
    detach(index);
    const std::uint32_t target = calls[index].target;
    const std::uint64_t tag = calls[index].tag;
    switch (calls[index].kind) {
        case Call::Kind::acquire:
            return calls[index].is_persistent && error == ErrorCode::connection_lost &&
                           !is_draining && options.host.reconnect.max_attempts > 0
                       ? suspend(index)
                       : revoke(index, error);
        case Call::Kind::request:
            end_request(index);
            tell(CoreEventKind::failed, target, tag, explain(target, error)).error = error;
            return;
        case Call::Kind::courier:
            if (error == ErrorCode::pool_closed) return fail_queue(target, error, 0);
            return serve_queue(target);
        case Call::Kind::shard:
            return error == ErrorCode::pool_closed ? end_shard(index) : on_shard_lost(index);
        case Call::Kind::message:
            break;
    }
    WSPOOL_UNREACHABLE();
}

void Core::State::on_call_due(std::uint32_t index) {
    const Call& call = calls[index];
    const std::uint32_t target = call.target;
    const std::uint64_t tag = call.tag;
    switch (call.kind) {
        case Call::Kind::message:
            fail_message(index, ErrorCode::acquire_timeout);
            return serve_queue(target);
        case Call::Kind::request: {
            const bool was_sent = call.state == Call::State::leased;
            cancel(index);
            tell(CoreEventKind::failed,
                 target,
                 tag,
                 was_sent ? targets[target].url + ": no answer came within the deadline"
                          : explain(target, ErrorCode::acquire_timeout))
                .error = ErrorCode::acquire_timeout;
            return;
        }
        case Call::Kind::courier:
            calls[index].state = Call::State::idle;
            return serve_queue(target);
        case Call::Kind::shard:
            calls[index].state = Call::State::idle;
            return start_shard(index);
        case Call::Kind::acquire:
            return resume(index);
    }
    WSPOOL_UNREACHABLE();
}

// ---- sentences

Outcome Core::State::refuse(std::uint32_t target, ErrorCode error) {
    said = explain(target, error);
    return {.kind = Outcome::Kind::failed, .error = error, .text = said};
}

ErrorCode Core::State::code_of(const Host& host, pool::PoolError error) const {
    switch (error) {
        case pool::PoolError::timed_out:
            return ErrorCode::acquire_timeout;
        case pool::PoolError::capacity:
            return ErrorCode::capacity;
        case pool::PoolError::cancelled:
            return ErrorCode::cancelled;
        case pool::PoolError::closed:
            return ErrorCode::pool_closed;
        case pool::PoolError::connect_failed:
            return host.has_timed_out ? ErrorCode::connect_timeout : ErrorCode::connect_failed;
        case pool::PoolError::circuit_open:
            return ErrorCode::circuit_open;
        case pool::PoolError::already_leased:
            return ErrorCode::already_leased;
        case pool::PoolError::connection_lost:
            return ErrorCode::connection_lost;
        case pool::PoolError::preempted:
            return ErrorCode::preempted;
        case pool::PoolError::count_:
            break;
    }
    WSPOOL_UNREACHABLE();
}

std::string Core::State::explain(std::uint32_t index, ErrorCode error) const {
    const Host& host = host_of_target(index);
    const std::string and_last =
        host.connect_error.empty() ? "" : "; the last connect failed: " + host.connect_error;
    const std::string& url = targets[index].url;
    switch (error) {
        case ErrorCode::acquire_timeout:
            return url + ": no connection became free within the deadline" + and_last;
        case ErrorCode::capacity:
            return url + ": all connections are in use, and no more callers may wait" + and_last;
        case ErrorCode::pool_closed:
            return url + ": the pool is closed";
        case ErrorCode::connect_timeout:
        case ErrorCode::connect_failed:
            return url + ": connecting failed: " + host.connect_error;
        case ErrorCode::circuit_open:
            return url + ": the host keeps failing and is not asked at the moment" + and_last;
        case ErrorCode::connection_lost:
            return url + ": the connection was lost";
        case ErrorCode::preempted:
            return url + ": the connection was needed for a higher priority";
        case ErrorCode::already_leased:
            return url + ": this client has a connection already, or waits for one";
        case ErrorCode::message_queue_full:
            return url + ": too many messages wait to be sent already" + and_last;
        case ErrorCode::none:
        case ErrorCode::invalid:
        case ErrorCode::cancelled:
        case ErrorCode::count_:
            break;
    }
    return url + ": " + std::string(name(error));
}

}  // namespace wspool::client
