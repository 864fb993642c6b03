#include "control/guard.h"

#include "base/token.h"
#include "control/dashboard.h"

#include <algorithm>
#include <atomic>

namespace wspool::control {
namespace {

[[nodiscard]] bool is_for_everybody(std::string_view path) {
    return path == "/healthz" || path == "/readyz";
}

[[nodiscard]] std::size_t count_fields(const http::RequestHead& request, std::string_view name) {
    return static_cast<std::size_t>(
        std::count_if(request.fields.begin(), request.fields.end(), [&](const HeaderField& field) {
            return equals_ignoring_case(field.name, name);
        }));
}

[[nodiscard]] std::string_view without_port(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
    return host.substr(0, host.find(':'));
}

// A name that this machine alone resolves, or no name at all.
[[nodiscard]] bool is_address_or_localhost(std::string_view host) {
    host = without_port(host);
    if (host.starts_with('[')) return true;
    if (host.ends_with('.')) host.remove_suffix(1);
    constexpr std::string_view local = "localhost";
    const std::string_view last = host.substr(host.size() - std::min(host.size(), local.size()));
    if (equals_ignoring_case(last, local)) {
        return host.size() == local.size() || host[host.size() - local.size() - 1] == '.';
    }
    return std::count(host.begin(), host.end(), '.') == 3 &&
           std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
}

// Its own: the authority of the origin is that of the request. A proxy may have ended the TLS.
[[nodiscard]] bool is_own_origin(std::string_view origin, std::string_view host) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (origin.starts_with(scheme)) {
            return equals_ignoring_case(origin.substr(scheme.size()), host);
        }
    }
    return false;
}

[[nodiscard]] bool is_json(std::string_view content_type) {
    return equals_ignoring_case(trim_ows(content_type.substr(0, content_type.find(';'))),
                                json_type);
}

}  // namespace

bool is_same_secret(std::string_view secret, std::string_view text) {
    if (secret.size() != text.size()) return false;
    // Atomic, so that no compiler ends the comparison early.
    std::atomic<unsigned> difference = 0;
    for (std::size_t i = 0; i < secret.size(); ++i) {
        const unsigned a = static_cast<unsigned char>(secret[i]);
        const unsigned b = static_cast<unsigned char>(text[i]);
        difference.fetch_or(a ^ b, std::memory_order_relaxed);
    }
    return difference == 0;
}

bool Guard::has_token(const http::RequestHead& request) const {
    if (options_.token.empty()) return true;
    if (count_fields(request, "Authorization") != 1) return false;
    const std::string_view value = request.field("Authorization");
    constexpr std::string_view scheme = "Bearer ";
    if (!equals_ignoring_case(value.substr(0, scheme.size()), scheme)) return false;
    return is_same_secret(options_.token, trim_ows(value.substr(scheme.size())));
}

std::optional<Answer> Guard::judge(const http::RequestHead& request) const {
    const std::string_view path = http::path_of(request.target);
    if (is_for_everybody(path)) return std::nullopt;
    const std::string_view host = request.field("Host");
    if (options_.checks_host && !is_address_or_localhost(host)) {
        return failure(403,
                       "forbidden",
                       "Without a token the control API answers only to an address or localhost "
                       "as Host, not to a name: set control.token.");
    }
    const std::size_t origins = count_fields(request, "Origin");
    if (origins > 1 || (origins == 1 && !is_own_origin(request.field("Origin"), host))) {
        return failure(
            403, "forbidden", "The control API does not answer to pages of other sites.");
    }
    if (!is_dashboard_path(path) && !has_token(request)) {
        Answer refused = failure(
            401, "unauthorized", "Send the token of control.token as \"Authorization: Bearer …\".");
        refused.headers = "WWW-Authenticate: Bearer\r\n";
        return refused;
    }
    if (request.body_size > 0 &&
        (count_fields(request, "Content-Type") != 1 || !is_json(request.field("Content-Type")))) {
        return failure(
            415, "bad_request", "A body must be sent as Content-Type: application/json.");
    }
    return std::nullopt;
}

}  // namespace wspool::control
