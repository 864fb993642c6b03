// TlsLoop: a loop that can also speak TLS: over another loop, whose rules it keeps (io/loop.h).
// Streams that were not asked to speak TLS pass through it for the price of a look into a table.
//
// How it works: ids are the inner loop's. What a TLS stream receives is decrypted into one buffer
// that all share; what it sends is encrypted at once, and given to the inner loop in wait(), with
// handshakes and alerts, as one send per stream. Plaintext that did not fit, and what nobody may
// hear yet, is held as ciphertext: the stream is paused inside until that is read, so that there is
// never more than one receive of it.
//
// Where TLS shows:
//   connected   comes when the handshake is done; the certificate has been verified by then.
//   accepted    comes at once, so that the owner's deadline covers the handshake; a send before its
//               end is short with nothing taken, and `writable` follows.
//   short sends take all bytes: what is encrypted cannot be given back. The stream is blocked until
//               the ciphertext is gone. Closing it before that loses what is left over.
//   ended       comes with the peer's close_notify, and with a FIN that none came before: what a
//               truncated conversation lacks the WebSocket's own close frame tells.
//   failed      has a sentence in Event::text wherever TLS was the reason; its `error` is EPROTO.
//   wait()      may return early without an event: something was said that was TLS's own.
//
// Invariants: 1. a stream is paused inside exactly if something is held, or its owner paused it and
//                the handshake is done (from the next wait() on).
//             2. a stream with something to tell is in the ready list.
//             3. a stream with unsent bytes is in the unsent list, or the kernel has no room.
// Ownership: the inner loop, and all that the streams need for TLS.
// Limits: per stream one receive held, and unsent_max bytes of ciphertext: one send's and the
// answers to handshakes; a peer that asks for more answers without taking them has failed.
#pragma once

#include "base/bytes.h"
#include "io/loop.h"
#include "io/tls.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace wspool::io {

class TlsLoop final : public Loop {
  public:
    static constexpr std::size_t unsent_max = wrapped_send_size_max + 64 * 1024;

    explicit TlsLoop(std::unique_ptr<Loop> inner);
    ~TlsLoop() override;

    [[nodiscard]] Instant now() const override { return inner_->now(); }
    void wait(Instant deadline) override;
    [[nodiscard]] std::span<const ShortSend> short_sends() const override { return short_sends_; }
    [[nodiscard]] bool next_event(Event& event) override;
    [[nodiscard]] Result<StreamId> listen(const Address& address,
                                          const ListenOptions& options,
                                          std::uint64_t owner) override;
    [[nodiscard]] Result<StreamId> connect(const Address& address,
                                           std::uint64_t owner,
                                           const ConnectOptions& options = {}) override;
    [[nodiscard]] Result<StreamId> adopt(int fd, std::uint64_t owner) override;
    [[nodiscard]] Result<StreamId> adopt_listener(int fd,
                                                  const ListenOptions& options,
                                                  std::uint64_t owner) override;
    [[nodiscard]] Result<int> release(StreamId stream) override;
    [[nodiscard]] std::unique_ptr<DescriptorChannel> open_channel(int fd) override;
    void discard(int fd) override { inner_->discard(fd); }
    [[nodiscard]] Result<StreamId> watch(int fd, std::uint64_t owner) override;
    [[nodiscard]] Result<Address> local_address(StreamId stream) const override;
    [[nodiscard]] Result<Address> peer_address(StreamId stream) const override;
    void set_owner(StreamId stream, std::uint64_t owner) override;
    void send(StreamId stream, std::span<const ByteView> pieces) override;
    void pause(StreamId stream) override;
    void resume(StreamId stream) override;
    void shutdown_write(StreamId stream) override;
    void close(StreamId stream, CloseMode mode = CloseMode::graceful) override;
    [[nodiscard]] std::string_view name() const override { return inner_->name(); }

    // Speaks TLS, and the handshake is done.
    [[nodiscard]] bool is_secured(StreamId stream) const;
    void check_invariants() const;

  private:
    struct Stream;
    struct Listener {
        StreamId id;
        TlsContext context;
    };

    [[nodiscard]] Stream* find(StreamId id) const;
    void add(StreamId id, std::unique_ptr<Stream> stream);
    void add_listener(StreamId id, const TlsServer& server);

    // wait(): tls_loop.cpp
    void update_reading();
    [[nodiscard]] bool send_unsent();
    void settle_sends();
    void settle_owner_send(Stream& stream);
    void settle_rest(Stream& stream);
    void end_half(Stream& stream);

    // events: tls_loop_events.cpp
    [[nodiscard]] bool visit_ready(Event& event);
    [[nodiscard]] bool take_accepted(Event& event);
    [[nodiscard]] bool on_inner_event(Stream& stream, Event& event);
    [[nodiscard]] bool take(Stream& stream, ByteView input, Event& event);
    void hold(Stream& stream, ByteView input);
    void tell(Stream& stream, EventKind kind, Event& event);
    [[nodiscard]] bool tell_state(Stream& stream, Event& event);
    void note(Stream& stream);
    void note_unsent(Stream& stream);
    void note_reading(Stream& stream);
    void break_stream(Stream& stream, int error, std::string sentence);

    std::unique_ptr<Loop> inner_;
    std::vector<std::unique_ptr<Stream>> streams_;  // by index; null: not ours
    std::vector<Listener> listeners_;
    std::deque<StreamId> ready_;       // with something to tell that needs no news from inside
    std::size_t visits_left_ = 0;      // of this turn
    std::vector<StreamId> unsent_;     // to be given to the inner loop
    std::vector<StreamId> in_flight_;  // given, outcome unknown
    std::vector<StreamId> senders_;    // whose owner sent something since the last wait()
    std::vector<StreamId> reading_;    // may have to be resumed inside
    std::vector<ByteBuffer> leaving_;  // of closed streams, until the inner loop has sent them
    std::vector<ShortSend> short_sends_;
    std::unique_ptr<std::byte[]> plain_;
    std::unique_ptr<std::byte[]> gather_;
    std::string told_;  // what the last event's text points to
};

}  // namespace wspool::io
