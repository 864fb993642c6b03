// Driver: the connections of one thread of the load generator, straight on io::Loop. What
// session::Engine does for every message (deadlines, outboxes, UTF-8) is left out, so that the
// generator costs less than the server it measures.
//
// One turn: turn() sends what is owed (one slice per connection), waits, and calls the handler for
// what happened; whatever the handler asks to be sent leaves in the next turn. Invariants: 1. each
// connection sends at most once between two waits. 2. a pong goes out between two frames, never
// inside one. Ownership: owns streams; peers are indices that stay valid for the Driver's life.
#pragma once

#include "app/bench_frames.h"
#include "base/random.h"
#include "base/result.h"
#include "io/loop.h"
#include "ws/handshake.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wspool::app {

using PeerIndex = std::uint32_t;

class DriverHandler {
  public:
    virtual ~DriverHandler() = default;
    virtual void on_open(PeerIndex peer) = 0;
    // `payload` may be only the end of a long one.
    virtual void on_message(PeerIndex peer, std::uint64_t size, ByteView payload) = 0;
    // The connection is gone, or never came to be: `why` is one sentence.
    virtual void on_lost(PeerIndex peer, const std::string& why) = 0;
};

struct Destination {
    io::Address address;
    std::string host;                                  // Host header
    std::string target;                                // with client id and all
    std::optional<io::Address> source = std::nullopt;  // to connect from
};

class Driver {
  public:
    // `headers`: further ones, of every upgrade.
    using Headers = std::vector<std::pair<std::string, std::string>>;
    Driver(io::Loop& loop, Entropy& entropy, DriverHandler& handler, Headers headers = {});
    ~Driver();

    [[nodiscard]] Instant now() const { return loop_.now(); }
    [[nodiscard]] Result<PeerIndex> connect(const Destination& destination);
    // Connects a peer that is closed anew.
    [[nodiscard]] Result<void> reconnect(PeerIndex peer, const Destination& destination);
    // A reset, so that the port is free at once; on_lost() is not called.
    void close(PeerIndex peer);

    // `count` frames of `run`; always the same run for one peer.
    void send(PeerIndex peer, const FrameRun& run, std::uint64_t count);
    // Text messages, once, before what send() owes.
    void send_text(PeerIndex peer, std::string_view text);

    void turn(Instant deadline);
    [[nodiscard]] std::size_t peer_count() const { return peers_.size(); }

  private:
    enum class State : std::uint8_t { closed, connecting, upgrading, open };
    struct Peer;

    void flush();
    void flush_peer(Peer& peer);
    void settle_short_sends();
    void mark(PeerIndex index);
    void on_event(const io::Event& event);
    void on_received(PeerIndex index, ByteView bytes);
    [[nodiscard]] bool on_head(PeerIndex index, ByteView& bytes);
    void on_control(PeerIndex index, ws::Opcode opcode, ByteView payload);
    void lose(PeerIndex index, const std::string& why);

    io::Loop& loop_;
    Entropy& entropy_;
    DriverHandler& handler_;
    Headers headers_;
    std::vector<std::unique_ptr<Peer>> peers_;
    std::vector<PeerIndex> marked_;  // have something to send
    std::vector<PeerIndex> flushing_;
};

}  // namespace wspool::app
