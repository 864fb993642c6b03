// Page: the stats page: the figures of all processes of a gateway in memory that they share. Each
// process writes its own counters once per turn, the master what it knows about the process; all of
// them read. It outlives the death of any of them, so that nobody has to be asked, and nobody can
// be asked in vain. It holds figures only: no pointers, no data.
//
// How it works: one block per worker, then one for the control process, one for the master. A block
// has two writers, each with a part of its own.
//   the process   publish() fills the older of two copies of its Counters, then names it the newer;
//                 a process that is killed in between leaves the one before, whole
//   the master    Life, and `base`: what earlier incarnations counted. bury() adds a dead process'
//                 last counters to the base, and settles what it still owed (see settle())
// A reader that was overtaken by a writer reads again. All words are atomics; on x86 that costs
// nothing.
//
// Invariants: the counters of a block (base + last published) never decrease by a death or a
//             replacement, apart from the gauges; they are conserved if what was published is.
// Ownership: the memory is the caller's (io::SharedMemory) and outlives the Page; a forked child
// uses the Page that it inherited.
// Limits: a reader that is overtaken 1,000 times takes what it finds.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "metrics/counters.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wspool::metrics {

enum class ProcessState : std::uint64_t {
    absent,  // not started yet, or left out
    starting,
    ready,
    draining,
    dead,  // and not replaced yet
};
[[nodiscard]] std::string_view name(ProcessState state);

enum class DeathKind : std::uint64_t {
    none,
    exited,   // `detail` is the exit status
    signal,   // `detail` is the signal
    stalled,  // killed by the master, as its heartbeat stood still
};
[[nodiscard]] std::string_view name(DeathKind kind);

// What the master knows about a process. All words, so that it fits into the page as it is.
struct Life {
    ProcessState state = ProcessState::absent;
    std::uint64_t incarnation = 0;
    std::uint64_t pid = 0;
    std::uint64_t restarts = 0;
    std::uint64_t crash_loops = 0;  // times that a start was put off for dying too often
    Instant started_at{};
    Instant died_at{};  // the last death
    DeathKind death = DeathKind::none;
    std::uint64_t death_detail = 0;
    friend bool operator==(const Life&, const Life&) = default;
};

struct BlockSnapshot {
    Life life;
    Instant heartbeat{};  // when the process last published
    Counters counters;    // of all incarnations; gauges of the present one
};

// What a dead process has counted, as it must be written down: messages that were queued are
// dropped, open connections closed (`worker_lost`), and its gauges are zero.
[[nodiscard]] Counters settle(const Counters& dead);
// The counters of one place: what was before, and what came since.
[[nodiscard]] Counters continued(const Counters& base, const Counters& current);
// Several places together; peaks are added, which is what they were at most.
[[nodiscard]] Counters sum(const Counters& a, const Counters& b);

class Page {
  public:
    [[nodiscard]] static std::size_t size_for(std::size_t workers);
    // `memory` is zero-filled, aligned to 64 bytes, and at least size_for(workers).
    Page(MutableBytes memory, std::size_t workers);

    [[nodiscard]] std::size_t worker_count() const { return workers_; }
    // The places behind those of the workers, 0 … worker_count() - 1.
    [[nodiscard]] std::size_t control_place() const { return workers_; }
    [[nodiscard]] std::size_t master_place() const { return workers_ + 1; }

    // ---- the process' part
    void publish(std::size_t place, const Counters& counters, Instant now);

    // ---- the master's part
    void set_life(std::size_t place, const Life& life);
    // The process of this place is dead (waited for) and writes no more.
    void bury(std::size_t place);

    // ---- everybody's
    [[nodiscard]] Life life(std::size_t place) const;
    [[nodiscard]] Instant heartbeat(std::size_t place) const;
    [[nodiscard]] BlockSnapshot snapshot(std::size_t place) const;
    [[nodiscard]] Counters sum_of_workers() const;

  private:
    struct Block;
    [[nodiscard]] Block& block(std::size_t place) const;

    Block* blocks_;
    std::size_t workers_;
};

}  // namespace wspool::metrics
