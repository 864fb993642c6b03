// What the pool's core costs: decisions only, no connection is behind it.
#include "pool/pool.h"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <new>
#include <vector>

namespace {
std::uint64_t allocations = 0;
}  // namespace

// Counts what is allocated, so that "no allocation" is measured and not believed.
void* operator new(std::size_t size) {
    ++allocations;
    void* memory = std::malloc(size);
    if (memory == nullptr) std::abort();
    return memory;
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace wspool::pool {
namespace {

constexpr Instant start{};

PoolOptions options_of(std::uint32_t size) {
    PoolOptions options;
    options.max_size = size;
    options.max_connecting = size;
    options.max_waiters = 1u << 20;
    return options;
}

// Connects and closes succeed at once; leases that were granted are collected.
void act(Pool& pool, Instant now, std::vector<LeaseId>& granted) {
    PoolAction action;
    while (pool.next_action(action)) {
        if (action.kind == PoolAction::Kind::connect) pool.on_connected(action.slot, now);
        if (action.kind == PoolAction::Kind::validate) pool.on_validated(action.slot, true, now);
        if (action.kind == PoolAction::Kind::close) pool.on_closed(action.slot, now);
        if (action.kind == PoolAction::Kind::granted) granted.push_back(action.lease);
    }
}

// Opens all connections; they are idle afterwards.
void fill(Pool& pool, std::uint32_t size) {
    std::vector<LeaseId> granted;
    for (std::uint32_t i = 0; i < size; ++i) (void)pool.acquire({}, start);
    act(pool, start, granted);
    for (const LeaseId lease : granted) pool.release(lease, start);
}

void report_allocations(benchmark::State& state, std::uint64_t before) {
    state.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations - before));
}

void run_acquire_release(benchmark::State& state, PoolOptions options, std::string_view client) {
    Pool pool(options, start, 1);
    fill(pool, 8);
    AcquireRequest request;
    request.client = client;
    Instant now = start;
    std::vector<LeaseId> granted;
    const std::uint64_t before = allocations;
    while (state.KeepRunning()) {
        now += std::chrono::microseconds(1);
        const Acquired acquired = pool.acquire(request, now);
        pool.release(acquired.lease, now);
        act(pool, now, granted);
    }
    report_allocations(state, before);
}

void acquire_release(benchmark::State& state) {
    run_acquire_release(state, options_of(8), {});
}
BENCHMARK(acquire_release);

void acquire_release_by_client(benchmark::State& state) {
    run_acquire_release(state, options_of(8), "client-1");
}
BENCHMARK(acquire_release_by_client);

void acquire_release_with_histograms(benchmark::State& state) {
    PoolOptions options = options_of(8);
    options.has_histograms = true;
    run_acquire_release(state, options, {});
}
BENCHMARK(acquire_release_with_histograms);

void acquire_release_with_shares(benchmark::State& state) {
    PoolOptions options = options_of(8);
    options.shares = default_shares;
    run_acquire_release(state, options, {});
}
BENCHMARK(acquire_release_with_shares);

// One connection, N who wait: each release hands it to the one that waits longest, who comes back
// as the last. The time is that of release, hand-off and the new wait.
void hand_off(benchmark::State& state) {
    Pool pool(options_of(1), start, 1);
    std::vector<LeaseId> granted;
    AcquireRequest request;
    Instant now = start;
    const auto wait = [&] {
        request.deadline = now + std::chrono::seconds(30);
        (void)pool.acquire(request, now);
    };
    for (std::int64_t i = 0; i <= state.range(0); ++i) wait();
    act(pool, now, granted);
    const std::uint64_t before = allocations;
    while (state.KeepRunning()) {
        now += std::chrono::microseconds(1);
        const LeaseId lease = granted.back();
        granted.clear();
        pool.release(lease, now);
        act(pool, now, granted);
        wait();
    }
    report_allocations(state, before);
}
BENCHMARK(hand_off)->Arg(1)->Arg(1000);

// benches/managed.rs of deadpool: so many workers take 2^15 connections between them, each gives
// its own back before it takes the next. Here the workers take turns on one thread.
void deadpool(benchmark::State& state) {
    const auto workers = static_cast<std::uint32_t>(state.range(0));
    const auto size = static_cast<std::uint32_t>(state.range(1));
    constexpr std::uint32_t gets = 1u << 15;
    while (state.KeepRunning()) {
        Pool pool(options_of(size), start, 1);
        std::deque<LeaseId> held;
        std::vector<LeaseId> granted;
        std::uint32_t asked = 0;
        Instant now = start;
        const auto ask = [&] {
            if (asked == gets) return;
            ++asked;
            const Acquired acquired = pool.acquire({}, now);
            if (acquired.kind == Acquired::Kind::leased) held.push_back(acquired.lease);
        };
        for (std::uint32_t i = 0; i < workers; ++i) ask();
        for (std::uint32_t done = 0; done < gets; ++done) {
            now += std::chrono::microseconds(1);
            act(pool, now, granted);
            held.insert(held.end(), granted.begin(), granted.end());
            granted.clear();
            pool.release(held.front(), now);
            held.pop_front();
            ask();
        }
        benchmark::DoNotOptimize(pool.count(SlotState::idle));
    }
    state.SetItemsProcessed(std::int64_t{gets} * state.iterations());
}
BENCHMARK(deadpool)
    ->ArgNames({"workers", "size"})
    ->Args({8, 2})
    ->Args({8, 4})
    ->Args({8, 8})
    ->Args({16, 4})
    ->Args({16, 8})
    ->Args({16, 16})
    ->Args({32, 8})
    ->Args({32, 16})
    ->Args({32, 32});

}  // namespace
}  // namespace wspool::pool
