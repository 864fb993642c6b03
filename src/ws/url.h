// ws:// and wss:// URLs (RFC 6455 section 3), taken apart. No fragment, no user info; default ports
// 80, 443.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace wspool::ws {

struct Url {
    bool is_secure = false;
    std::string host;  // lower case, without brackets
    bool is_ipv6 = false;
    std::uint16_t port = 80;
    std::string target = "/";  // path and query, as given

    [[nodiscard]] std::string authority()
        const;  // for Host: the port only where it is not the default
};

[[nodiscard]] Result<Url> parse_url(std::string_view text);

}  // namespace wspool::ws
