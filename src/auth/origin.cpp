#include "auth/origin.h"

#include "base/token.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace wspool::auth {
namespace {

[[nodiscard]] char to_small(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] std::string small(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), to_small);
    return result;
}

[[nodiscard]] bool is_letter(char c) {
    return to_small(c) >= 'a' && to_small(c) <= 'z';
}

[[nodiscard]] bool is_scheme(std::string_view text) {
    if (text.empty() || !is_letter(text.front())) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
    });
}

// Names and IPv4 addresses; IPv6 in brackets.
[[nodiscard]] bool is_host(std::string_view text) {
    if (text.starts_with('[')) {
        if (text.size() < 4 || !text.ends_with(']')) return false;
        const std::string_view inside = text.substr(1, text.size() - 2);
        return std::all_of(inside.begin(), inside.end(), [](char c) {
            return hex_value(c) >= 0 || c == ':' || c == '.';
        });
    }
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
    });
}

[[nodiscard]] std::uint16_t default_port(std::string_view scheme) {
    if (scheme == "http" || scheme == "ws") return 80;
    if (scheme == "https" || scheme == "wss") return 443;
    return 0;
}

struct HostPort {
    std::string_view host;
    std::optional<std::uint16_t> port;
};

[[nodiscard]] std::optional<HostPort> split_host(std::string_view text) {
    const std::size_t bracket = text.rfind(']');
    const std::size_t colon = text.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    HostPort result{has_port ? text.substr(0, colon) : text, {}};
    if (!is_host(result.host)) return std::nullopt;
    if (!has_port) return result;
    const std::string_view number = text.substr(colon + 1);
    std::uint16_t port = 0;
    const char* const end = number.data() + number.size();
    const auto [at, error] = std::from_chars(number.data(), end, port);
    if (error != std::errc() || at != end || port == 0 || number.front() == '0')
        return std::nullopt;
    result.port = port;
    return result;
}

}  // namespace

std::optional<Origin> parse_origin(std::string_view text) {
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon))) return std::nullopt;
    const auto rest = split_host(text.substr(colon + 3));
    if (!rest) return std::nullopt;
    Origin origin{small(text.substr(0, colon)), small(rest->host), 0};
    origin.port = rest->port.value_or(default_port(origin.scheme));
    return origin;
}

bool is_allowed(std::string_view origin,
                std::string_view host,
                const std::optional<std::vector<Origin>>& allowed) {
    const auto parsed = parse_origin(origin);
    if (!parsed) return false;
    if (allowed) return std::find(allowed->begin(), allowed->end(), *parsed) != allowed->end();
    // Which scheme the server is reached by only a proxy before it knows: a Host without a port
    // means that of whichever it is.
    const auto ours = split_host(host);
    return ours && small(ours->host) == parsed->host &&
           parsed->port == ours->port.value_or(default_port(parsed->scheme));
}

}  // namespace wspool::auth
