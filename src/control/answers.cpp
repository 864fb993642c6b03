#include "control/answers.h"

#include "base/assert.h"
#include "control/exposition.h"
#include "http/head.h"

#include <algorithm>
#include <array>

namespace wspool::control {
namespace {

using metrics::BlockSnapshot;
using metrics::Counters;
using metrics::Page;
using metrics::ProcessState;
constexpr std::string_view prometheus_type = "text/plain; version=0.0.4; charset=utf-8";

[[nodiscard]] double seconds_between(Instant from, Instant to) {
    const std::chrono::duration<double> passed = to - from;
    return std::max(0.0, passed.count());
}

template <class Reason>
[[nodiscard]] Json by_reason(const metrics::PerReason<Reason>& values) {
    Json out = Json::object();
    for (std::size_t i = 0; i < values.size(); ++i) {
        out[std::string(name(static_cast<Reason>(i)))] = values[i];
    }
    return out;
}

template <class Reason>
[[nodiscard]] std::uint64_t total(const metrics::PerReason<Reason>& values) {
    std::uint64_t sum = 0;
    for (const std::uint64_t value : values) sum += value;
    return sum;
}

[[nodiscard]] bool is_draining(const Facts& facts) {
    const Page& page = facts.page;
    return facts.is_drain_asked || page.life(page.master_place()).state == ProcessState::draining;
}

[[nodiscard]] Json connections_of(const Counters& c, std::uint64_t max) {
    const double utilization =
        max == 0 ? 0.0
                 : 100.0 * static_cast<double>(c.seating.seats_taken()) / static_cast<double>(max);
    return {{"current", c.seating.seats_taken()},
            {"max", max},
            {"free", max - std::min(max, c.seating.seats_taken())},
            {"peak", c.connections_peak},
            {"created", c.connections_opened},
            {"closed", total<metrics::CloseReason>(c.connections_closed)},
            {"rejected", total<metrics::RejectReason>(c.connections_rejected)},
            {"utilization", utilization}};
}

[[nodiscard]] Json figures_of(const Counters& c, std::uint64_t max) {
    return {{"connections", connections_of(c, max)},
            {"messages",
             {{"received", c.messages_received},
              {"sent", c.messages_sent},
              {"bad", c.bad_messages},
              {"accepted", c.accepted},
              {"delivered", c.delivered},
              {"dropped", total<metrics::DropReason>(c.dropped)},
              {"queued", c.queued}}},
            {"bytes",
             {{"received", c.bytes_received}, {"sent", c.bytes_sent}, {"outbox", c.outbox_bytes}}},
            {"groups", c.groups}};
}

[[nodiscard]] Json last_death(const metrics::Life& life, Instant now) {
    if (life.death == metrics::DeathKind::none) return nullptr;
    return {{"kind", metrics::name(life.death)},
            {"detail", life.death_detail},
            {"secondsAgo", seconds_between(life.died_at, now)}};
}

[[nodiscard]] Json life_of(const BlockSnapshot& snapshot, Instant now) {
    const metrics::Life& life = snapshot.life;
    const bool is_living = life.pid != 0;
    return {{"state", metrics::name(life.state)},
            {"pid", life.pid},
            {"incarnation", life.incarnation},
            {"restarts", life.restarts},
            {"crashLoops", life.crash_loops},
            {"uptime", is_living ? seconds_between(life.started_at, now) : 0.0},
            {"heartbeatAge",
             snapshot.heartbeat == Instant{} ? 0.0 : seconds_between(snapshot.heartbeat, now)},
            {"lastDeath", last_death(life, now)}};
}

[[nodiscard]] Answer workers(const Facts& facts) {
    const Page& page = facts.page;
    Json list = Json::array();
    for (std::size_t place = 0; place < page.worker_count(); ++place) {
        const BlockSnapshot snapshot = page.snapshot(place);
        Json one{{"worker", place}};
        one.update(life_of(snapshot, facts.now));
        one.update(figures_of(snapshot.counters, facts.connections_max_per_worker));
        one.update(seats_of(snapshot.counters.seating, facts.pools, 1, facts.now));
        list.push_back(std::move(one));
    }
    Json control = life_of(page.snapshot(page.control_place()), facts.now);
    return result({{"workers", std::move(list)}, {"control", std::move(control)}});
}

[[nodiscard]] Json rate(std::uint64_t count, double seconds) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
}

// Those who did not get in: for want of time, for want of room, and for whatever else.
[[nodiscard]] Json errors_of(const Counters& c) {
    using metrics::RejectReason;
    const auto rejected = [&](RejectReason reason) {
        return c.connections_rejected[static_cast<std::size_t>(reason)];
    };
    const std::uint64_t timeout = rejected(RejectReason::timeout);
    const std::uint64_t capacity =
        rejected(RejectReason::capacity) + rejected(RejectReason::descriptors);
    const std::uint64_t all = total<RejectReason>(c.connections_rejected);
    return {{"timeout", timeout}, {"capacity", capacity}, {"other", all - timeout - capacity}};
}

[[nodiscard]] Answer stats(const Facts& facts) {
    const Page& page = facts.page;
    const Counters sum = page.sum_of_workers();
    const double uptime = seconds_between(page.life(page.master_place()).started_at, facts.now);
    Json out{
        {"uptime", uptime}, {"workers", page.worker_count()}, {"draining", is_draining(facts)}};
    out.update(figures_of(sum, facts.connections_max_per_worker * page.worker_count()));
    out.update(seats_of(sum.seating, facts.pools, page.worker_count(), facts.now));
    out["throughput"] = {{"messagesPerSecond", rate(sum.messages_received, uptime)},
                         {"bytesPerSecond", rate(sum.bytes_received, uptime)},
                         {"messagesOutPerSecond", rate(sum.messages_sent, uptime)},
                         {"bytesOutPerSecond", rate(sum.bytes_sent, uptime)},
                         {"messagesIn", sum.messages_received},
                         {"messagesOut", sum.messages_sent},
                         {"bytesIn", sum.bytes_received},
                         {"bytesOut", sum.bytes_sent}};
    out["errors"] = errors_of(sum);
    out["closedBy"] = by_reason<metrics::CloseReason>(sum.connections_closed);
    out["rejectedBy"] = by_reason<metrics::RejectReason>(sum.connections_rejected);
    out["droppedBy"] = by_reason<metrics::DropReason>(sum.dropped);
    return result(std::move(out));
}

// Ready is who takes clients: every worker serves, and nobody was asked to drain.
[[nodiscard]] Answer readiness(const Facts& facts) {
    const Page& page = facts.page;
    if (is_draining(facts)) {
        return {503, http::plain_text, "draining\n", {}};
    }
    for (std::size_t place = 0; place < page.worker_count(); ++place) {
        const ProcessState state = page.life(place).state;
        if (state == ProcessState::ready) return {200, http::plain_text, "ready\n", {}};
    }
    return {503, http::plain_text, "no worker serves\n", {}};
}

}  // namespace

bool is_page_path(std::string_view path) {
    constexpr std::array<std::string_view, 5> paths = {
        "/healthz", "/readyz", "/metrics", "/api/stats", "/api/workers"};
    return std::find(paths.begin(), paths.end(), path) != paths.end();
}

Answer answer_from_page(std::string_view path, const Facts& facts) {
    WSPOOL_ASSERT(is_page_path(path));
    // This process answers: that is all the question is about.
    if (path == "/healthz") return {200, http::plain_text, "ok\n", {}};
    if (path == "/readyz") return readiness(facts);
    if (path == "/api/stats") return stats(facts);
    if (path == "/api/workers") return workers(facts);
    return {200,
            prometheus_type,
            expose(facts.page, facts.connections_max_per_worker, facts.pools, facts.now),
            {}};
}

}  // namespace wspool::control
