// Tickets: what a preempted client is given, so that it goes ahead of its class when it returns.
// Signed, so that any worker knows a true one; single use, because the worker that issued it keeps
// those that are out, and is asked.
//
// A ticket is text: numbers in hexadecimal and half of their HMAC-SHA256 (RFC 2104 section 5).
// Its class and pool are part of it: it counts for nothing elsewhere. All workers of a gateway have
// the same key, which ends with the gateway.
//
// Limits: outstanding_max; at the bound the oldest ticket is forgotten, and counts as spent.
#pragma once

#include "base/hash.h"
#include "base/time.h"
#include "pool/priority.h"
#include "wire/types.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace wspool::worker {

using TicketKey = std::array<unsigned char, 32>;

// From the key that all workers share already for another purpose.
[[nodiscard]] TicketKey derive_ticket_key(const HashKey& key);

struct Ticket {
    wire::Incarnation issuer = 0;
    std::uint64_t number = 0;
    Instant expiry{};
    pool::Priority priority{};
    std::uint8_t pool = 0;
};

[[nodiscard]] std::string write_ticket(const Ticket& ticket, const TicketKey& key);
// Nothing when it is none of ours.
[[nodiscard]] std::optional<Ticket> read_ticket(std::string_view text, const TicketKey& key);

// The issuer's part.
class Tickets {
  public:
    Tickets(wire::Incarnation issuer, Duration lifetime, std::size_t outstanding_max)
        : issuer_(issuer), lifetime_(lifetime), outstanding_max_(outstanding_max) {}

    [[nodiscard]] Ticket issue(pool::Priority priority, std::uint8_t pool, Instant now);
    // True once for each that was issued and has not expired.
    [[nodiscard]] bool redeem(std::uint64_t number, Instant now);
    [[nodiscard]] std::size_t outstanding() const { return outstanding_.size(); }

  private:
    struct Outstanding {
        Instant expiry;
        bool is_spent = false;
    };
    void forget_expired(Instant now);

    wire::Incarnation issuer_;
    Duration lifetime_;
    std::size_t outstanding_max_;
    std::uint64_t first_ = 0;              // number of the front
    std::deque<Outstanding> outstanding_;  // by number, and so by expiry
};

}  // namespace wspool::worker
