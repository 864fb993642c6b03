#include "app/target.h"

#include "io/resolve.h"

namespace wspool::app {

Result<ws::Url> parse_target(const std::string& url) {
    auto parsed = ws::parse_url(url);
    if (!parsed) return parsed;
    if (parsed->is_secure) {
        return fail("wss:// needs TLS, which this version of wspool does not have; use ws://");
    }
    return parsed;
}

Result<Target> resolve_target(const ws::Url& url) {
    auto addresses = io::resolve(url.host, url.port);
    if (!addresses) return tl::unexpected(addresses.error());
    return Target{url, std::move(*addresses)};
}

}  // namespace wspool::app
