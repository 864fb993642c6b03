// ReadinessLoop: the part of a kernel loop that io_uring and epoll share: who is ready, whose turn
// it is, receiving, accepting, pausing, closing. The two loops below it differ only in how
// readiness is asked for (arm, disarm), how a turn's sends reach the kernel (queue_send,
// run_queued), and how to wait.
//
// How it works: the kernel reports readiness edge by edge; the report sets flags on the stream's
// slot and links it into the ready list. A turn visits as many slots as the list had when it began,
// from the front; a slot that has more to give goes to the back. Receiving is a direct recv into
// one buffer that all streams share, so an idle stream has none.
//
// Invariants: 1. a stream that is readable, neither paused nor ended, is in the ready list.
//             2. a slot's descriptor is open until the closing it was put into is carried out,
//             which is
//                after the sends queued before.
//             3. `blocked` is cleared only by handing out `writable`.
// Ownership: owns all descriptors but the watched ones and those that were released.
// Limits: those of io/loop.h.
#pragma once

#include "io/clock.h"
#include "io/loop.h"
#include "io/stream_table.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace wspool::io {

// How a loop wants watched descriptors treated.
enum class WatchStyle : std::uint8_t {
    oneshot,  // reported once, then armed again for the next turn
    level,    // reported in every wait while readable, so that a pause must disarm
};

enum class Armed : std::uint8_t { yes, always_ready, no_memory };

// What becomes of a socket that is no longer to be reported.
enum class Afterwards : std::uint8_t {
    closes,      // with its only descriptor
    stays_open,  // here or in another process
};

class ReadinessLoop : public Loop {
  public:
    ReadinessLoop(Duration batch_wait, WatchStyle watch_style);
    ~ReadinessLoop() override;

    [[nodiscard]] Instant now() const final { return now_; }
    void wait(Instant deadline) final;
    [[nodiscard]] std::span<const ShortSend> short_sends() const final { return short_sends_; }
    [[nodiscard]] bool next_event(Event& event) final;

    [[nodiscard]] Result<StreamId> listen(const Address& address,
                                          const ListenOptions& options,
                                          std::uint64_t owner) final;
    [[nodiscard]] Result<StreamId> connect(const Address& address,
                                           std::uint64_t owner,
                                           const ConnectOptions& options) final;
    [[nodiscard]] Result<StreamId> adopt(int fd, std::uint64_t owner) final;
    [[nodiscard]] Result<StreamId> adopt_listener(int fd,
                                                  const ListenOptions& options,
                                                  std::uint64_t owner) final;
    [[nodiscard]] Result<int> release(StreamId stream) final;
    [[nodiscard]] std::unique_ptr<DescriptorChannel> open_channel(int fd) final;
    void discard(int fd) final;
    [[nodiscard]] Result<StreamId> watch(int fd, std::uint64_t owner) final;
    [[nodiscard]] Result<Address> local_address(StreamId stream) const final;
    [[nodiscard]] Result<Address> peer_address(StreamId stream) const final;
    void set_owner(StreamId stream, std::uint64_t owner) final;

    void send(StreamId stream, std::span<const ByteView> pieces) final;
    void pause(StreamId stream) final;
    void resume(StreamId stream) final;
    void shutdown_write(StreamId stream) final;
    void close(StreamId stream, CloseMode mode) final;

  protected:
    static constexpr Duration no_timeout = Duration::max();
    static constexpr int poll_events =
        0x0001 | 0x0004 | 0x2000;  // IN, OUT, RDHUP, as poll and epoll

    // ---- what the two loops differ in

    // Reports for `id` begin, with the state as it is; edge by edge, or as WatchStyle says.
    [[nodiscard]] virtual Armed arm(StreamId id, int fd, StreamKind kind) = 0;
    // No report for `id` is wanted any more; one that is under way may still come. What closes does
    // so after the next run_queued().
    virtual void disarm(StreamId id, int fd, Afterwards afterwards) = 0;
    // `pieces` are not empty. The outcome of a send that is not taken whole goes to
    // on_short_send().
    virtual void queue_send(StreamId id, int fd, std::span<const ByteView> pieces) = 0;
    // Carries out what is queued; outcomes may be reported here or in wait_for_events().
    virtual void run_queued() = 0;
    // Carries out what is queued, then waits at most `timeout` for reports, and makes them. With
    // `expected` > 1 it may gather that many for as long as batch_wait() after the first.
    virtual void wait_for_events(Duration timeout, unsigned expected) = 0;

    // ---- what they report; stale ids are ignored

    void on_ready(StreamId id, unsigned events);
    // The kernel stopped reporting and must be asked again.
    void on_disarmed(StreamId id);
    void on_arm_failed(StreamId id);
    // `result`: bytes taken, or a negative errno.
    void on_short_send(StreamId id, int result);

    [[nodiscard]] Duration batch_wait() const { return batch_wait_; }
    [[nodiscard]] bool has_short_sends() const { return !short_sends_.empty(); }

  private:
    struct Listener {
        StreamId id;
        std::string refusal;
        std::string path;  // of a unix socket, whose file goes with the listener
        Instant rest_until;
    };
    enum class Refused : std::uint8_t { answered, nobody_there, impossible };

    [[nodiscard]] StreamId add(StreamKind kind, int fd, std::uint64_t owner);
    void leave_front();
    void finish_closings();
    [[nodiscard]] Duration time_until(Instant deadline) const;
    [[nodiscard]] unsigned expected_messages() const;
    void update_rate(Instant before);

    [[nodiscard]] bool visit(std::uint32_t index, Event& event);
    [[nodiscard]] bool visit_connecting(std::uint32_t index, Event& event);
    [[nodiscard]] bool visit_stream(std::uint32_t index, Event& event);
    [[nodiscard]] bool receive(std::uint32_t index, Event& event);
    [[nodiscard]] bool check_error(std::uint32_t index, Event& event);
    [[nodiscard]] bool visit_watch(std::uint32_t index, Event& event);
    void fill(Event& event, EventKind kind, std::uint32_t index, int error = 0);
    void fail_stream(Event& event, std::uint32_t index, int error);

    // accepting: readiness_accept.cpp; the verbs above: readiness_verbs.cpp
    [[nodiscard]] bool visit_listener(std::uint32_t index, Event& event);
    [[nodiscard]] Result<StreamId> add_listener(int fd, Listener listener, std::uint64_t owner);
    [[nodiscard]] bool take_accepted(std::uint32_t index, int fd, Event& event);
    [[nodiscard]] bool accept_without_descriptors(std::uint32_t index, int error, Event& event);
    [[nodiscard]] Refused refuse_one(const Slot& slot, const Listener& listener);
    void answer_and_close(int fd, const Listener& listener);
    void rest(std::uint32_t index, Event& event);
    void wake_listeners(Instant due);
    void open_reserve();
    [[nodiscard]] Listener& listener_of(std::uint32_t index);
    void forget_listener(StreamId id);

    const Duration batch_wait_;
    const WatchStyle watch_style_;
    Instant now_;
    StreamTable table_;
    ReadyList ready_{table_};
    std::uint32_t visits_left_ = 0;  // of this turn
    int accepts_in_visit_ = 0;
    double rate_ = 0;  // receives per nanosecond
    unsigned receives_in_turn_ = 0;
    std::unique_ptr<std::byte[]> scratch_;
    std::vector<ShortSend> short_sends_;
    std::vector<std::uint32_t> sent_;  // slots with `sent`
    std::vector<StreamId> shutdowns_;  // after the sends queued before
    std::vector<int> closings_;        // likewise
    std::vector<Listener> listeners_;
    std::uint32_t resting_count_ = 0;
    int reserve_ = -1;  // a descriptor to give up when there is no other left
};

}  // namespace wspool::io
