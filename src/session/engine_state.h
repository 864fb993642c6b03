// What is behind Engine: the sessions, their phases, and the queues of one loop. Private to
// session/.
//
// A session's life, the only transitions there are (change_phase):
//
//   server   request → judging → open → closing → lingering → (released)
//   client   connecting → response → open → closing → lingering
//
// request: bytes of the head arrive. judging: the caller decides, within one event. open: messages
// flow. closing: we sent a close frame and wait for the peer's. lingering: nothing more is said by
// either side; the outbox is flushed, our half of the stream shut, and the peer's end awaited, so
// that a reset does not destroy the close frame on its way. Any phase may be released directly.
#pragma once

#include "base/chunked_array.h"
#include "base/timer_wheel.h"
#include "session/engine.h"
#include "session/outbox.h"
#include "session/turn_arena.h"
#include "ws/deflate.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace wspool::session {

enum class Phase : std::uint8_t {
    released,
    connecting,
    request,
    response,
    judging,
    open,
    closing,
    lingering,
};

// Time in ticks of 2^24 ns, 16.8 ms; 0 stands for "not".
using Tick = std::uint32_t;

enum class Queue : std::uint8_t { none, replies, fanout };

// What few sessions need, and none while idle.
struct Extra {
    ByteBuffer head;          // bytes of an unfinished head
    std::size_t scanned = 0;  // of them, looked at already
    std::size_t awaited = 0;  // of head and body together, once the head is whole
    ws::ClientHandshake handshake;
    std::unique_ptr<ws::Inflater> inflater;  // of a peer that keeps its compression context
    ByteBuffer pong;                         // the one pong that waits while blocked
    bool has_pong = false;
    std::size_t discarded = 0;  // bytes read while lingering
    ByteBuffer unread;          // received before the session was paused, not looked at yet
    std::size_t walked = 0;     // held: where the first frame begins that was not looked for
    Tick paused_since = 0;
    std::string response;  // the 101 of a deferred opening, until it is decided
};

struct Session {
    ws::Connection connection{ws::Role::server};
    io::StreamId stream;
    std::uint64_t tag = 0;
    Outbox* outbox = nullptr;  // only while there is something to send; from a pool
    std::unique_ptr<Extra> extra;
    TimerNode timer;
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
    Tick phase_since = 0;
    Tick received_at = 0;
    Tick frame_since = 0;              // an unfinished frame was begun
    Tick message_since = 0;            // an unfinished fragmented message was begun
    Tick ping_sent_at = 0;             // and nothing received since
    Tick blocked_since = 0;            // the kernel took no more
    Tick control_at = 0;               // control_tokens as of then
    std::uint16_t control_tokens = 0;  // in 1/256
    Phase phase = Phase::released;
    Queue queue = Queue::none;
    std::uint8_t deflate_bits =
        0;  // the window we may compress with; 0: compression was not negotiated
    bool is_client : 1 = false;
    bool is_blocked : 1 = false;
    bool is_flushing : 1 = false;
    bool is_counted : 1 = false;    // in Counters::connections: accept()ed and not reported closed
    bool has_ended : 1 = false;     // the peer will send no more
    bool shuts_write : 1 = false;   // shut our half when the outbox is empty
    bool is_paused : 1 = false;     // by the caller
    bool is_held : 1 = false;       // paused, but still received from
    bool is_throttled : 1 = false;  // by its own outbox
    bool was_opened : 1 = false;    // client: its release is reported
    bool wants_pong : 1 = false;    // the caller asked for a sign of life
    bool is_head : 1 = false;       // its request is HEAD: the answer has no body
    bool is_put_off : 1 = false;    // its plain request is to be answered in a later turn
};

struct Engine::State {
    State(io::Loop& loop_in,
          const EngineOptions& options_in,
          Entropy& entropy_in,
          metrics::Counters& counters_in);
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State();

    // ---- engine.cpp: turn, events
    void set_options(const EngineOptions& options_in);
    void wait(Instant deadline);
    bool next(Event& event);
    bool on_loop_event(const io::Event& io_event, Event& event);
    bool on_other_event(const io::Event& io_event, Event& event);
    bool do_chores(Event& event);
    bool on_received(Session& session, MutableBytes bytes, Event& event);

    // ---- opening.cpp: handshakes
    bool on_request_bytes(Session& session, MutableBytes bytes, Event& event);
    void await_body(Session& session, MutableBytes bytes, const http::RequestHead& request);
    bool judge_request(Session& session, Event& event);
    bool on_response_bytes(Session& session, MutableBytes bytes, Event& event);
    bool on_connected(Session& session, Event& event);
    bool fail_client(Session& session, std::string sentence, Event& event);
    std::uint32_t make_session(io::StreamId stream, bool is_client, Phase phase);
    Result<SessionId> adopt(int fd, ByteView bytes, const AdoptOptions& how);
    Result<Released> give_away(Session& session);
    void accept(Session& session, std::string_view subprotocol, std::uint64_t tag);
    void defer(Session& session, std::string_view subprotocol);
    void put_off(Session& session);
    void set_aside(Session& session);
    void prepare_connection(Session& session);
    void finish_with_response(Session& session, std::string_view response);
    void refuse(Session& session,
                int status,
                std::string_view body,
                metrics::RejectReason reason,
                std::string_view headers);

    // ---- reading.cpp: frames in
    bool read(Event& event);
    bool on_frame_event(Session& session, const ws::Event& frame, Event& event);
    void on_ping(Session& session, ByteView payload);
    bool on_pong(Session& session, Event& event);
    bool charge_control(Session& session);
    void note_progress(Session& session);
    void set_input(Session& session, MutableBytes bytes);
    void pause(Session& session);
    void hold(Session& session);
    void on_held_bytes(Session& session, ByteView bytes);
    void resume(Session& session);
    void note_unread(Session& session);
    bool read_unread(SessionId id, Event& event);
    static void drop_spent_extra(Session& session);

    // ---- writing.cpp: frames out
    SendOutcome send(Session& session, ws::Opcode opcode, std::span<const ByteView> pieces);
    Frame::Form encode(ws::Opcode opcode,
                       bool is_compressed,
                       std::span<const ByteView> pieces,
                       bool masks,
                       TurnArena& arena);
    Frame frame(ws::Opcode opcode, std::span<const ByteView> pieces);
    SendOutcome send_frame(Session& session, Frame& frame);
    SendOutcome send_raw(Session& session, ByteView frames, std::uint32_t messages);
    SendOutcome push(Session& session,
                     const Frame::Form& form,
                     std::uint32_t messages,
                     Queue queue);
    void end_slow_consumer(Session& session);
    void push_raw(Session& session, std::string_view text);
    void send_control(Session& session, ws::Opcode opcode, ByteView payload);
    bool deflate_pieces(std::span<const ByteView> pieces, std::size_t size, int window_bits);
    void mark_dirty(Session& session, Queue queue);
    void flush();
    bool flush_session(std::uint32_t index);
    void settle();
    void on_short_send(const io::ShortSend& short_send);
    void on_sent(Session& session, std::size_t count);
    void on_writable(Session& session);
    void take_outbox(Session& session);
    void drop_outbox(Session& session);
    void throttle(Session& session);
    void release_arenas();

    // ---- closing.cpp: ends and deadlines
    void change_phase(Session& session, Phase phase);
    void close(Session& session,
               ws::CloseCode code,
               std::string_view text,
               metrics::CloseReason reason);
    void send_close(Session& session, ws::CloseCode code, std::string_view text);
    void report_closed(Session& session,
                       metrics::CloseReason reason,
                       ws::CloseCode code,
                       std::string_view text);
    void on_peer_close(Session& session, ws::CloseCode code, ByteView text);
    void on_failure(Session& session, ws::Failure failure);
    void on_ended(Session& session);
    void on_lost(Session& session, std::string_view sentence = {});
    void fail_open(Session& session,
                   ws::CloseCode code,
                   std::string_view text,
                   metrics::CloseReason reason);
    void linger(Session& session, bool shuts_write);
    void finish_lingering(Session& session);
    void release(Session& session, io::CloseMode mode);
    void forget(Session& session);
    void arm(Session& session);
    [[nodiscard]] Tick next_due(const Session& session) const;
    void on_deadline(std::uint32_t index);
    void on_open_deadline(Session& session);
    void on_handshake_deadline(Session& session);

    // ---- small
    [[nodiscard]] Session* find(SessionId id);
    [[nodiscard]] Session* find_owner(std::uint64_t owner);
    [[nodiscard]] static SessionId id_of(const Session& session) {
        return {session.index, session.generation};
    }
    [[nodiscard]] Extra& extra(Session& session) {
        if (!session.extra) session.extra = std::make_unique<Extra>();
        return *session.extra;
    }
    [[nodiscard]] Instant start_of(Tick due) const;
    [[nodiscard]] bool is_past(Tick due) const {
        return static_cast<std::int32_t>(tick - due) >= 0;
    }

    io::Loop& loop;
    EngineOptions options;
    Entropy& entropy;
    metrics::Counters& counters;

    struct NodeOf {
        ChunkedArray<Session>* sessions;
        TimerNode& operator()(std::uint32_t index) const { return (*sessions)[index].timer; }
    };
    ChunkedArray<Session> sessions;
    IndexPool pool;
    TimerWheel<NodeOf> wheel;
    Tick tick = 0;
    std::vector<std::pair<std::uint64_t, io::StreamId>> watches;  // by tag
    bool has_chores = false;                                      // timers to be run, or `unread`
    Prng jitter;

    ws::Codec codec;
    ws::Inflater inflater;
    ws::Deflater deflater;
    ByteBuffer deflated;  // scratch

    // Sessions with something to flush, first come first served. Entries of sessions that have
    // since been released, or moved to the other queue, are passed over.
    struct DirtyQueue {
        struct Entry {
            std::uint64_t turn;  // nothing the session's outbox refers to is older
            std::uint32_t index;
        };
        std::vector<Entry> entries;
        std::size_t first = 0;
        [[nodiscard]] bool empty() const { return first == entries.size(); }
        Entry pop();
    };
    DirtyQueue replies;  // flushed whole each turn
    DirtyQueue fanout;   // in slices, so that a large group does not hold up the others
    struct Flushed {
        std::uint32_t index;
        std::uint32_t size;
    };
    std::vector<Flushed> flushed;
    bool needs_settling = false;  // the next wait() must not block
    std::uint64_t turn = 1;
    std::size_t unflushed = 0;  // bytes in outboxes that are not blocked
    TurnArena reply_arena;
    TurnArena frame_arena;  // of its own, so that frames to a group stay adjacent whatever is
                            // replied between
    std::vector<Block*> turn_blocks;
    std::vector<std::unique_ptr<Outbox>> spare_outboxes;

    // The bytes that are being read.
    SessionId reading;
    MutableBytes input;
    std::deque<SessionId> unread;  // with bytes to be read before anything new is received
    ByteBuffer unread_input;       // `input`, where it was such

    struct Closed {
        SessionId session;
        std::uint64_t tag;
        metrics::CloseReason reason;
        ws::CloseCode code;
        std::string text;
    };
    std::deque<Closed> closed;  // to be reported; at most one per session
    Closed reported;            // what the last event's text points to
    struct ClientFailure {
        SessionId session;
        std::uint64_t tag;
        std::string sentence;
    };
    std::deque<ClientFailure> client_failures;
    struct Gone {
        SessionId session;
        std::uint64_t tag;
    };
    std::deque<Gone> released;        // to be reported, after what is in `closed`
    std::deque<SessionId> abandoned;  // deferred openings, to be reported

    std::vector<io::ShortSend> foreign_short_sends;
    io::Event foreign_event{};  // what the last `stream` event points to

    std::variant<http::NeedMore, http::RequestHead, http::Refused> parsed;
    ws::Upgrade upgrade;
    SessionId judged;  // the session of the last opening or plain event, until it is answered
    Tick judged_accepted = 0;   // when it was accepted
    MutableBytes judged_bytes;  // all that was read of it
    MutableBytes behind_head;   // the part behind the head
    ByteBuffer judged_head;  // of the session accepted last: the event's views still point into it
    std::string text;        // what an event's text points to
};

inline constexpr std::size_t arena_frame_size_max =
    4096;                                         // larger frames get a block, shared by reference
inline constexpr std::size_t fanout_slice = 256;  // about 1.2 ms of sends
inline constexpr std::size_t unflushed_max =
    16 * 1024 * 1024;                                    // beyond it nothing is read until flushed
inline constexpr std::size_t throttle_size = 64 * 1024;  // a blocked session with more is not read
inline constexpr std::size_t linger_discard_max = 64 * 1024;
inline constexpr std::size_t hold_size_max =
    4096;  // of a held session; the rest stays in the socket

// What an io owner value stands for: a session below owner_watch; with the bits of a watch or a
// listener these; from foreign_owner on it is not ours.
inline constexpr std::uint64_t owner_watch = std::uint64_t{1} << 62;
inline constexpr std::uint64_t owner_listener = std::uint64_t{3} << 61;
inline constexpr std::uint32_t generation_mask = (1u << 30) - 1;

[[nodiscard]] constexpr Tick to_ticks(Duration duration) {
    return static_cast<Tick>((duration.count() >> 24) + 1);
}
[[nodiscard]] constexpr Duration to_duration(Tick ticks) {
    return Duration(std::int64_t{ticks} << 24);
}
[[nodiscard]] constexpr Tick tick_of(Instant now) {
    return static_cast<Tick>((now.time_since_epoch().count() >> 24) + 1);
}

}  // namespace wspool::session
