// Connection: the reading side of one WebSocket after its handshake, either role, and the state of
// its closing (RFC 6455 sections 5 to 7, RFC 7692). Pure: bytes in, events out.
//
// How it works: the owner hands a cursor over the bytes that arrived; read() takes from its front
// until one event is complete. A message that lies whole in the input is unmasked, checked and
// returned in place; only what is partial is copied to a Partial on the heap, which exists between
// the first byte of an unfinished message and its last. An idle connection is 16 bytes.
//
// Invariants: 1. any split of the bytes gives the same events. 2. Nothing is allocated because of a
// declared length: buffers grow with what arrived. 3. After `failed` or `close` read() consumes and
// ignores everything. 4. UTF-8 is checked as bytes arrive, also inside an unfinished frame.
// Limits: Codec::limits; at them, `failed` with the close code that says so.
#pragma once

#include "base/bytes.h"
#include "ws/close.h"
#include "ws/deflate.h"
#include "ws/frame.h"

#include <cstdint>
#include <memory>

namespace wspool::ws {

enum class Role : std::uint8_t { server, client };

struct Limits {
    std::uint64_t message_size_max = 64 * 1024;  // after decompression too; at it 1009
    std::uint32_t fragments_max = 131'072;       // per message; at it 1008
    std::uint32_t empty_fragments_max = 256;     // consecutive; at it 1008
};

// What all connections of one worker share; passed to each read().
struct Codec {
    Limits limits;
    Inflater* inflater = nullptr;  // used by connections that negotiated deflate
};

// Why a connection was failed. Each has its close code, and its label in
// wspool_connections_closed_total.
enum class Failure : std::uint8_t {
    none,
    bad_mask,            // 1002: client frame unmasked, or server frame masked
    bad_reserved_bits,   // 1002
    bad_opcode,          // 1002
    bad_control_frame,   // 1002: longer than 125 bytes, or fragmented
    bad_continuation,    // 1002: lone continuation, or new data inside a fragmented message
    bad_length,          // 1002: not the shortest form, or the top bit set
    bad_close_frame,     // 1002: one byte of payload, or a code that may not be sent
    bad_utf8,            // 1007: in a text message or a close reason
    bad_deflate,         // 1007: what cannot be inflated
    too_big,             // 1009: declared or held size beyond the limit, before any allocation
    inflated_too_big,    // 1009
    too_many_fragments,  // 1008
};

[[nodiscard]] CloseCode close_code(Failure failure);
// snake_case label for logs and metrics, e.g. "bad_mask".
[[nodiscard]] std::string_view name(Failure failure);
inline constexpr std::size_t failure_count = 13;

enum class EventKind : std::uint8_t {
    none,     // input used up, nothing complete
    message,  // opcode text or binary, payload
    ping,     // payload: answer with a pong of the same payload
    pong,     // payload
    close,    // code (no_status when there was none) and payload = reason
    failed,   // failure: send its close code, then close
};

struct Event {
    EventKind kind = EventKind::none;
    Opcode opcode = Opcode::text;
    Failure failure = Failure::none;
    CloseCode code = CloseCode::none;
    // Ours to change; valid until the next read() of any connection with the same Codec, or until
    // the input's bytes go.
    MutableBytes payload;
};

// What is in progress, for the deadlines that a slow peer must not escape. in_message outranks
// in_frame: who dribbles one continuation after the other does not start a deadline anew.
enum class Progress : std::uint8_t { idle, in_frame, in_message };

struct HeaderReading;  // ws/frame_header.h

class Connection {
  public:
    // `has_deflate`: permessage-deflate was negotiated, so RSV1 is allowed on the first frame of a
    // message.
    explicit Connection(Role role, bool has_deflate = false);
    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;
    ~Connection();

    // Takes bytes from the front of `input` (masked bytes are unmasked in place) until one event is
    // complete. Call again until it returns `none`; then `input` is empty.
    [[nodiscard]] Event read(MutableBytes& input, const Codec& codec);

    // in_message: from the header of the first fragment to the end of the last (control frames do
    // not count).
    [[nodiscard]] Progress progress() const;
    // Bytes held on the heap for what is unfinished; 0 when idle.
    [[nodiscard]] std::size_t held_bytes() const;
    [[nodiscard]] bool has_deflate() const { return has_deflate_; }
    [[nodiscard]] Role role() const { return role_; }
    // True after read() returned `close` or `failed`: everything that follows is ignored.
    [[nodiscard]] bool is_finished() const { return is_finished_; }

  private:
    struct Partial;

    [[nodiscard]] bool is_in_message() const;
    [[nodiscard]] Partial& partial();
    void drop_delivered();
    [[nodiscard]] HeaderReading take_header(MutableBytes& input, FrameHeader& header);
    [[nodiscard]] HeaderReading gather_header(MutableBytes& input, FrameHeader& header);
    [[nodiscard]] Failure check_limits(const FrameHeader& header, const Limits& limits) const;
    [[nodiscard]] Event deliver_in_place(const FrameHeader& header,
                                         MutableBytes& input,
                                         const Codec& codec);
    void begin_frame(const FrameHeader& header);
    [[nodiscard]] Failure take_payload(MutableBytes& input);
    [[nodiscard]] Event end_frame(const Codec& codec);
    [[nodiscard]] Event end_control(Opcode opcode, MutableBytes payload);
    [[nodiscard]] Event deliver_inflated(Opcode opcode, ByteView compressed, const Codec& codec);
    [[nodiscard]] Event deliver_body(Opcode opcode);
    [[nodiscard]] Event fail(Failure failure);

    std::unique_ptr<Partial> partial_;  // only while something is unfinished, or its payload is out
    Role role_;
    bool has_deflate_;
    bool is_finished_ = false;
};

}  // namespace wspool::ws
