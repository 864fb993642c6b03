#include "metrics/page.h"

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>

namespace wspool::metrics {
namespace {

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == sizeof(std::uint64_t));

// Every member of Counters is a word: a new one is in the page without a line here.
static_assert(std::is_trivially_copyable_v<Counters>);
constexpr std::size_t counter_words = sizeof(Counters) / sizeof(std::uint64_t);
static_assert(counter_words * sizeof(std::uint64_t) == sizeof(Counters));
// What is behind this word changes only with it (Seating): it is written when it did.
constexpr std::size_t seating_at = offsetof(Counters, seating) / sizeof(std::uint64_t);
static_assert(sizeof(Counters) == seating_at * sizeof(std::uint64_t) + sizeof(Seating));
static_assert(offsetof(Seating, changes) == 0);
constexpr std::size_t life_words = sizeof(Life) / sizeof(std::uint64_t);
static_assert(life_words * sizeof(std::uint64_t) == sizeof(Life));

using CounterWords = std::array<std::uint64_t, counter_words>;
using LifeWords = std::array<std::uint64_t, life_words>;

constexpr int attempts_max = 1000;

// Stores release and loads acquire word by word: who sees a later word also sees the number that
// was raised before it. (Fences would do the same, but ThreadSanitizer does not know them.)
template <std::size_t count>
void store(std::array<Word, count>& to, const std::array<std::uint64_t, count>& from) {
    for (std::size_t i = 0; i < count; ++i) to[i].store(from[i], std::memory_order_release);
}

template <std::size_t count>
[[nodiscard]] std::array<std::uint64_t, count> load(const std::array<Word, count>& from) {
    std::array<std::uint64_t, count> to;
    for (std::size_t i = 0; i < count; ++i) to[i] = from[i].load(std::memory_order_acquire);
    return to;
}

[[nodiscard]] std::uint64_t to_word(Instant instant) {
    return static_cast<std::uint64_t>(instant.time_since_epoch().count());
}
[[nodiscard]] Instant to_instant(std::uint64_t word) {
    return Instant(Duration(static_cast<Duration::rep>(word)));
}

[[nodiscard]] Counters add_words(const Counters& a, const Counters& b) {
    auto words = std::bit_cast<CounterWords>(a);
    const auto more = std::bit_cast<CounterWords>(b);
    for (std::size_t i = 0; i < counter_words; ++i) words[i] += more[i];
    auto sum = std::bit_cast<Counters>(words);
    sum.seating.waiting_since = earlier_wait(a.seating.waiting_since, b.seating.waiting_since);
    return sum;
}

}  // namespace

// The process' part and the master's lie in different cache lines, and so do two blocks.
struct alignas(64) Page::Block {
    // The process'. `published` counts; its lowest bit names the newer copy.
    Word published{0};
    Word heartbeat{0};
    std::array<std::array<Word, counter_words>, 2> copies{};

    // The master's. `version` is odd while it writes.
    alignas(64) Word version{0};
    std::array<Word, life_words> life{};
    std::array<Word, counter_words> base{};

    void publish(const Counters& counters) {
        const std::uint64_t next = published.load(std::memory_order_relaxed) + 1;
        auto& copy = copies[next & 1];
        const bool is_same =
            copy[seating_at].load(std::memory_order_relaxed) == counters.seating.changes;
        const std::size_t used = is_same ? seating_at : counter_words;
        const auto* const from = reinterpret_cast<const char*>(&counters);
        for (std::size_t i = 0; i < used; ++i) {
            std::uint64_t word = 0;
            std::memcpy(&word, from + i * sizeof word, sizeof word);
            copy[i].store(word, std::memory_order_release);
        }
        published.store(next, std::memory_order_release);
    }

    // Both copies: the next process counts its changes from the start.
    void clear() {
        publish(Counters{});
        publish(Counters{});
    }

    // What was published last, whole. False: overtaken.
    [[nodiscard]] bool read(Counters& out) const {
        const std::uint64_t number = published.load(std::memory_order_acquire);
        out = std::bit_cast<Counters>(load(copies[number & 1]));
        return published.load(std::memory_order_relaxed) == number;
    }

    [[nodiscard]] std::uint64_t begin_write() {
        const std::uint64_t number = version.load(std::memory_order_relaxed);
        version.store(number + 1, std::memory_order_relaxed);
        return number + 2;
    }
    void end_write(std::uint64_t number) { version.store(number, std::memory_order_release); }

    template <class Read>
    void read_consistently(Read read) const {
        for (int i = 0; i < attempts_max; ++i) {
            const std::uint64_t number = version.load(std::memory_order_acquire);
            const bool is_whole = read();
            if (is_whole && number % 2 == 0 && version.load(std::memory_order_relaxed) == number) {
                return;
            }
        }
    }
};

std::string_view name(ProcessState state) {
    switch (state) {
        case ProcessState::absent:
            return "absent";
        case ProcessState::starting:
            return "starting";
        case ProcessState::ready:
            return "ready";
        case ProcessState::draining:
            return "draining";
        case ProcessState::dead:
            return "dead";
    }
    WSPOOL_UNREACHABLE();
}

std::string_view name(DeathKind kind) {
    switch (kind) {
        case DeathKind::none:
            return "none";
        case DeathKind::exited:
            return "exited";
        case DeathKind::signal:
            return "signal";
        case DeathKind::stalled:
            return "stalled";
    }
    WSPOOL_UNREACHABLE();
}

// Gone with the process, and owed to nobody: others have it, or it is lost with its clients.
constexpr std::uint64_t Counters::*exchange_gauges[] = {
    &Counters::publishes_in_flight,
    &Counters::window_bytes,
    &Counters::publishes_parked,
    &Counters::parked_bytes,
    &Counters::joins_waiting,
    &Counters::log_records,
    &Counters::log_bytes,
    &Counters::history_messages,
    &Counters::history_bytes,
    &Counters::groups_homed,
    &Counters::ids_registered,
    &Counters::names,
    &Counters::links,
    &Counters::link_queued_bytes,
};

Counters settle(const Counters& dead) {
    Counters settled = dead;
    settled.dropped[static_cast<std::size_t>(DropReason::worker_lost)] += dead.queued;
    settled.connections_closed[static_cast<std::size_t>(CloseReason::worker_lost)] +=
        dead.connections;
    settled.connections = 0;
    settled.queued = 0;
    settled.outbox_bytes = 0;
    settled.groups = 0;
    settled.seating.waiting_since = 0;
    settled.seating.seats = {};
    settled.seating.waiters = {};
    settled.connections_pending = 0;
    settled.placements_in_flight = 0;
    for (std::uint64_t Counters::*const gauge : exchange_gauges) settled.*gauge = 0;
    return settled;
}

Counters continued(const Counters& base, const Counters& current) {
    Counters result = add_words(base, current);
    result.connections_peak = std::max(base.connections_peak, current.connections_peak);
    result.link_queued_peak = std::max(base.link_queued_peak, current.link_queued_peak);
    return result;
}

Counters sum(const Counters& a, const Counters& b) {
    return add_words(a, b);
}

std::size_t Page::size_for(std::size_t workers) {
    return (workers + 2) * sizeof(Block);
}

Page::Page(MutableBytes memory, std::size_t workers)
    : blocks_(reinterpret_cast<Block*>(memory.data())), workers_(workers) {
    WSPOOL_ASSERT(memory.size() >= size_for(workers));
    WSPOOL_ASSERT(reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(Block) == 0);
    for (std::size_t place = 0; place < workers + 2; ++place) new (&blocks_[place]) Block;
}

Page::Block& Page::block(std::size_t place) const {
    WSPOOL_ASSERT(place < workers_ + 2);
    return blocks_[place];
}

void Page::publish(std::size_t place, const Counters& counters, Instant now) {
    Block& own = block(place);
    own.publish(counters);
    own.heartbeat.store(to_word(now), std::memory_order_relaxed);
}

void Page::set_life(std::size_t place, const Life& life) {
    Block& of = block(place);
    const std::uint64_t number = of.begin_write();
    store(of.life, std::bit_cast<LifeWords>(life));
    of.end_write(number);
}

void Page::bury(std::size_t place) {
    Block& dead = block(place);
    Counters last;
    WSPOOL_ASSERT(dead.read(last));  // nobody else writes
    const auto base = std::bit_cast<Counters>(load(dead.base));
    const std::uint64_t number = dead.begin_write();
    store(dead.base, std::bit_cast<CounterWords>(continued(base, settle(last))));
    dead.clear();
    dead.end_write(number);
}

Life Page::life(std::size_t place) const {
    const Block& of = block(place);
    LifeWords words{};
    of.read_consistently([&] {
        words = load(of.life);
        return true;
    });
    return std::bit_cast<Life>(words);
}

Instant Page::heartbeat(std::size_t place) const {
    return to_instant(block(place).heartbeat.load(std::memory_order_relaxed));
}

BlockSnapshot Page::snapshot(std::size_t place) const {
    const Block& of = block(place);
    BlockSnapshot result;
    of.read_consistently([&] {
        Counters current;
        const bool is_whole = of.read(current);
        result.life = std::bit_cast<Life>(load(of.life));
        result.counters = continued(std::bit_cast<Counters>(load(of.base)), current);
        return is_whole;
    });
    result.heartbeat = heartbeat(place);
    return result;
}

Counters Page::sum_of_workers() const {
    Counters result;
    for (std::size_t place = 0; place < workers_; ++place) {
        result = sum(result, snapshot(place).counters);
    }
    return result;
}

}  // namespace wspool::metrics
