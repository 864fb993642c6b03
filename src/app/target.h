// Target: a ws:// URL resolved to addresses, for the verbs that connect.
#pragma once

#include "base/result.h"
#include "io/address.h"
#include "ws/url.h"

#include <string>
#include <vector>

namespace wspool::app {

struct Target {
    ws::Url url;
    std::vector<io::Address> addresses;  // to be tried in this order; at least one
};

// Refuses what is no URL, and wss://.
[[nodiscard]] Result<ws::Url> parse_target(const std::string& url);
// Asks the system's resolver, and blocks while it does.
[[nodiscard]] Result<Target> resolve_target(const ws::Url& url);

}  // namespace wspool::app
