#include "worker/throttle.h"

#include "base/assert.h"

#include <algorithm>

namespace wspool::worker {

bool ThrottleOptions::is_on() const {
    return std::any_of(
        classes.begin(), classes.end(), [](const RateClass& one) { return one.is_on(); });
}

std::uint8_t ThrottleOptions::find(std::string_view name) const {
    const auto at = std::find_if(
        classes.begin(), classes.end(), [&](const RateClass& one) { return one.name == name; });
    return at == classes.end() ? std::uint8_t{0} : static_cast<std::uint8_t>(at - classes.begin());
}

Throttle::Throttle(const ThrottleOptions& options, Instant now)
    : patience_(options.patience),
      ticks_now_(ticks_of(now, tick)),
      wheel_(NodeOf{&records_}, static_cast<std::uint32_t>(ticks_of(now, tick))) {
    WSPOOL_ASSERT(!options.classes.empty() && options.classes.size() <= 1 + rate_classes_max);
    for (const RateClass& one : options.classes) {
        rates_.push_back({static_cast<double>(one.messages_per_second),
                          static_cast<double>(one.bytes_per_second)});
    }
}

void Throttle::enter(std::uint32_t index, std::uint8_t rate_class, Instant now) {
    WSPOOL_ASSERT(rate_class < rates_.size());
    records_.grow_to(index);
    Record& record = records_[index];
    WSPOOL_ASSERT(!record.timer.is_linked());
    record.rate_class = rate_class;
    record.messages = TokenBucket(rates_[rate_class].messages, now);
    record.bytes = TokenBucket(rates_[rate_class].bytes, now);
    record.held_since = never;
}

void Throttle::leave(std::uint32_t index) {
    wheel_.cancel(index);
}

bool Throttle::has_saved(const Record& record, const Rates& rates) {
    const auto is_half_full = [](const TokenBucket& bucket, double rate) {
        return rate == 0 || bucket.tokens() >= TokenBucket::capacity(rate) / 2;
    };
    return is_half_full(record.messages, rates.messages) && is_half_full(record.bytes, rates.bytes);
}

Throttle::Verdict Throttle::spend(std::uint32_t index, std::size_t bytes, Instant now) {
    Record& record = records_[index];
    const Rates& rates = rates_[record.rate_class];
    Duration wait = Duration::zero();
    record.messages.refill(rates.messages, now);
    record.bytes.refill(rates.bytes, now);
    if (record.held_since != never && has_saved(record, rates)) record.held_since = never;
    if (rates.messages != 0) {
        record.messages.spend(1);
        wait = record.messages.time_to_pay(rates.messages);
    }
    if (rates.bytes != 0) {
        record.bytes.spend(static_cast<double>(bytes));
        wait = std::max(wait, record.bytes.time_to_pay(rates.bytes));
    }
    if (wait == Duration::zero()) return Verdict::go_on;
    if (record.held_since == never) record.held_since = now;
    if (now - record.held_since >= patience_) return Verdict::close;
    const std::int64_t ahead = std::clamp<std::int64_t>(wait / tick + 1, 1, ticks_max);
    wheel_.schedule(index, static_cast<std::uint32_t>(ticks_of(now, tick) + ahead));
    return Verdict::hold;
}

Instant Throttle::next_deadline() const {
    const std::uint32_t ticks = wheel_.ticks_to_next();
    if (ticks == UINT32_MAX) return never;
    return Instant(tick * (ticks_now_ + ticks));
}

void Throttle::release(Instant now, std::vector<std::uint32_t>& released) {
    ticks_now_ = ticks_of(now, tick);
    wheel_.advance(static_cast<std::uint32_t>(ticks_now_),
                   [&](std::uint32_t index) { released.push_back(index); });
}

}  // namespace wspool::worker
