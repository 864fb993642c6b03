#include "ws/connection.h"

#include "ws/frame_header.h"
#include "ws/mask.h"
#include "ws/utf8.h"

#include <algorithm>

namespace wspool::ws {
namespace {

// Buffers are counted in 32 bits; a limit beyond that is this one.
constexpr std::uint64_t body_size_max = UINT32_MAX - 1024 * 1024;

std::uint64_t message_size_max(const Limits& limits) {
    return std::min(limits.message_size_max, body_size_max);
}

// What cannot be compressed grows a little: by far less than an eighth with any sensible deflate.
std::uint64_t compressed_size_max(const Limits& limits) {
    const std::uint64_t size_max = message_size_max(limits);
    return std::min(size_max + size_max / 8 + 64, body_size_max);
}

void unmask(const FrameHeader& header, MutableBytes payload) {
    if (header.is_masked) apply_mask(payload, header.mask);
}

Event make_event(EventKind kind, MutableBytes payload) {
    Event event;
    event.kind = kind;
    event.payload = payload;
    return event;
}

Event make_message(Opcode opcode, MutableBytes payload) {
    Event event = make_event(EventKind::message, payload);
    event.opcode = opcode;
    return event;
}

}  // namespace

CloseCode close_code(Failure failure) {
    switch (failure) {
        case Failure::none:
            return CloseCode::none;
        case Failure::bad_mask:
        case Failure::bad_reserved_bits:
        case Failure::bad_opcode:
        case Failure::bad_control_frame:
        case Failure::bad_continuation:
        case Failure::bad_length:
        case Failure::bad_close_frame:
            return CloseCode::protocol_error;
        case Failure::bad_utf8:
        case Failure::bad_deflate:
            return CloseCode::invalid_payload;
        case Failure::too_big:
        case Failure::inflated_too_big:
            return CloseCode::too_big;
        case Failure::too_many_fragments:
            return CloseCode::policy;
    }
    WSPOOL_UNREACHABLE();
}

std::string_view name(Failure failure) {
    switch (failure) {
        case Failure::none:
            return "none";
        case Failure::bad_mask:
            return "bad_mask";
        case Failure::bad_reserved_bits:
            return "bad_reserved_bits";
        case Failure::bad_opcode:
            return "bad_opcode";
        case Failure::bad_control_frame:
            return "bad_control_frame";
        case Failure::bad_continuation:
            return "bad_continuation";
        case Failure::bad_length:
            return "bad_length";
        case Failure::bad_close_frame:
            return "bad_close_frame";
        case Failure::bad_utf8:
            return "bad_utf8";
        case Failure::bad_deflate:
            return "bad_deflate";
        case Failure::too_big:
            return "too_big";
        case Failure::inflated_too_big:
            return "inflated_too_big";
        case Failure::too_many_fragments:
            return "too_many_fragments";
    }
    WSPOOL_UNREACHABLE();
}

// What is unfinished: a header, a frame, a message, or several of them; or a payload that was
// handed out from here and goes with the next read().
struct Connection::Partial {
    ByteBuffer body;  // of the data message; unmasked
    FrameHeader frame;
    std::uint64_t frame_size_left = 0;
    std::size_t mask_offset = 0;
    Utf8Validator utf8;
    std::uint32_t fragment_count = 0;
    std::uint32_t empty_fragment_count = 0;  // consecutive
    Opcode opcode = Opcode::text;            // of the message
    bool is_compressed = false;
    bool is_in_frame = false;
    bool is_in_message = false;  // a fragmented one
    bool is_delivered = false;
    std::uint8_t header_size = 0;
    std::uint8_t control_size = 0;
    std::array<std::byte, frame_header_size_max> header;
    std::array<std::byte, control_payload_size_max> control;  // apart: it may come inside a message
};

Connection::Connection(Role role, bool has_deflate) : role_(role), has_deflate_(has_deflate) {
    static_assert(sizeof(Connection) <= 16);
}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Event Connection::read(MutableBytes& input, const Codec& codec) {
    if (is_finished_) {
        partial_.reset();
        input = {};
        return {};
    }
    if (partial_ != nullptr) drop_delivered();
    for (;;) {
        if (partial_ == nullptr || !partial_->is_in_frame) {
            FrameHeader frame;
            const HeaderReading reading = take_header(input, frame);
            if (reading.failure != Failure::none) return fail(reading.failure);
            if (reading.size == 0) return {};
            const Failure failure = check_limits(frame, codec.limits);
            if (failure != Failure::none) return fail(failure);
            const bool is_message = frame.is_final && !is_in_message();
            if (frame.payload_size <= input.size() && (is_message || is_control(frame.opcode))) {
                return deliver_in_place(frame, input, codec);
            }
            begin_frame(frame);
        }
        const Failure failure = take_payload(input);
        if (failure != Failure::none) return fail(failure);
        if (partial_->frame_size_left != 0) return {};
        const Event event = end_frame(codec);
        if (event.kind != EventKind::none) return event;
    }
}

Progress Connection::progress() const {
    if (partial_ == nullptr) return Progress::idle;
    if (partial_->is_in_message) return Progress::in_message;
    return partial_->is_delivered ? Progress::idle : Progress::in_frame;
}

std::size_t Connection::held_bytes() const {
    return partial_ == nullptr ? 0 : sizeof(Partial) + partial_->body.capacity();
}

inline bool Connection::is_in_message() const {
    return partial_ != nullptr && partial_->is_in_message;
}

Connection::Partial& Connection::partial() {
    if (partial_ == nullptr) partial_ = std::make_unique<Partial>();
    return *partial_;
}

void Connection::drop_delivered() {
    if (!partial_->is_delivered) return;
    partial_->is_delivered = false;
    // A control frame may have been delivered in the middle of a message, which goes on.
    if (!partial_->is_in_message) partial_.reset();
}

// Takes a whole header from the front of `input`, or puts what there is of it aside.
[[gnu::always_inline]] inline HeaderReading Connection::take_header(MutableBytes& input,
                                                                    FrameHeader& header) {
    const HeaderRules rules{role_, has_deflate_, is_in_message()};
    if (partial_ == nullptr || partial_->header_size == 0) {
        const HeaderReading reading = read_frame_header(input, rules, header);
        if (reading.size != 0) input = input.subspan(reading.size);
        if (reading.size != 0 || reading.failure != Failure::none || input.empty()) return reading;
    }
    return gather_header(input, header);
}

HeaderReading Connection::gather_header(MutableBytes& input, FrameHeader& header) {
    if (input.empty()) return {};
    Partial& held = partial();
    const std::size_t before = held.header_size;
    const std::size_t added = std::min(input.size(), held.header.size() - before);
    std::copy_n(input.begin(), added, held.header.begin() + static_cast<std::ptrdiff_t>(before));
    const HeaderRules rules{role_, has_deflate_, held.is_in_message};
    const HeaderReading reading =
        read_frame_header(ByteView(held.header.data(), before + added), rules, header);
    if (reading.failure != Failure::none) return reading;
    if (reading.size == 0) {
        held.header_size = static_cast<std::uint8_t>(before + added);
        input = input.subspan(added);
        return reading;
    }
    input = input.subspan(reading.size - before);
    held.header_size = 0;
    if (!held.is_in_message) partial_.reset();
    return reading;
}

inline Failure Connection::check_limits(const FrameHeader& header, const Limits& limits) const {
    if (is_control(header.opcode)) return Failure::none;
    const bool goes_on = is_in_message();
    const bool is_compressed = goes_on ? partial_->is_compressed : header.is_compressed;
    const std::uint64_t size_max =
        is_compressed ? compressed_size_max(limits) : message_size_max(limits);
    const std::uint64_t held_size = goes_on ? partial_->body.size() : 0;
    // Written so that no declared length can wrap.
    if (held_size > size_max || header.payload_size > size_max - held_size) return Failure::too_big;
    if (header.is_final && !goes_on) return Failure::none;
    const std::uint32_t fragments = goes_on ? partial_->fragment_count : 0;
    const std::uint32_t empty_fragments = goes_on ? partial_->empty_fragment_count : 0;
    const bool is_empty = header.payload_size == 0 && !header.is_final;
    if (fragments >= limits.fragments_max ||
        (is_empty && empty_fragments >= limits.empty_fragments_max)) {
        return Failure::too_many_fragments;
    }
    return Failure::none;
}

// The whole payload lies at the front of `input`, and needs nothing that came before.
inline Event Connection::deliver_in_place(const FrameHeader& header,
                                          MutableBytes& input,
                                          const Codec& codec) {
    const MutableBytes payload = input.first(static_cast<std::size_t>(header.payload_size));
    input = input.subspan(payload.size());
    unmask(header, payload);
    if (is_control(header.opcode)) return end_control(header.opcode, payload);
    if (header.is_compressed) return deliver_inflated(header.opcode, payload, codec);
    if (header.opcode == Opcode::text && !is_valid_utf8(payload)) return fail(Failure::bad_utf8);
    return make_message(header.opcode, payload);
}

void Connection::begin_frame(const FrameHeader& header) {
    Partial& held = partial();
    WSPOOL_ASSERT(!held.is_in_frame);
    held.is_in_frame = true;
    held.frame = header;
    held.frame_size_left = header.payload_size;
    held.mask_offset = 0;
    held.control_size = 0;
    if (is_control(header.opcode)) return;
    if (!held.is_in_message) {
        held.opcode = header.opcode;
        held.is_compressed = header.is_compressed;
        held.is_in_message = !header.is_final;
    }
    ++held.fragment_count;
    held.empty_fragment_count = header.payload_size == 0 ? held.empty_fragment_count + 1 : 0;
}

// Takes what `input` has of the current frame's payload, unmasks it and checks it where it will
// stay.
Failure Connection::take_payload(MutableBytes& input) {
    Partial& held = *partial_;
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(held.frame_size_left, input.size()));
    if (size == 0) return Failure::none;
    const bool in_control = is_control(held.frame.opcode);
    std::byte* const to =
        in_control ? held.control.data() + held.control_size : held.body.reserve_back(size);
    std::memcpy(to, input.data(), size);
    input = input.subspan(size);
    held.frame_size_left -= size;
    if (held.frame.is_masked) {
        held.mask_offset = apply_mask({to, size}, held.frame.mask, held.mask_offset);
    }
    if (in_control) {
        held.control_size = static_cast<std::uint8_t>(held.control_size + size);
        return Failure::none;
    }
    held.body.commit(size);
    if (held.opcode != Opcode::text || held.is_compressed) return Failure::none;
    return held.utf8.accept({to, size}) ? Failure::none : Failure::bad_utf8;
}

// `none` when the frame was not the last of its message.
Event Connection::end_frame(const Codec& codec) {
    Partial& held = *partial_;
    held.is_in_frame = false;
    if (is_control(held.frame.opcode)) {
        held.is_delivered = true;
        return end_control(held.frame.opcode, {held.control.data(), held.control_size});
    }
    if (!held.frame.is_final) return {};
    held.is_in_message = false;
    if (held.is_compressed) return deliver_inflated(held.opcode, held.body.view(), codec);
    if (!held.utf8.is_complete()) return fail(Failure::bad_utf8);
    return deliver_body(held.opcode);
}

Event Connection::end_control(Opcode opcode, MutableBytes payload) {
    if (opcode == Opcode::ping) return make_event(EventKind::ping, payload);
    if (opcode == Opcode::pong) return make_event(EventKind::pong, payload);
    CloseCode code = CloseCode::no_status;
    if (!payload.empty()) {
        if (payload.size() < 2) return fail(Failure::bad_close_frame);
        const auto number = static_cast<std::uint16_t>(read_big_endian(payload.data(), 2));
        if (!may_be_received(number)) return fail(Failure::bad_close_frame);
        code = static_cast<CloseCode>(number);
        payload = payload.subspan(2);
        if (!is_valid_utf8(payload)) return fail(Failure::bad_utf8);
    }
    is_finished_ = true;
    Event event = make_event(EventKind::close, payload);
    event.code = code;
    return event;
}

Event Connection::deliver_inflated(Opcode opcode, ByteView compressed, const Codec& codec) {
    WSPOOL_ASSERT(codec.inflater != nullptr);
    ByteBuffer message;
    const auto size_max = static_cast<std::size_t>(message_size_max(codec.limits));
    switch (codec.inflater->decompress(compressed, size_max, message)) {
        case InflateOutcome::ok:
            break;
        case InflateOutcome::too_big:
            return fail(Failure::inflated_too_big);
        case InflateOutcome::invalid:
            return fail(Failure::bad_deflate);
    }
    if (opcode == Opcode::text && !is_valid_utf8(message.view())) return fail(Failure::bad_utf8);
    // `compressed` may lie in the body that is replaced here; it has been used up.
    partial().body = std::move(message);
    return deliver_body(opcode);
}

Event Connection::deliver_body(Opcode opcode) {
    partial_->is_delivered = true;
    return make_message(opcode, partial_->body.bytes());
}

Event Connection::fail(Failure failure) {
    partial_.reset();
    is_finished_ = true;
    Event event;
    event.kind = EventKind::failed;
    event.failure = failure;
    return event;
}

}  // namespace wspool::ws
