// Requests judged: who comes, with what priority, and whether that can be.
#include "worker/worker_state.h"

namespace wspool::worker {

using metrics::RejectReason;

// wspool.v1 where it is offered, else a token that was passed as a subprotocol, else none.
std::string_view select_subprotocol(const std::vector<std::string_view>& offered) {
    for (const std::string_view name : offered) {
        if (name == subprotocol_name) return name;
    }
    for (const std::string_view name : offered) {
        if (name.substr(0, 7) == "bearer.") return name;
    }
    return {};
}

std::optional<Arrival> Worker::State::judge(const session::Event& event) {
    Arrival arrival;
    arrival.subprotocol = select_subprotocol(event.upgrade->subprotocols);
    arrival.ticket = http::query_value(event.request->target, "ticket").value;
    if (verifier) {
        // What else the request says beside its token, such as ?clientId=, does not count.
        return judge_token(event, arrival) ? std::optional(std::move(arrival)) : std::nullopt;
    }
    const http::QueryValue priority = http::query_value(event.request->target, "priority");
    if (priority.found) {
        const auto parsed =
            priority.ok ? pool::parse_priority(priority.value) : std::optional<pool::Priority>();
        if (!parsed) {
            refuse(event.session,
                   400,
                   "priority is critical, high, normal or low.\n",
                   RejectReason::bad_priority);
            return std::nullopt;
        }
        arrival.priority = *parsed;
    }
    http::QueryValue id = http::query_value(event.request->target, "clientId");
    if (!id.found) {
        for (const HeaderField& field : event.request->fields) {
            if (!equals_ignoring_case(field.name, "X-Client-Id")) continue;
            id.found = true;
            id.value = field.value;
            break;
        }
    }
    if (!id.found) return arrival;
    if (!id.ok || !protocol::is_valid_name(id.value)) {
        refuse(event.session,
               400,
               "A client id is 1 to 128 bytes of UTF-8 without control characters.\n",
               RejectReason::bad_name);
        return std::nullopt;
    }
    arrival.id = std::move(id.value);
    return arrival;
}

}  // namespace wspool::worker
