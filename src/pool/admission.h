// Admission: who gets one of a limited number of seats, by priority. It knows nothing of what a
// seat is for, so a worker seats its clients with it and the client pool its connections. Pure.
//
// How it works: request() seats at once, queues, or refuses; what happens later comes out of
// next_action(). Every event that frees capacity runs the same dispatch(), which hands seats to
// waiters until none can have one, so a newcomer never overtakes a waiter that could be seated.
// Without shares every seat serves every priority, highest first, and nobody is preempted. With
// shares each class has a nominal number of seats. What is free beyond the seats held back for
// others may be borrowed; a class that waits below its nominal takes a seat back from the lowest
// class below it that is over its own (docs/decisions/0013).
//
// A preemption is decided when next_action() hands it out, so one that nobody was told of does not
// exist. From then on the seat is charged to the class that takes it. When the victim releases it,
// the first waiter of that class gets it. A class has at most as many nominated seats as waiters:
// if one of them gives up, the newest nomination lapses, and that seat goes to whoever is next.
//
// Invariants: 1. Seats in use never grow beyond seats_max (a resize may leave more until they are
// released). 2. No waiter could be seated. 3. used, summed over the classes, is the number of seats
// in use; a seat is charged to exactly one class. 4. A class has no more nominations than waiters.
// 5. Counters and lists agree with a recount.
// Bounds on waiting: whoever waits is seated or timed out by its deadline. A class below its
// nominal gets a seat within min_hold + grace + its turn in the budget while a lower class is over
// its own, and else the next free seat not owed to a higher class below its nominal.
// Limits: AdmissionOptions. Waiters beyond waiters_max are refused. After every call that takes
// `now` the owner pulls next_action() until it returns false. `now` never runs backwards.
#pragma once

#include "base/chunked_array.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "pool/admission_deadlines.h"
#include "pool/admission_list.h"
#include "pool/priority.h"
#include "pool/shares.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace wspool::pool {

enum class ReserveMode : std::uint8_t {
    lending,  // each class holds back what it does not lend, against all others
    seed,     // rounded-down shares are held back, against lower classes only; nothing is lent
};

struct PreemptionOptions {
    Duration grace = std::chrono::seconds(1);            // from the notice to the revocation
    Duration min_hold = std::chrono::seconds(5);         // no seat is taken back earlier
    Duration reconnect_delay = std::chrono::seconds(5);  // ± 50 %, drawn for each victim
    double budget_per_second = 0.1;                      // of all seats; at least one seat
    // Unused for so long, and for min_hold, a seat is taken before any busy one.
    Duration idle_after = std::chrono::seconds(10);
    bool is_enabled = true;
};

struct AdmissionOptions {
    std::uint32_t seats_max = 1000;
    // None: no reservation, no preemption.
    std::optional<PerPriority<std::uint32_t>> shares = std::nullopt;
    PerPriority<double> lendable = {0, 1, 1, 1};  // part of the nominal that others may borrow
    ReserveMode reserve_mode = ReserveMode::lending;
    PerPriority<std::uint32_t> waiters_max = {1024, 1024, 1024, 1024};  // 0: no queue
    PerPriority<Duration> wait_timeout = {std::chrono::seconds(5),
                                          std::chrono::seconds(15),
                                          std::chrono::seconds(30),
                                          std::chrono::seconds(60)};
    PreemptionOptions preemption = {};
};

// What is wrong with the options, in one sentence. Admission asserts that nothing is.
[[nodiscard]] Result<void> check(const AdmissionOptions& options);

// Stale ids do nothing.
struct SeatId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(SeatId, SeatId) = default;
};

struct WaiterId {
    std::uint32_t index = UINT32_MAX;
    std::uint32_t generation = 0;
    friend bool operator==(WaiterId, WaiterId) = default;
};

struct Request {
    Priority priority = Priority::normal;
    Instant deadline = never;   // see Admission::deadline_for()
    std::uint64_t tag = 0;      // the caller's
    bool is_returning = false;  // was preempted and comes back: waits ahead of its class
};

enum class Refusal : std::uint8_t {
    capacity,   // it would have to wait, and so many already do
    timed_out,  // it would have to wait, and its deadline has passed
    closed,
};

struct Verdict {
    enum class Kind : std::uint8_t { seated, queued, refused };
    Kind kind{};
    Refusal refusal{};           // refused
    SeatId seat = {};            // seated
    WaiterId waiter = {};        // queued
    std::uint32_t position = 0;  // queued: 1 is next of its class
};

struct AdmissionAction {
    enum class Kind : std::uint8_t {
        seated,     // the waiter `tag` has `seat`
        timed_out,  // the waiter `tag` waited until its deadline
        closed,     // the waiter `tag` was sent away by close()
        preempt,    // tell the holder `tag` of `seat` to leave by `grace_until`
        revoke,     // the grace is over: take `seat` from `tag` and release() it
    };
    Kind kind{};
    Priority priority{};  // of the waiter or the seat
    std::uint64_t tag = 0;
    SeatId seat = {};            // seated, preempt, revoke
    Duration waited{};           // seated, timed_out, closed
    Instant grace_until{};       // preempt
    Priority taker{};            // preempt: the class that it is taken for
    Duration reconnect_delay{};  // preempt: when the victim should come back, jittered
};

// What a request would meet, the worst first.
enum class Outlook : std::uint8_t {
    waits,     // or is refused
    preempts,  // there is a seat to be taken back for it
    seated,
};

struct AdmissionFigures {
    std::uint32_t seats_max = 0;
    std::uint32_t seats_used = 0;  // all classes; may exceed seats_max after a resize
    std::uint32_t seats_peak = 0;
    std::uint32_t seats_leaving = 0;       // preempted and not yet released
    PerPriority<std::uint32_t> seats{};    // by the holder's class
    PerPriority<std::uint32_t> used{};     // as charged: seats less those taken, plus nominations
    PerPriority<std::uint32_t> nominal{};  // all zero without shares
    PerPriority<std::uint32_t> nominations{};
    PerPriority<std::uint32_t> waiting{};
    Duration oldest_wait{};
    PerPriority<std::uint64_t> seated_direct{};  // from here on: totals since the start
    PerPriority<std::uint64_t> seated_waited{};
    PerPriority<std::uint64_t> timeouts{};
    PerPriority<std::uint64_t> cancelled{};
    PerPriority<std::uint64_t> refused{};                   // for want of capacity
    PerPriority<std::uint64_t> closed{};                    // refused or sent away by close()
    PerPriority<PerPriority<std::uint64_t>> preemptions{};  // [from][to]
};

class Admission {
  public:
    Admission(const AdmissionOptions& options, Instant now, std::uint64_t seed);
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;

    [[nodiscard]] Verdict request(const Request& request, Instant now);
    // The same where nobody waits and a seat may be had at once. A SeatId that names nothing: it is
    // not so, and nothing was done.
    [[nodiscard]] SeatId try_seat(Priority priority, std::uint64_t tag, Instant now);
    // What a request would meet at an Admission with the same options, where seats and queues stand
    // so. For who chooses between several of them, from figures: notices under way are not known.
    [[nodiscard]] Outlook outlook(Priority priority,
                                  const PerPriority<std::uint32_t>& seats,
                                  const PerPriority<std::uint32_t>& waiting) const;
    // The deadline of a request made now, by its class's wait_timeout.
    [[nodiscard]] Instant deadline_for(Priority priority, Instant now) const;
    void release(SeatId seat, Instant now);
    // True: it will not be seated. False: it was already (see its action), or has ended.
    bool cancel(WaiterId waiter, Instant now);

    // Tells that the seat is in use. Noted sixteen times per idle_after, so that calling it for
    // every message costs a comparison.
    void touch(SeatId seat, Instant now);
    // The seat passes to another holder, as it is.
    void set_tag(SeatId seat, std::uint64_t tag);
    // Charges the seat to another class, where its hold begins anew. One that is leaving stays.
    void reclass(SeatId seat, Priority priority, Instant now);

    // Whether next_action(), next_deadline() and on_deadline() have nothing to say.
    [[nodiscard]] bool is_quiet() const {
        return waiting_ == 0 && grace_.is_empty() && next_action_ == actions_.size();
    }
    // 1 is next of its class; 0: no longer waiting. Those who gave up in the middle of the queue
    // may still be counted.
    [[nodiscard]] std::uint32_t position(WaiterId waiter) const;

    bool next_action(AdmissionAction& action);
    [[nodiscard]] Instant next_deadline() const;
    void on_deadline(Instant now);

    // Seats above a lowered limit stay until they are released; meanwhile nobody is seated and
    // nobody preempted.
    void resize(std::uint32_t seats_max, Instant now);
    // Sends all waiters away and refuses from now on. Seats stay until they are released.
    void close(Instant now);

    [[nodiscard]] AdmissionFigures figures(Instant now) const;
    void check_invariants() const;

  private:
    static constexpr std::uint32_t none = UINT32_MAX;

    enum class SeatState : std::uint8_t {
        empty,
        young,    // held shorter than min_hold when last looked at
        settled,  // held longer
        leaving,  // the holder was told, the grace runs
        overdue,  // the grace is over, the owner was told
    };
    struct Seat {
        std::uint64_t tag = 0;
        Instant held_since{};
        Instant last_use{};  // leaving: the end of the grace
        std::uint32_t generation = 0;
        SeatState state = SeatState::empty;
        Priority priority{};
        std::uint8_t charged{};  // index of the class that it counts for
        ListLinks order;         // in young or settled; leaving, overdue: in nominated or orphaned
        ListLinks use;           // in by_use; leaving: in grace_
    };
    struct Waiter {
        std::uint64_t tag = 0;
        Instant since{};
        std::uint32_t generation = 1;
        std::uint32_t heap_position = none;
        std::uint32_t ordinal = 0;
        Priority priority{};
        bool is_returning = false;
        ListLinks links;
    };
    struct OrderLinks {
        ChunkedArray<Seat>* seats;
        ListLinks& operator()(std::uint32_t index) const { return (*seats)[index].order; }
    };
    struct UseLinks {
        ChunkedArray<Seat>* seats;
        ListLinks& operator()(std::uint32_t index) const { return (*seats)[index].use; }
    };
    struct WaiterLinks {
        ChunkedArray<Waiter>* waiters;
        ListLinks& operator()(std::uint32_t index) const { return (*waiters)[index].links; }
    };
    struct HeapPosition {
        ChunkedArray<Waiter>* waiters;
        std::uint32_t& operator()(std::uint32_t index) const {
            return (*waiters)[index].heap_position;
        }
    };
    struct Queue {
        IndexList returning;
        IndexList ordinary;
        std::uint32_t arrivals = 0;
        [[nodiscard]] std::uint32_t size() const { return returning.size() + ordinary.size(); }
        [[nodiscard]] std::uint32_t front() const {
            return returning.is_empty() ? ordinary.front() : returning.front();
        }
    };
    // What is known of the seats of one class, for the choice of a victim.
    struct Holders {
        IndexList young;               // longest held first
        IndexList settled;             // longest held first
        IndexList by_use;              // both, longest unused first
        IndexList orphaned;            // leaving, and taken for nobody
        IndexList nominated;           // leaving, taken for a waiter of this class
        std::uint32_t taken_from = 0;  // seats of this class that are nominated for another
    };

    OrderLinks order() { return {&seats_}; }
    UseLinks use() { return {&seats_}; }
    WaiterLinks links() { return {&waiters_}; }

    void advance(Instant now);
    [[nodiscard]] Seat* find(SeatId id);
    [[nodiscard]] const Waiter* find(WaiterId id) const;
    [[nodiscard]] bool admits(std::size_t c) const {
        return seats_used_ < seats_max_ &&
               (!options_.shares || leaves_held_seats(c, seats_max_ - seats_used_, used_));
    }
    // Whether one of `free` seats may be class c's, when the others have used so many.
    [[nodiscard]] bool leaves_held_seats(std::size_t c,
                                         std::uint32_t free,
                                         const PerPriority<std::uint32_t>& used) const;
    [[nodiscard]] bool is_owed(std::size_t c) const;
    [[nodiscard]] SeatId take_seat(Priority priority, std::uint64_t tag);
    void empty_seat(std::uint32_t index);
    [[gnu::noinline]] void release_leaving(std::uint32_t index);
    void charge(Seat& seat, std::size_t c);
    void begin_hold(std::uint32_t index);
    void unlink_held(std::uint32_t index);

    [[nodiscard, gnu::noinline]] Verdict wait_or_refuse(const Request& request);
    [[nodiscard]] WaiterId enqueue(const Request& request);
    void remove_waiter(std::uint32_t index);
    [[nodiscard]] AdmissionAction end_of_wait(std::uint32_t index, AdmissionAction::Kind kind);
    void seat_front(std::size_t c);
    void dispatch();
    [[nodiscard]] bool dispatch_one();
    void plan();

    // In admission_preemption.cpp.
    [[nodiscard]] bool wants_preemption(std::size_t c) const;
    [[nodiscard]] std::size_t victim_class(std::size_t c) const;
    [[nodiscard]] Instant victim_due(std::size_t d) const;
    [[nodiscard]] Instant preemption_due() const;
    [[nodiscard]] std::uint32_t find_victim(std::size_t d);
    [[nodiscard]] bool preempt_one(AdmissionAction& action);
    [[nodiscard]] bool adopt_one();
    void drop_excess_nominations(std::size_t c);
    void nominate(std::uint32_t index, std::size_t c);
    [[nodiscard]] Instant budget_ready() const;
    void revoke_overdue();

    AdmissionOptions options_;
    bool has_preemption_;
    bool is_closed_ = false;
    Instant now_;
    Prng random_;

    std::uint32_t seats_max_;
    std::uint32_t seats_used_ = 0;
    std::uint32_t waiting_ = 0;  // all classes
    PerPriority<std::uint32_t> nominal_{};
    PerPriority<std::uint32_t> hold_target_{};  // what a class holds back while it has nothing
    PerPriority<std::uint32_t> used_{};
    PerPriority<Holders> holders_;
    PerPriority<Queue> queues_;
    IndexList grace_;  // leaving, by grace_until

    // The budget as a schedule: each preemption moves it on by an interval, and the burst says how
    // far it may run ahead of the time.
    Duration budget_interval_{};
    std::uint32_t budget_burst_ = 1;
    Instant budget_schedule_;

    ChunkedArray<Seat> seats_;
    std::uint32_t seats_made_ = 0;      // all indexes ever taken are below this
    std::uint32_t first_empty_ = none;  // the empty ones, linked by order.next
    ChunkedArray<Waiter> waiters_;
    IndexPool waiter_indexes_;
    DeadlineHeap<HeapPosition> deadlines_;

    std::vector<AdmissionAction> actions_;
    std::size_t next_action_ = 0;
    AdmissionFigures totals_;  // only its totals and the peak are kept up
};

}  // namespace wspool::pool
