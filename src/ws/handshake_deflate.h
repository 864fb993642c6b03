// The parameters of permessage-deflate (RFC 7692 section 7.1), as offered by a client and as
// answered by a server. A parameter that is unknown, repeated, or has a value it may not have,
// spoils the whole element: an offer is then declined, an answer fails the handshake.
#pragma once

#include "ws/handshake.h"
#include "ws/handshake_fields.h"

#include <optional>

namespace wspool::ws {

// What we answer to this offer, or nothing when it must be declined.
[[nodiscard]] std::optional<DeflateParams> accept_offer(const Extension& offer);
// What the server's answer to our own offer means, or nothing when it is not valid.
[[nodiscard]] std::optional<DeflateParams> read_answer(const Extension& answer);

}  // namespace wspool::ws
