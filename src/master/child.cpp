#include "master/child.h"

#include "master/link_message.h"

#include <utility>

namespace wspool::master {

// What the master says wrongly is taken for its end: there is nothing else to be done without it.
MasterSays ChildLink::next(Peer& peer) {
    io::ChannelMessage received;
    while (!is_lost_) {
        const io::ChannelReceive outcome = channel_.receive(received);
        if (outcome == io::ChannelReceive::nothing) return MasterSays::nothing;
        if (outcome != io::ChannelReceive::received) break;
        io::Descriptor descriptor(received.fd);
        const auto message = decode(received.message);
        if (!message) break;
        switch (message->kind) {
            case LinkMessageKind::peer_stream:
                half_peer_ = Peer{message->index,
                                  message->incarnation,
                                  message->is_home != 0,
                                  std::move(descriptor),
                                  {}};
                continue;
            case LinkMessageKind::peer_channel:
                peer = std::exchange(half_peer_, Peer{});
                peer.channel = std::move(descriptor);
                // A descriptor that did not arrive, for want of room for it, is a link less, and a
                // process without all its links cannot keep the protocol.
                if (peer.stream.get() < 0 || peer.channel.get() < 0) break;
                return MasterSays::peer;
            case LinkMessageKind::drain:
                return MasterSays::drain;
            case LinkMessageKind::shut_down:
                return MasterSays::shut_down;
            case LinkMessageKind::stop:
                return MasterSays::stop;
            case LinkMessageKind::reload:
                config_ = std::move(descriptor);
                return MasterSays::reload;
            case LinkMessageKind::ready:
            case LinkMessageKind::drained:
            case LinkMessageKind::ask_drain:
                break;  // ours to say
        }
        break;
    }
    if (std::exchange(is_lost_, true)) return MasterSays::nothing;
    return MasterSays::lost;
}

void ChildLink::say_ready() {
    say(static_cast<std::uint32_t>(LinkMessageKind::ready));
}

void ChildLink::say_drained() {
    say(static_cast<std::uint32_t>(LinkMessageKind::drained));
}

void ChildLink::ask_drain() {
    say(static_cast<std::uint32_t>(LinkMessageKind::ask_drain));
}

void ChildLink::say(std::uint32_t kind) {
    unsent_.push_back(kind);
    flush();
}

void ChildLink::flush() {
    while (!unsent_.empty()) {
        LinkMessage message;
        message.kind = static_cast<LinkMessageKind>(unsent_.front());
        if (channel_.send(-1, encode(message)) == io::ChannelSend::full) return;
        unsent_.erase(unsent_.begin());
    }
}

}  // namespace wspool::master
