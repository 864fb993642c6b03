#include "io/readiness_loop.h"

#include "base/assert.h"
#include "io/socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace wspool::io {

static_assert((POLLIN | POLLOUT | POLLRDHUP) == 0x2005);

namespace {

constexpr unsigned end_events = POLLRDHUP | POLLHUP | POLLERR;

// Below the one a batching wait would only add latency; beyond the other it saves nothing more, and
// the smallest completion queue still holds them.
constexpr double expected_min = 3;
constexpr double expected_max = 64;
// The moving rate forgets in about this time: long against a turn, short against a person.
constexpr double rate_memory_ns = 1e6;

}  // namespace

ReadinessLoop::ReadinessLoop(Duration batch_wait, WatchStyle watch_style)
    : batch_wait_(batch_wait),
      watch_style_(watch_style),
      now_(read_clock()),
      scratch_(std::make_unique_for_overwrite<std::byte[]>(receive_max + receive_slack)) {
    open_reserve();
}

ReadinessLoop::~ReadinessLoop() {
    for (std::uint32_t index = 0; index < table_.size(); ++index) {
        const Slot& slot = table_[index];
        const bool is_ours = slot.kind != StreamKind::none && slot.kind != StreamKind::watch;
        if (is_ours && slot.fd >= 0) ::close(slot.fd);
    }
    for (const Listener& listener : listeners_) {
        if (!listener.path.empty()) ::unlink(listener.path.c_str());
    }
    for (const int fd : closings_) ::close(fd);
    if (reserve_ >= 0) ::close(reserve_);
}

// ---- the turn

void ReadinessLoop::wait(Instant deadline) {
    short_sends_.clear();
    for (const std::uint32_t index : sent_) table_[index].clear(StreamFlag::sent);
    sent_.clear();
    accepts_in_visit_ = 0;
    finish_closings();
    const Instant before = now_;
    const unsigned expected = expected_messages();
    // A report may be of no interest to the owner (room where none was missed, the end of something
    // closed): then it goes on waiting.
    do {
        wait_for_events(time_until(deadline), expected);
        now_ = read_clock();
        if (resting_count_ > 0) wake_listeners(now_);
    } while (ready_.empty() && short_sends_.empty() && now_ < deadline);
    update_rate(before);
    visits_left_ = ready_.size();
}

void ReadinessLoop::finish_closings() {
    if (shutdowns_.empty() && closings_.empty()) return;
    run_queued();
    for (const StreamId id : shutdowns_) {
        if (const Slot* slot = table_.find(id)) ::shutdown(slot->fd, SHUT_WR);
    }
    for (const int fd : closings_) ::close(fd);
    if (!closings_.empty() && resting_count_ > 0) wake_listeners(Instant::max());
    shutdowns_.clear();
    closings_.clear();
}

Duration ReadinessLoop::time_until(Instant deadline) const {
    if (!ready_.empty() || !short_sends_.empty()) return Duration::zero();
    Instant until = deadline;
    if (resting_count_ > 0) {
        for (const Listener& listener : listeners_) until = std::min(until, listener.rest_until);
    }
    if (until == never) return no_timeout;
    const Instant at = read_clock();
    return until <= at ? Duration::zero() : until - at;
}

unsigned ReadinessLoop::expected_messages() const {
    const double expected = rate_ * static_cast<double>(batch_wait_.count());
    if (expected < expected_min) return 1;
    return static_cast<unsigned>(std::min(expected, expected_max));
}

void ReadinessLoop::update_rate(Instant before) {
    const auto passed = static_cast<double>((now_ - before).count());
    rate_ = (rate_ * rate_memory_ns + receives_in_turn_) / (rate_memory_ns + passed);
    receives_in_turn_ = 0;
}

bool ReadinessLoop::next_event(Event& event) {
    while (visits_left_ > 0) {
        if (visit(ready_.front(), event)) return true;
    }
    return false;
}

void ReadinessLoop::leave_front() {
    ready_.pop_front();
    --visits_left_;
}

bool ReadinessLoop::visit(std::uint32_t index, Event& event) {
    switch (table_[index].kind) {
        case StreamKind::none:
            leave_front();
            table_.recycle(index);
            return false;
        case StreamKind::connecting:
            return visit_connecting(index, event);
        case StreamKind::stream:
            return visit_stream(index, event);
        case StreamKind::listener:
            return visit_listener(index, event);
        case StreamKind::watch:
            return visit_watch(index, event);
    }
    WSPOOL_UNREACHABLE();
}

bool ReadinessLoop::visit_connecting(std::uint32_t index, Event& event) {
    Slot& slot = table_[index];
    leave_front();
    if (slot.has(StreamFlag::failed)) return check_error(index, event);
    const int error = slot.fd < 0 ? -slot.fd : take_socket_error(slot.fd);
    if (error != 0) {
        fail_stream(event, index, error);
        return true;
    }
    // Without an error the report may be the unconnected state of before; only room means
    // connected.
    if (!slot.has(StreamFlag::writable)) return false;
    slot.clear(StreamFlag::writable);
    slot.kind = StreamKind::stream;
    if (slot.has(StreamFlag::readable)) ready_.push_back(index);
    fill(event, EventKind::connected, index);
    return true;
}

bool ReadinessLoop::visit_stream(std::uint32_t index, Event& event) {
    Slot& slot = table_[index];
    if (slot.has(StreamFlag::writable)) {
        // Stays at the front, to be received from in the same visit.
        slot.clear(StreamFlag::writable);
        slot.clear(StreamFlag::blocked);
        fill(event, EventKind::writable, index);
        return true;
    }
    leave_front();
    const bool is_unread = slot.has(StreamFlag::paused) || slot.has(StreamFlag::ended);
    if (slot.has(StreamFlag::failed) || is_unread || !slot.has(StreamFlag::readable)) {
        return check_error(index, event);
    }
    return receive(index, event);
}

bool ReadinessLoop::receive(std::uint32_t index, Event& event) {
    Slot& slot = table_[index];
    ssize_t n = 0;
    do {
        n = ::recv(slot.fd, scratch_.get(), receive_max, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        const auto size = static_cast<std::size_t>(n);
        if (size == receive_max || slot.has(StreamFlag::end_near)) {
            ready_.push_back(index);
        } else {
            slot.clear(StreamFlag::readable);
        }
        ++receives_in_turn_;
        fill(event, EventKind::received, index);
        event.bytes = MutableBytes(scratch_.get(), size);
        return true;
    }
    if (n < 0 && errno != EAGAIN) {
        fail_stream(event, index, errno);
        return true;
    }
    slot.clear(StreamFlag::readable);
    if (n < 0) return check_error(index, event);
    slot.set(StreamFlag::ended);
    fill(event, EventKind::ended, index);
    return true;
}

// What is left to say about a stream that is not received from.
bool ReadinessLoop::check_error(std::uint32_t index, Event& event) {
    Slot& slot = table_[index];
    if (slot.has(StreamFlag::arm_failed)) {
        slot.clear(StreamFlag::arm_failed);
        fail_stream(event, index, ENOMEM);
        return true;
    }
    if (slot.has(StreamFlag::failed) || !slot.has(StreamFlag::error_seen)) return false;
    slot.clear(StreamFlag::error_seen);
    const int error = take_socket_error(slot.fd);
    if (error == 0) return false;
    fail_stream(event, index, error);
    return true;
}

bool ReadinessLoop::visit_watch(std::uint32_t index, Event& event) {
    Slot& slot = table_[index];
    leave_front();
    if (slot.has(StreamFlag::failed)) return check_error(index, event);
    // A paused watch forgets what it knew: the kernel is asked afresh on resuming.
    if (slot.has(StreamFlag::paused)) return false;
    if (slot.has(StreamFlag::always)) {
        ready_.push_back(index);
    } else if (!slot.has(StreamFlag::armed)) {
        slot.set(StreamFlag::armed);
        static_cast<void>(arm(table_.id(index), slot.fd, slot.kind));
    }
    fill(event, EventKind::readable, index);
    return true;
}

void ReadinessLoop::fill(Event& event, EventKind kind, std::uint32_t index, int error) {
    event = Event{kind, table_.id(index), table_[index].owner, {}, error, {}, {}};
}

void ReadinessLoop::fail_stream(Event& event, std::uint32_t index, int error) {
    Slot& slot = table_[index];
    slot.set(StreamFlag::failed);
    slot.clear(StreamFlag::readable);
    fill(event, EventKind::failed, index, error);
}

// ---- reports

void ReadinessLoop::on_ready(StreamId id, unsigned events) {
    Slot* slot = table_.find(id);
    if (slot == nullptr || slot->has(StreamFlag::failed)) return;
    if (slot->kind == StreamKind::watch) {
        if (watch_style_ == WatchStyle::oneshot) slot->clear(StreamFlag::armed);
        ready_.push_back(id.index);
        return;
    }
    const bool has_end = (events & end_events) != 0;
    const bool has_room = (events & (POLLOUT | POLLHUP | POLLERR)) != 0;
    if (has_end) slot->set(StreamFlag::end_near);
    if ((events & POLLERR) != 0) slot->set(StreamFlag::error_seen);
    if (has_end || (events & POLLIN) != 0) slot->set(StreamFlag::readable);
    if (has_room && (slot->has(StreamFlag::blocked) || slot->kind == StreamKind::connecting)) {
        slot->set(StreamFlag::writable);
    }
    if (slot->has(StreamFlag::ended)) slot->clear(StreamFlag::readable);
    const bool is_wanted = slot->has(StreamFlag::readable) || slot->has(StreamFlag::writable) ||
                           slot->has(StreamFlag::error_seen);
    if (is_wanted && !slot->has(StreamFlag::resting)) ready_.push_back(id.index);
}

void ReadinessLoop::on_disarmed(StreamId id) {
    Slot* slot = table_.find(id);
    if (slot == nullptr || slot->kind == StreamKind::watch || slot->has(StreamFlag::failed)) return;
    if (arm(id, slot->fd, slot->kind) == Armed::no_memory) on_arm_failed(id);
}

void ReadinessLoop::on_arm_failed(StreamId id) {
    Slot* slot = table_.find(id);
    if (slot == nullptr || slot->has(StreamFlag::failed)) return;
    slot->set(StreamFlag::failed);
    slot->set(StreamFlag::arm_failed);
    ready_.push_back(id.index);
}

void ReadinessLoop::on_short_send(StreamId id, int result) {
    Slot* slot = table_.find(id);
    if (slot == nullptr) return;
    const bool is_blocked = result >= 0 || result == -EAGAIN;
    slot->set(StreamFlag::blocked);
    short_sends_.push_back(ShortSend{id,
                                     slot->owner,
                                     result > 0 ? static_cast<std::size_t>(result) : 0,
                                     is_blocked ? 0 : -result});
}

}  // namespace wspool::io
