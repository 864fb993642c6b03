// EpollLoop: the readiness loop over epoll, for kernels and containers without io_uring. Streams
// are added once, edge-triggered; a turn's sends are system calls at the start of the next wait(),
// with the outcomes that the ring would report. The batching wait is a sleep between two
// epoll_waits, left out when the first has as many reports as were expected.
#pragma once

#include "io/gather_arena.h"
#include "io/readiness_loop.h"

#include <vector>

namespace wspool::io {

class EpollLoop final : public ReadinessLoop {
  public:
    [[nodiscard]] static Result<std::unique_ptr<Loop>> make(Duration batch_wait);
    ~EpollLoop() override;

    [[nodiscard]] std::string_view name() const override { return "epoll"; }

  private:
    struct QueuedSend {
        StreamId id;
        int fd;
        ByteView bytes;         // of a single piece
        const msghdr* message;  // of several, else null
        std::size_t size;
    };

    EpollLoop(int epoll_fd, Duration batch_wait);

    Armed arm(StreamId id, int fd, StreamKind kind) override;
    void disarm(StreamId id, int fd, Afterwards afterwards) override;
    void queue_send(StreamId id, int fd, std::span<const ByteView> pieces) override;
    void run_queued() override;
    void wait_for_events(Duration timeout, unsigned expected) override;
    unsigned collect(Duration timeout);

    int epoll_fd_;
    bool has_pwait2_ = true;  // 5.11, and not in every sandbox
    std::vector<QueuedSend> sends_;
    GatherArena arena_;
};

}  // namespace wspool::io
