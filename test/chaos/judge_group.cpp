#include "judge_group.h"

#include <algorithm>

namespace wspool::chaos {
namespace {

// How far the order is looked at before a run's first message.
constexpr std::int64_t look_back_max = 1000;

}  // namespace

GroupJudge::GroupJudge(const Records& records,
                       const JudgeOptions& options,
                       const std::vector<bool>& publishers,
                       std::vector<Place>& places,
                       Violations& violations)
    : records_(records),
      options_(options),
      publishers_(publishers),
      places_(places),
      violations_(violations) {}

std::uint64_t GroupJudge::judge(std::vector<const Run*> runs) {
    // Those that are compared only come last; else who lived longest comes first.
    std::stable_sort(runs.begin(), runs.end(), [this](const Run* a, const Run* b) {
        if (publishes(*a) != publishes(*b)) return publishes(*b);
        return a->ended_at > b->ended_at;
    });
    for (const Run* run : runs) {
        check_twice(*run);
        check(*run);
    }
    check_ends();
    check_publishers();
    return deviations_;
}

std::string GroupJudge::who(const Run& run) const {
    return records_.clients[run.client] + " in " + records_.groups[run.group] +
           (run.is_live() ? "" : " (disconnected later)");
}

std::string GroupJudge::what(MessageIndex message) const {
    return "message " + std::to_string(message) + " of " +
           records_.clients[records_.sender_of(message)];
}

void GroupJudge::append(std::uint32_t segment, MessageIndex message) {
    places_[message] = {segment, segments_[segment].end()};
    segments_[segment].order.push_back(message);
}

void GroupJudge::prepend(std::uint32_t segment, MessageIndex message) {
    segments_[segment].order.push_front(message);
    places_[message] = {segment, --segments_[segment].first};
}

// The place of the next message that this run is sent, from `place` on.
Place GroupJudge::skip_own(const Run& run, Place place) const {
    const Segment& segment = segments_[place.segment];
    while (place.index < segment.end() && is_own(run, segment.at(place.index))) ++place.index;
    return place;
}

void GroupJudge::check_twice(const Run& run) {
    std::vector<MessageIndex> messages;
    messages.reserve(run.seen.size());
    for (const Seen& seen : run.seen) messages.push_back(seen.message);
    std::sort(messages.begin(), messages.end());
    const auto twice = std::adjacent_find(messages.begin(), messages.end());
    if (twice != messages.end())
        violations_.add("twice", who(run) + " got " + what(*twice) + " twice");
}

void GroupJudge::check(const Run& run) {
    const std::optional<std::size_t> begin = find_begin(run);
    if (!begin) {
        if (run.is_live()) live_.push_back({&run, {}});
        return;
    }
    Place next = places_[run.seen[*begin].message];
    if (*begin == 0) check_start(run, next);
    for (std::size_t i = *begin; i < run.seen.size(); ++i) {
        next = skip_own(run, next);
        if (step(run, run.seen[i], next)) continue;
        ++deviations_;
        break;
    }
    if (run.is_live()) live_.push_back({&run, next});
    if (!publishes(run)) compared_.push_back(&run);
}

// Finds where the run lies in the order, and prolongs the order at its front. None: nowhere.
std::optional<std::size_t> GroupJudge::find_begin(const Run& run) {
    const auto& seen = run.seen;
    std::size_t known = 0;
    while (known < seen.size() && places_[seen[known].message].segment == none) ++known;
    if (known == seen.size()) return begin_segment(run);
    const Place place = places_[seen[known].message];
    if (known == 0 || publishes(run)) return known;
    const bool is_firm = !is_tail(run, seen[known - 1]);
    if (place.index == segments_[place.segment].first && is_firm) {
        for (std::size_t i = known; i-- > 0;) prepend(place.segment, seen[i].message);
        return 0;
    }
    if (is_firm) {
        violations_.add("order",
                        who(run) + " got " + what(seen[known - 1].message) + " before " +
                            what(seen[known].message) + ", where others got nothing or another");
    } else {
        ++deviations_;
    }
    return known;
}

std::optional<std::size_t> GroupJudge::begin_segment(const Run& run) {
    if (run.seen.empty() || publishes(run) || is_tail(run, run.seen.front())) return std::nullopt;
    const auto firm = std::find_if(
        run.seen.rbegin(), run.seen.rend(), [&](const Seen& seen) { return !is_tail(run, seen); });
    const Instant sent_at = records_.messages[firm->message].sent_at;
    for (const Run* other : compared_) {
        if (other->joined_at >= sent_at) continue;
        violations_.add(
            "missing",
            who(*other) + " got none of what " + who(run) + " got, as " + what(firm->message));
        break;
    }
    segments_.emplace_back();
    append(static_cast<std::uint32_t>(segments_.size() - 1), run.seen.front().message);
    return 0;
}

// From its join on a member gets everything: what stands before `begin`, its first message or the
// end of the order that is known first, was sent before it had joined.
void GroupJudge::check_start(const Run& run, const Place& begin) {
    if (segments_.empty()) return;
    const Segment& segment = segments_[begin.segment];
    for (std::int64_t i = std::max(segment.first, begin.index - look_back_max); i < begin.index;
         ++i) {
        const MessageIndex message = segment.at(i);
        if (is_own(run, message) || records_.messages[message].sent_at <= run.joined_at) continue;
        violations_.add(
            "missing",
            who(run) + " did not get " + what(message) + ", which was sent after it had joined");
        return;
    }
}

// One message of a run; `next` is where it should be, and then what follows it. False: the run's
// tail deviates, and the rest of it tells nothing.
bool GroupJudge::step(const Run& run, const Seen& seen, Place& next) {
    const Segment& segment = segments_[next.segment];
    const Place place = places_[seen.message];
    const bool is_known = place.segment != none;
    if (next.index == segment.end()) {
        if (!is_known) {
            // Of others nobody can tell whether they lack it: they were disconnected before.
            if (publishes(run) || is_tail(run, seen)) return true;
            append(next.segment, seen.message);
            ++next.index;
            return true;
        }
        if (place.segment != next.segment) {
            const Place begin{place.segment, segments_[place.segment].first};
            if (skip_own(run, begin).index == place.index) next = place;
        }
    }
    if (is_known && place.segment == next.segment && place.index == next.index) {
        ++next.index;
        return true;
    }
    if (is_tail(run, seen)) return false;
    complain_of_step(run, seen, next);
    const bool is_ahead = is_known && (place.segment != next.segment || place.index > next.index);
    if (is_ahead) next = {place.segment, place.index + 1};
    return true;
}

void GroupJudge::complain_of_step(const Run& run, const Seen& seen, const Place& next) {
    const Segment& segment = segments_[next.segment];
    const Place place = places_[seen.message];
    if (place.segment == next.segment && place.index > next.index) {
        violations_.add("missing",
                        who(run) + " missed " + std::to_string(place.index - next.index) +
                            " messages, the first of them " + what(segment.at(next.index)) +
                            ", before it got " + what(seen.message));
        return;
    }
    violations_.add(
        "order",
        who(run) + " got " + what(seen.message) + " where others got " +
            (next.index < segment.end() ? what(segment.at(next.index)) : "nothing more"));
}

void GroupJudge::check_ends() {
    for (const LiveEnd& live : live_) {
        if (live.next.segment == none) {
            check_start(*live.run, Place{0, segments_.empty() ? 0 : segments_[0].end()});
            continue;
        }
        const Place next = skip_own(*live.run, live.next);
        const Segment& segment = segments_[next.segment];
        if (next.index >= segment.end()) continue;
        violations_.add("missing",
                        who(*live.run) + " did not get the last " +
                            std::to_string(segment.end() - next.index) +
                            " messages, the first of them " + what(segment.at(next.index)));
    }
}

// What one connection published stands in the order in which it was sent.
void GroupJudge::check_publishers() {
    for (const Segment& segment : segments_) {
        std::unordered_map<ConnectionIndex, MessageIndex> last;
        for (const MessageIndex message : segment.order) {
            MessageIndex& before =
                last.try_emplace(records_.messages[message].sender, message).first->second;
            if (message < before) {
                violations_.add("order",
                                what(message) + " has its place behind message " +
                                    std::to_string(before) + ", which was sent later");
            }
            before = std::max(before, message);
        }
    }
}

}  // namespace wspool::chaos
