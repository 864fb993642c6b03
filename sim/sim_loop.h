// SimLoop: io::Loop over a simulated Network. Keeps every rule of io/loop.h; several may live in
// one network.
//
// How it works: what the owner asks for is queued and done in wait(), in order; streams with
// something to tell stand in one queue, and each has its turn once per wait(). A loop either
// *blocks*, and then moves the network's time itself until something happens (both ends of its
// conversations are its own), or *yields*: then wait() never moves the time, and a scheduler, which
// runs several loops, asks next_turn_time(). Invariant: a stream that has something to tell stands
// in the queue.
#pragma once

#include "io/loop.h"
#include "sim/network.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wspool::sim {

enum class Waiting : std::uint8_t { blocks, yields };

class SimLoop final : public io::Loop {
  public:
    SimLoop(Network& network, Waiting waiting);

    [[nodiscard]] Instant now() const override { return now_; }
    void wait(Instant deadline) override;
    [[nodiscard]] std::span<const io::ShortSend> short_sends() const override {
        return short_sends_;
    }
    [[nodiscard]] bool next_event(io::Event& event) override;
    [[nodiscard]] Result<io::StreamId> listen(const io::Address& address,
                                              const io::ListenOptions& options,
                                              std::uint64_t owner) override;
    [[nodiscard]] Result<io::StreamId> connect(const io::Address& address,
                                               std::uint64_t owner,
                                               const io::ConnectOptions& options = {}) override;
    [[nodiscard]] Result<io::StreamId> adopt(int fd, std::uint64_t owner) override;
    [[nodiscard]] Result<io::StreamId> adopt_listener(int fd,
                                                      const io::ListenOptions& options,
                                                      std::uint64_t owner) override;
    [[nodiscard]] Result<int> release(io::StreamId stream) override;
    // Watching it comes after this.
    [[nodiscard]] std::unique_ptr<io::DescriptorChannel> open_channel(int fd) override;
    void discard(int fd) override { network_.discard(fd); }
    [[nodiscard]] Result<io::StreamId> watch(int fd, std::uint64_t owner) override;
    [[nodiscard]] Result<io::Address> local_address(io::StreamId stream) const override;
    [[nodiscard]] Result<io::Address> peer_address(io::StreamId stream) const override;
    void set_owner(io::StreamId stream, std::uint64_t owner) override;
    void send(io::StreamId stream, std::span<const ByteView> pieces) override;
    void pause(io::StreamId stream) override;
    void resume(io::StreamId stream) override;
    void shutdown_write(io::StreamId stream) override;
    void close(io::StreamId stream, io::CloseMode mode) override;
    [[nodiscard]] std::string_view name() const override { return "sim"; }

    // ---- for the scheduler and the tests
    // Yielding: when the owner's next turn is due: at once after a wait() that would have returned
    // (the owner's answers to what it was told leave in the next one); now if there is something to
    // tell, else the deadline of the last wait().
    [[nodiscard]] Instant next_turn_time() const;
    // A watched descriptor becomes readable, or is so no longer.
    void set_readable(int fd, bool is_readable);
    // Whether the weather broke this connection, or silenced it.
    [[nodiscard]] bool was_disturbed(io::StreamId stream) const;
    // Whether the other end is still held open.
    [[nodiscard]] bool has_peer(io::StreamId stream) const;
    // Nothing that either end sends arrives any more, and neither is told.
    void vanish(io::StreamId stream);
    // What the kernel does when a process ends: what was queued is lost, all is closed. The owner's
    // later calls do nothing.
    void die();
    // The next wait() does only so many of the things that were asked for; then the process is
    // dead: nothing is told any more, and die() is to follow.
    void die_within(std::size_t orders) { orders_left_ = orders; }
    // Who accepted the connection at its other end; null: nobody yet.
    [[nodiscard]] const SimLoop* acceptor(io::StreamId stream) const;
    // Streams, listeners and watched descriptors that were not closed.
    [[nodiscard]] std::size_t open_count() const { return open_count_; }

    // ---- for the network
    void on_change(std::uint32_t index);
    void on_room(std::uint32_t index);

  private:
    enum class Kind : std::uint8_t { unused, listener, watched, stream };
    struct Slot {
        Kind kind = Kind::unused;
        std::uint32_t generation = 0;
        std::uint64_t owner = 0;
        LinkRef link;  // stream
        int side = 0;
        bool is_connecting = false;
        bool is_paused = false;
        bool is_blocked = false;
        bool has_send = false;  // queued in this turn
        bool has_room = false;  // `writable` is to be told
        bool has_told_end = false;
        bool has_told_failure = false;
        bool is_queued = false;
        AcceptQueueRef queue;  // listener
        std::string refusal;
        Instant resting_until{};
        io::Address address;
        int accepts = 0;  // in this turn
        int fd = -1;      // watched
        bool is_readable = false;
        [[nodiscard]] End& end() const { return link->ends[static_cast<std::size_t>(side)]; }
    };
    enum class Verb : std::uint8_t { send, shutdown_write, close };
    struct Order {
        Verb verb;
        io::StreamId stream;
        LinkRef link;
        int side = 0;
        std::vector<ByteView> pieces;
        io::CloseMode mode{};
    };

    [[nodiscard]] io::StreamId make(Kind kind, std::uint64_t owner);
    [[nodiscard]] io::StreamId make_stream(LinkRef link, int side, std::uint64_t owner);
    void retire(io::StreamId stream);
    [[nodiscard]] Slot* find(io::StreamId stream);
    [[nodiscard]] const Slot* find(io::StreamId stream) const;
    [[nodiscard]] bool has_news(const Slot& slot) const;
    void enqueue(std::uint32_t index);
    void run_orders();
    void run_send(const Order& order);
    void drop_silent();
    // Whether the slot has told what it may in this turn.
    [[nodiscard]] bool tell(std::uint32_t index, io::Event& event, bool& is_done);
    void tell_stream(Slot& slot, io::Event& event, bool& is_done);
    void tell_listener(std::uint32_t index, io::Event& event, bool& is_done);
    void rest(std::uint32_t index);

    Network& network_;
    Waiting waiting_;
    Instant now_;
    Instant wake_time_ = never;
    bool would_block_ = true;  // the last wait(), for want of news
    std::deque<Slot> slots_;
    std::vector<std::uint32_t> free_;
    std::deque<std::uint32_t> news_;
    std::size_t turn_left_ = 0;  // of news_: what belongs to this turn
    std::vector<Order> orders_;
    std::optional<std::size_t> orders_left_;
    std::vector<io::ShortSend> short_sends_;
    std::vector<std::byte> scratch_;
    std::size_t scratch_used_ = 0;
    std::size_t open_count_ = 0;
};

}  // namespace wspool::sim
