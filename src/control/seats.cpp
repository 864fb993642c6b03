#include "control/seats.h"

#include <nlohmann/json.hpp>

#include <array>

namespace wspool::control {
namespace {

using metrics::class_names;
using metrics::Seating;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;
using Json = nlohmann::ordered_json;

[[nodiscard]] double in_seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

MetricFamily& family(std::vector<MetricFamily>& out,
                     std::string_view name,
                     std::string_view help,
                     MetricType type) {
    MetricFamily& result = out.emplace_back();
    result.name = name;
    result.help = help;
    result.type = type;
    return result;
}

void add_sample(MetricFamily& family, Labels labels, double value) {
    ClientMetric& metric = family.metric.emplace_back();
    metric.label = std::move(labels);
    if (family.type == MetricType::Counter) {
        metric.counter.value = value;
    } else {
        metric.gauge.value = value;
    }
}

using PerPool = std::array<Seating::PerClass, metrics::seat_pools_max>;

void append_by_pool(MetricFamily& family,
                    std::span<const WorkerSeats> workers,
                    std::span<const SeatPoolFact> pools,
                    PerPool Seating::*field) {
    for (const WorkerSeats& worker : workers) {
        for (std::size_t p = 0; p < pools.size(); ++p) {
            for (std::size_t c = 0; c < metrics::class_count; ++c) {
                add_sample(family,
                           {{"worker", worker.worker},
                            {"pool", pools[p].name},
                            {"priority", std::string(class_names[c])}},
                           static_cast<double>((worker.seating.*field)[p][c]));
            }
        }
    }
}

template <class Reason, std::size_t count>
void append_by_name(MetricFamily& family,
                    std::string_view label,
                    std::span<const WorkerSeats> workers,
                    std::array<std::uint64_t, count> Seating::*field) {
    for (const WorkerSeats& worker : workers) {
        for (std::size_t i = 0; i < count; ++i) {
            add_sample(family,
                       {{"worker", worker.worker},
                        {std::string(label), std::string(name(static_cast<Reason>(i)))}},
                       static_cast<double>((worker.seating.*field)[i]));
        }
    }
}

void append_acquire_times(std::vector<MetricFamily>& out, std::span<const WorkerSeats> workers) {
    MetricFamily& times = family(out,
                                 "wspool_acquire_seconds",
                                 "Time from asking for a seat to having it, or to giving up.",
                                 MetricType::Histogram);
    for (const WorkerSeats& worker : workers) {
        ClientMetric& metric = times.metric.emplace_back();
        metric.label = {{"worker", worker.worker}};
        std::uint64_t below = 0;
        for (std::size_t i = 0; i < metrics::acquire_bounds.size(); ++i) {
            below += worker.seating.acquire_buckets[i];
            metric.histogram.bucket.push_back({below, in_seconds(metrics::acquire_bounds[i])});
        }
        metric.histogram.sample_count = below + worker.seating.acquire_buckets.back();
        metric.histogram.sample_sum =
            in_seconds(Duration(static_cast<Duration::rep>(worker.seating.acquire_time)));
    }
}

[[nodiscard]] Json by_class(const Seating::PerClass& values) {
    Json out = Json::object();
    for (std::size_t c = 0; c < metrics::class_count; ++c)
        out[std::string(class_names[c])] = values[c];
    return out;
}

[[nodiscard]] Json by_class(const PerPool& values) {
    Seating::PerClass sum{};
    for (const Seating::PerClass& pool : values) {
        for (std::size_t c = 0; c < metrics::class_count; ++c) sum[c] += pool[c];
    }
    return by_class(sum);
}

template <class Reason, std::size_t count>
[[nodiscard]] Json by_name(const std::array<std::uint64_t, count>& values) {
    Json out = Json::object();
    for (std::size_t i = 0; i < count; ++i)
        out[std::string(name(static_cast<Reason>(i)))] = values[i];
    return out;
}

}  // namespace

void append_seats(std::vector<MetricFamily>& out,
                  std::span<const WorkerSeats> workers,
                  std::span<const SeatPoolFact> pools,
                  Instant now) {
    append_by_pool(family(out, "wspool_connections", "Seats taken now.", MetricType::Gauge),
                   workers,
                   pools,
                   &Seating::seats);
    append_by_pool(
        family(out, "wspool_waiters", "Clients that wait for a seat now.", MetricType::Gauge),
        workers,
        pools,
        &Seating::waiters);
    MetricFamily& oldest = family(out,
                                  "wspool_oldest_wait_seconds",
                                  "How long who waits longest has waited.",
                                  MetricType::Gauge);
    for (const WorkerSeats& worker : workers)
        add_sample(
            oldest, {{"worker", worker.worker}}, in_seconds(worker.seating.oldest_wait(now)));
    append_acquire_times(out, workers);
    append_by_name<metrics::AcquireResult>(family(out,
                                                  "wspool_acquire_total",
                                                  "Requests for a seat, by what became of them.",
                                                  MetricType::Counter),
                                           "result",
                                           workers,
                                           &Seating::acquired);
    MetricFamily& preemptions = family(out,
                                       "wspool_preemptions_total",
                                       "Seats taken back from one priority for another.",
                                       MetricType::Counter);
    for (const WorkerSeats& worker : workers) {
        for (std::size_t from = 1; from < metrics::class_count; ++from) {
            for (std::size_t to = 0; to < from; ++to) {
                add_sample(preemptions,
                           {{"worker", worker.worker},
                            {"from", std::string(class_names[from])},
                            {"to", std::string(class_names[to])}},
                           static_cast<double>(worker.seating.preemptions[from][to]));
            }
        }
    }
    append_by_name<metrics::TicketUse>(
        family(out,
               "wspool_tickets_total",
               "Tickets that came back to a queue, by what became of them.",
               MetricType::Counter),
        "result",
        workers,
        &Seating::tickets);
}

Json seats_of(const Seating& seating,
              std::span<const SeatPoolFact> pools,
              std::uint64_t workers,
              Instant now) {
    Json out{{"byPriority", by_class(seating.seats)},
             {"waiting", by_class(seating.waiters)},
             {"oldestWait", in_seconds(seating.oldest_wait(now))},
             {"acquire", by_name<metrics::AcquireResult>(seating.acquired)}};
    Json preemptions = Json::object();
    for (std::size_t from = 1; from < metrics::class_count; ++from)
        preemptions[std::string(class_names[from])] = by_class(seating.preemptions[from]);
    out["preemptions"] = std::move(preemptions);
    out["tickets"] = by_name<metrics::TicketUse>(seating.tickets);
    Json list = Json::object();
    for (std::size_t p = 0; p < pools.size(); ++p) {
        list[pools[p].name] = {{"max", pools[p].seats_max * workers},
                               {"byPriority", by_class(seating.seats[p])},
                               {"waiting", by_class(seating.waiters[p])}};
    }
    out["pools"] = std::move(list);
    return out;
}

}  // namespace wspool::control
