// permessage-deflate (RFC 7692): one compressed message in, one out, both bounded.
//
// Deflater and Inflater are shared by all connections of a worker: with no_context_takeover each message
// starts afresh, so no connection owns a window (zlib's costs 268 KB each way). Only an Inflater may also
// be owned by one connection, when we are the client and the server keeps its context.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace wspool::ws {

class Deflater {
  public:
    explicit Deflater(int level = 1);
    ~Deflater();
    // Appends the compressed form of `message` to `out`, without the trailing 00 00 FF FF (section 7.2.1).
    void compress(ByteView message, ByteBuffer& out);

  private:
    struct Stream;
    std::unique_ptr<Stream> stream_;
};

enum class InflateOutcome : std::uint8_t { ok, too_big, invalid };

class Inflater {
  public:
    // `keeps_context`: the peer's window goes on from message to message (context takeover).
    explicit Inflater(bool keeps_context = false);
    ~Inflater();
    // Appends the message to `out`, stopping as soon as it exceeds `size_max` (memory: at most 16 KiB more).
    [[nodiscard]] InflateOutcome decompress(ByteView compressed, std::size_t size_max, ByteBuffer& out);

  private:
    struct Stream;
    std::unique_ptr<Stream> stream_;
};

}  // namespace wspool::ws
