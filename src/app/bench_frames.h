// What a load generator sends and counts, as cheaply as it can be done: frames that were encoded
// and masked once, and a reader that knows a server's frames by their headers without looking at
// payloads.
#pragma once

#include "base/bytes.h"
#include "base/random.h"
#include "ws/frame.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::app {

// The same masked frame over and over, so that any run of frames is one slice: the bytes of n
// frames from byte p of the first are [p, p + n * frame_size - p). Holds at least one frame more
// than `run_size`.
class FrameRun {
  public:
    FrameRun(ws::Opcode opcode, std::string_view payload, std::size_t run_size, Entropy& entropy);

    [[nodiscard]] std::size_t frame_size() const { return frame_size_; }
    [[nodiscard]] ByteView slice(std::size_t position, std::size_t size) const {
        WSPOOL_ASSERT(position < frame_size_ && position + size <= bytes_.size());
        return ByteView(bytes_).subspan(position, size);
    }

  private:
    std::vector<std::byte> bytes_;
    std::size_t frame_size_ = 0;
};

// One masked frame appended to `out`; for what is sent once.
void append_masked_frame(std::string& out,
                         ws::Opcode opcode,
                         std::string_view payload,
                         Entropy& entropy);

// Cuts a server's stream into messages and control frames. Fragments are added up; payloads of data
// are counted, not kept. Any split of the bytes gives the same messages and sizes.
class ReplyReader {
  public:
    // Calls sink(opcode, size, payload) at the end of each message or control frame. `payload` is
    // whole for control frames; of data it is what lies in the last piece, for showing. False: this
    // is no server's frame, and the rest was not read.
    template <class Sink>
    [[nodiscard]] bool feed(ByteView bytes, Sink&& sink);

  private:
    [[nodiscard]] bool begin_frame();
    [[nodiscard]] std::size_t header_size() const;
    template <class Sink>
    void end_frame(ByteView last_piece, Sink&& sink);

    std::array<std::byte, 10> header_{};
    std::uint8_t header_have_ = 0;
    bool in_payload_ = false;
    bool is_final_ = false;
    ws::Opcode opcode_ = ws::Opcode::text;          // of the frame
    ws::Opcode message_opcode_ = ws::Opcode::text;  // of the message that the frame belongs to
    std::uint64_t remaining_ = 0;                   // of the frame's payload
    std::uint64_t message_size_ = 0;
    std::uint8_t control_size_ = 0;
    std::array<std::byte, ws::control_payload_size_max> control_{};
};

inline std::size_t ReplyReader::header_size() const {
    if (header_have_ < 2) return 2;
    return ws::frame_header_size(
        [&]() -> std::uint64_t {
            const auto length = static_cast<unsigned>(header_[1]) & 0x7F;
            return length < 126 ? length : length == 126 ? 126 : 0x1'0000;
        }(),
        false);
}

template <class Sink>
void ReplyReader::end_frame(ByteView last_piece, Sink&& sink) {
    in_payload_ = false;
    if (static_cast<unsigned>(opcode_) >= 8) {
        const ByteView payload(control_.data(), control_size_);
        sink(opcode_, std::uint64_t{control_size_}, payload);
        return;
    }
    if (!is_final_) return;
    const std::uint64_t size = message_size_;
    message_size_ = 0;
    sink(message_opcode_, size, last_piece);
}

template <class Sink>
bool ReplyReader::feed(ByteView bytes, Sink&& sink) {
    while (!bytes.empty()) {
        if (!in_payload_) {
            const std::size_t wanted = header_size() - header_have_;
            const std::size_t taken = std::min(wanted, bytes.size());
            std::memcpy(header_.data() + header_have_, bytes.data(), taken);
            header_have_ = static_cast<std::uint8_t>(header_have_ + taken);
            bytes = bytes.subspan(taken);
            if (header_have_ < header_size()) continue;
            if (!begin_frame()) return false;
            if (remaining_ == 0) end_frame({}, sink);
            continue;
        }
        const auto taken =
            static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size()));
        const ByteView piece = bytes.first(taken);
        if (static_cast<unsigned>(opcode_) >= 8) {
            std::memcpy(control_.data() + control_size_, piece.data(), taken);
            control_size_ = static_cast<std::uint8_t>(control_size_ + taken);
        }
        remaining_ -= taken;
        bytes = bytes.subspan(taken);
        if (remaining_ == 0) end_frame(piece, sink);
    }
    return true;
}

}  // namespace wspool::app
