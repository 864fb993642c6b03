// ClientResolver: client::NameResolver over the simulated network's time: answers come late, never,
// or wrong, as the swarm says; in the calm soon and right, but still with the dead addresses that
// the host has.
#pragma once

#include "client/core_resolver.h"
#include "sim/client_swarm.h"
#include "sim/sim_loop.h"

#include <deque>
#include <map>

namespace wspool::sim {

class ClientResolver final : public client::NameResolver {
  public:
    ClientResolver(Network& network, const ClientSwarm& swarm, std::uint64_t seed)
        : network_(network), swarm_(swarm), prng_(seed) {}

    // The loop that watches fd().
    void set_loop(SimLoop* loop) { loop_ = loop; }
    void end_storm() { is_stormy_ = false; }
    // Without a descriptor, whoever runs the turns must know.
    [[nodiscard]] bool has_unseen_answer() const { return fd() < 0 && !answers_.empty(); }
    // Requests that were neither answered nor cancelled.
    [[nodiscard]] std::size_t open_count() const { return open_.size(); }

    [[nodiscard]] int fd() const override;
    [[nodiscard]] Result<io::ResolveId> start(const std::string& host,
                                              std::uint16_t port,
                                              std::uint64_t tag) override;
    void cancel(io::ResolveId id) override;
    [[nodiscard]] bool next(io::Resolution& resolution) override;

  private:
    [[nodiscard]] Result<std::vector<io::Address>> look_up(const std::string& host);
    void answer(io::ResolveId id, Result<std::vector<io::Address>> addresses);

    Network& network_;
    const ClientSwarm& swarm_;
    Prng prng_;
    SimLoop* loop_ = nullptr;
    bool is_stormy_ = true;
    std::uint64_t last_id_ = 0;
    std::map<io::ResolveId, std::uint64_t> open_;  // to its tag
    std::deque<io::Resolution> answers_;
};

}  // namespace wspool::sim
