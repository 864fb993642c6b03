#include "base/assert.h"
#include "base/token.h"
#include "ws/handshake.h"
#include "ws/handshake_fields.h"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace wspool::ws {
namespace {

constexpr std::size_t key_byte_count = 16;
constexpr std::size_t sha1_size = 20;
constexpr std::string_view accept_guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

// Fetching a digest costs four times what the hash itself does, so both live as long as their
// thread.
class Sha1 {
  public:
    Sha1() : digest_(EVP_MD_fetch(nullptr, "SHA1", nullptr)), context_(EVP_MD_CTX_new()) {
        WSPOOL_ASSERT(digest_ != nullptr);
        WSPOOL_ASSERT(context_ != nullptr);
    }

    [[nodiscard]] std::array<unsigned char, sha1_size> of(std::string_view a, std::string_view b) {
        std::array<unsigned char, sha1_size> hash;
        unsigned size = 0;
        const bool is_done = EVP_DigestInit_ex2(context_.get(), digest_.get(), nullptr) == 1 &&
                             EVP_DigestUpdate(context_.get(), a.data(), a.size()) == 1 &&
                             EVP_DigestUpdate(context_.get(), b.data(), b.size()) == 1 &&
                             EVP_DigestFinal_ex(context_.get(), hash.data(), &size) == 1;
        WSPOOL_ASSERT(is_done);
        WSPOOL_ASSERT(size == hash.size());
        return hash;
    }

  private:
    struct Free {
        void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD, Free> digest_;
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

template <std::size_t size>
std::string base64(const std::array<unsigned char, size>& bytes) {
    std::array<unsigned char, (size + 2) / 3 * 4 + 1> text;  // EVP_EncodeBlock adds a NUL
    const int written = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(size));
    return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(written)};
}

bool is_base64_char(char c) {
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' || c == '/';
}

}  // namespace

std::string accept_key(std::string_view key) {
    static thread_local Sha1 sha1;
    return base64(sha1.of(key, accept_guid));
}

std::string make_key(Entropy& entropy) {
    std::array<unsigned char, key_byte_count> bytes;
    entropy.fill(std::as_writable_bytes(std::span(bytes)));
    return base64(bytes);
}

bool is_key(std::string_view key) {
    constexpr std::size_t digit_count = 22;  // of 6 bits: the last one holds 4 that do not count
    if (key.size() != digit_count + 2 || key.substr(digit_count) != "==") return false;
    for (const char c : key.substr(0, digit_count)) {
        if (!is_base64_char(c)) return false;
    }
    return true;
}

}  // namespace wspool::ws
