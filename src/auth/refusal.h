// Refusal: why a token does not hold. One value for each reason, so that tests can tell whether a
// bad token was refused for what is bad about it.
#pragma once

#include <cstdint>
#include <string_view>

namespace wspool::auth {

enum class Refusal : std::uint8_t {
    none,
    too_long,
    not_three_parts,
    bad_base64,
    bad_header,         // no JSON object, or a member of the wrong kind
    unknown_algorithm,  // also "none"
    critical,           // asks that something be understood (crit); nothing is
    bad_payload,        // no JSON object
    unknown_issuer,     // also when there is none
    unknown_key,        // also when none is named and the issuer has several
    wrong_algorithm,    // another than the key's
    bad_signature,
    wrong_audience,  // also when there is none
    no_expiry,
    bad_time,  // exp, nbf or iat is no time: not a number, or beyond year 9999
    expired,
    not_yet_valid,
    bad_subject,
    bad_priority,
    bad_pool,
    bad_rate_class,
    bad_groups,
    count_
};

// What is said to who holds the token, and to people who look for the fault.
[[nodiscard]] std::string_view sentence(Refusal refusal);

}  // namespace wspool::auth
