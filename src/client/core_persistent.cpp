// Persistent leases whose connection was lost: they hold nothing meanwhile, and wait for the next
// one as everybody, but ahead of their priority.
#include "client/core_state.h"

namespace wspool::client {

// Its connection is lost, and it is attached to none any more.
void Core::State::suspend(std::uint32_t index) {
    const Call& call = calls[index];
    ++targets[call.target].suspended;
    tell(CoreEventKind::suspended,
         call.target,
         call.tag,
         explain(call.target, ErrorCode::connection_lost))
        .lease = {index, call.generation};
    rest_lease(index, pool::spread_delay(options.host.reconnect, random));
}

void Core::State::rest_lease(std::uint32_t index, Duration delay) {
    calls[index].state = Call::State::resting;
    rest_until(index, now() + delay);
}

void Core::State::resume(std::uint32_t index) {
    Call& call = calls[index];
    call.state = Call::State::idle;
    const ErrorCode error =
        ask(index, {.client = call.id, .priority = call.priority, .is_returning = true});
    if (error != ErrorCode::none) return on_resume_refused(index, error);
    if (call.state == Call::State::leased) on_resumed(index);
}

void Core::State::on_resumed(std::uint32_t index) {
    const Call& call = calls[index];
    --targets[call.target].suspended;
    tell(CoreEventKind::resumed, call.target, call.tag).lease = {index, call.generation};
}

// It is asked again for as long as somebody holds it. But where its client has another connection
// meanwhile, and may have one only, it will not get any.
void Core::State::on_resume_refused(std::uint32_t index, ErrorCode error) {
    if (error != ErrorCode::pool_closed && error != ErrorCode::already_leased)
        return rest_lease(index, failure_delay());
    calls[index].state = Call::State::idle;
    --targets[calls[index].target].suspended;
    revoke(index, error);
}

// Given back without a connection.
void Core::State::end_suspended(std::uint32_t index) {
    const Call& call = calls[index];
    Target& target = targets[call.target];
    if (call.state == Call::State::waiting) {
        const bool was_waiting = hosts[target.host].pool->cancel(call.waiter, now());
        WSPOOL_ASSERT(was_waiting);
        touch(target.host);
    }
    --target.suspended;
    target.used_at = now();
    free_call(index);
}

// It is attached to nothing, and its holder is told that it is no more.
void Core::State::revoke(std::uint32_t index, ErrorCode error) {
    const std::uint32_t target = calls[index].target;
    const std::uint64_t tag = calls[index].tag;
    const LeaseId lease{index, calls[index].generation};
    free_call(index);
    CoreEvent& event = tell(CoreEventKind::revoked, target, tag, explain(target, error));
    event.error = error;
    event.lease = lease;
}

// The pool closes. Those who wait in it are told by it.
void Core::State::revoke_suspended() {
    for (std::uint32_t i = 0; i < call_indexes.end(); ++i) {
        const Call& call = calls[i];
        if (call.kind != Call::Kind::acquire || call.state != Call::State::resting) continue;
        --targets[call.target].suspended;
        revoke(i, ErrorCode::pool_closed);
    }
}

}  // namespace wspool::client
