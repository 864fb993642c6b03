// Child: what a process of the gateway is born with, and its line to the master. Made by the master
// (master.h), used by the program of a worker or of the control process.
//
// Ownership: the descriptors belong to whoever holds the struct; a program hands them on to its
// loop, its links and its ChildLink.
#pragma once

#include "base/hash.h"
#include "io/descriptor.h"
#include "io/descriptor_channel.h"
#include "metrics/page.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace wspool::master {

// The index of the control process, which is home of nothing.
inline constexpr std::uint32_t control_index = 0xFFFF;

// Another process of this gateway, and our ends of the link to it (R1).
struct Peer {
    std::uint32_t index = 0;
    std::uint64_t incarnation = 0;
    bool is_home = false;
    io::Descriptor stream;   // records
    io::Descriptor channel;  // descriptors
};

struct Child {
    std::uint32_t index = 0;
    std::uint64_t incarnation = 0;
    std::size_t workers = 0;
    std::size_t place = 0;                  // on the page
    metrics::Page* page = nullptr;          // outlives the process' program
    HashKey key;                            // of names; the same in every process
    std::vector<io::Descriptor> listeners;  // in the order of the addresses
    // All that live at its birth (R24). Those that come later are told over the link.
    std::vector<Peer> peers;
    io::Descriptor master_link;
};

enum class MasterSays : std::uint8_t {
    nothing,    // for now
    peer,       // a process was started, and this is the link to it
    drain,      // refuse newcomers, close the clients spread over time, then say drained
    shut_down,  // close the rest at once, then say drained
    stop,       // end
    reload,     // the configuration changed: take_config() is the text of its file
    lost,       // the master has ended, or the link is broken: drain, then end
};

class ChildLink {
  public:
    explicit ChildLink(io::Descriptor link) : channel_(link.release()) {}

    // To be watched; after `lost` no longer.
    [[nodiscard]] int fd() const { return channel_.fd(); }
    [[nodiscard]] MasterSays next(Peer& peer);
    // What came with the last `reload`: a file in memory; none, when no descriptor was left for it.
    [[nodiscard]] io::Descriptor take_config() { return std::exchange(config_, {}); }

    void say_ready();
    void say_drained();
    void ask_drain();
    // Sends what could not be sent before; to be called once per turn.
    void flush();

  private:
    void say(std::uint32_t kind);

    io::SocketChannel channel_;
    Peer half_peer_;  // its stream has come, its channel has not
    io::Descriptor config_;
    bool is_lost_ = false;
    std::vector<std::uint32_t> unsent_;
};

}  // namespace wspool::master
