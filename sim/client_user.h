// ClientUser: the program that uses a client::Core in a simulation: it calls the verbs, holds
// leases and gives them back (or not), and hands everything to the ledger.
//
// How it works: what it wants to do is put on a list, and done in its next turn, between the
// events that the core tells, in an order that is drawn: as a program does that calls the core from
// within its own loop. Ownership: the core, the network and the ledger outlive it.
#pragma once

#include "base/random.h"
#include "client/core.h"
#include "sim/client_ledger.h"
#include "sim/client_plant.h"
#include "sim/client_swarm.h"

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace wspool::sim {

class ClientUser {
  public:
    ClientUser(Network& network,
               client::Core& core,
               const ClientSwarm& swarm,
               ClientLedger& ledger,
               Journal& journal,
               ClientPlant& plant,
               std::uint64_t seed);

    // ---- turns
    // Something was asked, or is to be asked: the core must have a turn now.
    [[nodiscard]] bool wants_turn() const { return is_busy_ || !todo_.empty(); }
    // `has_unseen_answer`: of a resolver that has no descriptor to tell of it.
    void turn(bool has_unseen_answer);
    // Does it in the turn after `delay`.
    void later(Duration delay, std::function<void()> what);

    // ---- what to do
    void act();
    // An acquire that must succeed within `bound`; its number.
    std::uint64_t probe(std::size_t target, Duration bound);
    // A message that must arrive.
    std::uint64_t say_something(std::size_t target);
    void subscribe(std::size_t target);
    void give_everything_back();
    void end_subscriptions(std::size_t host);
    void cancel_everything();
    void end_calm_habits() { is_calm_ = true; }
    void drain(Instant deadline);
    // After drain(): every verb must say that the pool is closed.
    void try_after_drain();
    [[nodiscard]] bool is_drained() const { return has_drained_; }
    [[nodiscard]] std::uint64_t verbs() const { return verbs_; }

  private:
    [[nodiscard]] client::TargetId handle_of(std::size_t target);
    [[nodiscard]] int find_target(client::TargetId id) const;
    [[nodiscard]] std::size_t some_target();
    [[nodiscard]] std::size_t draw_size();
    [[nodiscard]] Instant draw_deadline();
    [[nodiscard]] Duration up_to(Duration most);
    void speak();

    void acquire(std::size_t target);
    void send_once(std::size_t target, Instant deadline, std::size_t size);
    void request(std::size_t target);
    void unsubscribe_some();
    void cancel_some();
    void call_stale();
    void cancel(CallRecord& call);

    void use(std::size_t lease);
    void send(std::size_t lease);
    void give_back(std::size_t lease, bool is_discard);

    void handle(const client::CoreEvent& event);
    void on_granted(const client::CoreEvent& event);
    void on_notice(const client::CoreEvent& event);
    void on_failed(CallRecord& call, const client::CoreEvent& event);
    [[nodiscard]] CallRecord* call_of(std::uint64_t tag, client::TargetId target);
    void note(const std::string& text);

    Network& network_;
    client::Core& core_;
    const ClientSwarm& swarm_;
    ClientLedger& ledger_;
    Journal& journal_;
    ClientPlant& plant_;
    Prng prng_;
    bool pins_;
    bool is_busy_ = true;
    bool is_calm_ = false;
    bool has_drained_ = false;
    std::uint64_t verbs_ = 0;
    std::deque<std::function<void()>> todo_;
    std::vector<client::TargetId> handles_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> targets_of_;
    std::vector<std::uint64_t> last_calls_;  // some of which have ended
};

}  // namespace wspool::sim
