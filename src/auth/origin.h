// Origins (RFC 6454): which pages may open a connection from within a browser. Browsers send Origin
// by themselves and no page can change it; other clients send none, or what they like.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::auth {

struct Origin {
    std::string scheme, host;  // small letters
    std::uint16_t port = 0;    // of the scheme where none is written; 0: a scheme without one
    friend bool operator==(const Origin&, const Origin&) = default;
};

// scheme://host[:port] and nothing else: no user, path, query or white space, no "null".
[[nodiscard]] std::optional<Origin> parse_origin(std::string_view text);

// Whether a page of `origin` may connect to the server that it calls `host` (the Host field):
// `allowed` names it, or there is no list and the page came from that very host.
[[nodiscard]] bool is_allowed(std::string_view origin,
                              std::string_view host,
                              const std::optional<std::vector<Origin>>& allowed);

}  // namespace wspool::auth
