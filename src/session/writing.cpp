// Frames out: encoding, the outboxes, and the flush of a turn.
#include "session/engine_state.h"
#include "ws/frame.h"
#include "ws/mask.h"

#include <algorithm>
#include <cstring>

namespace wspool::session {
namespace {

[[nodiscard]] std::size_t total_size(std::span<const ByteView> pieces) {
    std::size_t size = 0;
    for (const ByteView& piece : pieces) size += piece.size();
    return size;
}

}  // namespace

// ------------------------------------------------------------------------------------------
// encoding

// Writes one frame, into `arena` when it is small and into a block of its own when it is large. A
// block is kept by the turn; receivers add their references. Inlined into each sender, as push()
// is: a Form handed through memory would be loaded right behind the stores that made it.
[[gnu::always_inline]] inline Frame::Form Engine::State::encode(ws::Opcode opcode,
                                                                bool is_compressed,
                                                                std::span<const ByteView> pieces,
                                                                bool masks,
                                                                TurnArena& arena) {
    const std::size_t payload = total_size(pieces);
    const std::size_t size = ws::frame_header_size(payload, masks) + payload;
    Frame::Form form;
    std::byte* out = nullptr;
    if (size <= arena_frame_size_max) {
        out = arena.allocate(size, turn);
    } else {
        form.block = make_block(size);
        form.block->size = static_cast<std::uint32_t>(size);
        turn_blocks.push_back(form.block);
        out = form.block->data();
    }
    form.data = out;
    form.size = static_cast<std::uint32_t>(size);

    ws::FrameHeader header;
    header.opcode = opcode;
    header.is_compressed = is_compressed;
    header.payload_size = payload;
    header.is_masked = masks;
    if (masks) entropy.fill(header.mask);
    const std::size_t head_size = ws::write_frame_header(header, out);
    std::byte* at = out + head_size;
    for (const ByteView& piece : pieces) {
        if (!piece.empty()) std::memcpy(at, piece.data(), piece.size());
        at += piece.size();
    }
    if (masks) (void)ws::apply_mask({out + head_size, payload}, header.mask);
    return form;
}

// Compresses into `deflated`; false when that does not pay.
bool Engine::State::deflate_pieces(std::span<const ByteView> pieces,
                                   std::size_t size,
                                   int window_bits) {
    if (size < options.deflate_size_min) return false;
    deflated.clear();
    if (pieces.size() == 1) {
        deflater.compress(pieces[0], deflated, window_bits);
    } else {
        ByteBuffer whole;
        for (const ByteView& piece : pieces) whole.append(piece);
        deflater.compress(whole.view(), deflated, window_bits);
    }
    return deflated.size() < size;
}

SendOutcome Engine::State::send(Session& session,
                                ws::Opcode opcode,
                                std::span<const ByteView> pieces) {
    if (session.phase != Phase::open) return SendOutcome::gone;
    if (session.deflate_bits != 0 &&
        deflate_pieces(pieces, total_size(pieces), session.deflate_bits)) {
        const ByteView whole = deflated.view();
        return push(session,
                    encode(opcode, true, std::span(&whole, 1), session.is_client, reply_arena),
                    1,
                    Queue::replies);
    }
    return push(
        session, encode(opcode, false, pieces, session.is_client, reply_arena), 1, Queue::replies);
}

Frame Engine::State::frame(ws::Opcode opcode, std::span<const ByteView> pieces) {
    Frame result;
    result.opcode = opcode;
    result.payload_size = static_cast<std::uint32_t>(total_size(pieces));
    result.plain = encode(opcode, false, pieces, false, frame_arena);
    return result;
}

SendOutcome Engine::State::send_frame(Session& session, Frame& frame) {
    if (session.phase != Phase::open) return SendOutcome::gone;
    WSPOOL_ASSERT(!session.is_client);
    // Who asked for a smaller window gets the plain form, which is always allowed (RFC 7692 section
    // 6).
    if (session.deflate_bits != ws::window_bits_max ||
        frame.payload_size < options.deflate_size_min) {
        return push(session, frame.plain, 1, Queue::fanout);
    }
    if (frame.compressed.data == nullptr) {
        const std::size_t header = frame.plain.size - frame.payload_size;
        const ByteView payload{frame.plain.data + header, frame.payload_size};
        frame.compressed = frame.plain;
        if (deflate_pieces(std::span(&payload, 1), payload.size(), ws::window_bits_max)) {
            const ByteView whole = deflated.view();
            frame.compressed = encode(frame.opcode, true, std::span(&whole, 1), false, frame_arena);
        }
    }
    return push(session, frame.compressed, 1, Queue::fanout);
}

SendOutcome Engine::State::send_raw(Session& session, ByteView frames, std::uint32_t messages) {
    if (session.phase != Phase::open) return SendOutcome::gone;
    return push(session,
                {frames.data(), static_cast<std::uint32_t>(frames.size()), nullptr},
                messages,
                Queue::replies);
}

// --------------------------------------------------------------------------------------------
// outbox

// Every data frame enters an outbox here.
[[gnu::always_inline]] inline SendOutcome Engine::State::push(Session& session,
                                                              const Frame::Form& form,
                                                              std::uint32_t messages,
                                                              Queue queue) {
    take_outbox(session);
    Outbox& outbox = *session.outbox;
    counters.accepted += messages;
    if (session.is_blocked && !outbox.empty() &&
        outbox.size() + form.size > options.outbox_size_max) {
        counters.add(metrics::DropReason::slow_consumer, messages);
        end_slow_consumer(session);
        return SendOutcome::full;
    }
    counters.queued += messages;
    counters.outbox_bytes += form.size;
    if (form.block != nullptr) {
        outbox.push_block(form.block, form.data, form.size, messages);
    } else if (session.is_blocked) {
        outbox.push_copy({form.data, form.size}, messages);
    } else {
        outbox.push_turn(form.data, form.size, messages);
    }
    if (session.is_blocked) {
        throttle(session);
    } else {
        unflushed += form.size;
        mark_dirty(session, queue);
    }
    return SendOutcome::queued;
}

void Engine::State::end_slow_consumer(Session& session) {
    Outbox& outbox = *session.outbox;
    const std::uint32_t dropped = outbox.messages();
    const std::size_t before = outbox.size();
    const std::uint32_t unbegun = outbox.drop_unbegun();
    WSPOOL_ASSERT(unbegun <= dropped);
    counters.add(metrics::DropReason::slow_consumer, unbegun);
    counters.queued -= unbegun;
    counters.outbox_bytes -= before - outbox.size();
    fail_open(
        session, ws::CloseCode::try_again_later, "too slow", metrics::CloseReason::slow_consumer);
}

// Handshake bytes: the first thing in an outbox, ever.
void Engine::State::push_raw(Session& session, std::string_view bytes) {
    take_outbox(session);
    const auto size = static_cast<std::uint32_t>(bytes.size());
    std::byte* copy = reply_arena.allocate(size, turn);
    std::memcpy(copy, bytes.data(), size);
    session.outbox->push_raw(copy, size);
    counters.outbox_bytes += size;
    unflushed += size;
    mark_dirty(session, Queue::replies);
}

void Engine::State::send_control(Session& session, ws::Opcode opcode, ByteView payload) {
    WSPOOL_ASSERT(payload.size() <= ws::control_payload_size_max);
    const Frame::Form form =
        encode(opcode, false, std::span(&payload, 1), session.is_client, reply_arena);
    take_outbox(session);
    counters.outbox_bytes += form.size;
    if (session.is_blocked) {
        session.outbox->push_copy({form.data, form.size}, 0);
    } else {
        session.outbox->push_turn(form.data, form.size, 0);
        unflushed += form.size;
        mark_dirty(session, Queue::replies);
    }
}

void Engine::State::take_outbox(Session& session) {
    if (session.outbox != nullptr) return;
    if (spare_outboxes.empty()) {
        session.outbox = new Outbox;
    } else {
        session.outbox = spare_outboxes.back().release();
        spare_outboxes.pop_back();
    }
}

// Gives an outbox back to the pool; what is still in it is dropped.
void Engine::State::drop_outbox(Session& session) {
    if (session.outbox == nullptr) return;
    Outbox& outbox = *session.outbox;
    counters.outbox_bytes -= outbox.size();
    counters.queued -= outbox.messages();
    counters.add(metrics::DropReason::closed, outbox.messages());
    if (!session.is_blocked) unflushed -= outbox.size();
    outbox.clear();
    if (spare_outboxes.size() < 1024) {
        spare_outboxes.emplace_back(&outbox);
    } else {
        delete &outbox;
    }
    session.outbox = nullptr;
}

// Who cannot be sent to is not read from either, beyond throttle_size: a peer that does not read
// its answers slows itself down. What others publish still arrives, up to the outbox's bound. A
// client reads on: if both ends waited for each other's reading, neither would ever go on.
void Engine::State::throttle(Session& session) {
    const bool wants = !session.is_client && session.is_blocked && session.outbox != nullptr &&
                       session.outbox->size() > throttle_size && session.phase == Phase::open;
    if (wants == session.is_throttled) return;
    session.is_throttled = wants;
    if (session.is_paused) return;
    if (wants) {
        loop.pause(session.stream);
    } else {
        loop.resume(session.stream);
    }
}

// ---------------------------------------------------------------------------------------------
// flush

Engine::State::DirtyQueue::Entry Engine::State::DirtyQueue::pop() {
    const Entry entry = entries[first++];
    if (first == entries.size()) {
        entries.clear();
        first = 0;
    } else if (first > 4096 && first * 2 > entries.size()) {
        entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(first));
        first = 0;
    }
    return entry;
}

// A session in the fan-out's queue that also has a reply goes with the replies: nobody waits for a
// large group's turn to get an answer.
void Engine::State::mark_dirty(Session& session, Queue queue) {
    if (session.queue == queue || session.queue == Queue::replies) return;
    session.queue = queue;
    (queue == Queue::replies ? replies : fanout).entries.push_back({turn, session.index});
}

void Engine::State::flush() {
    WSPOOL_ASSERT(flushed.empty());
    needs_settling = false;
    while (!replies.empty()) {
        const std::uint32_t index = replies.pop().index;
        if (sessions[index].queue == Queue::replies) (void)flush_session(index);
    }
    for (std::size_t sent = 0; sent < fanout_slice && !fanout.empty();) {
        const std::uint32_t index = fanout.pop().index;
        if (sessions[index].queue == Queue::fanout && flush_session(index)) ++sent;
    }
}

bool Engine::State::flush_session(std::uint32_t index) {
    Session& session = sessions[index];
    session.queue = Queue::none;
    WSPOOL_ASSERT(!session.is_blocked && !session.is_flushing);
    if (session.outbox == nullptr) return false;
    std::array<ByteView, io::send_pieces_max> pieces;
    const std::size_t count = session.outbox->front(pieces, io::send_size_max);
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) size += pieces[i].size();
    loop.send(session.stream, std::span(pieces).first(count));
    session.is_flushing = true;
    // Somebody waits for the outcome of this send: what is left over, or the end of the stream.
    needs_settling =
        needs_settling || size < session.outbox->size() || session.phase == Phase::lingering;
    flushed.push_back({index, static_cast<std::uint32_t>(size)});
    return true;
}

void Engine::State::settle() {
    for (const io::ShortSend& short_send : loop.short_sends()) on_short_send(short_send);
    for (const Flushed& entry : flushed) {
        Session& session = sessions[entry.index];
        if (!session.is_flushing) continue;  // was short
        session.is_flushing = false;
        unflushed -= entry.size;
        on_sent(session, entry.size);
        if (session.outbox == nullptr) continue;
        // More than one send takes at a time: the rest is copied, so that no arena waits for it.
        session.outbox->keep();
        mark_dirty(session, Queue::replies);
    }
    flushed.clear();
}

void Engine::State::on_sent(Session& session, std::size_t count) {
    Outbox& outbox = *session.outbox;
    const std::uint32_t messages = outbox.pop(count);
    counters.bytes_sent += count;
    counters.outbox_bytes -= count;
    counters.queued -= messages;
    counters.delivered += messages;
    counters.messages_sent += messages;
    if (!outbox.empty()) return;
    spare_outboxes.emplace_back(&outbox);
    session.outbox = nullptr;
    if (session.phase == Phase::lingering) finish_lingering(session);
}

void Engine::State::on_short_send(const io::ShortSend& short_send) {
    if (short_send.owner >= foreign_owner) return foreign_short_sends.push_back(short_send);
    Session* found = find(SessionId{static_cast<std::uint32_t>(short_send.owner),
                                    static_cast<std::uint32_t>(short_send.owner >> 32)});
    if (found == nullptr || !found->is_flushing) return;
    Session& session = *found;
    session.is_flushing = false;
    unflushed -= session.outbox->size();
    session.is_blocked = true;
    if (short_send.sent > 0) on_sent(session, short_send.sent);
    if (short_send.error != 0) {
        on_lost(session);
        return;
    }
    // Without an outbox all was taken, and the loop has still to deliver some of it.
    if (session.outbox != nullptr) session.outbox->keep();
    session.blocked_since = tick;
    throttle(session);
    arm(session);
}

void Engine::State::on_writable(Session& session) {
    if (!session.is_blocked) return;
    session.is_blocked = false;
    session.blocked_since = 0;
    if (session.outbox != nullptr) unflushed += session.outbox->size();
    if (session.extra && std::exchange(session.extra->has_pong, false) &&
        session.phase == Phase::open) {
        send_control(session, ws::Opcode::pong, session.extra->pong.view());
    }
    if (session.outbox != nullptr) {
        mark_dirty(session, Queue::replies);
    } else if (session.phase == Phase::lingering) {
        return finish_lingering(session);
    }
    throttle(session);
    arm(session);  // the write deadline is gone, and the next ping may be due before it
}

// Nothing that was written before the oldest session still to be flushed is referred to any more.
void Engine::State::release_arenas() {
    const std::uint64_t oldest = fanout.empty() ? turn + 1 : fanout.entries[fanout.first].turn;
    reply_arena.release_before(oldest);
    frame_arena.release_before(oldest);
    for (Block* block : turn_blocks) drop_reference(block);
    turn_blocks.clear();
}

}  // namespace wspool::session
