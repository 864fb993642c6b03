#include "auth/key.h"

#include "base/assert.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <limits>

namespace wspool::auth {
namespace {

constexpr std::size_t secret_size_min = 32;
constexpr std::size_t mac_size = 32;
constexpr std::size_t coordinate_size = 32;
constexpr int rsa_bits_min = 2048;
constexpr int rsa_bits_max = 8192;

template <auto function>
struct FreeBy {
    template <class T>
    void operator()(T* object) const {
        function(object);
    }
};
using Bio = std::unique_ptr<BIO, FreeBy<BIO_free_all>>;
using Context = std::unique_ptr<EVP_MD_CTX, FreeBy<EVP_MD_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, FreeBy<ECDSA_SIG_free>>;

[[nodiscard]] const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

[[nodiscard]] Bio reader(std::string_view text) {
    Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    WSPOOL_ASSERT(bio != nullptr);
    return bio;
}

// Without it OpenSSL asks the terminal for the passphrase of an encrypted key.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*is_writing*/, void* /*user*/) {
    return -1;
}

[[nodiscard]] bool is_public_key(std::string_view material) {
    if (material.find("-----BEGIN") != std::string_view::npos) return true;
    const unsigned char* at = bytes_of(material);
    EVP_PKEY* const key = d2i_PUBKEY(nullptr, &at, static_cast<long>(material.size()));
    ERR_clear_error();
    EVP_PKEY_free(key);
    return key != nullptr;
}

// The two numbers that a token holds side by side, as OpenSSL wants them; empty when they are not
// 64 bytes.
[[nodiscard]] std::string to_der(std::string_view raw) {
    if (raw.size() != 2 * coordinate_size) return {};
    const Signature signature(ECDSA_SIG_new());
    BIGNUM* const r = BN_bin2bn(bytes_of(raw), coordinate_size, nullptr);
    BIGNUM* const s = BN_bin2bn(bytes_of(raw) + coordinate_size, coordinate_size, nullptr);
    WSPOOL_ASSERT(signature != nullptr);
    WSPOOL_ASSERT(ECDSA_SIG_set0(signature.get(), r, s) == 1);
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(signature.get(), &der);
    WSPOOL_ASSERT(size > 0);
    std::string result(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    return result;
}

[[nodiscard]] std::string to_raw(std::string_view der) {
    const unsigned char* at = bytes_of(der);
    const Signature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
    WSPOOL_ASSERT(signature != nullptr);
    std::array<unsigned char, 2 * coordinate_size> raw;
    constexpr int size = static_cast<int>(coordinate_size);
    const bool is_done =
        BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw.data(), size) == size &&
        BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw.data() + size, size) == size;
    WSPOOL_ASSERT(is_done);
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
}

[[nodiscard]] Result<void> check_strength(Algorithm algorithm, EVP_PKEY* key) {
    if (algorithm == Algorithm::rs256) {
        if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
            return fail("is no RSA key, which RS256 takes; name the right file or alg");
        const int bits = EVP_PKEY_get_bits(key);
        if (bits < rsa_bits_min || bits > rsa_bits_max) {
            return fail("is an RSA key of " + std::to_string(bits) +
                        " bits; take one of 2048 to 8192");
        }
        return {};
    }
    std::array<char, 32> group{};
    std::size_t size = 0;
    const bool is_p256 = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
                         EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
                         std::string_view(group.data()) == "prime256v1";
    if (!is_p256)
        return fail("is no elliptic key on P-256, which ES256 takes; name the right file or alg");
    return {};
}

}  // namespace

std::string_view name(Algorithm algorithm) {
    constexpr std::array<std::string_view, static_cast<std::size_t>(Algorithm::count_)> names = {
        "HS256", "RS256", "ES256"};
    WSPOOL_ASSERT(algorithm < Algorithm::count_);
    return names[static_cast<std::size_t>(algorithm)];
}

void Key::Free::operator()(evp_mac_ctx_st* mac) const {
    EVP_MAC_CTX_free(mac);
}

void Key::Free::operator()(evp_pkey_st* key) const {
    EVP_PKEY_free(key);
}

Result<Key> Key::make(Algorithm algorithm, std::string_view material) {
    if (material.size() > 64 * 1024) return fail("is longer than 64 KiB; name the right file");
    return algorithm == Algorithm::hs256 ? make_secret(material)
                                         : make_asymmetric(algorithm, material);
}

Result<Key> Key::make_secret(std::string_view material) {
    if (is_public_key(material)) {
        return fail(
            "is a key pair's or a certificate, whose public half everybody has; HS256 takes a "
            "secret of 32 random bytes or more");
    }
    if (material.size() < secret_size_min) {
        return fail("has " + std::to_string(material.size()) +
                    " bytes; HS256 takes a secret of 32 random bytes or more");
    }
    EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    WSPOOL_ASSERT(mac != nullptr);
    Key key;
    key.algorithm_ = Algorithm::hs256;
    key.mac_.reset(EVP_MAC_CTX_new(mac));
    EVP_MAC_free(mac);
    char digest[] = "SHA256";
    const std::array<OSSL_PARAM, 2> parameters = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    const bool is_keyed =
        key.mac_ != nullptr &&
        EVP_MAC_init(key.mac_.get(), bytes_of(material), material.size(), parameters.data()) == 1;
    WSPOOL_ASSERT(is_keyed);
    return key;
}

Result<Key> Key::make_asymmetric(Algorithm algorithm, std::string_view material) {
    Key key;
    key.algorithm_ = algorithm;
    key.key_.reset(PEM_read_bio_PUBKEY(reader(material).get(), nullptr, no_passphrase, nullptr));
    if (key.key_ == nullptr) {
        key.key_.reset(
            PEM_read_bio_PrivateKey(reader(material).get(), nullptr, no_passphrase, nullptr));
        key.is_private_ = true;
    }
    ERR_clear_error();
    if (key.key_ == nullptr) {
        return fail(
            "is no key in PEM without a passphrase; it begins with -----BEGIN PUBLIC KEY-----");
    }
    if (auto strong = check_strength(algorithm, key.key_.get()); !strong)
        return tl::unexpected(strong.error());
    return key;
}

std::string Key::mac_of(std::string_view input) {
    std::string result(mac_size, '\0');
    std::size_t size = 0;
    const bool is_done =
        EVP_MAC_init(mac_.get(), nullptr, 0, nullptr) == 1 &&
        EVP_MAC_update(mac_.get(), bytes_of(input), input.size()) == 1 &&
        EVP_MAC_final(
            mac_.get(), reinterpret_cast<unsigned char*>(result.data()), &size, result.size()) == 1;
    WSPOOL_ASSERT(is_done);
    WSPOOL_ASSERT(size == mac_size);
    return result;
}

bool Key::verifies(std::string_view input, std::string_view signature) {
    if (algorithm_ == Algorithm::hs256) {
        return signature.size() == mac_size &&
               CRYPTO_memcmp(mac_of(input).data(), signature.data(), mac_size) == 0;
    }
    std::string der;
    if (algorithm_ == Algorithm::es256) {
        der = to_der(signature);
        if (der.empty()) return false;
        signature = der;
    }
    const Context context(EVP_MD_CTX_new());
    WSPOOL_ASSERT(context != nullptr);
    const bool is_ready =
        EVP_DigestVerifyInit_ex(
            context.get(), nullptr, "SHA256", nullptr, nullptr, key_.get(), nullptr) == 1;
    WSPOOL_ASSERT(is_ready);
    const bool is_good =
        EVP_DigestVerify(
            context.get(), bytes_of(signature), signature.size(), bytes_of(input), input.size()) ==
        1;
    ERR_clear_error();
    return is_good;
}

Result<std::string> Key::sign(std::string_view input) {
    if (algorithm_ == Algorithm::hs256) return mac_of(input);
    if (!is_private_) return fail("is a public key, which cannot sign; name the private one");
    const Context context(EVP_MD_CTX_new());
    WSPOOL_ASSERT(context != nullptr);
    std::size_t size = 0;
    bool is_done =
        EVP_DigestSignInit_ex(
            context.get(), nullptr, "SHA256", nullptr, nullptr, key_.get(), nullptr) == 1 &&
        EVP_DigestSign(context.get(), nullptr, &size, bytes_of(input), input.size()) == 1;
    std::string signature(size, '\0');
    is_done = is_done && EVP_DigestSign(context.get(),
                                        reinterpret_cast<unsigned char*>(signature.data()),
                                        &size,
                                        bytes_of(input),
                                        input.size()) == 1;
    ERR_clear_error();
    if (!is_done) return fail("did not sign; is the key whole?");
    signature.resize(size);
    return algorithm_ == Algorithm::es256 ? to_raw(signature) : signature;
}

std::string_view secret_in(std::string_view file) {
    std::string_view text = file;
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (text.ends_with('\r')) text.remove_suffix(1);
    for (const char c : text) {
        if (c < 0x20 || c > 0x7e) return file;  // no text: every byte is the secret's
    }
    return text;
}

}  // namespace wspool::auth
