// Crowd: the clients of a run of chaos_load: members and publishers that come back when they are
// disconnected, and passers-by that connect, see that they are answered, and go. One loop, one
// thread.
//
// How it works: all connect and join; then publishers publish, each with a window of unanswered
// messages; then nobody publishes any more, everybody is waited for, and a last message to each
// group and each client (the fence) shows that what was sent before has arrived. What happened is
// told to the Ledger, which judges it.
//
// Ownership: owns its loop and sessions; the ledger is read when run() has returned.
// Limits: CrowdOptions; every phase ends after `patience`, and what is missing then is a violation.
#pragma once

#include "base/histogram.h"
#include "base/random.h"
#include "deaths.h"
#include "io/address.h"
#include "io/entropy.h"
#include "io/loop.h"
#include "ledger.h"
#include "session/engine.h"
#include "wire.h"

#include <memory>
#include <queue>
#include <string>
#include <vector>

namespace wspool::chaos {

struct CrowdOptions {
    io::Address address;
    io::LoopOptions loop;
    std::uint64_t seed = 1;
    std::uint64_t groups = 8;
    std::uint64_t members = 64;          // that do not publish, over all groups
    std::uint64_t publishers = 2;        // of each group; every second of them is a member, too
    std::uint64_t offsets_percent = 50;  // of the members
    std::uint64_t directs_percent = 10;  // of what is published
    std::uint64_t size = 64;             // bytes of payload
    std::uint64_t window = 16;           // unanswered messages of each publisher
    std::uint64_t rate = 0;              // messages per second in all; 0: as many as windows allow
    std::uint64_t connects_per_second = 20;  // of passers-by
    std::uint64_t history = 100;             // LedgerOptions::history
    Duration duration = std::chrono::seconds(10);
    Duration patience = std::chrono::seconds(15);
    Duration jitter = std::chrono::milliseconds(250);  // before coming back
    bool drains = false;  // the gateway will drain under load: all must be closed with 1012
};

struct CrowdFigures {
    std::uint64_t disconnected = 0, returned = 0, drained = 0;
    // Of the returned: those that are no member of a group, and those that had no position to come
    // back with. All others were told whether they recovered (LedgerFigures).
    std::uint64_t returned_no_member = 0, returned_without_since = 0;
    std::uint64_t connects = 0;                                          // that were answered
    std::uint64_t refused = 0, reset = 0, unanswered = 0, rejected = 0;  // that failed
    double load_seconds = 0;
    std::uint64_t load_published = 0, load_delivered = 0;  // while publishing
    Duration longest_pause{};                              // of a group, between two deliveries
    Histogram answer, delivery, connect;                   // nanoseconds
};

class Crowd final {
  public:
    Crowd(const CrowdOptions& options, std::unique_ptr<io::Loop> loop);

    void run();
    // What happened to connections against what happened to workers.
    void judge_losses(const Deaths& deaths);

    [[nodiscard]] Ledger& ledger() { return ledger_; }
    [[nodiscard]] const CrowdFigures& figures() const { return figures_; }
    [[nodiscard]] std::size_t client_count() const { return clients_.size(); }

  private:
    enum class Phase : std::uint8_t { gathering, loading, settling, fencing, draining, over };
    enum class State : std::uint8_t { away, connecting, open, ready };
    struct Client {
        State state = State::away;
        bool is_member = false;
        bool is_publisher = false;
        bool wants_offsets = false;
        bool has_left = false;  // told that the gateway drains
        GroupIndex group = 0;
        session::SessionId session;
        std::uint64_t unanswered = 0;
        std::uint64_t fences = 0;  // that have reached it
        Instant connecting_at{};
        Instant ready_at{};
    };
    // A connection that ended without being closed.
    struct Loss {
        Instant begun_at;
        Instant at;
        bool was_open;
        std::string who;
    };
    struct Return {
        Instant due;
        ClientIndex client;
        friend bool operator>(const Return& a, const Return& b) { return a.due > b.due; }
    };

    [[nodiscard]] Instant now() const { return engine_.now(); }
    [[nodiscard]] Instant next_deadline() const;
    void set_up_clients();
    void change_phase(Phase phase);
    void go_on();
    [[nodiscard]] bool is_gathered() const;
    [[nodiscard]] bool is_settled() const;
    [[nodiscard]] bool is_fenced() const;
    void complain_of_stragglers();

    void bring_back();
    void come_back_later(ClientIndex index);
    void start_connect(std::uint64_t tag, const std::string& id);
    void pass_by();

    void on_event(session::Event& event);
    void on_opened(const session::Event& event);
    void on_ready(Client& client);
    void on_failed(const session::Event& event);
    void on_closed(const session::Event& event);
    void on_message(ClientIndex index, std::string_view text);
    void on_ack(ClientIndex index, const Heard& heard);
    void on_error(ClientIndex index, const Heard& heard);
    void on_broadcast(ClientIndex index, const Heard& heard);
    void on_direct(ClientIndex index, const Heard& heard);
    void on_answered(ClientIndex index, MessageIndex message);

    void join(ClientIndex index);
    void publish_due();
    [[nodiscard]] bool publish(ClientIndex index);
    void send(ClientIndex index, const std::string& text);
    void send_fences();
    [[nodiscard]] GroupIndex find_group(std::string_view name) const;

    const CrowdOptions options_;
    Prng prng_;
    io::SystemEntropy entropy_;
    metrics::Counters counters_;
    std::unique_ptr<io::Loop> loop_;
    session::Engine engine_;
    Wire wire_;
    std::vector<Client> clients_;
    Ledger ledger_;
    CrowdFigures figures_;

    Phase phase_ = Phase::gathering;
    Instant phase_since_{};
    std::vector<ClientIndex> publishers_;
    std::size_t next_publisher_ = 0;
    std::priority_queue<Return, std::vector<Return>, std::greater<>> returns_;
    std::size_t connecting_ = 0;
    std::vector<Instant> passers_;  // when they began to connect; never where a place is free
    std::uint64_t passed_ = 0;
    MessageIndex first_fence_ = none;
    std::vector<Instant> last_delivery_;  // by group
    std::vector<Loss> losses_;
};

}  // namespace wspool::chaos
