// Bounds that change while the exchange runs.
#include "hub/exchange_state.h"

#include <algorithm>

namespace wspool::hub {

void Exchange::set_bounds(const ExchangeOptions& options, Instant now) {
    state_->set_bounds(options, now);
}

// A group whose rule kept nothing has at most what is unstable, which is in no list: with a rule
// that keeps, it belongs into one, or it would never grow old.
void Exchange::State::set_bounds(const ExchangeOptions& wanted, Instant now) {
    WSPOOL_ASSERT(wanted.history.size() == options.history.size());
    options.groups_per_member_max = wanted.groups_per_member_max;
    options.history_bytes_max = wanted.history_bytes_max;
    options.window_bytes = std::max(options.window_bytes, wanted.window_bytes);
    for (std::size_t rule = 0; rule < options.history.size(); ++rule) {
        WSPOOL_ASSERT(wanted.history[rule].prefix == options.history[rule].prefix);
        options.history[rule] = wanted.history[rule];
    }
    for (std::uint32_t index = 0; index < name_pool.end(); ++index) {
        if (!is_mine(names[index]) || !names[index].has_messages()) continue;
        trim(index, now);
        if (!names[index].history.is_linked) touch_history(index, now);
    }
    bound_history();
}

}  // namespace wspool::hub
