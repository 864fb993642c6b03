#include "ws/url.h"

#include "base/header_field.h"
#include "base/token.h"

#include <algorithm>
#include <optional>

namespace wspool::ws {
namespace {

constexpr std::uint16_t plain_port = 80;
constexpr std::uint16_t secure_port = 443;
constexpr std::size_t url_size_max = 4096;  // above every request target that we would accept
constexpr std::size_t host_size_max = 253;  // of a DNS name
constexpr std::size_t label_size_max = 63;

std::string lower_case(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = to_lower(c);
    return result;
}

bool is_all_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// A number up to `max`, without sign or leading zero.
std::optional<unsigned> parse_number(std::string_view text, unsigned max) {
    if (!is_all_digits(text) || text.size() > 5 || (text.size() > 1 && text.front() == '0')) {
        return std::nullopt;
    }
    unsigned number = 0;
    for (const char c : text) number = number * 10 + static_cast<unsigned>(c - '0');
    return number <= max ? std::optional(number) : std::nullopt;
}

bool is_ipv4(std::string_view text) {
    int parts = 0;
    while (true) {
        const std::size_t dot = text.find('.');
        if (!parse_number(text.substr(0, dot), 255)) return false;
        ++parts;
        if (dot == std::string_view::npos) return parts == 4;
        text.remove_prefix(dot + 1);
    }
}

// Eight groups of up to four hexadecimal digits, one run of them replaced by "::", the last two
// perhaps as an IPv4 address (RFC 4291 section 2.2). No zone: it means nothing to the other side.
bool is_ipv6(std::string_view text) {
    int groups = 0;
    bool has_gap = false;
    if (text.starts_with("::")) {
        has_gap = true;
        text.remove_prefix(2);
    }
    while (!text.empty()) {
        const std::size_t colon = text.find(':');
        const std::string_view group = text.substr(0, colon);
        if (colon == std::string_view::npos && group.find('.') != std::string_view::npos) {
            if (!is_ipv4(group)) return false;
            groups += 2;
            break;
        }
        if (group.empty() || group.size() > 4) return false;
        if (!std::all_of(group.begin(), group.end(), [](char c) { return hex_value(c) >= 0; })) {
            return false;
        }
        ++groups;
        if (colon == std::string_view::npos) break;
        text.remove_prefix(colon + 1);
        if (text.empty()) return false;  // a single colon at the end
        if (text.front() == ':') {
            if (has_gap) return false;
            has_gap = true;
            text.remove_prefix(1);
        }
    }
    return has_gap ? groups < 8 : groups == 8;
}

bool is_label(std::string_view label) {
    return !label.empty() && label.size() <= label_size_max && label.front() != '-' &&
           label.back() != '-' && std::all_of(label.begin(), label.end(), [](char c) {
               return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
           });
}

// What ends in a number is an address, and then a whole one: "127.1" or "0x7f.1" would be read as
// addresses by the resolver, and pass every check of names before it.
bool looks_like_number(std::string_view label) {
    if (is_all_digits(label)) return true;
    return label.starts_with("0x") &&
           std::all_of(label.begin() + 2, label.end(), [](char c) { return hex_value(c) >= 0; });
}

bool is_name_or_ipv4(std::string_view host) {
    if (host.empty() || host.size() > host_size_max) return false;
    if (looks_like_number(host.substr(host.rfind('.') + 1))) return is_ipv4(host);
    if (host.ends_with('.')) host.remove_suffix(1);  // fully qualified
    if (looks_like_number(host.substr(host.rfind('.') + 1))) return false;
    while (true) {
        const std::size_t dot = host.find('.');
        if (!is_label(host.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        host.remove_prefix(dot + 1);
    }
}

Result<void> parse_port(std::string_view text, Url& url) {
    const auto port = parse_number(text, 65535);
    if (!port || *port == 0) return fail("The URL's port must be a number from 1 to 65535.");
    url.port = static_cast<std::uint16_t>(*port);
    return {};
}

Result<void> parse_authority(std::string_view authority, Url& url) {
    if (authority.find('@') != std::string_view::npos) {
        return fail("A WebSocket URL has no user or password; put them into a header.");
    }
    std::string_view host = authority;
    std::string_view rest;
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        if (end == std::string_view::npos) return fail("The URL's IPv6 address lacks its ']'.");
        host = authority.substr(1, end - 1);
        rest = authority.substr(end + 1);
        url.is_ipv6 = true;
    } else {
        const std::size_t colon = authority.find(':');
        host = authority.substr(0, colon);
        if (colon != std::string_view::npos) rest = authority.substr(colon);
    }
    url.host = lower_case(host);
    if (url.is_ipv6 && !is_ipv6(url.host)) {
        return fail("The URL's host in brackets is no IPv6 address.");
    }
    if (!url.is_ipv6 && !is_name_or_ipv4(url.host)) {
        return fail(
            "The URL's host must be a name, an IPv4 address or an IPv6 address in brackets.");
    }
    if (rest.empty()) return {};
    if (rest.front() != ':') return fail("Behind the URL's host only a port or a path may follow.");
    return parse_port(rest.substr(1), url);
}

bool has_broken_encoding(std::string_view target) {
    for (std::size_t i = target.find('%'); i != std::string_view::npos;
         i = target.find('%', i + 1)) {
        if (i + 2 >= target.size()) return true;
        if (hex_value(target[i + 1]) < 0 || hex_value(target[i + 2]) < 0) return true;
    }
    return false;
}

bool take_scheme(std::string_view& text, std::string_view scheme) {
    if (!equals_ignoring_case(text.substr(0, scheme.size()), scheme)) return false;
    text.remove_prefix(scheme.size());
    return true;
}

}  // namespace

std::string Url::authority() const {
    std::string text = is_ipv6 ? '[' + host + ']' : host;
    if (port != (is_secure ? secure_port : plain_port)) text += ':' + std::to_string(port);
    return text;
}

Result<Url> parse_url(std::string_view text) {
    if (text.size() > url_size_max) {
        return fail("The URL is longer than " + std::to_string(url_size_max) + " bytes.");
    }
    if (!is_visible_ascii(text)) {
        return fail(
            "The URL holds spaces, control characters or bytes beyond ASCII; percent-encode them.");
    }
    if (text.find('#') != std::string_view::npos) {
        return fail("A WebSocket URL has no fragment; leave out what follows '#'.");
    }
    Url url;
    url.is_secure = take_scheme(text, "wss://");
    if (!url.is_secure && !take_scheme(text, "ws://")) {
        return fail("A WebSocket URL must begin with ws:// or wss://.");
    }
    url.port = url.is_secure ? secure_port : plain_port;
    const std::size_t authority_size = std::min(text.find_first_of("/?"), text.size());
    if (auto parsed = parse_authority(text.substr(0, authority_size), url); !parsed) {
        return tl::unexpected<Error>(std::move(parsed.error()));
    }
    url.target = text.substr(authority_size);
    if (!url.target.starts_with('/')) url.target.insert(0, 1, '/');
    if (has_broken_encoding(url.target)) {
        return fail(
            "The URL has a '%' without two hexadecimal digits behind it; write %25 for '%'.");
    }
    return url;
}

}  // namespace wspool::ws
