// Base64url without padding (RFC 4648 section 5, RFC 7515 section 2), strictly: one text for each
// sequence of bytes, so that no token has two spellings.
#pragma once

#include <string>
#include <string_view>

namespace wspool::auth {

// Appends what `text` means. False, with `out` in any state, for characters outside of the alphabet
// (also padding and white space), for a length that no bytes have, and for stray bits at the end.
[[nodiscard]] bool decode_base64url(std::string_view text, std::string& out);
void append_base64url(std::string& out, std::string_view bytes);

}  // namespace wspool::auth
