// Key: what signatures are checked with, and made with where it is private. The algorithm belongs
// to the key, never to the token: a token can only ask for the one its key has (RFC 8725
// section 3.1).
//
// Limits: HS256 secrets of 32 bytes at least (RFC 7518 section 3.2), and nothing that is a public
// key: whoever knows it could sign. RSA keys of 2,048 to 8,192 bits. ES256 on P-256 alone.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_mac_ctx_st;
struct evp_pkey_st;

namespace wspool::auth {

enum class Algorithm : std::uint8_t { hs256, rs256, es256, count_ };

[[nodiscard]] std::string_view name(Algorithm algorithm);  // as in the header: "HS256"

class Key {
  public:
    // `material`: of HS256 the secret's bytes, else the PEM text of a public or private key.
    [[nodiscard]] static Result<Key> make(Algorithm algorithm, std::string_view material);

    [[nodiscard]] Algorithm algorithm() const { return algorithm_; }
    // `signature` as it stands in a token: of ES256 r and s, 32 bytes each.
    [[nodiscard]] bool verifies(std::string_view input, std::string_view signature);
    // An error where the key is a public one.
    [[nodiscard]] Result<std::string> sign(std::string_view input);

  private:
    struct Free {
        void operator()(evp_mac_ctx_st* mac) const;
        void operator()(evp_pkey_st* key) const;
    };

    Key() = default;
    [[nodiscard]] static Result<Key> make_secret(std::string_view material);
    [[nodiscard]] static Result<Key> make_asymmetric(Algorithm algorithm,
                                                     std::string_view material);
    [[nodiscard]] std::string mac_of(std::string_view input);

    Algorithm algorithm_ = Algorithm::hs256;
    std::unique_ptr<evp_mac_ctx_st, Free> mac_;  // HS256; keyed once, begun anew for each token
    std::unique_ptr<evp_pkey_st, Free> key_;     // the others
    bool is_private_ = false;
};

// The secret in a file: its bytes. Of a text the line break at the end does not count, which
// editors and commands leave there.
[[nodiscard]] std::string_view secret_in(std::string_view file);

}  // namespace wspool::auth
