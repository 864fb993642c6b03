// ClientLoop: the loop of a client pool, as the simulator lends it: a SimLoop that counts the
// connects to each host, and forgets timers or descriptors where a fault is planted.
#pragma once

#include "sim/client_plant.h"
#include "sim/sim_loop.h"

#include <deque>

namespace wspool::sim {

class ClientLoop final : public io::Loop {
  public:
    ClientLoop(Network& network, ClientPlant& plant)
        : network_(network), plant_(plant), inner_(network, Waiting::yields) {}

    [[nodiscard]] SimLoop& inner() { return inner_; }
    // Connects so far, and within the last `span` of at most a second.
    [[nodiscard]] std::uint64_t connects() const { return connects_; }
    [[nodiscard]] std::size_t recent_connects(Duration span) const;

    [[nodiscard]] Instant now() const override { return inner_.now(); }
    void wait(Instant deadline) override;
    [[nodiscard]] std::span<const io::ShortSend> short_sends() const override {
        return inner_.short_sends();
    }
    [[nodiscard]] bool next_event(io::Event& event) override { return inner_.next_event(event); }
    [[nodiscard]] Result<io::StreamId> listen(const io::Address& address,
                                              const io::ListenOptions& options,
                                              std::uint64_t owner) override {
        return inner_.listen(address, options, owner);
    }
    [[nodiscard]] Result<io::StreamId> connect(const io::Address& address,
                                               std::uint64_t owner,
                                               const io::ConnectOptions& options) override;
    [[nodiscard]] Result<io::StreamId> adopt(int fd, std::uint64_t owner) override {
        return inner_.adopt(fd, owner);
    }
    [[nodiscard]] Result<io::StreamId> adopt_listener(int fd,
                                                      const io::ListenOptions& options,
                                                      std::uint64_t owner) override {
        return inner_.adopt_listener(fd, options, owner);
    }
    [[nodiscard]] Result<int> release(io::StreamId stream) override {
        return inner_.release(stream);
    }
    [[nodiscard]] std::unique_ptr<io::DescriptorChannel> open_channel(int fd) override {
        return inner_.open_channel(fd);
    }
    void discard(int fd) override { inner_.discard(fd); }
    [[nodiscard]] Result<io::StreamId> watch(int fd, std::uint64_t owner) override {
        return inner_.watch(fd, owner);
    }
    [[nodiscard]] Result<io::Address> local_address(io::StreamId stream) const override {
        return inner_.local_address(stream);
    }
    [[nodiscard]] Result<io::Address> peer_address(io::StreamId stream) const override {
        return inner_.peer_address(stream);
    }
    void set_owner(io::StreamId stream, std::uint64_t owner) override {
        inner_.set_owner(stream, owner);
    }
    void send(io::StreamId stream, std::span<const ByteView> pieces) override {
        inner_.send(stream, pieces);
    }
    void pause(io::StreamId stream) override { inner_.pause(stream); }
    void resume(io::StreamId stream) override { inner_.resume(stream); }
    void shutdown_write(io::StreamId stream) override { inner_.shutdown_write(stream); }
    void close(io::StreamId stream, io::CloseMode mode) override;
    [[nodiscard]] std::string_view name() const override { return "sim"; }

  private:
    Network& network_;
    ClientPlant& plant_;
    SimLoop inner_;
    std::uint64_t connects_ = 0;
    std::deque<Instant> recent_;
};

}  // namespace wspool::sim
