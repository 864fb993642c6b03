#include "sim/channel.h"

#include "base/assert.h"
#include "sim/network.h"
#include "sim/sim_loop.h"

#include <utility>

namespace wspool::sim {

namespace {

void tell(const ChannelPair::Side& side) {
    if (side.loop != nullptr) side.loop->set_readable(side.fd, side.is_readable());
}

}  // namespace

SimChannel::SimChannel(Network& network, ChannelEnd end)
    : network_(network), end_(std::move(end)) {}

SimChannel::~SimChannel() {
    network_.discard(here().fd);
}

io::ChannelSend SimChannel::send(int fd, ByteView message) {
    WSPOOL_ASSERT(!message.empty() && message.size() <= io::channel_message_max);
    ChannelPair::Side& receiver = there();
    if (receiver.is_closed) return io::ChannelSend::gone;
    if (receiver.under_way >= capacity) return io::ChannelSend::full;
    ++receiver.under_way;
    ChannelPair::Message copy{std::string(as_text(message)), fd >= 0 ? network_.duplicate(fd) : -1};
    network_.arrive_after(receiver.last_arrival, [this_network = &network_, end = end_, copy] {
        ChannelPair::Side& side = end.pair->sides[1 - end.side];
        if (side.is_closed) {
            if (copy.fd >= 0) this_network->discard(copy.fd);
            return;
        }
        side.inbox.push_back(copy);
        tell(side);
    });
    return io::ChannelSend::sent;
}

io::ChannelReceive SimChannel::receive(io::ChannelMessage& received) {
    received = {};
    ChannelPair::Side& side = here();
    if (side.inbox.empty()) {
        return side.has_ended ? io::ChannelReceive::ended : io::ChannelReceive::nothing;
    }
    received_ = std::move(side.inbox.front().text);
    received.message = as_bytes(received_);
    received.fd = side.inbox.front().fd;
    side.inbox.pop_front();
    --side.under_way;
    tell(side);
    return io::ChannelReceive::received;
}

}  // namespace wspool::sim
