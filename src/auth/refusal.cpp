#include "auth/refusal.h"

#include "base/assert.h"

#include <array>
#include <cstddef>

namespace wspool::auth {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Refusal::count_)> sentences = {
    "The token holds.",
    "The token is longer than 8 KiB.",
    "The token is not three parts with dots between them.",
    "A part of the token is not base64url without padding.",
    "The header of the token is no JSON object as it should be.",
    "The token's alg is none of HS256, RS256 and ES256.",
    "The token has crit, and what it asks for is not understood.",
    "The payload of the token is no JSON object, or has a key twice.",
    "The token's iss is none of the issuers of this gateway.",
    "The token's kid is none of the keys of its issuer.",
    "The token's alg is not that of its key.",
    "The token's signature is not that of its key.",
    "The token's aud is not this gateway.",
    "The token has no exp.",
    "A time in the token is no number of seconds since 1970.",
    "The token has expired.",
    "The token does not hold yet.",
    "The token's sub is no client id: 1 to 128 bytes of UTF-8 without control characters.",
    "The token's priority is none of critical, high, normal and low.",
    "The token's pool is no name.",
    "The token's rate_class is no name.",
    "The token's groups are not join and publish with lists of patterns.",
};
static_assert(!sentences.back().empty());

}  // namespace

std::string_view sentence(Refusal refusal) {
    WSPOOL_ASSERT(refusal < Refusal::count_);
    return sentences[static_cast<std::size_t>(refusal)];
}

}  // namespace wspool::auth
