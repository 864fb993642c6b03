#include "pool/pool_report.h"

#include "pool/pool_state.h"

namespace wspool::pool {

DurationSummary summarise(const Histogram& nanoseconds) {
    const auto at = [&](double part) {
        return Duration(static_cast<Duration::rep>(nanoseconds.percentile(part)));
    };
    return {.count = nanoseconds.count(),
            .average = Duration(static_cast<Duration::rep>(nanoseconds.mean())),
            .p50 = at(0.50),
            .p95 = at(0.95),
            .p99 = at(0.99),
            .max = Duration(static_cast<Duration::rep>(nanoseconds.max()))};
}

PoolReport Pool::report(Instant now) const {
    const State& state = *state_;
    PoolReport report = state.totals;
    report.uptime = now - state.started;
    report.max_size = state.max_size;
    report.total = state.used();
    report.connecting = state.count(SlotState::connecting);
    report.validating = state.count(SlotState::validating);
    report.idle = state.count(SlotState::idle);
    report.leased = state.count(SlotState::leased);
    report.closing = state.count(SlotState::closing);
    report.waiting = state.order.size();
    if (report.waiting > 0) report.oldest_wait = now - state.waiters[state.order.front()].since;
    if (report.max_size > 0)
        report.utilisation = static_cast<double>(report.leased) / report.max_size;
    if (!state.interval) return report;

    report.acquire_interval = summarise(state.interval->acquire);
    report.use_interval = summarise(state.interval->use);
    report.connect_interval = summarise(state.interval->connect);
    const auto all = std::make_unique<PoolHistograms>(*state.before);
    all->merge(*state.interval);
    report.acquire = summarise(all->acquire);
    report.use = summarise(all->use);
    report.connect = summarise(all->connect);
    return report;
}

PoolReport Pool::take_interval(Instant now) {
    const PoolReport taken = report(now);
    if (state_->interval) {
        state_->before->merge(*state_->interval);
        *state_->interval = PoolHistograms{};
    }
    return taken;
}

}  // namespace wspool::pool
