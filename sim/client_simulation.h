// ClientSimulation: one seed, from the first acquire to the last closed stream: a real client::Core
// over a simulated network and resolver, a user, the servers, and the ledger that compares.
//
// In order: the *storm*, in which servers, network and resolver do what the swarm draws; the
// *recovery*: no new fault, and within a stated bound each target can be acquired; the *calm*, in
// which nothing excuses a failure; the *drop* of every connection at once, after which the pool
// comes back neither late nor in a herd; *rest*: all that is owed has arrived, each subscription is
// in one place, and the books balance; the *end*: a drain leaves nothing. Some seeds drain within
// the storm. Limits: every phase has a bound in virtual time and in turns.
#pragma once

#include "client/core.h"
#include "sim/client_ledger.h"
#include "sim/client_loop.h"
#include "sim/client_plant.h"
#include "sim/client_resolver.h"
#include "sim/client_servers.h"
#include "sim/client_swarm.h"
#include "sim/client_user.h"

#include <functional>
#include <memory>
#include <string>

namespace wspool::sim {

struct ClientSimulationOptions {
    bool prints = false;
    ClientPlantKind plant = ClientPlantKind::none;
};

struct ClientReport {
    std::uint64_t seed = 0;
    std::string violation;  // empty: none
    std::uint64_t hash = 0;
    std::uint64_t lines = 0;
    std::uint64_t turns = 0;
    std::uint64_t connects = 0;
    std::uint64_t granted = 0;
    std::uint64_t delivered = 0;
    std::uint64_t replied = 0;
    std::uint64_t revoked = 0;
    std::uint64_t resumed = 0;  // persistent leases that got another connection
    std::uint64_t pushes = 0;
    std::size_t subscriptions = 0;
    std::size_t herd = 0;  // connects within 100 ms, at most, after the drop
    bool has_planted = false;
    Duration virtual_time{};
    pool::PoolCounts<client::ErrorCode> errors{};
    pool::PoolCounts<pool::SlotEnd> ends{};
};

class ClientSimulation {
  public:
    ClientSimulation(std::uint64_t seed, const ClientSimulationOptions& options);
    [[nodiscard]] ClientReport run();

  private:
    // ---- phases
    void storm();
    void recover();
    void calm();
    void drop();
    void rest();
    void end();

    // ---- time
    void step(Instant until);
    void run_until(Instant time);
    // False: it did not come about within `limit`.
    bool run_until(const std::function<bool()>& done, Duration limit, const char* what);
    void user_turn();
    void check_turn();
    void check_pace();

    // ---- checks
    void probe_all();
    void talk_to_all();
    void check_books();
    void check_nothing_is_left();
    [[nodiscard]] bool holds() const { return journal_.is_clean(); }
    [[nodiscard]] Duration recovery_bound() const;
    [[nodiscard]] std::size_t herd_bound(std::uint64_t verbs) const;

    ClientSwarm swarm_;
    Network network_;
    Journal journal_;
    ClientLedger ledger_;
    ClientPlant plant_;
    ClientLoop loop_;
    ClientResolver resolver_;
    ClientServers servers_;
    SeededEntropy entropy_;
    Prng prng_;
    std::unique_ptr<client::Core> core_;
    std::unique_ptr<ClientUser> user_;
    Instant user_free_at_{};
    std::uint64_t turns_ = 0;
    std::uint64_t last_verbs_ = 0;    // as of a second ago
    std::uint64_t verbs_before_ = 0;  // and of two
    Instant pace_checked_at_{};
    int overdue_turns_ = 0;  // in a row, with nothing else to do
    std::size_t herd_ = 0;
    bool watches_herd_ = false;
};

}  // namespace wspool::sim
