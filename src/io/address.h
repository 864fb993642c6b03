// Address: where to listen or connect, as a value: "127.0.0.1:8080", "[::1]:8080", "unix:/path".
// Host names are not resolved here (io/resolve.h does).
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace wspool::io {

struct Address {
    enum class Family : std::uint8_t { ipv4, ipv6, unix_path };
    Family family = Family::ipv4;
    std::string host;        // numeric address without brackets, or the path
    std::uint16_t port = 0;  // 0 for a unix path

    friend bool operator==(const Address&, const Address&) = default;
};

[[nodiscard]] Result<Address> parse_address(std::string_view text);
[[nodiscard]] std::string format_address(const Address& address);
// What one customer of a network has: the address of IPv4, the first 64 bits of IPv6, nothing for a
// unix path. Equal for equal ones, and not for people to read.
[[nodiscard]] std::string address_block(const Address& address);
[[nodiscard]] bool is_loopback(const Address& address);  // 127.0.0.0/8, ::1, and unix paths

}  // namespace wspool::io
