// Tokens in the worker: who comes with which, what it lets a client do, and its end
// (docs/identity.md).
#include "base/token.h"
#include "worker/worker_state.h"

namespace wspool::worker {
namespace {

using metrics::CloseReason;
using metrics::RejectReason;

constexpr std::string_view bearer_entry = "bearer.";

// Tokens come in one of three places. More than one would let a proxy check one and us another.
struct Presented {
    std::string token;
    std::size_t count = 0;

    void add(std::string_view text) {
        token = text;
        ++count;
    }
};

// The token of "Bearer TOKEN"; other schemes are for others, such as a proxy before us.
[[nodiscard]] std::optional<std::string_view> bearer_token(std::string_view authorization) {
    constexpr std::string_view scheme = "Bearer";
    const std::string_view name = authorization.substr(0, scheme.size());
    if (!equals_ignoring_case(name, scheme)) return std::nullopt;
    const std::string_view rest = authorization.substr(name.size());
    if (!rest.empty() && !is_ows(rest.front())) return std::nullopt;
    return trim_ows(rest);
}

[[nodiscard]] Presented presented_by(const session::Event& event, bool takes_query) {
    Presented presented;
    for (const HeaderField& field : event.request->fields) {
        if (!equals_ignoring_case(field.name, "Authorization")) continue;
        if (const auto token = bearer_token(field.value)) presented.add(*token);
    }
    for (const std::string_view offered : event.upgrade->subprotocols) {
        if (offered.starts_with(bearer_entry)) presented.add(offered.substr(bearer_entry.size()));
    }
    if (takes_query) {
        const http::QueryValue value = http::query_value(event.request->target, "access_token");
        if (value.found) presented.add(value.value);
    }
    return presented;
}

}  // namespace

bool Worker::State::has_good_origin(const session::Event& event) {
    for (const HeaderField& field : event.request->fields) {
        if (!equals_ignoring_case(field.name, "Origin")) continue;
        // There is no second one: the handshake refuses it.
        if (auth::is_allowed(field.value, event.request->field("Host"), options.auth.origins))
            break;
        refuse(event.session,
               403,
               "Pages of this origin may not connect here (auth.origins).\n",
               RejectReason::origin);
        return false;
    }
    return true;
}

void Worker::State::refuse_token(session::SessionId session,
                                 int status,
                                 std::string_view error,
                                 std::string_view sentence,
                                 RejectReason reason) {
    std::string headers = "WWW-Authenticate: Bearer realm=\"wspool\"";
    if (!error.empty()) headers.append(", error=\"").append(error).append("\"");
    headers.append("\r\n");
    engine.refuse(session, status, std::string(sentence) + "\n", reason, headers);
}

bool Worker::State::judge_token(const session::Event& event, Arrival& arrival) {
    if (!has_good_origin(event)) return false;
    const Presented presented = presented_by(event, options.auth.takes_query_token);
    if (presented.count == 0) {
        refuse_token(event.session,
                     401,
                     {},
                     "A token is needed: Authorization: Bearer, or the subprotocol bearer.TOKEN.",
                     RejectReason::no_token);
        return false;
    }
    if (presented.count > 1) {
        refuse_token(event.session,
                     400,
                     "invalid_request",
                     "There is more than one token; send one.",
                     RejectReason::two_tokens);
        return false;
    }
    auth::Claims claims;
    const auth::Refusal refusal =
        verifier->verify(presented.token, identities->wall_time(engine.now()), claims);
    if (refusal != auth::Refusal::none) {
        refuse_token(event.session,
                     401,
                     "invalid_token",
                     auth::sentence(refusal),
                     refusal == auth::Refusal::expired ? RejectReason::expired_token
                                                       : RejectReason::bad_token);
        return false;
    }
    arrival.id = std::move(claims.subject);
    arrival.priority = claims.priority.value_or(pool::Priority::normal);
    arrival.pool = std::move(claims.pool);
    arrival.rate_class = std::move(claims.rate_class);
    arrival.token = {claims.expires, std::move(claims.permissions)};
    return true;
}

void Worker::State::remember_token(Client& client, const Arrival& arrival) {
    if (!identities) return;
    const TokenTerms& token = arrival.token;
    identities->add(client.session.index, token.expires, token.permissions, engine.now());
    client.has_token = true;
    client.is_limited = token.permissions.is_limited();
}

void Worker::State::forget_token(Client& client) {
    if (!client.has_token) return;
    identities->remove(client.session.index);
    client.has_token = false;
}

bool Worker::State::may_join(const Client& client, std::string_view group) const {
    return !client.is_limited || identities->may_join(client.session.index, group);
}

bool Worker::State::may_publish(const Client& client, std::string_view group) const {
    return !client.is_limited || identities->may_publish(client.session.index, group);
}

void Worker::State::end_expired() {
    if (!identities) return;
    expired.clear();
    identities->expire(engine.now(), expired);
    for (const std::uint32_t index : expired) {
        Client& client = clients[index];
        const bool was_open = client.is_open;
        deactivate(client);
        if (was_open) {
            engine.close(client.session,
                         ws::CloseCode::unauthenticated,
                         "the token has expired",
                         CloseReason::token_expired);
        } else {
            refuse_token(client.session,
                         401,
                         "invalid_token",
                         auth::sentence(auth::Refusal::expired),
                         RejectReason::expired_token);
        }
    }
}

}  // namespace wspool::worker
