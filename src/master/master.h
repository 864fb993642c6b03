// Master: the process that has the others: opens the listening sockets and keeps them for as long
// as it lives, forks workers and the control process, links them, and does what the Supervisor
// decides. For app/, which gives it the programs of its children and tells people what is told.
//
// How it works: each worker has a listening socket of its own per TCP address (a unix path has one
// for all), so that what waits there outlives a worker and is served by the next. A fresh process
// is born with a pair of sockets to each living one, whose other ends the living get over their
// line to the master. The master reads signals, the little its children say, and the stats page,
// and nothing that a client sent.
//
// Invariants: those of Supervisor, and: a child holds its own listeners, line and links, and no
// other descriptor of the master.
// Ownership: owns listeners and lines. A link's ends are its own until they are passed on.
// Limits: what waits for a child that does not read is one message and two descriptors per process
// started meanwhile, and one of each per reload; a child that does not read for health.stall is
// killed.
#pragma once

#include "base/hash.h"
#include "base/result.h"
#include "io/address.h"
#include "io/descriptor.h"
#include "io/loop.h"
#include "io/shared_memory.h"
#include "io/signals.h"
#include "master/child.h"
#include "master/link_message.h"
#include "master/supervisor.h"
#include "metrics/page.h"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace wspool::master {

// What a child runs; it returns the exit status.
using Program = std::function<int(Child)>;

struct MasterOptions {
    std::size_t workers = 1;
    std::vector<io::Address> listen;
    io::ListenOptions listener;
    std::optional<io::Address> control;
    Duration stall = std::chrono::seconds(3);
    Duration health_interval = std::chrono::seconds(30);
    HashKey key;
    Program run_worker;
    Program run_control;
};

class Master {
  public:
    // Opens all listeners; starts nothing.
    [[nodiscard]] static Result<std::unique_ptr<Master>> make(const MasterOptions& options);
    Master(const Master&) = delete;
    Master& operator=(const Master&) = delete;
    ~Master();

    // With the ports that were taken.
    [[nodiscard]] const std::vector<io::Address>& client_addresses() const { return clients_; }
    [[nodiscard]] const std::optional<io::Address>& control_address() const { return control_; }
    [[nodiscard]] const metrics::Page& page() const { return page_; }
    [[nodiscard]] bool is_control(std::size_t place) const { return supervisor_.is_control(place); }
    [[nodiscard]] Instant now() const { return loop_->now(); }

    // Waits for what comes next and does what has to be done. Returns what is to be told, in order;
    // the last of all is `finished`.
    [[nodiscard]] std::span<const Action> turn();

    // Gives every child the text of the configuration's file, and takes the times of its own. For
    // `reload`; children that are born later have what their programs find.
    [[nodiscard]] Result<void> reload(std::string_view config,
                                      Duration stall,
                                      Duration health_interval);

  private:
    struct Outgoing {
        LinkMessage message;
        io::Descriptor descriptor;
    };
    struct Process {
        std::uint64_t pid = 0;
        std::unique_ptr<io::SocketChannel> line;
        io::StreamId watch;
        std::deque<Outgoing> outgoing;
    };
    // A link that is being made: our hands are between its two ends.
    struct NewLink {
        std::size_t to = 0;
        Peer near;
        Peer far;
    };
    struct Birth {
        io::Descriptor line;        // the master's end
        io::Descriptor child_line;  // the child's
        std::vector<NewLink> links;
    };

    Master(const MasterOptions& options,
           io::SharedMemory memory,
           io::Signals signals,
           std::unique_ptr<io::Loop> loop);
    [[nodiscard]] Result<void> open_listeners();

    void read_signals();
    void hear(std::size_t place);
    void reap();
    void look_at_page();
    void act(const Action& action);
    void start(std::size_t place, std::uint64_t incarnation);
    [[nodiscard]] Result<Birth> prepare(std::size_t place, std::uint64_t incarnation);
    [[noreturn]] void run_child(std::size_t place, std::uint64_t incarnation, Birth birth);
    [[nodiscard]] Peer describe(std::size_t place, std::uint64_t incarnation) const;
    void enlist(std::size_t place, std::uint64_t pid, Birth birth);
    void tell(std::size_t place, LinkMessageKind kind, io::Descriptor descriptor = {});
    void flush(std::size_t place);
    void publish_lives();

    const MasterOptions options_;
    io::SharedMemory memory_;
    metrics::Page page_;
    io::Signals signals_;
    std::unique_ptr<io::Loop> loop_;
    metrics::Life own_life_;
    Supervisor supervisor_;
    std::vector<Process> processes_;
    std::vector<io::Address> clients_;
    std::optional<io::Address> control_;
    std::vector<std::vector<io::Descriptor>> listeners_;  // by place, in the order of addresses
    std::vector<Action> told_;
};

}  // namespace wspool::master
