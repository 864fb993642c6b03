// The turn and the verbs; what the inner loop reports is in tls_loop_events.cpp.
#include "io/tls_loop.h"

#include "base/assert.h"
#include "io/descriptor_channel.h"
#include "io/tls_loop_stream.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace wspool::io {

namespace {

// What the inner loop is to listen with.
ListenOptions without_tls(const ListenOptions& options) {
    ListenOptions plain = options;
    plain.tls = nullptr;
    plain.refusal.clear();  // no client of TLS would understand it
    return plain;
}

}  // namespace

TlsLoop::TlsLoop(std::unique_ptr<Loop> inner)
    : inner_(std::move(inner)),
      plain_(std::make_unique_for_overwrite<std::byte[]>(receive_max + receive_slack)),
      gather_(std::make_unique_for_overwrite<std::byte[]>(TlsConversation::gather_size)) {}

TlsLoop::~TlsLoop() = default;

TlsLoop::Stream* TlsLoop::find(StreamId id) const {
    if (id.index >= streams_.size()) return nullptr;
    Stream* stream = streams_[id.index].get();
    return stream != nullptr && stream->id == id ? stream : nullptr;
}

void TlsLoop::add(StreamId id, std::unique_ptr<Stream> stream) {
    if (id.index >= streams_.size()) {
        streams_.resize(std::max<std::size_t>(id.index + 1, streams_.size() * 2));
    }
    stream->id = id;
    streams_[id.index] = std::move(stream);
}

// ---- the turn

void TlsLoop::wait(Instant deadline) {
    short_sends_.clear();
    update_reading();
    const bool is_awaited = send_unsent();
    inner_->wait(is_awaited || !ready_.empty() ? Instant::min() : deadline);
    leaving_.clear();
    settle_sends();
    visits_left_ = ready_.size();
    WSPOOL_ASSERT_SLOW((check_invariants(), true));
}

// Only here, so that a stream that was read from what was held is not received from in the same
// turn.
void TlsLoop::update_reading() {
    for (const StreamId id : reading_) {
        Stream* stream = find(id);
        if (stream == nullptr) continue;
        stream->is_reading = false;
        if (!stream->is_inner_paused || stream->wants_inner_pause()) continue;
        stream->is_inner_paused = false;
        inner_->resume(id);
    }
    reading_.clear();
}

// True when somebody waits for the outcome of this turn's sends, or it is known already.
bool TlsLoop::send_unsent() {
    bool is_awaited = false;
    for (const StreamId id : senders_) {
        const Stream* stream = find(id);
        if (stream == nullptr) continue;
        is_awaited = is_awaited || stream->sent_size == 0 || stream->is_full;
    }
    for (const StreamId id : unsent_) {
        Stream* stream = find(id);
        if (stream == nullptr) continue;
        stream->is_unsent = false;
        const ByteView unsent = stream->tls->unsent();
        const ByteView piece = unsent.first(std::min(unsent.size(), wrapped_send_size_max));
        if (piece.empty() || stream->is_full) continue;
        stream->in_flight = piece.size();
        inner_->send(id, {&piece, 1});
        in_flight_.push_back(id);
        is_awaited =
            is_awaited || stream->is_blocked || stream->wants_fin || piece.size() < unsent.size();
    }
    unsent_.clear();
    return is_awaited;
}

void TlsLoop::settle_sends() {
    for (const ShortSend& short_send : inner_->short_sends()) {
        Stream* stream = find(short_send.stream);
        if (stream == nullptr) {
            short_sends_.push_back(short_send);
            continue;
        }
        stream->in_flight = short_send.error == 0 ? short_send.sent : stream->tls->unsent().size();
        stream->is_full = true;
        stream->send_error = short_send.error;
    }
    for (const StreamId id : in_flight_) {
        if (Stream* stream = find(id)) {
            stream->tls->drop_unsent(std::exchange(stream->in_flight, 0));
        }
    }
    for (const StreamId id : senders_) {
        if (Stream* stream = find(id)) settle_owner_send(*stream);
    }
    for (const StreamId id : in_flight_) {
        if (Stream* stream = find(id)) settle_rest(*stream);
    }
    senders_.clear();
    in_flight_.clear();
}

void TlsLoop::settle_owner_send(Stream& stream) {
    stream.has_sent = false;
    const std::size_t size = std::exchange(stream.sent_size, 0);
    ShortSend outcome{stream.id, stream.owner, size, 0};
    if (size == 0) {
        outcome.error = stream.refusal;
    } else if (stream.send_error != 0) {
        // The owner learns of it here, as from any loop.
        outcome.sent = 0;
        outcome.error = stream.send_error;
    } else if (stream.tls->unsent().empty()) {
        return;
    }
    stream.is_blocked = true;
    short_sends_.push_back(outcome);
    note(stream);
}

// What comes after this turn's sends, but for the owner's part.
void TlsLoop::settle_rest(Stream& stream) {
    if (stream.send_error != 0) {
        if (!stream.is_blocked && !stream.is_broken()) {
            break_stream(stream,
                         stream.send_error,
                         std::string("the connection broke: ") + std::strerror(stream.send_error));
        }
    } else if (!stream.tls->unsent().empty()) {
        note_unsent(stream);
    } else if (stream.has_ended && stream.wants_fin) {
        stream.wants_fin = false;
        inner_->shutdown_write(stream.id);
    }
    note(stream);
}

// ---- the verbs

Result<StreamId> TlsLoop::listen(const Address& address,
                                 const ListenOptions& options,
                                 std::uint64_t owner) {
    if (options.tls == nullptr) return inner_->listen(address, options, owner);
    auto id = inner_->listen(address, without_tls(options), owner);
    if (id) add_listener(*id, *options.tls);
    return id;
}

Result<StreamId> TlsLoop::adopt_listener(int fd,
                                         const ListenOptions& options,
                                         std::uint64_t owner) {
    if (options.tls == nullptr) return inner_->adopt_listener(fd, options, owner);
    auto id = inner_->adopt_listener(fd, without_tls(options), owner);
    if (id) add_listener(*id, *options.tls);
    return id;
}

void TlsLoop::add_listener(StreamId id, const TlsServer& server) {
    SSL_CTX_up_ref(server.context());
    listeners_.push_back({id, TlsContext(server.context())});
}

Result<StreamId> TlsLoop::connect(const Address& address,
                                  std::uint64_t owner,
                                  const ConnectOptions& options) {
    if (options.tls == nullptr) return inner_->connect(address, owner, options);
    auto tls = TlsConversation::connect(*options.tls, options.server_name);
    if (!tls) return tl::unexpected(tls.error());
    ConnectOptions below;
    below.source = options.source;
    auto id = inner_->connect(address, owner, below);
    if (!id) return id;
    auto stream = std::make_unique<Stream>();
    stream->tls = std::move(*tls);
    stream->owner = owner;
    stream->is_connecting = true;
    add(*id, std::move(stream));
    return id;
}

Result<StreamId> TlsLoop::adopt(int fd, std::uint64_t owner) {
    return inner_->adopt(fd, owner);
}

Result<int> TlsLoop::release(StreamId id) {
    if (find(id) != nullptr) {
        return fail("a stream that speaks TLS cannot be given away: its keys are in this process");
    }
    return inner_->release(id);
}

std::unique_ptr<DescriptorChannel> TlsLoop::open_channel(int fd) {
    return inner_->open_channel(fd);
}

Result<StreamId> TlsLoop::watch(int fd, std::uint64_t owner) {
    return inner_->watch(fd, owner);
}

Result<Address> TlsLoop::local_address(StreamId stream) const {
    return inner_->local_address(stream);
}

Result<Address> TlsLoop::peer_address(StreamId stream) const {
    return inner_->peer_address(stream);
}

void TlsLoop::set_owner(StreamId id, std::uint64_t owner) {
    if (Stream* stream = find(id)) stream->owner = owner;
    inner_->set_owner(id, owner);
}

void TlsLoop::send(StreamId id, std::span<const ByteView> pieces) {
    Stream* stream = find(id);
    if (stream == nullptr) return inner_->send(id, pieces);
    const bool is_client = stream->tls->role() == TlsRole::client;
    WSPOOL_ASSERT(!stream->is_connecting && !(is_client && stream->is_handshaking()));
    WSPOOL_ASSERT(!stream->has_sent && !stream->is_blocked);
    WSPOOL_ASSERT(pieces.size() <= send_pieces_max);
    std::size_t size = 0;
    for (const ByteView piece : pieces) size += piece.size();
    WSPOOL_ASSERT(size <= send_size_max);
    if (size == 0) return;
    stream->has_sent = true;
    senders_.push_back(id);
    stream->refusal = stream->is_handshaking() ? 0 : EPIPE;
    const MutableBytes gather(gather_.get(), TlsConversation::gather_size);
    const bool is_refused = stream->has_ended || stream->is_broken() || stream->send_error != 0;
    if (!is_refused && stream->tls->encrypt(pieces, gather)) stream->sent_size = size;
    note_unsent(*stream);
}

void TlsLoop::pause(StreamId id) {
    Stream* stream = find(id);
    if (stream == nullptr) return inner_->pause(id);
    stream->is_paused = true;
    note_reading(*stream);
}

void TlsLoop::resume(StreamId id) {
    Stream* stream = find(id);
    if (stream == nullptr) return inner_->resume(id);
    stream->is_paused = false;
    note_reading(*stream);
    note(*stream);
}

void TlsLoop::shutdown_write(StreamId id) {
    Stream* stream = find(id);
    if (stream == nullptr) return inner_->shutdown_write(id);
    if (stream->is_connecting || stream->is_broken() || stream->has_ended) return;
    stream->wants_fin = true;
    if (stream->is_secured()) end_half(*stream);
}

// The close_notify goes with what is unsent; the FIN follows when the kernel has taken all.
void TlsLoop::end_half(Stream& stream) {
    stream.has_ended = true;
    stream.tls->end();
    note_unsent(stream);
}

void TlsLoop::close(StreamId id, CloseMode mode) {
    Stream* stream = find(id);
    if (stream == nullptr) {
        std::erase_if(listeners_, [id](const Listener& listener) { return listener.id == id; });
        return inner_->close(id, mode);
    }
    if (mode == CloseMode::graceful && !stream->has_ended && !stream->is_broken()) {
        stream->tls->end();
    }
    const ByteView unsent = stream->tls->unsent();
    if (!unsent.empty() && !stream->is_connecting && !stream->is_full) {
        const ByteView piece = unsent.first(std::min(unsent.size(), wrapped_send_size_max));
        inner_->send(id, {&piece, 1});
        leaving_.push_back(stream->tls->take_unsent());
    }
    inner_->close(id, mode);
    streams_[id.index].reset();
}

bool TlsLoop::is_secured(StreamId id) const {
    const Stream* stream = find(id);
    return stream != nullptr && stream->is_secured();
}

// Holds whenever wait() returns.
void TlsLoop::check_invariants() const {
    for (const auto& stream : streams_) {
        if (stream == nullptr) continue;
        WSPOOL_ASSERT(!stream->wants_inner_pause() || stream->is_inner_paused);
        WSPOOL_ASSERT(stream->wants_inner_pause() || !stream->is_inner_paused ||
                      stream->is_reading);
        WSPOOL_ASSERT(!stream->owes_anything() || stream->is_ready);
        WSPOOL_ASSERT(stream->tls->unsent().empty() || stream->is_unsent || stream->is_full ||
                      stream->is_connecting);
        WSPOOL_ASSERT(stream->in_flight == 0 && !stream->has_sent);
    }
}

}  // namespace wspool::io
