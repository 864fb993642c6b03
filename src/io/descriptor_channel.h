// DescriptorChannel: passes descriptors to one other process, each with a small message. For the
// links between processes, and for the process that makes them.
//
// How it works: the one between processes is a unix seqpacket socket, so that a message and its
// descriptor (SCM_RIGHTS) stay together and keep their borders. It is not driven by the loop: who
// has it watches it there, and calls receive() until there is nothing.
//
// Ownership: send() passes a copy, the caller's descriptor stays the caller's. receive() gives its
// descriptor to the caller. The channel owns its own.
// Limits: channel_message_max bytes and one descriptor per message; what the socket holds is
// bounded by the kernel, at which send() says `full`.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <array>
#include <cstdint>

namespace wspool::io {

inline constexpr std::size_t channel_message_max = 256;

enum class ChannelSend : std::uint8_t {
    sent,
    full,  // nothing was sent; try later, or do without
    gone,  // the peer has ended, and takes nothing ever again
};

enum class ChannelReceive : std::uint8_t {
    received,  // `message`, with `fd` or without one
    nothing,   // for now
    ended,     // everything that was sent has been received, and nothing more will come
    broken,    // the peer sent what no peer of ours sends; nothing was kept of it
};

struct ChannelMessage {
    ByteView message;  // valid until the next receive()
    int fd = -1;       // -1: none was sent, or this process had no descriptor left for it
};

class DescriptorChannel {
  public:
    DescriptorChannel() = default;
    virtual ~DescriptorChannel() = default;
    DescriptorChannel(const DescriptorChannel&) = delete;
    DescriptorChannel& operator=(const DescriptorChannel&) = delete;

    // To be watched.
    [[nodiscard]] virtual int fd() const = 0;
    // `message` is not empty; `fd` may be -1 for none.
    [[nodiscard]] virtual ChannelSend send(int fd, ByteView message) = 0;
    [[nodiscard]] virtual ChannelReceive receive(ChannelMessage& received) = 0;
};

class SocketChannel final : public DescriptorChannel {
  public:
    // `fd`: a connected unix seqpacket socket, non-blocking.
    explicit SocketChannel(int fd) : fd_(fd) {}
    ~SocketChannel() override;

    [[nodiscard]] int fd() const override { return fd_; }
    [[nodiscard]] ChannelSend send(int fd, ByteView message) override;
    [[nodiscard]] ChannelReceive receive(ChannelMessage& received) override;

  private:
    const int fd_;
    std::array<std::byte, channel_message_max + 1> buffer_{};
};

enum class PairKind : std::uint8_t { stream, seqpacket };

// Both ends of a connected pair of unix sockets, non-blocking and close-on-exec.
[[nodiscard]] Result<std::array<int, 2>> make_socket_pair(PairKind kind);

}  // namespace wspool::io
