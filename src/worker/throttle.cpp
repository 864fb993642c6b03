#include "worker/throttle.h"

#include "base/assert.h"

#include <algorithm>

namespace wspool::worker {
namespace {

constexpr Duration tick = std::chrono::milliseconds(8);
// A message may be a gigabyte and the rate a kilobyte; who owes more than days is looked at again.
constexpr std::int64_t ticks_max = 100'000'000;

[[nodiscard]] std::int64_t ticks_of(Instant time) {
    return time.time_since_epoch() / tick;
}

}  // namespace

Throttle::Throttle(const ThrottleOptions& options, Instant now)
    : patience_(options.patience),
      message_rate_(static_cast<double>(options.messages_per_second)),
      byte_rate_(static_cast<double>(options.bytes_per_second)),
      ticks_now_(ticks_of(now)),
      wheel_(NodeOf{&records_}, static_cast<std::uint32_t>(ticks_of(now))) {}

void Throttle::enter(std::uint32_t index, Instant now) {
    records_.grow_to(index);
    Record& record = records_[index];
    WSPOOL_ASSERT(!record.timer.is_linked());
    record.messages = TokenBucket(message_rate_, now);
    record.bytes = TokenBucket(byte_rate_, now);
    record.held_since = never;
}

void Throttle::leave(std::uint32_t index) {
    wheel_.cancel(index);
}

bool Throttle::has_saved(const Record& record) const {
    const bool of_messages =
        message_rate_ == 0 || record.messages.tokens() >= TokenBucket::capacity(message_rate_) / 2;
    return of_messages &&
           (byte_rate_ == 0 || record.bytes.tokens() >= TokenBucket::capacity(byte_rate_) / 2);
}

Throttle::Verdict Throttle::spend(std::uint32_t index, std::size_t bytes, Instant now) {
    Record& record = records_[index];
    Duration wait = Duration::zero();
    record.messages.refill(message_rate_, now);
    record.bytes.refill(byte_rate_, now);
    if (record.held_since != never && has_saved(record)) record.held_since = never;
    if (message_rate_ != 0) {
        record.messages.spend(1);
        wait = record.messages.time_to_pay(message_rate_);
    }
    if (byte_rate_ != 0) {
        record.bytes.spend(static_cast<double>(bytes));
        wait = std::max(wait, record.bytes.time_to_pay(byte_rate_));
    }
    if (wait == Duration::zero()) return Verdict::go_on;
    if (record.held_since == never) record.held_since = now;
    if (now - record.held_since >= patience_) return Verdict::close;
    const std::int64_t ahead = std::clamp<std::int64_t>(wait / tick + 1, 1, ticks_max);
    wheel_.schedule(index, static_cast<std::uint32_t>(ticks_of(now) + ahead));
    return Verdict::hold;
}

Instant Throttle::next_deadline() const {
    const std::uint32_t ticks = wheel_.ticks_to_next();
    if (ticks == UINT32_MAX) return never;
    return Instant(tick * (ticks_now_ + ticks));
}

void Throttle::release(Instant now, std::vector<std::uint32_t>& released) {
    ticks_now_ = ticks_of(now);
    wheel_.advance(static_cast<std::uint32_t>(ticks_now_),
                   [&](std::uint32_t index) { released.push_back(index); });
}

}  // namespace wspool::worker
