// LoopDriver: plays both ends of conversations over one Loop, for the tests of every loop. It keeps
// the rules of io/loop.h (one send per stream and turn, nothing while blocked) and notes what
// happened to each side, so that a test says only what should be true in the end. Tests only.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "io/loop.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::io {

// One end of a connection and its history.
struct Side {
    StreamId id;
    std::string received;
    std::size_t receives = 0;
    std::size_t receive_largest = 0;
    int connects = 0;
    int ends = 0;
    int writables = 0;
    std::vector<int> failures;
    std::string failure_text;
    std::vector<int> send_errors;
    std::size_t short_sends = 0;
    bool received_after_end = false;

    std::string outbox;     // what is still to be sent; grows at the back
    std::size_t taken = 0;  // bytes of the outbox that the kernel has
    std::size_t in_flight = 0;
    bool blocked = false;
    bool open = false;
    bool adopted = false;

    [[nodiscard]] bool is_flushed() const { return taken == outbox.size(); }
};

struct Pair {
    Side* client = nullptr;
    Side* server = nullptr;
};

class LoopDriver {
  public:
    explicit LoopDriver(Loop& loop) : loop_(loop) {}

    [[nodiscard]] Loop& loop() { return loop_; }

    // One turn, handling at most `event_max` events; waits at most `limit`.
    void turn(Duration limit, std::size_t event_max = SIZE_MAX) {
        flush();
        loop_.wait(loop_.now() + limit);
        settle_sends();
        accepted_in_turn = 0;
        Event event{};
        for (std::size_t n = 0; n < event_max && loop_.next_event(event); ++n) handle(event);
    }

    // Turns until `done()`; false when ten seconds of the loop's time did not bring it about.
    template <class Done>
    [[nodiscard]] bool until(Done done, std::size_t event_max = SIZE_MAX) {
        const Instant deadline = loop_.now() + std::chrono::seconds(10);
        while (!done()) {
            if (loop_.now() >= deadline) return false;
            turn(deadline - loop_.now(), event_max);
        }
        return true;
    }

    // Some turns in which whatever should not happen has the opportunity to.
    void idle(int turns = 5) {
        for (int i = 0; i < turns; ++i) turn(std::chrono::milliseconds(1));
    }

    [[nodiscard]] bool listen(const Address& address, const ListenOptions& options = {}) {
        auto made = loop_.listen(address, options, listener_owner);
        if (!made) return false;
        listener = *made;
        auto bound = loop_.local_address(listener);
        if (!bound) return false;
        listen_address = *bound;
        return true;
    }

    // A new connection, without waiting for it.
    [[nodiscard]] Side* connect(const Address& address) {
        sides.emplace_back();
        Side& side = sides.back();
        auto made = loop_.connect(address, sides.size(), connect_options);
        if (!made) return nullptr;
        side.id = *made;
        side.open = true;
        return &side;
    }

    // A descriptor that came from elsewhere, as a side of its own.
    [[nodiscard]] Side* adopt(int fd) {
        sides.emplace_back();
        return adopt(fd, sides.back()) ? &sides.back() : nullptr;
    }

    // The side goes on over this descriptor, with what it has still to send.
    [[nodiscard]] bool adopt(int fd, Side& side) {
        std::uint64_t owner = 1;
        while (&sides[owner - 1] != &side) ++owner;
        auto made = loop_.adopt(fd, owner);
        if (!made) return false;
        side.id = *made;
        side.open = side.adopted = true;
        side.blocked = false;
        return true;
    }

    // Takes a side's descriptor from the loop, between turns; -1 when that was refused.
    [[nodiscard]] int release(Side& side) {
        auto fd = loop_.release(side.id);
        if (!fd) return -1;
        side.open = false;
        return *fd;
    }

    [[nodiscard]] Pair adopt_pair(std::array<int, 2> ends) {
        Side* first = adopt(ends[0]);
        return {first, adopt(ends[1])};
    }

    // Both ends of an established connection through the listener; null ends when that failed.
    [[nodiscard]] Pair pair() {
        const std::size_t accepted_before = accepted.size();
        Side* client = connect(listen_address);
        if (client == nullptr) return {};
        const auto is_made = [&] {
            return client->connects == 1 && accepted.size() > accepted_before &&
                   is_ready(accepted.back()->id);
        };
        if (!until(is_made)) return {};
        return {client, accepted.back()};
    }

    void write(Side& side, std::string_view text) { side.outbox.append(text); }

    void close(Side& side, CloseMode mode = CloseMode::graceful) {
        flush_side(side);
        loop_.close(side.id, mode);
        side.open = false;
    }

    void shutdown_write(Side& side) {
        flush_side(side);
        loop_.shutdown_write(side.id);
    }

    static constexpr std::uint64_t listener_owner = UINT64_MAX;

    ConnectOptions connect_options;
    // Whether what is sent on an accepted stream would be taken.
    std::function<bool(StreamId)> is_ready = [](StreamId) { return true; };
    StreamId listener;
    Address listen_address;
    std::deque<Side> sides;  // owner of side i: i + 1
    std::vector<Side*> accepted;
    std::size_t accepted_in_turn = 0;
    int refusals = 0;
    int pauses = 0;
    int unknown_events = 0;               // for a side that is closed, or of a kind that cannot be
    std::vector<std::uint64_t> readable;  // owners of watched descriptors, in order

  private:
    void flush() {
        for (Side& side : sides) flush_side(side);
    }

    void flush_side(Side& side) {
        if (!side.open || side.blocked || side.in_flight > 0 || side.is_flushed()) return;
        if (side.connects == 0 && !side.adopted && !is_accepted(side)) return;
        side.in_flight = std::min(side.outbox.size() - side.taken, send_size_max);
        const ByteView piece =
            as_bytes(std::string_view(side.outbox).substr(side.taken, side.in_flight));
        loop_.send(side.id, {&piece, 1});
    }

    [[nodiscard]] bool is_accepted(const Side& side) const {
        return std::find(accepted.begin(), accepted.end(), &side) != accepted.end();
    }

    void settle_sends() {
        for (const ShortSend& send : loop_.short_sends()) {
            Side& side = sides.at(send.owner - 1);
            if (!side.open || side.id != send.stream || side.in_flight == 0) {
                ++unknown_events;
                continue;
            }
            ++side.short_sends;
            side.taken += send.sent;
            side.in_flight = 0;
            side.blocked = true;
            if (send.error != 0) side.send_errors.push_back(send.error);
        }
        for (Side& side : sides) {
            side.taken += side.in_flight;
            side.in_flight = 0;
        }
    }

    void handle(const Event& event) {
        if (event.kind == EventKind::accepted) return accept(event);
        if (event.kind == EventKind::accept_refused) return void(++refusals);
        if (event.kind == EventKind::accept_paused) return void(++pauses);
        if (event.kind == EventKind::readable) return readable.push_back(event.owner);
        if (event.owner == 0 || event.owner > sides.size()) return void(++unknown_events);
        Side& side = sides[event.owner - 1];
        if (!side.open || side.id != event.stream) return void(++unknown_events);
        note(side, event);
    }

    void accept(const Event& event) {
        if (event.owner != listener_owner) ++unknown_events;
        ++accepted_in_turn;
        sides.emplace_back();
        sides.back().id = event.stream;
        sides.back().open = true;
        loop_.set_owner(event.stream, sides.size());
        accepted.push_back(&sides.back());
    }

    void note(Side& side, const Event& event) {
        switch (event.kind) {
            case EventKind::connected:
                ++side.connects;
                break;
            case EventKind::received:
                if (side.ends > 0) side.received_after_end = true;
                ++side.receives;
                side.receive_largest = std::max(side.receive_largest, event.bytes.size());
                side.received.append(as_text(event.bytes));
                scribble(event.bytes);
                break;
            case EventKind::ended:
                ++side.ends;
                break;
            case EventKind::failed:
                side.failures.push_back(event.error);
                side.failure_text = event.text;
                break;
            case EventKind::writable:
                ++side.writables;
                side.blocked = false;
                break;
            case EventKind::accepted:
            case EventKind::accept_refused:
            case EventKind::accept_paused:
            case EventKind::readable:
                ++unknown_events;
                break;
        }
    }

    // The bytes and the slack behind them are the owner's to overwrite.
    static void scribble(MutableBytes bytes) {
        std::fill_n(bytes.data(), bytes.size() + receive_slack, std::byte{0xee});
    }

    Loop& loop_;
};

}  // namespace wspool::io
