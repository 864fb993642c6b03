#include "ws/deflate.h"

#include <algorithm>

#define ZLIB_CONST
#include <zlib.h>

namespace wspool::ws {
namespace {

constexpr std::size_t step_size_max = 16 * 1024;
constexpr std::size_t step_size_min = 512;
constexpr int memory_level = 8;

// What a sync flush ends with: the sender leaves it out, the receiver puts it back (section 7.2).
constexpr std::array<std::byte, 4> flush_tail = {
    std::byte{0x00}, std::byte{0x00}, std::byte{0xFF}, std::byte{0xFF}};

void set_input(z_stream& stream, ByteView bytes) {
    WSPOOL_ASSERT(bytes.size() <= UINT32_MAX);
    stream.next_in = reinterpret_cast<const Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(bytes.size());
}

void set_output(z_stream& stream, std::byte* out, std::size_t size) {
    stream.next_out = reinterpret_cast<Bytef*>(out);
    stream.avail_out = static_cast<uInt>(size);
}

}  // namespace

struct Deflater::Stream {
    Stream(int level, int window_bits) {
        const int status =
            deflateInit2(&z, level, Z_DEFLATED, -window_bits, memory_level, Z_DEFAULT_STRATEGY);
        WSPOOL_ASSERT(status == Z_OK);
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { deflateEnd(&z); }

    z_stream z{};
};

Deflater::Deflater(int level) : level_(level) {}
Deflater::~Deflater() = default;

void Deflater::compress(ByteView message, ByteBuffer& out, int window_bits) {
    WSPOOL_ASSERT(window_bits >= window_bits_min && window_bits <= window_bits_max);
    std::unique_ptr<Stream>& stream =
        streams_[static_cast<std::size_t>(window_bits - window_bits_min)];
    if (stream == nullptr) {
        stream = std::make_unique<Stream>(level_, window_bits);
    } else {
        deflateReset(&stream->z);
    }
    z_stream& z = stream->z;
    set_input(z, message);
    // Room to spare in the last call is how zlib says that the flush is complete.
    do {
        const std::size_t room = std::clamp<std::size_t>(z.avail_in, 64, step_size_max);
        set_output(z, out.reserve_back(room), room);
        const int status = deflate(&z, Z_SYNC_FLUSH);
        WSPOOL_ASSERT(status == Z_OK || status == Z_BUF_ERROR);
        out.commit(room - z.avail_out);
    } while (z.avail_out == 0);
    WSPOOL_ASSERT(std::ranges::equal(out.view().last(flush_tail.size()), flush_tail));
    out.truncate(out.size() - flush_tail.size());
}

struct Inflater::Stream {
    Stream() {
        const int status = inflateInit2(&z, -window_bits_max);
        WSPOOL_ASSERT(status == Z_OK);
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { inflateEnd(&z); }

    // All of `input`, appended to `out`; `size_left` counts down what may still be appended.
    InflateOutcome take(ByteView input, std::size_t& size_left, ByteBuffer& out);
    // Whether the last block is whole and ends with a byte. `data_type` is zlib's answer to that:
    // 128 for the place before a block, and in the lowest three bits how many bits of the last byte
    // are unread.
    [[nodiscard]] bool is_between_blocks() const { return (z.data_type & (128 | 7)) == 128; }

    z_stream z{};
    std::size_t step_size = step_size_min;
    bool has_ended = false;  // the bytes so far ended with a block that says it is the last
};

InflateOutcome Inflater::Stream::take(ByteView input, std::size_t& size_left, ByteBuffer& out) {
    set_input(z, input);
    for (;;) {
        if (has_ended) {
            if (z.avail_in == 0) return InflateOutcome::ok;
            // A sender may end blocks with BFINAL and go on (section 7.2.3.4); the window goes on
            // too.
            inflateResetKeep(&z);
            has_ended = false;
        }
        // At the limit, one byte of room tells a message that is exactly as long from a longer one.
        std::byte beyond{};
        const std::size_t room = size_left == 0 ? 1 : std::min(step_size, size_left);
        set_output(z, size_left == 0 ? &beyond : out.reserve_back(room), room);
        const int status = inflate(&z, Z_SYNC_FLUSH);
        const std::size_t written = room - z.avail_out;
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
            return InflateOutcome::invalid;
        }
        if (size_left == 0 && written != 0) return InflateOutcome::too_big;
        out.commit(written);
        size_left -= written;
        step_size = std::min(step_size * 2, step_size_max);
        has_ended = status == Z_STREAM_END;
        // Room was left, so zlib has taken all the input there was.
        if (!has_ended && z.avail_out != 0) return InflateOutcome::ok;
    }
}

Inflater::Inflater(bool keeps_context) : keeps_context_(keeps_context) {}
Inflater::~Inflater() = default;

InflateOutcome Inflater::decompress(ByteView compressed, std::size_t size_max, ByteBuffer& out) {
    if (stream_ == nullptr) {
        stream_ = std::make_unique<Stream>();
    } else if (keeps_context_) {
        inflateResetKeep(&stream_->z);
    } else {
        inflateReset(&stream_->z);
    }
    Stream& stream = *stream_;
    stream.has_ended = false;
    stream.step_size = std::clamp(compressed.size() * 4, step_size_min, step_size_max);
    InflateOutcome outcome = stream.take(compressed, size_max, out);
    if (outcome == InflateOutcome::ok && !stream.has_ended) {
        // After a whole message the tail is an empty block and yields nothing. Where it becomes
        // part of a message that was cut off, it does, or the block does not end with it.
        std::size_t nothing = 0;
        const bool is_whole = stream.take(flush_tail, nothing, out) == InflateOutcome::ok &&
                              stream.is_between_blocks();
        if (!is_whole) outcome = InflateOutcome::invalid;
    }
    if (outcome != InflateOutcome::ok) stream_.reset();
    return outcome;
}

}  // namespace wspool::ws
