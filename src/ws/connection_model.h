// For tests and fuzzing: what a stream of frames means, decoded in the plainest way from all its
// bytes at once. ws/connection must say the same, however the bytes are cut.
#pragma once

#include "ws/connection.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wspool::ws::model {

// An Event that owns its payload.
struct Said {
    EventKind kind = EventKind::none;
    Opcode opcode = Opcode::text;
    Failure failure = Failure::none;
    CloseCode code = CloseCode::none;
    std::string payload;

    friend bool operator==(const Said&, const Said&) = default;
};

inline Said keep(const Event& event) {
    return {
        event.kind, event.opcode, event.failure, event.code, std::string(as_text(event.payload))};
}

// Feeds `bytes` in pieces; `next_size` is asked for the size of each. Every piece lies in memory of
// its own, so that a sanitizer sees a step beyond its end.
template <class NextSize>
std::vector<Said> read_in_pieces(Connection& connection,
                                 const Codec& codec,
                                 const std::string& bytes,
                                 NextSize next_size) {
    std::vector<Said> said;
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t size = std::clamp<std::size_t>(next_size(), 1, bytes.size() - at);
        std::vector<char> piece(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
        piece.shrink_to_fit();
        MutableBytes input = std::as_writable_bytes(std::span(piece));
        for (;;) {
            const Event event = connection.read(input, codec);
            if (event.kind == EventKind::none) break;
            said.push_back(keep(event));
        }
        WSPOOL_ASSERT(input.empty());
        at += size;
    }
    return said;
}

inline std::vector<Said> read_whole(Role role,
                                    bool has_deflate,
                                    const Codec& codec,
                                    const std::string& bytes) {
    Connection connection(role, has_deflate);
    return read_in_pieces(connection, codec, bytes, [&] { return bytes.size(); });
}

enum class Text { valid, cut_off, invalid };

// UTF-8 by the definition: decode a number, then ask whether it may be there and was written
// shortest.
inline Text judge_text(const std::string& text) {
    const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        const unsigned lead = byte_at(i);
        const std::size_t size = lead < 0x80             ? 1
                                 : (lead & 0xE0) == 0xC0 ? 2
                                 : (lead & 0xF0) == 0xE0 ? 3
                                 : (lead & 0xF8) == 0xF0 ? 4
                                                         : 0;
        if (size == 0) return Text::invalid;
        // The numbers that the bytes at hand still allow.
        std::uint32_t lowest = size == 1 ? lead : lead & (0xFFu >> (size + 1));
        std::uint32_t highest = lowest;
        bool is_cut_off = false;
        for (std::size_t k = 1; k < size; ++k) {
            is_cut_off = is_cut_off || i + k >= text.size();
            if (!is_cut_off && (byte_at(i + k) & 0xC0) != 0x80) return Text::invalid;
            const std::uint32_t low = is_cut_off ? 0u : byte_at(i + k) & 0x3Fu;
            const std::uint32_t high = is_cut_off ? 0x3Fu : low;
            lowest = lowest << 6 | low;
            highest = highest << 6 | high;
        }
        const std::uint32_t shortest[] = {0, 0, 0x80, 0x800, 0x10000};
        bool is_allowed = false;
        for (std::uint32_t c = lowest; c <= highest && !is_allowed; ++c) {
            is_allowed = c >= shortest[size] && c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
        }
        if (!is_allowed) return Text::invalid;
        if (is_cut_off) return Text::cut_off;
        i += size;
    }
    return Text::valid;
}

// The whole decoder: indices into one string, copies everywhere.
class Decoder {
  public:
    Decoder(Role role, bool has_deflate, Limits limits)
        : role_(role), has_deflate_(has_deflate), limits_(limits), inflater_(false) {}

    std::vector<Said> decode(const std::string& bytes) {
        bytes_ = bytes;
        while (said_.empty() ||
               (said_.back().kind != EventKind::failed && said_.back().kind != EventKind::close)) {
            if (!decode_frame()) break;
        }
        return said_;
    }

  private:
    bool fail(Failure failure) {
        Said said;
        said.kind = EventKind::failed;
        said.failure = failure;
        said_.push_back(said);
        return false;
    }

    [[nodiscard]] std::optional<unsigned> byte(std::size_t i) const {
        if (at_ + i >= bytes_.size()) return std::nullopt;
        return static_cast<unsigned char>(bytes_[at_ + i]);
    }

    // False when there are no more bytes, or after a failure.
    bool decode_frame() {
        const auto first = byte(0);
        if (!first) return false;
        const bool is_final = *first / 128 == 1;
        const unsigned reserved = *first / 16 % 8;
        const unsigned opcode = *first % 16;
        const bool may_be_compressed = has_deflate_ && (opcode == 1 || opcode == 2);
        if (reserved != 0 && !(reserved == 4 && may_be_compressed)) {
            return fail(Failure::bad_reserved_bits);
        }
        if ((opcode > 2 && opcode < 8) || opcode > 10) return fail(Failure::bad_opcode);
        const bool is_control = opcode >= 8;
        if (is_control && !is_final) return fail(Failure::bad_control_frame);
        if (!is_control && (opcode == 0) != fragmented_) return fail(Failure::bad_continuation);

        const auto second = byte(1);
        if (!second) return false;
        const bool is_masked = *second / 128 == 1;
        if (is_masked != (role_ == Role::server)) return fail(Failure::bad_mask);
        std::uint64_t size = *second % 128;
        if (is_control && size > 125) return fail(Failure::bad_control_frame);
        std::size_t header_size = 2;
        if (size >= 126) {
            const std::size_t count = size == 126 ? 2 : 8;
            size = 0;
            for (std::size_t i = 0; i < count; ++i) {
                const auto digit = byte(2 + i);
                if (!digit) return false;
                size = size * 256 + *digit;
            }
            if (size < (count == 2 ? 126u : 65536u) || size > INT64_MAX) {
                return fail(Failure::bad_length);
            }
            header_size += count;
        }
        std::string key(4, '\0');
        if (is_masked) {
            if (!byte(header_size + 3)) return false;
            key = bytes_.substr(at_ + header_size, 4);
            header_size += 4;
        }
        if (!is_control && !begin_data(opcode, is_final, reserved == 4, size)) return false;
        std::string payload = bytes_.substr(at_ + header_size,
                                            static_cast<std::size_t>(std::min<std::uint64_t>(
                                                size, bytes_.size() - at_ - header_size)));
        for (std::size_t i = 0; i < payload.size(); ++i) {
            payload[i] = static_cast<char>(payload[i] ^ key[i % 4]);
        }
        at_ += header_size + payload.size();
        const bool is_whole = payload.size() == size;
        if (is_control) return is_whole && end_control(opcode, payload);
        message_ += payload;
        if (opcode_ == 1 && !compressed_ && judge_text(message_) == Text::invalid) {
            return fail(Failure::bad_utf8);
        }
        if (!is_whole) return false;
        if (is_final) return end_message();
        return true;
    }

    bool begin_data(unsigned opcode, bool is_final, bool is_compressed, std::uint64_t size) {
        if (!fragmented_) {
            message_.clear();
            opcode_ = opcode;
            compressed_ = is_compressed;
            fragments_ = empty_fragments_ = 0;
        }
        const std::uint64_t max = limits_.message_size_max;
        const std::uint64_t held_max = compressed_ ? max + max / 8 + 64 : max;
        if (size > held_max || message_.size() > held_max - size) {
            return fail(Failure::too_big);
        }
        ++fragments_;
        empty_fragments_ = size == 0 && !is_final ? empty_fragments_ + 1 : 0;
        const bool is_single = !fragmented_ && is_final;
        if (!is_single && (fragments_ > limits_.fragments_max ||
                           empty_fragments_ > limits_.empty_fragments_max)) {
            return fail(Failure::too_many_fragments);
        }
        fragmented_ = true;
        return true;
    }

    bool end_message() {
        fragmented_ = false;
        if (compressed_) {
            ByteBuffer out;
            const auto max = static_cast<std::size_t>(limits_.message_size_max);
            const InflateOutcome outcome = inflater_.decompress(as_bytes(message_), max, out);
            if (outcome == InflateOutcome::too_big) return fail(Failure::inflated_too_big);
            if (outcome == InflateOutcome::invalid) return fail(Failure::bad_deflate);
            message_ = as_text(out.view());
        }
        if (opcode_ == 1 && judge_text(message_) != Text::valid) return fail(Failure::bad_utf8);
        Said said;
        said.kind = EventKind::message;
        said.opcode = opcode_ == 1 ? Opcode::text : Opcode::binary;
        said.payload = message_;
        said_.push_back(said);
        return true;
    }

    bool end_control(unsigned opcode, const std::string& payload) {
        Said said;
        said.payload = payload;
        said.kind = opcode == 9 ? EventKind::ping : EventKind::pong;
        if (opcode == 8) {
            said.kind = EventKind::close;
            said.code = CloseCode::no_status;
            if (payload.size() == 1) return fail(Failure::bad_close_frame);
            if (payload.size() >= 2) {
                const unsigned code = static_cast<unsigned char>(payload[0]) * 256u +
                                      static_cast<unsigned char>(payload[1]);
                const bool is_allowed = (code >= 1000 && code <= 1014 && code != 1004 &&
                                         code != 1005 && code != 1006) ||
                                        (code >= 3000 && code <= 4999);
                if (!is_allowed) return fail(Failure::bad_close_frame);
                said.code = static_cast<CloseCode>(code);
                said.payload = payload.substr(2);
                if (judge_text(said.payload) != Text::valid) return fail(Failure::bad_utf8);
            }
        }
        said_.push_back(said);
        return true;
    }

    Role role_;
    bool has_deflate_;
    Limits limits_;
    Inflater inflater_;
    std::string bytes_;
    std::size_t at_ = 0;
    std::vector<Said> said_;
    bool fragmented_ = false;
    bool compressed_ = false;
    unsigned opcode_ = 0;
    std::string message_;
    std::uint64_t fragments_ = 0;
    std::uint64_t empty_fragments_ = 0;
};

// One frame as the other side would write it. `role` is the reader's.
inline std::string make_frame(Role role,
                              Opcode opcode,
                              const std::string& payload,
                              bool is_final = true,
                              bool is_compressed = false) {
    FrameHeader header;
    header.opcode = opcode;
    header.is_final = is_final;
    header.is_compressed = is_compressed;
    header.payload_size = payload.size();
    header.is_masked = role == Role::server;
    header.mask = {std::byte{0x37}, std::byte{0xFA}, std::byte{0x21}, std::byte{0x3D}};
    std::byte out[frame_header_size_max];
    std::string frame(as_text({out, write_frame_header(header, out)}));
    for (std::size_t i = 0; i < payload.size(); ++i) {
        const auto key = header.is_masked ? std::to_integer<char>(header.mask[i % 4]) : '\0';
        frame += static_cast<char>(payload[i] ^ key);
    }
    return frame;
}

inline std::string deflated(const std::string& message) {
    Deflater deflater;
    ByteBuffer out;
    deflater.compress(as_bytes(message), out);
    return std::string(as_text(out.view()));
}

}  // namespace wspool::ws::model
