// SimChannel: io::DescriptorChannel over the simulated network: what descriptors stand for moves
// from one process to another, after a latency of its own, so that it overtakes the records of a
// link and is overtaken by them.
#pragma once

#include "base/time.h"
#include "io/descriptor_channel.h"

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>

namespace wspool::sim {

class Network;
class SimLoop;

struct ChannelPair {
    struct Message {
        std::string text;
        int fd = -1;  // the network's, on its way to whoever receives it
    };
    struct Side {
        int fd = -1;
        SimLoop* loop = nullptr;    // that is told when there is something to receive
        std::deque<Message> inbox;  // arrived
        Instant last_arrival{};     // nothing sent later arrives earlier
        std::size_t under_way = 0;  // sent to here and not received
        bool is_closed = false;     // this end
        bool has_ended = false;     // the other end has said its last word
        [[nodiscard]] bool is_readable() const { return !inbox.empty() || has_ended; }
    };
    std::array<Side, 2> sides;
};

using ChannelRef = std::shared_ptr<ChannelPair>;

struct ChannelEnd {
    ChannelRef pair;
    std::size_t side = 0;
};

class SimChannel final : public io::DescriptorChannel {
  public:
    // Messages on their way; what the kernel bounds by bytes.
    static constexpr std::size_t capacity = 64;

    SimChannel(Network& network, ChannelEnd end);
    ~SimChannel() override;

    [[nodiscard]] int fd() const override { return here().fd; }
    [[nodiscard]] io::ChannelSend send(int fd, ByteView message) override;
    [[nodiscard]] io::ChannelReceive receive(io::ChannelMessage& received) override;

  private:
    [[nodiscard]] ChannelPair::Side& here() const { return end_.pair->sides[end_.side]; }
    [[nodiscard]] ChannelPair::Side& there() const { return end_.pair->sides[1 - end_.side]; }

    Network& network_;
    ChannelEnd end_;
    std::string received_;  // what the last message's text points to
};

}  // namespace wspool::sim
