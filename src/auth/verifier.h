// Verifier: whom tokens come from, and what one of them says that holds. For the worker, once for
// each connection.
//
// A token is a JWT in compact form, signed (RFC 7519, 7515): three parts of strict base64url, a
// header and a payload that are JSON objects without duplicate keys. The payload is read before the
// signature was checked for one thing: its issuer, which selects the keys. The header's kid selects
// the key among these, and the key decides the algorithm. Whatever else an unverified token says is
// not looked at: there is no jku, x5u or jwk here, and no request to make.
//
// Invariants: verify() tells claims only of a token that holds. Ownership: claims are copies.
// Limits: token_size_max; keys and issuers as many as were configured.
#pragma once

#include "auth/key.h"
#include "auth/object.h"
#include "auth/permissions.h"
#include "auth/refusal.h"
#include "base/result.h"
#include "base/time.h"
#include "pool/priority.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::auth {

inline constexpr std::size_t token_size_max = 8 * 1024;

struct KeyOptions {
    std::string id;  // empty: the only key of its issuer, whatever a token calls it
    Algorithm algorithm = Algorithm::hs256;
    std::string material;  // see Key::make
};

struct IssuerOptions {
    std::string name;
    std::string audience;
    std::vector<KeyOptions> keys;
};

struct VerifierOptions {
    std::vector<IssuerOptions> issuers;
    Duration leeway = std::chrono::seconds(5);  // for nbf and iat: other clocks are not ours
};

struct Claims {
    std::string subject;  // empty: none
    std::optional<pool::Priority> priority;
    std::string pool;        // empty: none
    std::string rate_class;  // empty: none
    Permissions permissions;
    WallTime expires{};
};

class Verifier {
  public:
    // The error names the issuer and the key.
    [[nodiscard]] static Result<Verifier> make(const VerifierOptions& options);

    // `none`: the token holds at `now`, and `out` is what it says. Else `out` is left as it was.
    [[nodiscard]] Refusal verify(std::string_view token, WallTime now, Claims& out);

  private:
    struct NamedKey {
        std::string id;
        Key key;
    };
    struct Issuer {
        std::string name;
        std::string audience;
        std::vector<NamedKey> keys;
    };
    struct Header {
        Algorithm algorithm{};
        std::optional<std::string> key_id;
    };

    explicit Verifier(Duration leeway) : leeway_(leeway) {}
    [[nodiscard]] Refusal read_header(std::string_view text, Header& header);
    [[nodiscard]] Refusal find_key(const Header& header, Issuer*& issuer, Key*& key);
    [[nodiscard]] Refusal read_claims(const Issuer& issuer, WallTime now, Claims& claims) const;
    [[nodiscard]] Refusal check_times(WallTime now, Claims& claims) const;

    std::vector<Issuer> issuers_;
    Duration leeway_;
    Object payload_;
    std::string payload_text_;
};

}  // namespace wspool::auth
