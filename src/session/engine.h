// Engine: all sessions of one loop. A session is one ws::Connection on one stream, either role,
// with its outbox and its deadlines.
//
// One turn: wait() flushes what the last turn wrote (at most one send per stream), waits, and
// settles what was sent; then next() yields what happened, as values, until it returns false.
// Whatever is written while events are handled leaves in the next wait().
//
// Ownership: the engine owns streams and sessions; callers hold SessionIds, which go stale by
// themselves (every call with a stale id does nothing). `tag` is the caller's, one per session.
// Limits: EngineOptions; each has an outcome (a CloseReason or RejectReason) and is counted.
#pragma once

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "http/head.h"
#include "io/loop.h"
#include "metrics/counters.h"
#include "ws/connection.h"
#include "ws/handshake.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wspool::session {

struct SessionId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(SessionId, SessionId) = default;
};

// The highest bit of a stream's owner: the stream is not the engine's, though it lives on its loop.
inline constexpr std::uint64_t foreign_owner = std::uint64_t{1} << 63;

struct EngineOptions {
    ws::Limits limits;
    http::HeadLimits head;               // of the request's head, and of its body
    std::size_t sessions_max = 0;        // server: who comes on top is closed at once; 0: no bound
    bool allow_deflate = true;           // server: accept permessage-deflate when offered
    std::size_t deflate_size_min = 256;  // messages below it go out uncompressed
    std::size_t outbox_size_max =
        1024 * 1024;  // bytes waiting per session; an empty one admits one message
    Duration handshake_timeout = std::chrono::seconds(5);  // from accept or connect; absolute
    Duration frame_timeout = std::chrono::seconds(15);     // first byte of a frame to its last
    Duration message_timeout = std::chrono::seconds(30);   // first fragment to the last
    Duration ping_interval = std::chrono::seconds(25);     // ± 10 %; 0: no pings
    Duration pong_timeout = std::chrono::seconds(10);      // any received byte counts
    Duration write_timeout = std::chrono::seconds(10);     // blocked without progress
    Duration close_timeout = std::chrono::seconds(5);      // for the peer's half of the closing
    std::uint32_t control_frames_per_second = 10;          // token bucket; 0: off
    std::uint32_t control_frames_burst = 20;               // at most 255
    int send_buffer = 0;  // SO_SNDBUF of accepted streams; 0: the kernel's autotuning
};

enum class EventKind : std::uint8_t {
    opening,    // server: a valid upgrade was asked for: answer with accept() or refuse(), now;
                // `tag` is the adopt()'s, else 0
    plain,      // server: a request that is no upgrade, with its body as `payload`: answer() it or
                // refuse() (any status), now, or put_off()
    opened,     // client: upgraded; `subprotocol`
    message,    // opcode text (valid UTF-8) or binary, `payload`
    closed,     // last event of a session that was opened (accept()ed); `reason`, `code`, `text`
    failed,     // client: the connect or the handshake failed; `text` is one sentence; last event
    pong,       // the peer answered ping()
    abandoned,  // server: the client of a deferred opening or of a request put off is gone, or its
                // time was up
    released,   // client: the stream of an opened session is gone; follows `closed`, last event
    readable,   // a watched descriptor; `tag` is the watch()'s
    stream,     // something befell a stream that is not the engine's; `stream` says what
};

// What next() fills in is what EventKind says of the kind, and `session` and `tag`; the rest is
// left as it was. Views are valid until the next next() or wait().
struct Event {
    EventKind kind{};
    SessionId session;
    std::uint64_t tag = 0;
    ws::Opcode opcode{};
    MutableBytes payload;
    const http::RequestHead* request = nullptr;  // opening, plain
    const ws::Upgrade* upgrade = nullptr;        // opening
    metrics::CloseReason reason{};
    ws::CloseCode code{};
    std::string_view text;
    const io::Event* stream = nullptr;
};

enum class SendOutcome : std::uint8_t {
    queued,  // will be sent, in order
    gone,    // the session is closing or stale: nothing was kept
    full,    // the outbox is at its bound: the session is being closed as a slow consumer (1013)
};

struct Block;

// A connection on its way to another process (R44): Engine::release() gives it, adopt() takes it.
struct Released {
    int fd = -1;        // the receiver's of this, to pass on or to close
    ByteBuffer bytes;   // all that was read of it: the request's head, and what came behind
    Duration waited{};  // since it was accepted, wherever that was
};

struct AdoptOptions {
    std::uint64_t tag = 0;  // comes with `opening`
    Duration waited{};      // handshake_timeout counts from so long ago
};

// One message encoded once for many receivers: see Engine::frame() and Engine::send_frame(). A copy
// for receivers that negotiated compression is made when the first of them comes.
struct Frame {
    struct Form {
        const std::byte* data = nullptr;
        std::uint32_t size = 0;
        Block* block = nullptr;  // null: bytes of the turn
    };
    Form plain;
    Form compressed;  // data null: not made; same as plain where compressing does not pay
    std::uint32_t payload_size = 0;
    ws::Opcode opcode{};
};

// What listeners for an engine's sessions are opened with, also where another process opens them.
[[nodiscard]] io::ListenOptions listen_options(const EngineOptions& options,
                                               const io::TlsServer* tls = nullptr);

class Engine {
  public:
    Engine(io::Loop& loop,
           const EngineOptions& options,
           Entropy& entropy,
           metrics::Counters& counters);
    ~Engine();

    [[nodiscard]] Instant now() const;
    // From here on, for all sessions: bounds and times are read where they are used, and every
    // deadline is drawn anew. Streams that are accepted keep the send_buffer of their listener.
    void set_options(const EngineOptions& options);

    // Listens; returns the address with the port taken. With `tls` (on a TlsLoop) for wss://.
    [[nodiscard]] Result<io::Address> listen(const io::Address& address,
                                             const io::TlsServer* tls = nullptr);
    // Accepts from a socket that another process opened and keeps. An error leaves it to the
    // caller.
    [[nodiscard]] Result<io::Address> listen_on(int fd, const io::TlsServer* tls = nullptr);
    // Goes on with a connection that was released elsewhere, as if it had been accepted here and
    // `bytes` had been received: `opening` follows in this turn. An error leaves the descriptor to
    // the caller.
    [[nodiscard]] Result<SessionId> adopt(int fd, ByteView bytes, const AdoptOptions& options = {});
    // Connects as a client; `opened` or `failed` follows. `options` ask for TLS (on a TlsLoop); the
    // name to verify is theirs, the Host header the handshake's.
    [[nodiscard]] Result<SessionId> connect(const io::Address& address,
                                            const ws::ClientHandshake& handshake,
                                            std::uint64_t tag,
                                            const io::ConnectOptions& options = {});
    [[nodiscard]] Result<void> watch(int fd, std::uint64_t tag);
    // Ends the watches of this tag; before their descriptors are closed.
    void unwatch(std::uint64_t tag);

    // Flushes, then waits for events, at most until `deadline`.
    void wait(Instant deadline);
    [[nodiscard]] bool next(Event& event);
    // Sends on streams that are not the engine's and were not taken whole; valid until wait().
    [[nodiscard]] std::span<const io::ShortSend> foreign_short_sends() const;

    // ---- answers to `opening` and `plain`
    void accept(SessionId session, std::string_view subprotocol, std::uint64_t tag);
    // Puts the answer off: accept() or refuse() follows in a later turn, and nothing is read until
    // then. The subprotocol is chosen now, accept()'s does not count. `abandoned` says that neither
    // is needed any more; after handshake_timeout the request is answered with 503.
    void defer(SessionId session, std::string_view subprotocol);
    // `headers`: whole lines with CRLF. Closes after the answer.
    void refuse(SessionId session,
                int status,
                std::string_view body,
                metrics::RejectReason reason,
                std::string_view headers = {});
    // Gives the connection away unanswered, and forgets it. Over TLS it cannot be, nor with more
    // than bytes_max read of it: an error, and the session still waits for its answer.
    [[nodiscard]] Result<Released> release(SessionId session, std::size_t bytes_max = SIZE_MAX);
    // Puts the answer to a plain request off: answer() or refuse() follows in a later turn.
    // `abandoned` says that neither is needed any more; after handshake_timeout the request is
    // answered with 503.
    void put_off(SessionId session);
    // For what is no refusal: 200 on /healthz. Closes after the answer.
    void answer(SessionId session,
                int status,
                std::string_view body,
                std::string_view headers = {},
                std::string_view content_type = http::plain_text);

    // ---- open sessions
    SendOutcome send(SessionId session, ws::Opcode opcode, ByteView payload);
    // Writes one message of several pieces without copying them together first.
    SendOutcome send(SessionId session, ws::Opcode opcode, std::span<const ByteView> pieces);
    // Encodes one text message for many receivers (server role); valid for send_frame() until
    // wait().
    [[nodiscard]] Frame frame(ws::Opcode opcode, std::span<const ByteView> pieces);
    SendOutcome send_frame(SessionId session, Frame& frame);
    // Client role: sends bytes that are already whole masked frames, `messages` of them, as they
    // are. For load generators; the bytes must stay until the send is done.
    SendOutcome send_raw(SessionId session, ByteView frames, std::uint32_t messages);
    // Sends a close frame after what is queued, and closes when the peer has answered or
    // close_timeout.
    void close(SessionId session,
               ws::CloseCode code,
               std::string_view text,
               metrics::CloseReason reason);
    // Ends a session at once, in whatever phase, without a closing handshake. One that was not open
    // yet has no further event.
    void abort(SessionId session);
    // Asks an open session for a sign of life: `pong` follows, or the session ends.
    void ping(SessionId session);
    // Stops and restarts reading one open session (the socket then fills up): no message of it
    // comes in between, not even one that was received already. Its clocks for pings and unfinished
    // messages stand still; a close() reads on.
    void pause(SessionId session);
    // Pauses a session that has said nothing yet, and watches it: what it says is kept (up to
    // hold_size_max bytes) until resume(); one that closes or ends meanwhile is reported as ever.
    void hold(SessionId session);
    void resume(SessionId session);
    [[nodiscard]] bool is_paused(SessionId session) const;
    // How long it has been open, to 17 ms; nothing for one that is not.
    [[nodiscard]] Duration open_for(SessionId session) const;
    // Whether anything was received of it within `time`, to 17 ms.
    [[nodiscard]] bool was_heard_within(SessionId session, Duration time) const;

    // Where the peer is; asks the kernel.
    [[nodiscard]] Result<io::Address> peer_address(SessionId session) const;
    [[nodiscard]] bool is_open(SessionId session) const;  // opened, and no close was begun
    [[nodiscard]] std::size_t session_count() const;      // in whatever state
    [[nodiscard]] std::size_t outbox_size(SessionId session) const;
    // Whether the next wait() has something to send. Who wants to know what became of it as soon as
    // it was sent lets that wait() not block: it tells nothing by itself.
    [[nodiscard]] bool has_unflushed() const;
    // Messages that the kernel has not taken whole; nothing for a stale id.
    [[nodiscard]] std::optional<std::uint32_t> unsent_messages(SessionId session) const;
    void check_invariants() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace wspool::session
