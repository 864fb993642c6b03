// What there is to tell: from what is held, and from what the inner loop reports.
#include "base/assert.h"
#include "io/tls_loop.h"
#include "io/tls_loop_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace wspool::io {

bool TlsLoop::next_event(Event& event) {
    while (visits_left_ > 0) {
        if (visit_ready(event)) return true;
    }
    while (inner_->next_event(event)) {
        if (event.kind == EventKind::accepted) {
            if (take_accepted(event)) return true;
            continue;
        }
        Stream* stream = find(event.stream);
        if (stream == nullptr || on_inner_event(*stream, event)) return true;
    }
    return false;
}

// Gives an accepted stream what it needs when its listener speaks TLS. False: it was closed for
// want of memory.
bool TlsLoop::take_accepted(Event& event) {
    const auto at = std::find_if(listeners_.begin(), listeners_.end(), [&](const Listener& l) {
        return l.id == event.listener;
    });
    if (at == listeners_.end()) return true;
    auto tls = TlsConversation::accept(at->context.get());
    if (!tls) {
        inner_->close(event.stream, CloseMode::reset);
        return false;
    }
    auto stream = std::make_unique<Stream>();
    stream->tls = std::move(*tls);
    stream->owner = event.owner;
    add(event.stream, std::move(stream));
    return true;
}

// ---- ready streams

bool TlsLoop::visit_ready(Event& event) {
    Stream* stream = find(ready_.front());
    if (stream != nullptr && !stream->owes_failure() && stream->owes_room()) {
        // Stays in front, to be received from in the same visit.
        stream->is_blocked = false;
        tell(*stream, EventKind::writable, event);
        return true;
    }
    ready_.pop_front();
    --visits_left_;
    if (stream == nullptr) return false;
    stream->is_ready = false;
    if (stream->owes_failure() || !stream->owes_bytes()) return tell_state(*stream, event);
    stream->is_holding = false;
    const ByteBuffer held = std::move(stream->held);
    return take(*stream, held.view(), event);
}

// ---- what comes from inside

bool TlsLoop::on_inner_event(Stream& stream, Event& event) {
    switch (event.kind) {
        case EventKind::connected:
            stream.is_connecting = false;
            note_unsent(stream);
            return false;
        case EventKind::received:
            WSPOOL_ASSERT(!stream.is_holding);
            return !stream.is_broken() && take(stream, event.bytes, event);
        case EventKind::ended:
            if (stream.is_broken() || stream.tls->state() == TlsState::ended) return false;
            if (stream.is_handshaking()) {
                const bool is_client = stream.tls->role() == TlsRole::client;
                break_stream(stream,
                             EPROTO,
                             std::string(is_client ? "the server" : "the client") +
                                 " closed the connection in the middle of the TLS handshake");
                return tell_state(stream, event);
            }
            stream.has_told_end = true;
            return true;
        case EventKind::failed:
            if (stream.is_broken()) return tell_state(stream, event);
            stream.has_told_failure = true;
            if (!stream.is_connecting && stream.is_handshaking()) {
                told_ = std::string("the connection broke in the middle of the TLS handshake: ") +
                        std::strerror(event.error);
                event.text = told_;
            }
            return true;
        case EventKind::writable:
            stream.is_full = false;
            note_unsent(stream);
            return false;
        case EventKind::accepted:
        case EventKind::accept_refused:
        case EventKind::accept_paused:
        case EventKind::readable:
            break;
    }
    return false;
}

// Ciphertext becomes at most one event.
bool TlsLoop::take(Stream& stream, ByteView input, Event& event) {
    TlsConversation& tls = *stream.tls;
    const MutableBytes plain(plain_.get(), receive_max);
    const bool was_handshaking = stream.is_handshaking();
    std::size_t size = tls.receive(input, plain);
    const bool is_now_secured = was_handshaking && stream.is_secured();
    const bool is_now_connected = is_now_secured && tls.role() == TlsRole::client;
    if (is_now_secured) {
        if (stream.wants_fin) end_half(stream);
        // The client is told that it is connected, and what else came is held.
        if (!is_now_connected && !stream.is_paused) size = tls.receive(input, plain);
    }
    if (!input.empty() || tls.has_more()) {
        stream.is_holding = true;
        stream.held.append(input);
    }
    if (tls.unsent().size() > unsent_max && !stream.has_failed()) {
        break_stream(stream, EPROTO, "the peer asks for more of TLS than it takes");
    }
    if (stream.has_failed() && stream.error == 0) stream.error = EPROTO;
    note_unsent(stream);
    note_reading(stream);
    bool is_told = true;
    if (is_now_connected) {
        tell(stream, EventKind::connected, event);
    } else if (size > 0) {
        tell(stream, EventKind::received, event);
        event.bytes = plain.first(size);
    } else {
        is_told = tell_state(stream, event);
    }
    note(stream);
    return is_told;
}

void TlsLoop::tell(Stream& stream, EventKind kind, Event& event) {
    event = Event{};
    event.kind = kind;
    event.stream = stream.id;
    event.owner = stream.owner;
}

// The stream's last words, once.
bool TlsLoop::tell_state(Stream& stream, Event& event) {
    if (stream.owes_failure()) {
        stream.has_told_failure = true;
        tell(stream, EventKind::failed, event);
        event.error = stream.error;
        told_ = stream.tls->sentence();
        event.text = told_;
        return true;
    }
    if (stream.is_broken() || !stream.owes_end()) return false;
    stream.has_told_end = true;
    tell(stream, EventKind::ended, event);
    return true;
}

void TlsLoop::break_stream(Stream& stream, int error, std::string sentence) {
    stream.error = error;
    stream.tls->fail(std::move(sentence));
}

// ---- the lists

void TlsLoop::note(Stream& stream) {
    if (stream.is_ready || !stream.owes_anything()) return;
    stream.is_ready = true;
    ready_.push_back(stream.id);
}

void TlsLoop::note_unsent(Stream& stream) {
    const bool is_impossible = stream.is_connecting || stream.is_full || stream.is_unsent;
    if (is_impossible || stream.tls->unsent().empty()) return;
    stream.is_unsent = true;
    unsent_.push_back(stream.id);
}

void TlsLoop::note_reading(Stream& stream) {
    if (stream.wants_inner_pause() == stream.is_inner_paused) return;
    if (!stream.is_inner_paused) {
        stream.is_inner_paused = true;
        inner_->pause(stream.id);
    } else if (!stream.is_reading) {
        stream.is_reading = true;
        reading_.push_back(stream.id);
    }
}

}  // namespace wspool::io
