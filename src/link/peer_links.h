// PeerLinks: an Exchange over Links: what its peers send goes in, what it has for them goes out.
// For every process of a gateway that takes part in the exchange.
//
// How to drive it, in the owner's turn (take: the exchange's actions until there are none):
//   exchange.flush(now); take; peers.flush();
//   wait (not at all when peers.wants_turn())
//   for each foreign short send peers.on_short_send(…)
//   while (peers.next(now)) take
//   for each foreign event { peers.on_event(…); while (peers.next(now)) take }
//
// Who passes connections on, or takes any, also asks next_offer() after flush() and each next(),
// until there is none.
//
// Invariant: a peer has a link exactly as long as the exchange knows it. Where a link cannot be
// made, or is lost and its peer lives (nonsense, or a bound of Links), this process aborts.
// Ownership: owns the links; the exchange is the owner's.
#pragma once

#include "hub/exchange.h"
#include "link/links.h"
#include "link/offers.h"

#include <vector>

namespace wspool::link {

// Another process of this gateway, and our ends of the link to it (R1). Both descriptors are taken
// over.
struct PeerLink {
    wire::Incarnation incarnation = 0;
    std::uint16_t index = 0;  // or wire::control_index
    bool is_home = false;     // of its index
    int stream = -1;          // records
    int channel = -1;         // descriptors
};

class PeerLinks {
  public:
    PeerLinks(io::Loop& loop, const LinkOptions& options, hub::Exchange& exchange)
        : loop_(loop), exchange_(exchange), links_(loop, options) {}
    ~PeerLinks();
    PeerLinks(const PeerLinks&) = delete;
    PeerLinks& operator=(const PeerLinks&) = delete;

    // Take the exchange's actions afterwards.
    void add(const PeerLink& peer, Instant now);
    void flush();
    [[nodiscard]] bool wants_turn() const;
    void on_short_send(const io::ShortSend& short_send) { links_.on_short_send(short_send); }
    void on_event(const io::Event& event) { links_.on_event(event); }
    // Does what comes of the next thing that a peer did; false: there was none.
    [[nodiscard]] bool next(Instant now);
    // After next(), until it is called again: a record that is not the exchange's but the owner's
    // (wire::is_owners()). peer 0: it was none. Who finds nonsense there gives
    // up on the peer, as is done here.
    struct OwnRecord {
        wire::Incarnation peer = 0;
        ByteView bytes{};
    };
    [[nodiscard]] const OwnRecord& own() const { return own_; }
    [[noreturn]] static void give_up(wire::Incarnation peer, std::string_view why);

    // ---- connections that are passed on (R44)
    [[nodiscard]] bool can_offer(wire::Incarnation peer) const;
    // False: the connection could not be sent, and stays the caller's; else it is taken over.
    [[nodiscard]] bool offer(wire::Incarnation peer, Connection& connection);
    void take(const OfferEvent& asked);
    void decline(const OfferEvent& asked, wire::Decline reason);
    // What is only to be closed is closed here, also what was `taken`.
    [[nodiscard]] bool next_offer(OfferEvent& event);
    [[nodiscard]] const Offers& offers() const { return offers_; }

    [[nodiscard]] const Figures& figures() const { return links_.figures(); }

  private:
    void end(wire::Incarnation peer, Instant now);
    void on_record(const Event& event, Instant now);
    void on_descriptor(const Event& event);

    io::Loop& loop_;
    hub::Exchange& exchange_;
    Links links_;
    Offers offers_;
    std::vector<wire::Incarnation> peers_;
    OwnRecord own_;
};

}  // namespace wspool::link
