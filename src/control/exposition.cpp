#include "control/exposition.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace wspool::control {
namespace {

using metrics::BlockSnapshot;
using metrics::ProcessState;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Block {
    std::string label;
    BlockSnapshot snapshot;
};

void add(MetricFamily& family, std::vector<ClientMetric::Label> labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    if (family.type == MetricType::Counter) {
        metric.counter.value = value;
    } else {
        metric.gauge.value = value;
    }
    family.metric.push_back(std::move(metric));
}

MetricFamily make_family(std::string_view name, std::string_view help, bool is_gauge) {
    MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = is_gauge ? MetricType::Gauge : MetricType::Counter;
    return family;
}

template <class Value>
MetricFamily per_block(std::string_view name,
                       std::string_view help,
                       bool is_gauge,
                       const std::vector<Block>& blocks,
                       Value value) {
    MetricFamily family = make_family(name, help, is_gauge);
    for (const Block& block : blocks) {
        add(family, {{"worker", block.label}}, static_cast<double>(value(block.snapshot)));
    }
    return family;
}

void append_counters(std::vector<MetricFamily>& out, const std::vector<Block>& workers) {
    const std::size_t first = out.size();
    for (const Block& worker : workers) {
        std::size_t at = first;
        for (const metrics::Family& family : metrics::families(worker.snapshot.counters)) {
            if (at == out.size()) {
                out.push_back(make_family(family.name, family.help, family.is_gauge));
            }
            for (const auto& sample : family.samples) {
                std::vector<ClientMetric::Label> labels = {{"worker", worker.label}};
                if (!family.kind.empty()) labels.push_back({"kind", std::string(family.kind)});
                if (!sample.reason.empty())
                    labels.push_back({std::string(family.label), std::string(sample.reason)});
                add(out[at], std::move(labels), static_cast<double>(sample.value));
            }
            ++at;
        }
    }
}

void append_lives(std::vector<MetricFamily>& out, const std::vector<Block>& blocks, Instant now) {
    out.push_back(per_block("wspool_worker_up",
                            "1 while the process serves, also while it drains.",
                            true,
                            blocks,
                            [](const BlockSnapshot& s) {
                                return s.life.state == ProcessState::ready ||
                                       s.life.state == ProcessState::draining;
                            }));
    out.push_back(per_block("wspool_worker_restarts_total",
                            "Times that the process was replaced.",
                            false,
                            blocks,
                            [](const BlockSnapshot& s) { return s.life.restarts; }));
    out.push_back(per_block("wspool_worker_crash_loops_total",
                            "Times that a start was put off because the process died too often.",
                            false,
                            blocks,
                            [](const BlockSnapshot& s) { return s.life.crash_loops; }));
    out.push_back(per_block("wspool_worker_heartbeat_age_seconds",
                            "Time since the last sign of life.",
                            true,
                            blocks,
                            [now](const BlockSnapshot& s) {
                                if (s.heartbeat == Instant{}) return 0.0;
                                const std::chrono::duration<double> age = now - s.heartbeat;
                                return std::max(0.0, age.count());
                            }));
}

}  // namespace

std::string expose(const metrics::Page& page,
                   std::uint64_t connections_max_per_worker,
                   std::span<const SeatPoolFact> pools,
                   Instant now) {
    std::vector<Block> workers;
    for (std::size_t place = 0; place < page.worker_count(); ++place) {
        workers.push_back({std::to_string(place), page.snapshot(place)});
    }
    std::vector<WorkerSeats> seats;
    seats.reserve(workers.size());
    for (const Block& worker : workers)
        seats.push_back({worker.label, worker.snapshot.counters.seating});
    std::vector<MetricFamily> families;
    append_seats(families, seats, pools, now);
    append_counters(families, workers);
    families.push_back(per_block("wspool_connections_max",
                                 "The most connections that are admitted.",
                                 true,
                                 workers,
                                 [=](const BlockSnapshot&) { return connections_max_per_worker; }));
    workers.push_back({"control", page.snapshot(page.control_place())});
    append_lives(families, workers, now);
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace wspool::control
