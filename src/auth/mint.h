// Tokens made: for `wspool token` and for tests. What is asked for is written, also what no
// verifier would take.
#pragma once

#include "auth/key.h"
#include "auth/permissions.h"
#include "base/result.h"
#include "base/time.h"
#include "pool/priority.h"

#include <optional>
#include <string>
#include <string_view>

namespace wspool::auth {

struct MintOptions {
    std::string issuer;
    std::string audience;  // empty: none
    std::string key_id;    // empty: none
    std::string subject;   // empty: none
    std::optional<pool::Priority> priority;
    std::string pool;        // empty: none
    std::string rate_class;  // empty: none
    Permissions permissions;
    WallTime issued{};
    WallTime expires{};
};

[[nodiscard]] std::string header_of(const MintOptions& options, Algorithm algorithm);
[[nodiscard]] std::string payload_of(const MintOptions& options);
// The compact form of any header and payload.
[[nodiscard]] Result<std::string> sign(std::string_view header, std::string_view payload, Key& key);
[[nodiscard]] Result<std::string> mint(const MintOptions& options, Key& key);

}  // namespace wspool::auth
