#include "worker/tickets.h"

#include "base/assert.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstring>
#include <span>

namespace wspool::worker {
namespace {

constexpr std::size_t mac_size = 16;
constexpr std::size_t fields_size = 3 * sizeof(std::uint64_t) + 2;
using TicketBytes = std::array<unsigned char, fields_size + mac_size>;

void sign(std::span<const unsigned char> fields, const TicketKey& key, unsigned char* mac) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> whole{};
    unsigned int size = 0;
    WSPOOL_ASSERT(HMAC(EVP_sha256(),
                       key.data(),
                       static_cast<int>(key.size()),
                       fields.data(),
                       fields.size(),
                       whole.data(),
                       &size) != nullptr);
    std::memcpy(mac, whole.data(), mac_size);
}

[[nodiscard]] int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

}  // namespace

TicketKey derive_ticket_key(const HashKey& key) {
    static_assert(sizeof(HashKey) == 16);
    constexpr std::string_view purpose = "wspool ticket";
    TicketKey result{};
    unsigned int size = 0;
    WSPOOL_ASSERT(HMAC(EVP_sha256(),
                       &key,
                       sizeof key,
                       reinterpret_cast<const unsigned char*>(purpose.data()),
                       purpose.size(),
                       result.data(),
                       &size) != nullptr);
    return result;
}

std::string write_ticket(const Ticket& ticket, const TicketKey& key) {
    TicketBytes bytes{};
    const std::array<std::uint64_t, 3> words = {
        ticket.issuer,
        ticket.number,
        static_cast<std::uint64_t>(ticket.expiry.time_since_epoch().count())};
    std::memcpy(bytes.data(), words.data(), sizeof words);
    bytes[sizeof words] = static_cast<unsigned char>(ticket.priority);
    bytes[sizeof words + 1] = ticket.pool;
    sign(std::span(bytes).first(fields_size), key, bytes.data() + fields_size);
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * bytes.size());
    for (const unsigned char byte : bytes) {
        text.push_back(digits[byte >> 4]);
        text.push_back(digits[byte & 15]);
    }
    return text;
}

std::optional<Ticket> read_ticket(std::string_view text, const TicketKey& key) {
    TicketBytes bytes{};
    if (text.size() != 2 * bytes.size()) return std::nullopt;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const int high = digit_of(text[2 * i]);
        const int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes[i] = static_cast<unsigned char>(high << 4 | low);
    }
    std::array<unsigned char, mac_size> mac{};
    sign(std::span(bytes).first(fields_size), key, mac.data());
    if (CRYPTO_memcmp(mac.data(), bytes.data() + fields_size, mac_size) != 0) return std::nullopt;
    std::array<std::uint64_t, 3> words{};
    std::memcpy(words.data(), bytes.data(), sizeof words);
    return Ticket{.issuer = words[0],
                  .number = words[1],
                  .expiry = Instant(Duration(static_cast<Duration::rep>(words[2]))),
                  .priority = static_cast<pool::Priority>(bytes[sizeof words]),
                  .pool = bytes[sizeof words + 1]};
}

void Tickets::forget_expired(Instant now) {
    while (!outstanding_.empty() && outstanding_.front().expiry <= now) {
        outstanding_.pop_front();
        ++first_;
    }
}

Ticket Tickets::issue(pool::Priority priority, std::uint8_t pool, Instant now) {
    forget_expired(now);
    if (outstanding_.size() >= outstanding_max_) {
        outstanding_.pop_front();
        ++first_;
    }
    outstanding_.push_back({now + lifetime_});
    return {.issuer = issuer_,
            .number = first_ + outstanding_.size() - 1,
            .expiry = now + lifetime_,
            .priority = priority,
            .pool = pool};
}

bool Tickets::redeem(std::uint64_t number, Instant now) {
    forget_expired(now);
    if (number < first_ || number - first_ >= outstanding_.size()) return false;
    Outstanding& ticket = outstanding_[number - first_];
    if (ticket.is_spent) return false;
    ticket.is_spent = true;
    return true;
}

}  // namespace wspool::worker
