// Links: the links of one process to its peers, driven on its loop. For workers, the control
// process and whoever else speaks records.
//
// A link joins two incarnations (R1): a stream socket for records, and a channel for descriptors.
// Both are FIFO; between the two there is no order.
//
// One turn of the owner:
//   links.flush();                            what was handed over becomes sends: nothing but
//   loop.wait(wants_turn ? past : deadline)   the wait may come between the two
//   for (each foreign short send) links.on_short_send(…)
//   for (each foreign event) { links.on_event(…); while (links.next(event)) … }
//
// How it works: at most one receive (io::receive_max bytes) per link and turn is the loop's rule,
// and at most one send (io::send_size_max bytes) is ours, so no link starves another. Links are
// always read (R59): nothing here can pause one. A failed write only stops writing; a link has
// ended when reading has (R2): the stream's end, and everything the channel still held. What is
// unfinished then is discarded (R3).
//
// Invariants: 1. nothing is sent on a link that is blocked or takes no more. 2. The figures count
// exactly what the queues hold. 3. `ended` is a peer's last event, and comes once.
// Ownership: owns both sockets of every link; descriptors that arrive are the owner's.
// Limits: LinkOptions; who reaches one is cut off with a sentence.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "io/descriptor_channel.h"
#include "io/loop.h"
#include "link/record_queue.h"
#include "link/record_reader.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::link {

// An incarnation: the number of one start of one process, never used twice; 0 is none.
using Peer = std::uint64_t;

// Set in the owner of every stream of a link, and of nobody else's on the same loop.
inline constexpr std::uint64_t owner_bit = std::uint64_t{1} << 63;

struct LinkOptions {
    std::size_t record_size_max = 64 * 1024 * 1024;  // received; a larger one ends the link
    // Waiting to be sent on one link. Windows keep it far below this; who takes nothing for so
    // long is ended.
    std::size_t queue_size_max = 256 * 1024 * 1024;
};

enum class EventKind : std::uint8_t {
    record,      // `bytes`: one whole record, header included
    descriptor,  // `bytes`: the message; `fd` is the owner's, -1 where this process had none left
    ended,       // `text`: one sentence; the peer's last event
};

struct Event {
    EventKind kind{};
    Peer peer = 0;
    ByteView bytes;  // valid until the next next() or on_event()
    int fd = -1;
    std::string_view text;  // likewise
    bool is_cut = false;    // ended by us, for what it did: the peer may live
};

// How far the bytes for one peer have come, since the link was made.
struct Progress {
    std::uint64_t handed_over = 0;  // by the owner, also what is lost
    std::uint64_t written = 0;      // taken by the kernel, as of the last flush()
    bool is_sending = false;        // something is in flight, of which the next wait() decides
};

// Since the start; `queued` and `links` as of now.
struct Figures {
    std::uint64_t links = 0;
    std::uint64_t links_ended = 0;
    std::uint64_t records_in = 0;
    std::uint64_t records_out = 0;  // handed over to a link that took them
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;    // taken by the kernel
    std::uint64_t bytes_lost = 0;   // waiting on a link that ended or took no more
    std::uint64_t queued = 0;       // bytes
    std::uint64_t queued_peak = 0;  // on one link, ever
    std::uint64_t descriptors_in = 0;
    std::uint64_t descriptors_out = 0;
};

class Links {
  public:
    Links(io::Loop& loop, const LinkOptions& options);
    ~Links();
    Links(const Links&) = delete;
    Links& operator=(const Links&) = delete;

    // Both descriptors are taken over, also when there is an error. A peer is added once.
    [[nodiscard]] Result<void> add(Peer peer, int stream_fd, int channel_fd);
    // Ends a link without an event.
    void remove(Peer peer);
    [[nodiscard]] bool has(Peer peer) const;

    // Hands over whole encoded records; the buffer is empty afterwards, and may be an older one.
    // For a peer that has ended they are lost.
    void send(Peer peer, ByteBuffer& records);
    // Passes a copy at once; the caller's descriptor stays open and the caller's.
    [[nodiscard]] io::ChannelSend send_descriptor(Peer peer, int fd, ByteView message);

    void flush();
    // The next wait() must not block: there is more to send or to tell.
    [[nodiscard]] bool wants_turn() const;
    void on_short_send(const io::ShortSend& short_send);
    // For events whose owner has owner_bit. What it brings must be pulled before the next one.
    void on_event(const io::Event& event);
    [[nodiscard]] bool next(Event& event);

    [[nodiscard]] const Figures& figures() const { return figures_; }
    [[nodiscard]] Progress progress(Peer peer) const;
    // What waits to be sent on one link.
    [[nodiscard]] std::size_t queued(Peer peer) const;
    // What the links occupy, beyond a fixed size each.
    [[nodiscard]] std::size_t memory() const;
    void check_invariants() const;

  private:
    struct Link;

    [[nodiscard]] Link* find(Peer peer) const;
    [[nodiscard]] Link* find_owner(std::uint64_t owner) const;
    [[nodiscard]] std::uint64_t owner_of(std::uint32_t index) const;
    void settle(Link& link);
    void stop_writing(Link& link);
    [[nodiscard]] bool next_record(Event& event);
    [[nodiscard]] bool next_descriptor(Event& event);
    void end_stream(Link& link, std::string reason);
    void end_channel(Link& link);
    void cut(Link& link, std::string reason);
    void finish(Link& link, std::string reason, bool is_cut);
    void forget(Link& link);

    struct Ended {
        Peer peer;
        std::string reason;
        bool is_cut;
    };

    io::Loop& loop_;
    LinkOptions options_;
    std::vector<std::unique_ptr<Link>> links_;  // by index; null: free
    std::vector<std::uint32_t> generations_;    // likewise; owners of earlier links are stale
    std::uint32_t reading_ = UINT32_MAX;        // whose bytes `input_` are
    ByteView input_;
    std::vector<std::uint32_t> readable_;  // channels with something to receive
    std::deque<Ended> ended_;              // to be told
    std::string told_;                     // what the last event's text points to
    Figures figures_;
};

}  // namespace wspool::link
