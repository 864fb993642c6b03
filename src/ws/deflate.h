// permessage-deflate (RFC 7692): one compressed message in, one out, both bounded.
//
// Deflater and Inflater are shared by all connections of a worker: with no_context_takeover each
// message starts afresh, so no connection owns a window (zlib's costs 268 KB each way). Only an
// Inflater may also be owned by one connection, when we are the client and the server keeps its
// context.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace wspool::ws {

// zlib cannot deflate raw with a window of 8 bits: a handshake that asks for it must be declined.
inline constexpr int window_bits_min = 9;
inline constexpr int window_bits_max = 15;

class Deflater {
  public:
    explicit Deflater(int level = 1);
    ~Deflater();
    // Appends the compressed form of `message` to `out`, without the trailing 00 00 FF FF
    // (section 7.2.1). `window_bits`: what the receiver was promised, from window_bits_min to
    // window_bits_max.
    void compress(ByteView message, ByteBuffer& out, int window_bits = window_bits_max);

  private:
    struct Stream;
    // One per size of window, made at its first use, so that peers who negotiated different sizes
    // do not make us build a stream per message.
    std::array<std::unique_ptr<Stream>, window_bits_max - window_bits_min + 1> streams_;
    int level_;
};

enum class InflateOutcome : std::uint8_t { ok, too_big, invalid };

class Inflater {
  public:
    // `keeps_context`: the peer's window goes on from message to message (context takeover).
    explicit Inflater(bool keeps_context = false);
    ~Inflater();
    // Appends the message to `out`, and never more than `size_max` bytes: at the first byte beyond
    // them it stops. `out` grows with what was inflated, in steps of at most 16 KiB. After anything
    // but `ok` the content of `out` and a kept context are worthless.
    [[nodiscard]] InflateOutcome decompress(ByteView compressed,
                                            std::size_t size_max,
                                            ByteBuffer& out);

  private:
    struct Stream;
    std::unique_ptr<Stream> stream_;  // made at the first message
    bool keeps_context_;
};

}  // namespace wspool::ws
