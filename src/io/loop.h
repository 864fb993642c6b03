// Loop: the only door to the kernel's sockets. One loop per thread, no locks, no callbacks: the
// owner waits, then pulls what happened as values.
//
// One turn, in this order:
//   loop.wait(deadline);                        submits the sends of the last turn, waits, reads
//   the clock for (auto& s : loop.short_sends()) …        sends that the kernel did not take whole
//   … release the bytes given to send() …       from here on the loop holds none of them
//   while (loop.next_event(event)) …            each ready stream is received from once
//   … send(), close() …                         queued; they happen in the next wait()
//
// Rules that all implementations keep (UringLoop, EpollLoop, SimLoop, and TlsLoop over the first
// two pass one contract suite):
//   1. At most one send() per stream between two wait()s: a second could overtake the rest of a
//   first.
//   2. Sends are synchronous in effect: when wait() returns, a send was taken whole, or is listed
//   in
//      short_sends(). Nothing refers to its bytes any more.
//   3. After a short send the stream is blocked: send() must not be called until `writable`
//   arrived. A stream may be blocked although all of its bytes were taken (over TLS the rest is the
//   loop's to deliver): closing it before `writable` throws away what is left over.
//   4. Readiness is edge-triggered inside and level-triggered outside: a stream that was not read
//   to the
//      end comes again in the next turn without a new packet, and wait() then does not block.
//   5. close() happens after the sends queued before it, in the next wait(). The id is stale at
//   once:
//      no event for it follows.
//   6. `ended` and `failed` come once and last; after `ended` the stream may still send. The owner
//      closes in every case.
//
// Limits: one receive of at most receive_max bytes per stream and turn; at most accepts_max new
// connections per listener and turn.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "io/address.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wspool::io {

inline constexpr std::size_t receive_max = 256 * 1024;
inline constexpr std::size_t receive_slack =
    64;  // readable and writable behind every received span
inline constexpr int accepts_max = 64;
inline constexpr std::size_t send_pieces_max = 8;
inline constexpr std::size_t send_size_max = 256 * 1024;
// What a loop takes from another loop that wraps what it was given: records of TLS, handshakes.
inline constexpr std::size_t wrapped_send_size_max = send_size_max + 16 * 1024;

class DescriptorChannel;
class TlsClient;
class TlsServer;

// Names one stream, listener or watched descriptor of one loop; a stale id is recognised, not
// followed.
struct StreamId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(StreamId, StreamId) = default;
};

enum class EventKind : std::uint8_t {
    accepted,        // `stream` is new, from `listener`, whose owner it has: use set_owner(). Over
                     // TLS the handshake comes after it: sends until then are short
    accept_refused,  // no descriptor was left: the connection was answered with
                     // ListenOptions::refusal
    accept_paused,   // nor could it be answered; the listener rests 100 ms or until a stream closes
    connected,       // connect() succeeded, the handshake of TLS included; the stream may send
    received,        // `bytes`
    ended,           // the peer will send no more (FIN; over TLS its close_notify, or FIN alone)
    failed,          // `error` is the errno, and `text` a sentence where there is more to say
    writable,        // after a short send: there is room again
    readable,        // a watched descriptor is readable
};

struct Event {
    EventKind kind;
    StreamId stream;
    std::uint64_t owner = 0;
    MutableBytes
        bytes;  // `received`: valid, and ours to change, until the next next_event() or wait()
    int error = 0;
    StreamId listener;      // `accepted`
    std::string_view text;  // `failed`: valid as long as `bytes`; empty where errno says it all
};

struct ShortSend {
    StreamId stream;
    std::uint64_t owner;
    std::size_t sent;  // bytes taken before the kernel refused; all of them: see rule 3
    int error;         // 0: blocked, `writable` will follow; else an errno: the stream is broken
};

struct ListenOptions {
    int backlog = 4096;
    int send_buffer = 0;      // SO_SNDBUF in bytes; 0 leaves the kernel's autotuning
    Duration user_timeout{};  // TCP_USER_TIMEOUT; 0 leaves the kernel's
    std::string refusal;      // sent to who cannot be taken for want of descriptors; not over TLS
    const TlsServer* tls = nullptr;  // streams speak TLS; needed only during the call
};

struct ConnectOptions {
    const TlsClient* tls = nullptr;  // the stream speaks TLS; needed only during the call
    std::string server_name;         // with `tls`: host name or numeric address to be verified
    std::optional<Address> source = std::nullopt;  // to connect from; port 0: any
};

enum class CloseMode : std::uint8_t {
    graceful,  // FIN; the kernel delivers what was sent
    reset,     // RST; what is queued in the kernel is thrown away
};

class Loop {
  public:
    virtual ~Loop() = default;
    Loop() = default;
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // The time as of the last wait(); constant during a turn.
    [[nodiscard]] virtual Instant now() const = 0;
    // Runs what was queued, then waits for events until `deadline` (`never`: for ever; past: not at
    // all).
    virtual void wait(Instant deadline) = 0;
    // Outcome of the sends that wait() ran; valid until the next wait().
    [[nodiscard]] virtual std::span<const ShortSend> short_sends() const = 0;
    // The next event of this turn, false when there is none left. May be left off at any point: the
    // rest comes in the next turn.
    [[nodiscard]] virtual bool next_event(Event& event) = 0;

    // Listens; port 0 lets the kernel choose, local_address() says what it chose.
    [[nodiscard]] virtual Result<StreamId> listen(const Address& address,
                                                  const ListenOptions& options,
                                                  std::uint64_t owner) = 0;
    // Starts to connect: `connected` or `failed` follows. Sends before that are an error of the
    // caller. Only a TlsLoop speaks TLS; the others refuse such options with a sentence.
    [[nodiscard]] virtual Result<StreamId> connect(const Address& address,
                                                   std::uint64_t owner,
                                                   const ConnectOptions& options = {}) = 0;
    // Takes over a connected stream socket: one end of a socket pair, or a connection that came
    // from another process. What is wrong with the connection is told as `failed`; an error means
    // that the descriptor is none, and stays the caller's.
    [[nodiscard]] virtual Result<StreamId> adopt(int fd, std::uint64_t owner) = 0;
    // Takes over a socket that listens already (io/listener.h). Of `options` only the refusal and
    // `tls` count. Others may hold the same socket: closing the stream ends nothing for them. An
    // error leaves the descriptor to the caller.
    [[nodiscard]] virtual Result<StreamId> adopt_listener(int fd,
                                                          const ListenOptions& options,
                                                          std::uint64_t owner) = 0;
    // Gives a connected stream's descriptor away: the id is stale at once, nothing more is read or
    // written, and what is unread stays in the socket. Not between a send() and the next wait().
    // A stream that speaks TLS cannot be given away: it stays what it was.
    [[nodiscard]] virtual Result<int> release(StreamId stream) = 0;
    // Takes over one end of a seqpacket pair, to pass descriptors with; watch() says when it is
    // readable.
    [[nodiscard]] virtual std::unique_ptr<DescriptorChannel> open_channel(int fd) = 0;
    // Closes a descriptor that no stream has: one that was released, or came over a channel.
    virtual void discard(int fd) = 0;
    // Reports `readable` (level-triggered) for a descriptor that stays the caller's: signals,
    // stdin.
    [[nodiscard]] virtual Result<StreamId> watch(int fd, std::uint64_t owner) = 0;
    [[nodiscard]] virtual Result<Address> local_address(StreamId stream) const = 0;
    [[nodiscard]] virtual Result<Address> peer_address(StreamId stream) const = 0;
    virtual void set_owner(StreamId stream, std::uint64_t owner) = 0;

    // Queues the concatenation of `pieces` (at most send_pieces_max, send_size_max bytes in all).
    // The bytes stay the caller's and must not change until wait() has returned.
    virtual void send(StreamId stream, std::span<const ByteView> pieces) = 0;
    // Stops and restarts receiving (and accepting, for a listener). A paused stream reports
    // `failed` but neither `received` nor `ended`; what arrives stays in the socket.
    virtual void pause(StreamId stream) = 0;
    virtual void resume(StreamId stream) = 0;
    // FIN after what was sent; receiving goes on.
    virtual void shutdown_write(StreamId stream) = 0;
    virtual void close(StreamId stream, CloseMode mode = CloseMode::graceful) = 0;

    // "uring", "epoll" or "sim", and one sentence on why this one runs.
    [[nodiscard]] virtual std::string_view name() const = 0;
};

enum class LoopChoice : std::uint8_t { automatic, uring, epoll };

struct LoopOptions {
    LoopChoice choice = LoopChoice::automatic;
    // Under load (three or more messages expected within it) waits up to this long for more, so
    // that one system call serves several. 0: off. See docs/performance.md.
    Duration batch_wait = std::chrono::microseconds(50);
};

struct ChosenLoop {
    std::unique_ptr<Loop> loop;
    std::string reason;  // one sentence: why this one
};

// What a loop without TLS says to who asks for it.
[[nodiscard]] tl::unexpected<Error> refuse_tls();

// Makes the loop asked for; `automatic` takes io_uring where a real no-op went through it, else
// epoll.
[[nodiscard]] Result<ChosenLoop> make_loop(const LoopOptions& options);

}  // namespace wspool::io
