// Network: the world outside the loops, simulated: the time, and streams of bytes between ends,
// each with a bounded buffer, latency, and weather (what goes wrong, and how often). Deterministic:
// one seed gives one history.
//
// How it works: whatever happens later is an entry in one queue ordered by (time, number), so that
// ties have an order too. A Link is one connection with its two Ends; bytes sent at one end arrive
// at the other after a latency, never overtaking each other. As in TCP: closing with unread bytes,
// or sending to who has closed, brings a reset, and a reset destroys what was not read. Ownership:
// links are shared by their ends and by what is on its way. Limits: Weather::buffer_size bytes per
// direction, on the way and unread together.
#pragma once

#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "io/address.h"
#include "io/descriptor_channel.h"
#include "io/loop.h"
#include "sim/channel.h"

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wspool::sim {

class SimLoop;

// Not zero, so that nobody takes "no time yet" for a time.
inline constexpr Instant network_start{std::chrono::hours(1)};

// Chances are per opportunity: per receive, per send, per connect.
struct Weather {
    Duration latency_min = std::chrono::microseconds(20);
    Duration latency_max = std::chrono::microseconds(20);
    std::size_t buffer_size = 300 * 1024;
    double short_read = 0;
    double short_write = 0;
    double stall = 0;  // a send arrives up to stall_max later, and all behind it
    Duration stall_max{};
    double reset = 0;           // a send breaks the connection at both ends
    double vanish = 0;          // a send and all after it, both ways, never arrive; nobody is told
    double refuse = 0;          // a connect is refused
    double no_descriptors = 0;  // an accept finds no descriptor left
    double local_stall = 0;     // as `stall`, between processes of one machine
    Duration local_stall_max{};
};

// One end of a connection, as a kernel would hold it.
struct End {
    SimLoop* loop = nullptr;  // null: in a listener's queue, or closed
    std::uint32_t index = 0;  // the loop's
    io::Address address;
    std::string inbox;  // arrived; the first `read` bytes of it were taken
    std::size_t read = 0;
    std::size_t in_flight = 0;  // bytes on their way here
    Instant last_arrival{};     // nothing sent later arrives earlier
    int error = 0;              // an errno: the connection is broken
    bool is_connected = false;
    bool has_ended = false;  // the peer's FIN arrived
    bool is_shut = false;    // our FIN was sent
    bool is_closed = false;
    bool wants_room = false;    // a send was short
    std::uint32_t holders = 1;  // descriptors and streams; the last one closes
    [[nodiscard]] std::size_t unread() const { return inbox.size() - read; }
};

struct Link {
    std::array<End, 2> ends;  // 0 connected, 1 accepted
    bool is_local = false;    // a socket pair of one machine: no weather, and an end of it destroys
                              // nothing that was sent before
    bool has_vanished = false;
    bool was_disturbed = false;         // reset or vanished by the weather, not by its ends
    const SimLoop* acceptor = nullptr;  // who accepted it; remembered when that is gone
};

using LinkRef = std::shared_ptr<Link>;

// Who waits to be accepted at one listening socket, which several loops may share.
struct AcceptQueue {
    struct Place {
        SimLoop* loop;
        std::uint32_t index;
        friend bool operator==(const Place&, const Place&) = default;
    };
    io::Address address;
    std::deque<LinkRef> backlog;
    std::vector<Place> places;
    std::uint32_t holders = 1;  // descriptors and listeners
};

using AcceptQueueRef = std::shared_ptr<AcceptQueue>;

// What a descriptor that no stream has stands for: an end of a link, or a listening socket.
struct Held {
    LinkRef link;
    int side = 0;
    AcceptQueueRef queue;
};

class Network {
  public:
    explicit Network(std::uint64_t seed);

    [[nodiscard]] Instant now() const { return now_; }
    void set_weather(const Weather& weather) { weather_ = weather; }
    [[nodiscard]] const Weather& weather() const { return weather_; }

    // ---- time
    void schedule(Instant at, std::function<void()> what);
    [[nodiscard]] Instant next_event_time() const;  // `never` when nothing is to come
    void run_next();
    // Runs everything due until then; the time is `to` afterwards.
    void advance(Instant to);

    // Sees all that is sent between processes of one machine: what was to be sent, and whether that
    // was all there was, and was taken.
    using LocalTap =
        std::function<void(const LinkRef& link, int side, std::string_view wanted, bool is_whole)>;
    void set_local_tap(LocalTap tap) { local_tap_ = std::move(tap); }

    // Nothing that is sent to this address arrives from now on; who connects is not answered.
    void set_silent(const io::Address& address, bool is_silent);

    // ---- what loops call
    // Null where somebody listens already.
    [[nodiscard]] AcceptQueueRef listen(io::Address& address, SimLoop& loop, std::uint32_t index);
    void unlisten(const AcceptQueueRef& queue, SimLoop& loop, std::uint32_t index);
    [[nodiscard]] LinkRef connect(const io::Address& to, SimLoop& loop, std::uint32_t index);
    // An errno, or 0 and how much was taken. After a short one on_room() of the sender's loop
    // follows.
    struct Sent {
        std::size_t taken;
        int error;
    };
    [[nodiscard]] Sent send(const LinkRef& link, int side, std::span<const ByteView> pieces);
    // Takes bytes that arrived; there are some.
    [[nodiscard]] std::size_t receive(const LinkRef& link, int side, MutableBytes out);
    void shutdown_write(const LinkRef& link, int side);
    void close(const LinkRef& link, int side, io::CloseMode mode);
    [[nodiscard]] bool finds_no_descriptor() { return prng_.chance(weather_.no_descriptors); }

    // ---- descriptors, as processes hold and pass them
    // Both ends of a new socket pair.
    [[nodiscard]] std::array<int, 2> make_pair();
    // Both ends of a new channel.
    [[nodiscard]] std::array<int, 2> make_channel();
    // A listening socket on an address where there may be others: each is a queue of its own.
    [[nodiscard]] int open_listener(io::Address& address);
    [[nodiscard]] int duplicate(int fd);
    void discard(int fd);
    [[nodiscard]] int hold(Held held);
    // Takes it out of the table; nothing when there is no such descriptor.
    [[nodiscard]] std::optional<Held> take(int fd);
    [[nodiscard]] const Held* find(int fd) const;
    // `loop` is told when the channel is readable.
    [[nodiscard]] std::unique_ptr<io::DescriptorChannel> open_channel(int fd, SimLoop& loop);
    [[nodiscard]] bool is_channel_readable(int fd) const;
    // Does it after a latency, and not before `last`, which moves on.
    void arrive_after(Instant& last, std::function<void()> what);
    // Descriptors that no stream has.
    [[nodiscard]] std::size_t held_count() const { return held_.size(); }

    // Links with an end that was not closed, for the check that nothing is left.
    [[nodiscard]] std::size_t open_ends() const { return open_ends_; }

  private:
    struct Entry {
        Instant at;
        std::uint64_t number;
        std::function<void()> what;
    };
    static bool is_later(const Entry& a, const Entry& b);
    [[nodiscard]] Duration latency();
    [[nodiscard]] Duration draw_stall(bool is_local);
    [[nodiscard]] Instant arrival(End& end, Duration extra);
    [[nodiscard]] std::size_t room(const End& receiver) const;
    void arrive(const LinkRef& link, int side, const std::string& bytes);
    void arrive_end(const LinkRef& link, int side);
    void arrive_syn(const LinkRef& link, const io::Address& to);
    void drop(const AcceptQueueRef& queue);
    void close_channel(int fd);
    void break_local(const LinkRef& link, int side);
    void promise_room(const LinkRef& link, int side);
    void break_later(const LinkRef& link, int side, int error);
    void break_now(const LinkRef& link, int side, int error);
    void disturb(const LinkRef& link, int sender);
    static void wake(const End& end);

    Prng prng_;
    Weather weather_;
    Instant now_ = network_start;
    std::uint64_t next_number_ = 0;
    std::vector<Entry> queue_;  // a heap
    std::map<std::string, std::vector<AcceptQueueRef>> listeners_;
    std::map<int, Held> held_;
    std::map<int, ChannelEnd> channels_;
    int next_descriptor_ = 1'000'000;  // beyond any number that a test watches
    std::set<std::string> silent_;     // addresses
    LocalTap local_tap_;
    std::uint16_t next_port_ = 20'000;
    std::size_t open_ends_ = 0;
};

}  // namespace wspool::sim
