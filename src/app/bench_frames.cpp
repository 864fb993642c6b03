#include "app/bench_frames.h"

#include "ws/mask.h"

namespace wspool::app {

void append_masked_frame(std::string& out,
                         ws::Opcode opcode,
                         std::string_view payload,
                         Entropy& entropy) {
    ws::FrameHeader header;
    header.opcode = opcode;
    header.payload_size = payload.size();
    header.is_masked = true;
    entropy.fill(header.mask);
    std::array<std::byte, ws::frame_header_size_max> raw;
    const std::size_t size = ws::write_frame_header(header, raw.data());
    out.append(as_text(ByteView(raw.data(), size)));
    const std::size_t start = out.size();
    out.append(payload);
    ws::apply_mask(std::as_writable_bytes(std::span(out.data() + start, payload.size())),
                   header.mask);
}

FrameRun::FrameRun(ws::Opcode opcode,
                   std::string_view payload,
                   std::size_t run_size,
                   Entropy& entropy) {
    std::string frame;
    append_masked_frame(frame, opcode, payload, entropy);
    frame_size_ = frame.size();
    const std::size_t count = run_size / frame_size_ + 2;
    bytes_.reserve(count * frame_size_);
    const ByteView bytes = as_bytes(frame);
    for (std::size_t i = 0; i < count; ++i) bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

bool ReplyReader::begin_frame() {
    const auto first = static_cast<unsigned>(header_[0]);
    const auto second = static_cast<unsigned>(header_[1]);
    header_have_ = 0;
    const auto opcode = static_cast<ws::Opcode>(first & 0x0F);
    const bool is_control = (first & 0x08) != 0;
    std::uint64_t size = second & 0x7F;
    if (size >= 126) {
        const std::size_t width = size == 126 ? 2 : 8;
        size = 0;
        for (std::size_t i = 0; i < width; ++i)
            size = size << 8 | static_cast<std::uint64_t>(header_[2 + i]);
    }
    const bool is_masked = (second & 0x80) != 0;
    const bool is_extended = (first & 0x70) != 0;  // compression was not offered
    if (is_masked || is_extended || (is_control && size > ws::control_payload_size_max))
        return false;
    opcode_ = opcode;
    is_final_ = (first & 0x80) != 0;
    remaining_ = size;
    in_payload_ = true;
    if (is_control) {
        control_size_ = 0;
    } else {
        if (opcode != ws::Opcode::continuation) message_opcode_ = opcode;
        message_size_ += size;
    }
    return true;
}

}  // namespace wspool::app
