// What chaos_load says and hears, as text. Read strictly: a delivery must be, byte for byte, what
// the protocol promises (docs/protocol.md) around the payload that was published.
#pragma once

#include "records.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wspool::chaos {

enum class HeardKind : std::uint8_t {
    broadcast,  // group, message, maybe offset
    direct,     // message, from
    ack,        // id; of a broadcast or a join epoch and offset, of a join maybe recovered
    error,      // code, maybe id
    position,   // group, epoch, offset, recovered
    draining,
    other,  // nothing that a gateway may say to these clients
};

struct Heard {
    HeardKind kind = HeardKind::other;
    std::string_view group;
    std::string_view from;
    std::string_view code;
    std::string_view epoch;
    std::optional<std::uint64_t> id;
    std::optional<std::uint64_t> offset;
    std::optional<bool> recovered;
    MessageIndex message = none;
};

class Wire {
  public:
    // Payloads have about so many bytes: {"m":NUMBER,"x":"xxx…"}.
    explicit Wire(std::size_t payload_size);

    [[nodiscard]] std::string join(std::string_view group,
                                   bool offsets,
                                   std::uint64_t id,
                                   std::string_view since_epoch,
                                   std::uint64_t since_offset) const;
    [[nodiscard]] std::string broadcast(std::string_view group, MessageIndex message) const;
    [[nodiscard]] std::string direct(std::string_view target, MessageIndex message) const;
    // Views into `text`.
    [[nodiscard]] Heard read(std::string_view text) const;

  private:
    [[nodiscard]] std::string payload(MessageIndex message) const;
    // Takes a payload of ours off the front of `text`; `none` when it is not one, to its last byte.
    [[nodiscard]] MessageIndex take_payload(std::string_view& text) const;

    std::string payload_end_;  // behind the number
};

}  // namespace wspool::chaos
