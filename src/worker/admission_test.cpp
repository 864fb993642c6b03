// Seats over loopback: who waits, who is let in, who has to go. The rules themselves are tested in
// pool/admission_*_test.cpp; here is what clients see of them.
#include "worker/tickets.h"
#include "worker/worker_bed.h"

#include <rapidcheck/gtest.h>

namespace wspool::worker {
namespace {

using metrics::AcquireResult;
using metrics::CloseReason;
using metrics::RejectReason;
using metrics::TicketUse;
using std::chrono::milliseconds;
using std::chrono::seconds;

class SeatsTest : public WorkerBed {
  protected:
    // `seats` seats, and no limit of time that a test could meet by accident.
    static WorkerOptions with_seats(std::size_t seats) {
        WorkerOptions options;
        options.connections_max = seats;
        options.seats.shared.wait_timeout.fill(std::chrono::minutes(5));
        return options;
    }
    // Half for high, half for low; seats may be taken back at once.
    static WorkerOptions with_shares(std::size_t seats) {
        WorkerOptions options = with_seats(seats);
        options.seats.shared.shares = pool::PerPriority<std::uint32_t>{0, 1, 0, 1};
        options.seats.shared.preemption.min_hold = milliseconds(0);
        options.seats.shared.preemption.grace = milliseconds(20);
        options.seats.shared.preemption.budget_per_second = 1;
        return options;
    }
    session::SessionId come(std::uint64_t tag, std::string target) {
        return connect(tag, std::move(target), {"wspool.v1"});
    }
    bool hears(std::uint64_t tag, std::size_t count) {
        return run_until([&] { return heard_[tag].size() >= count; });
    }
    bool ends(std::uint64_t tag) {
        return run_until([&] { return closed_.count(tag) == 1; });
    }
    [[nodiscard]] const metrics::Seating& seating() const { return worker_->counters().seating; }
    [[nodiscard]] std::uint64_t count(AcquireResult result) const {
        return seating().acquired[static_cast<std::size_t>(result)];
    }
    [[nodiscard]] std::uint64_t count(TicketUse use) const {
        return seating().tickets[static_cast<std::size_t>(use)];
    }
    // Of the notice that the client `tag` has heard.
    std::string ticket_of(std::uint64_t tag) {
        const std::string& notice = heard_[tag].back();
        constexpr std::string_view member = R"("ticket":")";
        const std::size_t at = notice.find(member);
        EXPECT_NE(at, std::string::npos) << notice;
        if (at == std::string::npos) return "";
        const std::size_t begin = at + member.size();
        return notice.substr(begin, notice.find('"', begin) - begin);
    }
};

TEST_P(SeatsTest, who_finds_no_seat_waits_and_is_told_its_place_and_its_seat) {
    start(with_seats(1));
    const auto first = come(1, "/?clientId=a");
    const auto second = come(2, "/?clientId=b");
    (void)come(3, "/?clientId=c");
    ASSERT_TRUE(hears(2, 2) && hears(3, 2));
    EXPECT_EQ(heard_[2][0], R"({"type":"welcome","clientId":"b"})");
    EXPECT_EQ(heard_[2][1], R"({"type":"queued","position":1,"timeout":300000})");
    EXPECT_EQ(heard_[3][1], R"({"type":"queued","position":2,"timeout":300000})");
    EXPECT_EQ(seating().seats_taken(), 1u);
    EXPECT_EQ(seating().waiters_now(), 2u);
    EXPECT_NE(seating().waiting_since, 0u);
    clients_->close(first, ws::CloseCode::normal, {}, CloseReason::by_peer);
    ASSERT_TRUE(hears(2, 3));
    EXPECT_EQ(heard_[2][2], R"({"type":"admitted"})");
    EXPECT_EQ(ask(second, 2, R"({"type":"ping"})"), R"({"type":"pong"})");
    EXPECT_EQ(heard_[3].size(), 2u);
    EXPECT_EQ(count(AcquireResult::waited), 1u);
    EXPECT_EQ(worker_->counters().connections, 2u);
}

TEST_P(SeatsTest, nothing_that_a_waiter_says_is_looked_at_before_its_seat) {
    start(with_seats(1));
    const auto first = come(1, "/?clientId=a");
    const auto second = come(2, "/?clientId=b");
    say(second, R"({"type":"direct","targetId":"a","payload":1})");
    say(second, R"({"type":"ping","id":1})");
    EXPECT_EQ(
        ask(first, 1, R"({"type":"direct","targetId":"b","payload":1,"id":1})").find("unknown"),
        std::string(R"({"type":"error","id":1,"code":")").size());
    EXPECT_EQ(worker_->counters().messages_received, 1u);
    clients_->close(first, ws::CloseCode::normal, {}, CloseReason::by_peer);
    ASSERT_TRUE(hears(2, 5));
    EXPECT_EQ(heard_[2][2], R"({"type":"admitted"})");
    EXPECT_NE(heard_[2][3].find("unknown_target"), std::string::npos);  // it has just left
    EXPECT_EQ(heard_[2][4], R"({"type":"pong","id":1})");
}

TEST_P(SeatsTest, higher_priorities_are_seated_first) {
    start(with_seats(1));
    const auto first = come(1, "/");
    (void)come(2, "/?priority=low");
    (void)come(3, "/?priority=normal");
    (void)come(4, "/?priority=critical");
    clients_->close(first, ws::CloseCode::normal, {}, CloseReason::by_peer);
    ASSERT_TRUE(hears(4, 3));
    EXPECT_EQ(heard_[4][2], R"({"type":"admitted"})");
    EXPECT_EQ(heard_[3].size() + heard_[2].size(), 4u);
}

TEST_P(SeatsTest, who_waits_in_vain_is_closed_with_1013) {
    WorkerOptions options = with_seats(1);
    options.seats.shared.wait_timeout.fill(milliseconds(30));
    start(options);
    (void)connect(1, "/");
    (void)connect(2, "/");  // told nothing without the subprotocol
    ASSERT_TRUE(ends(2));
    EXPECT_EQ(closed_[2], ws::CloseCode::try_again_later);
    EXPECT_EQ(reasons_[2], "Server at capacity");
    EXPECT_TRUE(heard_[2].empty());
    EXPECT_EQ(count(AcquireResult::timed_out), 1u);
    EXPECT_EQ(closed(CloseReason::capacity), 1u);
    EXPECT_EQ(seating().waiting_since, 0u);
}

TEST_P(SeatsTest, beyond_the_queue_who_comes_is_refused_either_way) {
    WorkerOptions options = with_seats(1);
    options.seats.shared.waiters_max.fill(1);
    start(options);
    (void)connect(1, "/");
    (void)connect(2, "/");
    (void)connect(3, "/");
    EXPECT_NE(refusal_.find("503"), std::string::npos) << refusal_;
    (void)connect(4, "/?priority=low");  // its own queue has room
    EXPECT_EQ(seating().waiters_now(), 2u);
    EXPECT_EQ(rejected(RejectReason::capacity), 1u);

    options.seats.refuse = RefuseWay::close;
    start(options);
    (void)connect(5, "/");
    (void)connect(6, "/");
    (void)connect(7, "/");
    ASSERT_TRUE(ends(7));
    EXPECT_EQ(closed_[7], ws::CloseCode::try_again_later);
    EXPECT_EQ(count(AcquireResult::refused), 1u);
}

TEST_P(SeatsTest, a_waiter_that_closes_or_goes_is_forgotten_whatever_it_said) {
    start(with_seats(1));
    (void)connect(1, "/");
    const auto closing = connect(2, "/");
    const auto going = connect(3, "/");
    ASSERT_TRUE(run_until([&] { return seating().waiters_now() == 2; }));
    say(closing, std::string(300, ' ') + "7");
    say(going, "7");
    clients_->close(closing, ws::CloseCode::normal, {}, CloseReason::by_peer);
    clients_->abort(going);
    ASSERT_TRUE(run_until([&] { return seating().waiters_now() == 0; }));
    EXPECT_EQ(count(AcquireResult::cancelled), 2u);
    EXPECT_EQ(worker_->counters().messages_received, 0u);
}

TEST_P(SeatsTest, a_newer_connection_takes_the_seat_of_the_older_without_queueing) {
    start(with_seats(1));
    (void)come(1, "/?clientId=x");
    (void)come(2, "/?clientId=y");
    const auto renewed = come(3, "/?clientId=x&priority=high");
    ASSERT_TRUE(ends(1) && hears(3, 1));
    EXPECT_EQ(closed_[1], ws::CloseCode::replaced);
    EXPECT_EQ(heard_[3][0], R"({"type":"welcome","clientId":"x"})");
    EXPECT_EQ(ask(renewed, 3, R"({"type":"ping"})"), R"({"type":"pong"})");
    EXPECT_EQ(heard_[2].size(), 2u);
    EXPECT_EQ(count(AcquireResult::replaced), 1u);
    EXPECT_EQ(seating().seats[0][1], 1u);
    clients_->close(renewed, ws::CloseCode::normal, {}, CloseReason::by_peer);
    ASSERT_TRUE(hears(2, 3));
}

// Its id is registered with its seat: then it may be taken.
TEST_P(SeatsTest, one_that_waited_and_is_refused_its_id_is_closed_with_4409) {
    WorkerOptions options = with_seats(2);
    options.exchange.duplicate_id = hub::DuplicateId::reject;
    start(options);
    (void)come(1, "/?clientId=x");
    const auto other = come(2, "/?clientId=y");
    (void)come(3, "/?clientId=x");
    ASSERT_TRUE(hears(3, 2));
    clients_->close(other, ws::CloseCode::normal, {}, CloseReason::by_peer);
    ASSERT_TRUE(ends(3));
    EXPECT_EQ(closed_[3], ws::CloseCode::replaced);
    EXPECT_EQ(seating().seats_taken(), 1u);
}

TEST_P(SeatsTest, a_class_below_its_share_takes_a_seat_back_with_notice) {
    start(with_shares(2));
    (void)come(1, "/?priority=low");
    (void)come(2, "/?priority=low");
    (void)come(3, "/?priority=high");
    ASSERT_TRUE(hears(3, 3));
    EXPECT_EQ(heard_[3][2], R"({"type":"admitted"})");
    const std::uint64_t victim = closed_.count(1) == 1 ? 1 : 2;
    ASSERT_TRUE(ends(victim));
    EXPECT_EQ(closed_[victim], ws::CloseCode::try_again_later);
    EXPECT_EQ(reasons_[victim], "Higher priority connection needed");
    EXPECT_EQ(heard_[victim].back().substr(0, 76),
              R"({"type":"preempted","reason":"Higher priority connection needed","reconnectD)");
    EXPECT_EQ(seating().preemptions[3][1], 1u);
    EXPECT_EQ(closed(CloseReason::preempted), 1u);
    EXPECT_EQ(seating().seats_taken(), 2u);
}

TEST_P(SeatsTest, a_ticket_puts_its_client_ahead_of_its_class_once) {
    start(with_shares(2));
    (void)come(1, "/?priority=low");
    (void)come(2, "/?priority=low");
    const auto high = come(3, "/?priority=high");
    ASSERT_TRUE(hears(3, 3));
    const std::uint64_t victim = closed_.count(1) == 1 ? 1 : 2;
    const std::string ticket = ticket_of(victim);
    (void)come(4, "/?priority=low");
    (void)come(5, "/?priority=low&ticket=" + ticket);
    ASSERT_TRUE(hears(4, 2) && hears(5, 2));
    EXPECT_NE(heard_[4][1].find(R"("position":1,)"), std::string::npos);
    EXPECT_NE(heard_[5][1].find(R"("position":1,)"), std::string::npos);
    EXPECT_EQ(count(TicketUse::honoured), 1u);
    (void)come(6, "/?priority=low&ticket=" + ticket);
    ASSERT_TRUE(hears(6, 2));
    EXPECT_NE(heard_[6][1].find(R"("position":3,)"), std::string::npos);
    EXPECT_EQ(count(TicketUse::spent), 1u);
    clients_->close(high, ws::CloseCode::normal, {}, CloseReason::by_peer);
    ASSERT_TRUE(hears(5, 3));
    EXPECT_EQ(heard_[4].size(), 2u);
}

TEST_P(SeatsTest, a_ticket_that_is_forged_late_or_of_another_class_counts_for_nothing) {
    WorkerOptions options = with_shares(2);
    options.seats.ticket_time = milliseconds(1);
    start(options);
    (void)come(1, "/?priority=low");
    (void)come(2, "/?priority=low");
    (void)come(3, "/?priority=high");
    ASSERT_TRUE(hears(3, 3));
    const std::string ticket = ticket_of(closed_.count(1) == 1 ? 1 : 2);
    std::string forged = ticket;
    forged[20] = forged[20] == '0' ? '1' : '0';
    (void)come(4, "/?priority=low&ticket=" + forged);
    (void)come(5, "/?priority=low&ticket=x");
    (void)come(6, "/?priority=high&ticket=" + ticket);
    (void)come(7, "/?priority=low&ticket=" + ticket);
    ASSERT_TRUE(hears(7, 2));
    EXPECT_EQ(count(TicketUse::bad), 3u);
    EXPECT_EQ(count(TicketUse::expired), 1u);
    EXPECT_NE(heard_[7][1].find(R"("position":3,)"), std::string::npos);
}

TEST_P(SeatsTest, a_drain_sends_those_who_wait_away_at_once) {
    start(with_seats(1));
    (void)come(1, "/");
    (void)come(2, "/");
    worker_->begin_drain();
    ASSERT_TRUE(ends(2));
    EXPECT_EQ(closed_[2], ws::CloseCode::service_restart);
    EXPECT_EQ(heard_[2].back().substr(0, 19), R"({"type":"draining",)");
    EXPECT_EQ(count(AcquireResult::drained), 1u);
}

TEST_P(SeatsTest, dedicated_pools_have_seats_of_their_own) {
    WorkerOptions options = with_seats(2);
    SeatPoolOptions& trading = options.seats.dedicated.emplace_back();
    trading.name = "trading";
    trading.path = "/trading";
    trading.admission.seats_max = 1;
    trading.admission.waiters_max = {};
    options.seats.shared.waiters_max = {};
    start(options);
    (void)connect(1, "/");
    (void)connect(2, "/trading/x");
    EXPECT_EQ(seating().seats[0][2], 1u);
    EXPECT_EQ(seating().seats[1][2], 1u);
    (void)connect(3, "/trading");
    (void)connect(4, "/tradings");
    EXPECT_EQ(rejected(RejectReason::capacity), 2u);
}

TEST_P(SeatsTest, echo_sessions_take_seats_too) {
    WorkerOptions options = with_seats(1);
    options.echo = true;
    start(options);
    const auto first = connect(1, "/echo");
    const auto second = connect(2, "/echo");
    say(second, "x");
    EXPECT_EQ(ask(first, 1, "y"), "y");
    EXPECT_EQ(seating().waiters_now(), 1u);
    clients_->close(first, ws::CloseCode::normal, {}, CloseReason::by_peer);
    ASSERT_TRUE(hears(2, 1));
    EXPECT_EQ(heard_[2][0], "x");
}

INSTANTIATE_TEST_SUITE_P(Loops,
                         SeatsTest,
                         testing::Values(io::LoopChoice::uring, io::LoopChoice::epoll),
                         [](const auto& loop) {
                             return loop.param == io::LoopChoice::uring ? "uring" : "epoll";
                         });

// ------------------------------------------------------------------------------------------------

TEST(SeatOptions, what_cannot_be_is_told) {
    SeatOptions options;
    EXPECT_TRUE(check(options, 10));
    SeatPoolOptions& pool = options.dedicated.emplace_back();
    pool.name = "a";
    pool.admission.seats_max = 11;
    EXPECT_NE(check(options, 11).error().message.find("matches nobody"), std::string::npos);
    pool.claim = "x";
    EXPECT_TRUE(check(options, 11));
    EXPECT_NE(check(options, 10).error().message.find("have 11 seats"), std::string::npos);
    pool.name = "default";
    EXPECT_NE(check(options, 11).error().message.find("named \"default\""), std::string::npos);
}

TEST(SeatOptions, a_pool_has_who_matches_all_that_it_asks_for) {
    SeatOptions options;
    SeatPoolOptions& first = options.dedicated.emplace_back();
    first.path = "/a";
    first.priorities[0] = true;
    SeatPoolOptions& second = options.dedicated.emplace_back();
    second.claim = "x";
    using pool::Priority;
    EXPECT_EQ(choose_pool(options, "/a", Priority::critical, ""), 1u);
    EXPECT_EQ(choose_pool(options, "/a/b", Priority::critical, "x"), 1u);
    EXPECT_EQ(choose_pool(options, "/ab", Priority::critical, "x"), 2u);
    EXPECT_EQ(choose_pool(options, "/a", Priority::high, ""), 0u);
}

RC_GTEST_PROP(TicketsProperty, what_was_written_is_read_and_nothing_else, ()) {
    const TicketKey key = derive_ticket_key({1, 2});
    const Ticket ticket{.issuer = *rc::gen::arbitrary<std::uint64_t>(),
                        .number = *rc::gen::arbitrary<std::uint64_t>(),
                        .expiry = Instant(Duration(*rc::gen::arbitrary<std::int64_t>())),
                        .priority = pool::Priority::low,
                        .pool = 3};
    const std::string text = write_ticket(ticket, key);
    const auto read = read_ticket(text, key);
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->issuer == ticket.issuer && read->number == ticket.number);
    RC_ASSERT(read->expiry == ticket.expiry && read->pool == 3);
    RC_ASSERT(!read_ticket(text, derive_ticket_key({1, 3})));
    std::string spoilt = text;
    char& digit = spoilt[*rc::gen::inRange<std::size_t>(0, text.size())];
    digit = digit == '0' ? '1' : '0';
    RC_ASSERT(!read_ticket(spoilt, key));
}

TEST(Tickets, each_is_good_once_until_it_expires_or_too_many_are_out) {
    Tickets tickets(7, seconds(10), 2);
    const Instant now{seconds(100)};
    const Ticket first = tickets.issue(pool::Priority::low, 0, now);
    EXPECT_EQ(first.issuer, 7u);
    EXPECT_TRUE(tickets.redeem(first.number, now));
    EXPECT_FALSE(tickets.redeem(first.number, now));
    const Ticket second = tickets.issue(pool::Priority::low, 0, now);
    EXPECT_FALSE(tickets.redeem(second.number, now + seconds(10)));
    EXPECT_EQ(tickets.outstanding(), 0u);
    const Ticket third = tickets.issue(pool::Priority::low, 0, now);
    (void)tickets.issue(pool::Priority::low, 0, now);
    (void)tickets.issue(pool::Priority::low, 0, now);
    EXPECT_EQ(tickets.outstanding(), 2u);
    EXPECT_FALSE(tickets.redeem(third.number, now));
    EXPECT_FALSE(tickets.redeem(999, now));
}

}  // namespace
}  // namespace wspool::worker
