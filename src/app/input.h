// LineInput: standard input as lines, read by a thread of its own, because it may be a file (which
// no loop can wait for) or a pipe whose writer is slow.
//
// How it works: the thread fills a bounded queue and rings a descriptor that a loop can watch; when
// the queue is full it stops reading, so that a fast writer waits for a slow network and memory
// stays bounded. Ownership: the thread ends with the object, also in the middle of waiting for
// input. Limits: queue_size_max bytes of whole lines, line_size_max bytes of one line.
#pragma once

#include "base/result.h"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace wspool::app {

class LineInput {
  public:
    static constexpr std::size_t queue_size_max = 1024 * 1024;
    static constexpr std::size_t line_size_max = 16 * 1024 * 1024;

    explicit LineInput(int fd) : fd_(fd) {}
    LineInput(const LineInput&) = delete;
    LineInput& operator=(const LineInput&) = delete;
    ~LineInput();

    [[nodiscard]] Result<void> start();
    // Readable when there is something new; acknowledge() before taking.
    [[nodiscard]] int event_fd() const { return event_fd_; }
    void acknowledge();
    // The next line, without its end; none: no whole line is there now.
    [[nodiscard]] std::optional<std::string> take();
    // Size of the line that take() would return.
    [[nodiscard]] std::optional<std::size_t> next_size();
    // Everything was read and taken.
    [[nodiscard]] bool is_at_end();
    // Why reading stopped before the end; empty: it did not.
    [[nodiscard]] std::string error();

  private:
    void read_all();
    [[nodiscard]] bool wait_readable() const;
    [[nodiscard]] bool add(std::string_view bytes, std::string& line);
    [[nodiscard]] bool push(std::string line);
    void finish(std::string error);
    void ring() const;

    int fd_;
    int event_fd_ = -1;
    int stop_fd_ = -1;
    std::thread thread_;

    std::mutex mutex_;
    std::condition_variable has_room_;
    std::deque<std::string> lines_;
    std::size_t queued_size_ = 0;
    bool is_finished_ = false;
    bool is_stopping_ = false;
    std::string error_;
};

}  // namespace wspool::app
