#include "io/address.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <charconv>

namespace wspool::io {

namespace {

constexpr std::string_view unix_prefix = "unix:";
constexpr std::size_t path_size_max = sizeof(sockaddr_un::sun_path) - 1;

tl::unexpected<Error> refuse(std::string_view text, std::string_view why) {
    std::string message = "address \"";
    message.append(text).append("\" ").append(why);
    return fail(std::move(message));
}

// The form inet_ntop writes, so that equal addresses are equal values; empty where it is none.
std::string normalised(int family, std::string_view host) {
    std::array<std::byte, sizeof(in6_addr)> binary;
    std::array<char, INET6_ADDRSTRLEN> text;
    if (inet_pton(family, std::string(host).c_str(), binary.data()) != 1) return {};
    if (inet_ntop(family, binary.data(), text.data(), text.size()) == nullptr) return {};
    return text.data();
}

Result<Address> parse_path(std::string_view text) {
    const std::string_view path = text.substr(unix_prefix.size());
    if (path.empty()) return refuse(text, "names no path; write unix:/path/to/socket");
    if (path.size() > path_size_max) {
        return refuse(text, "has a path longer than the 107 bytes that a unix socket may have");
    }
    if (path.find('\0') != std::string_view::npos) return refuse(text, "has a NUL in its path");
    return Address{Address::Family::unix_path, std::string(path), 0};
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
    if (text.starts_with(unix_prefix)) return parse_path(text);
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return refuse(text, "has no port; write it as 127.0.0.1:8080 or [::1]:8080");
    }
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size()) {
        return refuse(text, "has no port from 0 to 65535 behind its last colon");
    }
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[')) {
        if (!host.ends_with(']')) return refuse(text, "has no ] before the port");
        std::string numeric = normalised(AF_INET6, host.substr(1, host.size() - 2));
        if (numeric.empty()) return refuse(text, "has no IPv6 address between its brackets");
        return Address{Address::Family::ipv6, std::move(numeric), port};
    }
    std::string numeric = normalised(AF_INET, host);
    if (numeric.empty()) {
        return refuse(text,
                      "has no numeric address; write it as 127.0.0.1:8080 or [::1]:8080 (names are "
                      "not looked up here)");
    }
    return Address{Address::Family::ipv4, std::move(numeric), port};
}

std::string format_address(const Address& address) {
    switch (address.family) {
        case Address::Family::ipv4:
            return address.host + ":" + std::to_string(address.port);
        case Address::Family::ipv6:
            return "[" + address.host + "]:" + std::to_string(address.port);
        case Address::Family::unix_path:
            return std::string(unix_prefix) + address.host;
    }
    WSPOOL_UNREACHABLE();
}

std::string address_block(const Address& address) {
    constexpr std::string_view mapped = "::ffff:";  // IPv4 on a socket of IPv6
    if (address.family == Address::Family::ipv4) return address.host;
    if (address.family == Address::Family::unix_path) return {};
    const std::string_view host = address.host;
    if (host.starts_with(mapped) && host.find('.') != std::string_view::npos)
        return std::string(host.substr(mapped.size()));
    std::array<char, sizeof(in6_addr)> binary;
    if (inet_pton(AF_INET6, address.host.c_str(), binary.data()) != 1) return address.host;
    return "6" + std::string(binary.data(), binary.size() / 2);
}

bool is_loopback(const Address& address) {
    switch (address.family) {
        case Address::Family::ipv4:
            return address.host.starts_with("127.");
        case Address::Family::ipv6:
            return address.host == "::1";
        case Address::Family::unix_path:
            return true;
    }
    WSPOOL_UNREACHABLE();
}

}  // namespace wspool::io
