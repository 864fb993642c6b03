// What the user of a simulated client pool is told.
#include "sim/client_user.h"

#include <algorithm>

namespace wspool::sim {

namespace {

using client::CoreEventKind;
using client::LeaseId;

}  // namespace

CallRecord* ClientUser::call_of(std::uint64_t tag, client::TargetId target) {
    CallRecord* call = ledger_.find_call(tag);
    if (call == nullptr) {
        ledger_.violate("an event about call " + std::to_string(tag) + ", which was never made");
    } else if (find_target(target) != static_cast<int>(call->target)) {
        ledger_.violate("an event about call " + std::to_string(tag) + " names another target");
    }
    return call;
}

void ClientUser::handle(const client::CoreEvent& event) {
    for (const std::uint64_t tag : event.tags) note("sent " + std::to_string(tag));
    note("event " + std::to_string(static_cast<int>(event.kind)) + " of " +
         std::to_string(event.tag) + " " + std::string(client::name(event.error)) + " " +
         excerpt(event.text) + excerpt(as_text(event.payload)));
    switch (event.kind) {
        case CoreEventKind::granted:
            return on_granted(event);
        case CoreEventKind::failed:
            if (event.text.empty()) ledger_.violate("a failure without a sentence");
            if (CallRecord* call = call_of(event.tag, event.target))
                ledger_.on_failed(*call, event.error);
            return;
        case CoreEventKind::sent:
            for (const std::uint64_t tag : event.tags) {
                if (CallRecord* call = call_of(tag, event.target)) ledger_.on_sent(*call);
            }
            return;
        case CoreEventKind::replied:
            if (CallRecord* call = call_of(event.tag, event.target)) {
                std::string payload(as_text(event.payload));
                if (plant_.strikes(ClientPlantKind::swap_replies)) payload = "{\"id\":0,\"ok\":1}";
                ledger_.on_replied(*call, payload);
            }
            return;
        case CoreEventKind::message: {
            const bool has_lease = event.lease != LeaseId{};
            // The answer to a request that was given up.
            if (as_text(event.payload).substr(0, 6) == "{\"id\":") return;
            return ledger_.on_push(as_text(event.payload),
                                   find_target(event.target),
                                   has_lease ? &event.lease : nullptr);
        }
        case CoreEventKind::revoked:
            return ledger_.on_revoked(event.tag, event.lease, event.error);
        case CoreEventKind::suspended:
            return ledger_.on_suspended(event.tag, event.lease);
        case CoreEventKind::resumed:
            return ledger_.on_resumed(event.tag, event.lease);
        case CoreEventKind::notice:
            return on_notice(event);
        case CoreEventKind::leaked:
            return ledger_.on_told_of_lease(event.tag, event.lease, true);
        case CoreEventKind::closed:
        case CoreEventKind::reconnected:
        case CoreEventKind::stopped:
            if (find_target(event.target) < 0) ledger_.violate("an event about no target");
            return;
        case CoreEventKind::drained:
            if (has_drained_) ledger_.violate("drained was told twice");
            has_drained_ = true;
            return;
        case CoreEventKind::readable:
            return ledger_.violate("a descriptor that nobody watches is readable");
    }
}

void ClientUser::on_granted(const client::CoreEvent& event) {
    CallRecord* call = call_of(event.tag, event.target);
    if (call == nullptr || plant_.strikes(ClientPlantKind::lose_grant)) return;
    if (plant_.strikes(ClientPlantKind::double_grant)) {
        static_cast<void>(ledger_.on_granted(*call, event.lease));
    }
    const std::size_t lease = ledger_.on_granted(*call, event.lease);
    if (lease < ledger_.leases.size()) use(lease);
}

void ClientUser::on_notice(const client::CoreEvent& event) {
    ledger_.on_told_of_lease(event.tag, event.lease, false);
    if (prng_.chance(swarm_.keeps_notice)) return;
    for (const std::size_t lease : ledger_.live_leases()) {
        if (ledger_.leases[lease].id != event.lease) continue;
        const Duration rest = std::max(event.deadline - core_.now(), Duration::zero());
        later(up_to(rest), [this, lease] { give_back(lease, false); });
    }
}

}  // namespace wspool::sim
