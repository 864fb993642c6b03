// Seats over the simulated network: whole workers with links between them, clients of every
// priority that come, wait, leave, break off and return with tickets, and workers that die and are
// replaced. What must hold: seats are never more than there are, each wait ends in its time, and a
// class below its share gets its seats back from one above its own within holding time and grace.
#include "session/engine.h"
#include "sim/network.h"
#include "sim/sim_loop.h"
#include "worker/worker.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wspool::sim {
namespace {

using namespace std::chrono_literals;
using metrics::class_count;
using metrics::class_names;

struct Plan {
    std::size_t workers = 1;
    std::uint32_t seats = 8;
    std::optional<pool::PerPriority<std::uint32_t>> shares;
    std::uint32_t waiters = 4;
    double crash = 0;
};

constexpr Duration min_hold = 300ms;
constexpr Duration grace = 200ms;
constexpr Duration slack = 100ms;  // of turns and latencies
constexpr pool::PerPriority<Duration> timeouts = {1s, 2s, 3s, 4s};

enum class Standing : std::uint8_t { asking, queued, seated, gone };

struct Guest {
    session::SessionId session;
    std::size_t worker = 0;
    std::uint64_t incarnation = 0;
    std::size_t priority = 0;
    Standing standing = Standing::asking;
    Instant since{};
    std::string ticket;
};

struct Tally {
    std::uint64_t seated = 0, waited = 0, timed_out = 0, refused = 0, preempted = 0, crashes = 0;
    std::uint64_t honoured = 0, spent = 0, lost = 0;
};

class House {
  public:
    House(std::uint64_t seed, const Plan& plan)
        : plan_(plan),
          random_(Prng(seed).next()),
          network_(seed),
          entropy_(seed),
          client_loop_(network_, Waiting::yields),
          clients_(client_loop_, session::EngineOptions{}, entropy_, client_counters_),
          rooms_(plan.workers) {
        nominal_ = plan.shares ? pool::nominal_seats(plan.seats, *plan.shares)
                               : pool::PerPriority<std::uint32_t>{};
        for (std::size_t i = 0; i < plan.workers; ++i) start(i);
    }

    void run(std::size_t steps) {
        for (std::size_t step = 0; step < steps; ++step) {
            if (step % 25 == 0) wave_ = random_.below(3);
            act();
            settle();
        }
        empty();
    }

    Tally tally;

  private:
    struct Room {
        std::unique_ptr<SimLoop> loop;
        std::unique_ptr<worker::Worker> worker;
        io::Address address;
        std::uint64_t incarnation = 0;
        std::array<Instant, class_count> owed_since{};
        std::array<std::uint64_t, class_count> seats{};
    };

    [[nodiscard]] worker::WorkerOptions options(std::size_t index) const {
        worker::WorkerOptions options;
        options.connections_max = plan_.seats;
        options.seats.shared.shares = plan_.shares;
        options.seats.shared.waiters_max.fill(plan_.waiters);
        options.seats.shared.wait_timeout = timeouts;
        options.seats.shared.preemption.min_hold = min_hold;
        options.seats.shared.preemption.grace = grace;
        options.seats.shared.preemption.budget_per_second = 1;
        options.is_alone = false;
        options.exchange.incarnation = rooms_[index].incarnation;
        options.exchange.index = static_cast<std::uint16_t>(index);
        options.exchange.index_count = static_cast<std::uint16_t>(plan_.workers);
        options.exchange.key = {1, 2};
        return options;
    }

    void start(std::size_t index) {
        Room& room = rooms_[index];
        room.incarnation = ++incarnations_;
        room.loop = std::make_unique<SimLoop>(network_, Waiting::yields);
        room.worker = std::make_unique<worker::Worker>(*room.loop, options(index), entropy_);
        for (std::size_t other = 0; other < rooms_.size(); ++other) {
            if (other == index || !rooms_[other].worker) continue;
            const auto streams = network_.make_pair();
            const auto channels = network_.make_channel();
            const auto peer = [&](std::size_t of, std::size_t end) {
                return link::PeerLink{rooms_[of].incarnation,
                                      static_cast<std::uint16_t>(of),
                                      true,
                                      streams[end],
                                      channels[end]};
            };
            room.worker->add_peer(peer(other, 0));
            rooms_[other].worker->add_peer(peer(index, 1));
        }
        room.worker->become_home();
        room.address = room.worker->listen({io::Address::Family::ipv4, "10.0.0.1", 0}).value();
        room.owed_since.fill(network_.now());
    }

    // ---- what people do

    void act() {
        for (std::uint64_t n = random_.below(4); n > 0; --n) {
            arrive(draw_class(), random_.below(rooms_.size()), {});
        }
        if (random_.chance(0.6)) leave();
        if (random_.chance(plan_.crash)) crash();
        // When who gave out their tickets may be dead.
        if (random_.chance(0.2)) std::swap(returning_, late_);
    }

    void crash() {
        ++tally.crashes;
        const std::size_t index = random_.below(rooms_.size());
        count_tickets(rooms_[index]);
        rooms_[index].loop->die();
        rooms_[index].worker.reset();
        for (auto& [tag, guest] : guests_) {
            if (guest.incarnation == rooms_[index].incarnation) guest.standing = Standing::gone;
        }
        start(index);
    }

    // In waves: those who borrowed seats are there when their owners come.
    std::size_t draw_class() {
        constexpr std::array<std::size_t, 3> first = {0, 2, 0};
        constexpr std::array<std::size_t, 3> count = {4, 2, 2};
        return first[wave_] + random_.below(count[wave_]);
    }

    void arrive(std::size_t priority, std::size_t worker, const std::string& ticket) {
        ws::ClientHandshake handshake;
        handshake.host = "house";
        handshake.target = "/?priority=" + std::string(class_names[priority]);
        if (!ticket.empty()) handshake.target += "&ticket=" + ticket;
        handshake.key = ws::make_key(entropy_);
        handshake.subprotocols = {"wspool.v1"};
        const auto session = clients_.connect(rooms_[worker].address, handshake, ++tags_);
        ASSERT_TRUE(session);
        guests_[tags_] = {*session,
                          worker,
                          rooms_[worker].incarnation,
                          priority,
                          Standing::asking,
                          network_.now(),
                          {}};
    }

    void leave() {
        if (guests_.empty()) return;
        auto at = guests_.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random_.below(guests_.size())));
        if (random_.chance(0.5)) {
            clients_.abort(at->second.session);
        } else {
            clients_.close(
                at->second.session, ws::CloseCode::normal, {}, metrics::CloseReason::by_peer);
        }
        at->second.standing = Standing::gone;
    }

    // ---- what comes of it

    // Turns of all, as often as something may follow, and then some time.
    void settle() {
        for (int round = 0; round < 12; ++round) turn();
        network_.advance(network_.now() +
                         Duration(static_cast<Duration::rep>(random_.below(60'000'000))));
        for (int round = 0; round < 6; ++round) turn();
        check();
    }

    void turn() {
        for (Room& room : rooms_) (void)room.worker->turn(network_.now());
        clients_.wait(network_.now());
        session::Event event;
        while (clients_.next(event)) hear(event);
        network_.advance(network_.now() + 30us);
        for (const auto& [priority, ticket] : returning_) {
            arrive(priority, random_.below(rooms_.size()), ticket);
        }
        returning_.clear();
    }

    void hear(const session::Event& event) {
        const auto found = guests_.find(event.tag);
        if (found == guests_.end()) return;
        Guest& guest = found->second;
        using session::EventKind;
        if (event.kind == EventKind::failed) {
            ++tally.refused;
            guests_.erase(found);
        } else if (event.kind == EventKind::message) {
            listen(guest, as_text(event.payload));
        } else if (event.kind == EventKind::closed) {
            if (event.text == "Server at capacity") end_wait(guest);
            if (event.text == protocol_reason && random_.chance(0.7)) {
                auto& when = random_.chance(0.3) ? late_ : returning_;
                when.emplace_back(guest.priority, guest.ticket);
                if (random_.chance(0.2)) returning_.emplace_back(guest.priority, guest.ticket);
            }
            guests_.erase(found);
        }
    }

    void listen(Guest& guest, std::string_view text) {
        if (guest.standing == Standing::gone) return;
        const auto is = [&](std::string_view type) {
            return text.find("\"type\":\"" + std::string(type) + '"') != std::string_view::npos;
        };
        if (is("welcome")) {
            guest.standing = Standing::seated;
            ++tally.seated;
        } else if (is("queued")) {
            guest.standing = Standing::queued;
            guest.since = network_.now();
            --tally.seated;
        } else if (is("admitted")) {
            EXPECT_EQ(guest.standing, Standing::queued);
            guest.standing = Standing::seated;
            ++tally.waited;
        } else if (is("preempted")) {
            ++tally.preempted;
            EXPECT_TRUE(plan_.shares.has_value());
            const std::size_t at = text.find("\"ticket\":\"") + 10;
            guest.ticket = text.substr(at, text.find('"', at) - at);
        }
    }

    void end_wait(const Guest& guest) {
        ++tally.timed_out;
        const Duration waited = network_.now() - guest.since;
        EXPECT_GE(waited + slack, timeouts[guest.priority]);
        EXPECT_LE(waited, timeouts[guest.priority] + slack);
    }

    // ---- what must hold

    void check() {
        for (const auto& [tag, guest] : guests_) {
            if (guest.standing != Standing::queued) continue;
            ASSERT_LE(network_.now() - guest.since, timeouts[guest.priority] + slack);
        }
        for (Room& room : rooms_) {
            room.worker->check_invariants();
            const metrics::Seating& seating = room.worker->counters().seating;
            ASSERT_LE(seating.seats_taken(), plan_.seats);
            check_shares(room, seating);
        }
    }

    void check_shares(Room& room, const metrics::Seating& seating) {
        const auto& seats = seating.seats[0];
        for (std::size_t c = 0; c < class_count; ++c) {
            bool is_over_below = false;
            for (std::size_t d = c + 1; d < class_count; ++d)
                is_over_below |= seats[d] > nominal_[d];
            const bool is_owed = plan_.shares && seating.waiters[0][c] > 0 &&
                                 seats[c] < nominal_[c] && is_over_below;
            const bool is_served = seats[c] > room.seats[c];
            if (!is_owed || is_served) room.owed_since[c] = network_.now();
            room.seats[c] = seats[c];
            // min_hold, grace, and a seat of the budget
            ASSERT_LE(network_.now() - room.owed_since[c], min_hold + grace + 1s)
                << class_names[c] << " waits below its share";
        }
    }

    void empty() {
        for (auto& [tag, guest] : guests_) clients_.abort(guest.session);
        guests_.clear();
        for (int round = 0; round < 40; ++round) {
            for (auto& [tag, guest] : guests_) clients_.abort(guest.session);
            settle();
        }
        for (const Room& room : rooms_) {
            const metrics::Counters& counters = room.worker->counters();
            EXPECT_EQ(counters.seating.seats_taken(), 0u);
            EXPECT_EQ(counters.seating.waiters_now(), 0u);
            EXPECT_EQ(counters.connections, 0u);
            EXPECT_TRUE(counters.is_conserved());
            count_tickets(room);
        }
    }

    // Before its worker is gone.
    void count_tickets(const Room& room) {
        using metrics::TicketUse;
        const auto& tickets = room.worker->counters().seating.tickets;
        tally.honoured += tickets[static_cast<std::size_t>(TicketUse::honoured)];
        tally.spent += tickets[static_cast<std::size_t>(TicketUse::spent)];
        tally.lost += tickets[static_cast<std::size_t>(TicketUse::lost)];
        EXPECT_EQ(tickets[static_cast<std::size_t>(TicketUse::bad)], 0u);
    }

    static constexpr std::string_view protocol_reason = "Higher priority connection needed";

    Plan plan_;
    Prng random_;
    Network network_;
    SeededEntropy entropy_;
    metrics::Counters client_counters_;
    SimLoop client_loop_;
    session::Engine clients_;
    std::vector<Room> rooms_;
    pool::PerPriority<std::uint32_t> nominal_{};
    std::size_t wave_ = 0;
    std::uint64_t incarnations_ = 0;
    std::uint64_t tags_ = 0;
    std::map<std::uint64_t, Guest> guests_;
    std::vector<std::pair<std::size_t, std::string>> returning_;  // class and ticket
    std::vector<std::pair<std::size_t, std::string>> late_;
};

Tally run_all(const Plan& plan, std::uint64_t seeds, std::size_t steps) {
    Tally all;
    for (std::uint64_t seed = 1; seed <= seeds && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        House house(seed, plan);
        house.run(steps);
        const Tally& one = house.tally;
        all.seated += one.seated;
        all.waited += one.waited;
        all.timed_out += one.timed_out;
        all.refused += one.refused;
        all.preempted += one.preempted;
        all.crashes += one.crashes;
        all.honoured += one.honoured;
        all.spent += one.spent;
        all.lost += one.lost;
    }
    return all;
}

TEST(SeatsSimulation, seats_without_shares_serve_all_and_each_wait_ends) {
    const Tally all = run_all({.seats = 6, .shares = {}}, 50, 300);
    EXPECT_GT(all.waited, 100u);
    EXPECT_GT(all.timed_out, 100u);
    EXPECT_GT(all.refused, 100u);
    EXPECT_EQ(all.preempted, 0u);
}

TEST(SeatsSimulation, shares_are_honoured_by_taking_seats_back) {
    const Tally all = run_all({.seats = 10, .shares = pool::default_shares}, 60, 300);
    EXPECT_GT(all.preempted, 30u);
    EXPECT_GT(all.waited, 100u);
    EXPECT_GT(all.honoured, 5u);
    EXPECT_GT(all.spent, 0u);
}

TEST(SeatsSimulation, tickets_count_at_any_worker_once_and_not_when_their_issuer_is_dead) {
    const Tally all =
        run_all({.workers = 3, .seats = 7, .shares = pool::default_shares, .crash = 0.1}, 60, 300);
    EXPECT_GT(all.crashes, 20u);
    EXPECT_GT(all.preempted, 30u);
    EXPECT_GT(all.honoured, 10u);
    EXPECT_GT(all.spent, 0u);
    EXPECT_GT(all.lost, 0u);
}

}  // namespace
}  // namespace wspool::sim
