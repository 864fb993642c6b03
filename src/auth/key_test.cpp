#include "auth/key.h"

#include "auth/base64url.h"
#include "auth/test_keys.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <rapidcheck/gtest.h>

namespace wspool::auth {
namespace {

Key key_of(Algorithm algorithm, std::string_view material) {
    auto key = Key::make(algorithm, material);
    EXPECT_TRUE(key.has_value()) << key.error().message;
    return std::move(*key);
}

std::string pem_of(EVP_PKEY* key) {
    BIO* const bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, key);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    EVP_PKEY_free(key);
    return text;
}

std::string decoded(std::string_view text) {
    std::string bytes;
    EXPECT_TRUE(decode_base64url(text, bytes));
    return bytes;
}

void expect_refused(Algorithm algorithm, std::string_view material, std::string_view why) {
    const auto key = Key::make(algorithm, material);
    ASSERT_FALSE(key.has_value()) << why;
    EXPECT_NE(key.error().message.find(why), std::string::npos) << key.error().message;
}

// RFC 7515 appendix A.1.
TEST(Key, verifies_the_token_of_the_standard) {
    Key key =
        key_of(Algorithm::hs256,
               decoded("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcg"
                       "UuTwjAzZr1Z9CAow"));
    EXPECT_TRUE(key.verifies(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogI"
        "mh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        decoded("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")));
}

RC_GTEST_PROP(Key,
              of_each_kind_verifies_what_it_signed_and_nothing_else,
              (const std::string& input, const std::string& other)) {
    static Key keys[] = {key_of(Algorithm::hs256, test_secret),
                         key_of(Algorithm::rs256, rsa_private_key),
                         key_of(Algorithm::es256, ec_private_key)};
    static Key public_keys[] = {key_of(Algorithm::hs256, test_secret),
                                key_of(Algorithm::rs256, rsa_public_key),
                                key_of(Algorithm::es256, ec_public_key)};
    const auto which = *rc::gen::inRange<std::size_t>(0, 3);
    const std::string signature = *keys[which].sign(input);
    RC_ASSERT(public_keys[which].verifies(input, signature));
    RC_ASSERT(public_keys[which].verifies(other, signature) == (input == other));
    std::string spoilt = signature;
    const auto bit = *rc::gen::inRange<std::size_t>(0, spoilt.size() * 8);
    spoilt[bit / 8] = static_cast<char>(spoilt[bit / 8] ^ (1 << (bit % 8)));
    RC_ASSERT(!public_keys[which].verifies(input, spoilt));
    RC_ASSERT(!public_keys[which].verifies(input, signature.substr(1)));
    RC_ASSERT(!public_keys[which].verifies(input, signature + '\0'));
    RC_ASSERT(!public_keys[(which + 1) % 3].verifies(input, signature));
}

TEST(Key, of_es256_takes_no_zeros_and_no_other_form_than_two_numbers) {
    Key key = key_of(Algorithm::es256, ec_public_key);
    EXPECT_FALSE(key.verifies("x", std::string(64, '\0')));
    EXPECT_FALSE(key.verifies("x", std::string(64, '\xff')));
    EXPECT_FALSE(key.verifies("x", ""));
    EXPECT_FALSE(key.verifies("x", std::string(71, '\x30')));
}

TEST(Key, that_is_public_cannot_sign) {
    EXPECT_FALSE(key_of(Algorithm::rs256, rsa_public_key).sign("x").has_value());
    EXPECT_FALSE(key_of(Algorithm::es256, ec_public_key).sign("x").has_value());
}

TEST(Key, a_public_key_is_never_a_secret) {
    for (const std::string_view pem : {rsa_public_key, rsa_private_key, ec_public_key})
        expect_refused(Algorithm::hs256, pem, "public half");
    std::string der;
    std::string body(rsa_public_key.substr(27, rsa_public_key.rfind("-----END") - 27));
    std::erase(body, '\n');
    while (body.ends_with('=')) body.pop_back();
    for (char& c : body) c = c == '+' ? '-' : c == '/' ? '_' : c;
    ASSERT_TRUE(decode_base64url(body, der));
    expect_refused(Algorithm::hs256, der, "public half");
}

TEST(Key, that_is_too_weak_is_refused) {
    expect_refused(Algorithm::hs256, test_secret.substr(1), "31 bytes");
    expect_refused(Algorithm::hs256, "", "0 bytes");
    expect_refused(Algorithm::rs256, pem_of(EVP_RSA_gen(1024)), "1024 bits");
}

TEST(Key, of_another_kind_than_its_algorithm_is_refused) {
    expect_refused(Algorithm::rs256, ec_public_key, "no RSA key");
    expect_refused(Algorithm::es256, rsa_public_key, "P-256");
    expect_refused(Algorithm::es256, pem_of(EVP_EC_gen("P-384")), "P-256");
    expect_refused(Algorithm::es256, pem_of(EVP_EC_gen("secp256k1")), "P-256");
    expect_refused(
        Algorithm::es256, pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")), "P-256");
    expect_refused(Algorithm::rs256, test_secret, "no key in PEM");
    expect_refused(Algorithm::rs256, std::string(70'000, 'a'), "64 KiB");
}

TEST(Key, with_a_passphrase_is_refused_without_asking_for_it) {
    expect_refused(Algorithm::rs256,
                   "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                   "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\nAAAA\n"
                   "-----END RSA PRIVATE KEY-----\n",
                   "without a passphrase");
}

TEST(Secret, of_a_text_file_is_its_line_and_of_any_other_every_byte) {
    EXPECT_EQ(secret_in("abc\n"), "abc");
    EXPECT_EQ(secret_in("abc\r\n"), "abc");
    EXPECT_EQ(secret_in("abc"), "abc");
    EXPECT_EQ(secret_in("abc\n\n"), "abc\n\n");
    EXPECT_EQ(secret_in("a\x80\n"), "a\x80\n");
    EXPECT_EQ(secret_in(""), "");
}

}  // namespace
}  // namespace wspool::auth
