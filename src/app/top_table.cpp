#include "app/top_table.h"

#include "app/log.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace wspool::app {
namespace {

using Json = nlohmann::json;
using Count = std::optional<std::uint64_t>;
using Row = std::vector<std::string>;

// ---- reading

// The member at the end of `path`, null where one of them is missing.
const Json& at(const Json& from, std::initializer_list<const char*> path) {
    static const Json missing;
    const Json* value = &from;
    for (const char* name : path) {
        if (!value->is_object()) return missing;
        const auto found = value->find(name);
        if (found == value->end()) return missing;
        value = &*found;
    }
    return *value;
}

Count count(const Json& from, std::initializer_list<const char*> path) {
    const Json& value = at(from, path);
    if (!value.is_number_unsigned()) return std::nullopt;
    return value.get<std::uint64_t>();
}

// The sum of an object's members.
Count sum(const Json& from) {
    if (!from.is_object()) return std::nullopt;
    std::uint64_t total = 0;
    for (const auto& [name, value] : from.items()) {
        if (value.is_number_unsigned()) total += value.get<std::uint64_t>();
    }
    return total;
}

double number(const Json& from, const char* name) {
    const Json& value = at(from, {name});
    const double result = value.is_number() ? value.get<double>() : 0.0;
    return std::isfinite(result) ? result : 0.0;
}

// What a gateway says is shown on a terminal: no byte of it may steer that.
std::string text(const Json& value) {
    return value.is_string() ? escape_for_terminal(value.get<std::string>(), 80) : std::string();
}

Json parse(std::string_view body) {
    return Json::parse(body, nullptr, false);
}

TopWorker read_worker(const Json& from, std::string name) {
    TopWorker worker;
    worker.name = std::move(name);
    worker.state = text(at(from, {"state"}));
    worker.incarnation = count(from, {"incarnation"});
    worker.pid = count(from, {"pid"});
    worker.connections = count(from, {"connections", "current"});
    worker.connections_max = count(from, {"connections", "max"});
    worker.received = count(from, {"messages", "received"});
    worker.sent = count(from, {"messages", "sent"});
    worker.bytes_in = count(from, {"bytes", "received"});
    worker.bytes_out = count(from, {"bytes", "sent"});
    worker.dropped = count(from, {"messages", "dropped"});
    worker.queued = count(from, {"messages", "queued"});
    worker.groups = count(from, {"groups"});
    worker.restarts = count(from, {"restarts"});
    worker.uptime = number(from, "uptime");
    return worker;
}

void read_seats(const Json& stats, TopSample& sample) {
    // In their own order; the members of an object come in that of the alphabet.
    for (const char* name : {"critical", "high", "normal", "low"}) {
        TopPriority priority;
        priority.name = name;
        priority.seats = count(stats, {"byPriority", name});
        priority.waiting = count(stats, {"waiting", name});
        priority.preempted = sum(at(stats, {"preemptions", name}));
        if (priority.seats || priority.waiting) sample.priorities.push_back(std::move(priority));
    }
    const Json& pools = at(stats, {"pools"});
    if (!pools.is_object()) return;
    for (const auto& [name, pool] : pools.items()) {
        sample.pools.push_back({escape_for_terminal(name, 80),
                                sum(at(pool, {"byPriority"})),
                                count(pool, {"max"}),
                                sum(at(pool, {"waiting"}))});
    }
}

void read_groups(const Json& from, std::vector<TopGroup>& groups) {
    if (!from.is_array()) return;
    for (const Json& one : from) {
        groups.push_back({text(at(one, {"group"})),
                          count(one, {"members"}),
                          count(one, {"offset"}),
                          count(one, {"history"})});
    }
    std::stable_sort(groups.begin(), groups.end(), [](const TopGroup& a, const TopGroup& b) {
        return a.members.value_or(0) > b.members.value_or(0);
    });
}

// ---- writing

std::string show(const Count& value) {
    return value ? fmt::format("{}", *value) : "-";
}

std::string show_rate(double value) {
    if (value < 9.95) return fmt::format("{:.1f}", value);
    if (value < 9'999.5) return fmt::format("{:.0f}", value);
    if (value < 9'999'500) return fmt::format("{:.0f}k", value / 1'000);
    return fmt::format("{:.0f}M", value / 1'000'000);
}

std::string show_duration(double seconds) {
    const auto whole = static_cast<std::uint64_t>(std::clamp(seconds, 0.0, 1e12));
    if (whole < 60) return fmt::format("{}s", whole);
    if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
    if (whole < 24 * 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
    return fmt::format("{}d{:02}h", whole / 86'400, whole / 3600 % 24);
}

// Per second: since `before`, or since the start. A process that was replaced began at zero.
class Rates {
  public:
    Rates(const TopWorker& now, const TopWorker* before, double passed)
        : before_(before != nullptr && before->incarnation == now.incarnation ? before : nullptr),
          now_(now),
          passed_(before_ != nullptr ? passed : now.uptime) {}

    [[nodiscard]] std::string show(Count TopWorker::*figure) const {
        const Count& value = now_.*figure;
        if (!value) return "-";
        const std::uint64_t from = before_ != nullptr ? (before_->*figure).value_or(0) : 0;
        const std::uint64_t grown = *value > from ? *value - from : 0;
        return show_rate(passed_ > 0 ? static_cast<double>(grown) / passed_ : 0.0);
    }

  private:
    const TopWorker* before_;
    const TopWorker& now_;
    double passed_;
};

const TopWorker* find(const TopSample* sample, const std::string& name) {
    if (sample == nullptr) return nullptr;
    const auto found = std::find_if(sample->workers.begin(),
                                    sample->workers.end(),
                                    [&](const TopWorker& worker) { return worker.name == name; });
    return found == sample->workers.end() ? nullptr : &*found;
}

// Columns as wide as what is in them; all but the first are numbers and flush right.
void add_table(std::vector<std::string>& lines, const std::vector<Row>& rows) {
    std::vector<std::size_t> widths(rows.front().size(), 0);
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    if (!lines.empty()) lines.emplace_back();
    for (const Row& row : rows) {
        std::string line = fmt::format("{:<{}}", row[0], widths[0]);
        for (std::size_t i = 1; i < row.size(); ++i) {
            line += fmt::format("  {:>{}}", row[i], widths[i]);
        }
        lines.push_back(std::move(line));
    }
}

void add_workers(std::vector<std::string>& lines, const TopSample& now, const TopSample* before) {
    if (now.workers.empty()) return;
    const double passed =
        before == nullptr ? 0 : std::chrono::duration<double>(now.at - before->at).count();
    std::vector<Row> rows = {{"WORKER",
                              "STATE",
                              "PID",
                              "UP",
                              "CONNS",
                              "MAX",
                              "IN/s",
                              "OUT/s",
                              "IN B/s",
                              "OUT B/s",
                              "DROPPED",
                              "QUEUED",
                              "GROUPS",
                              "RESTARTS"}};
    for (const TopWorker& worker : now.workers) {
        const Rates rates(worker, find(before, worker.name), passed);
        rows.push_back({worker.name,
                        worker.state.empty() ? "-" : worker.state,
                        show(worker.pid),
                        show_duration(worker.uptime),
                        show(worker.connections),
                        show(worker.connections_max),
                        rates.show(&TopWorker::received),
                        rates.show(&TopWorker::sent),
                        rates.show(&TopWorker::bytes_in),
                        rates.show(&TopWorker::bytes_out),
                        show(worker.dropped),
                        show(worker.queued),
                        show(worker.groups),
                        show(worker.restarts)});
    }
    add_table(lines, rows);
}

void add_seats(std::vector<std::string>& lines, const TopSample& now) {
    if (!now.priorities.empty()) {
        std::vector<Row> rows = {{"PRIORITY", "SEATS", "WAITING", "PREEMPTED"}};
        for (const TopPriority& priority : now.priorities) {
            rows.push_back({priority.name,
                            show(priority.seats),
                            show(priority.waiting),
                            show(priority.preempted)});
        }
        add_table(lines, rows);
    }
    if (now.pools.empty()) return;
    std::vector<Row> rows = {{"POOL", "SEATS", "MAX", "WAITING"}};
    for (const TopPool& pool : now.pools) {
        rows.push_back({pool.name, show(pool.seats), show(pool.seats_max), show(pool.waiting)});
    }
    add_table(lines, rows);
}

void add_groups(std::vector<std::string>& lines, const TopSample& now) {
    if (now.groups.empty()) return;
    std::vector<Row> rows = {{"GROUP", "MEMBERS", "OFFSET", "HISTORY"}};
    for (const TopGroup& group : now.groups) {
        rows.push_back({group.name, show(group.members), show(group.offset), show(group.history)});
    }
    add_table(lines, rows);
}

// Cuts at a whole character: half of one would break the next line's beginning.
void cut(std::string& line, std::size_t columns) {
    std::size_t characters = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const bool is_begin = (static_cast<unsigned char>(line[i]) & 0xC0) != 0x80;
        if (is_begin && ++characters > columns) return line.resize(i);
    }
}

}  // namespace

Result<TopSample> read_top(const TopAnswers& answers, Instant at_time) {
    const Json stats = at(parse(answers.stats), {"result"});
    const Json workers = at(parse(answers.workers), {"result"});
    if (!stats.is_object() || !workers.is_object()) {
        return fail("the answers of /api/stats and /api/workers are not those of a gateway");
    }
    TopSample sample;
    sample.at = at_time;
    sample.uptime = number(stats, "uptime");
    sample.is_draining = at(stats, {"draining"}) == Json(true);
    sample.connections = count(stats, {"connections", "current"});
    sample.connections_max = count(stats, {"connections", "max"});
    sample.peak = count(stats, {"connections", "peak"});
    sample.rejected = count(stats, {"connections", "rejected"});
    const Json& list = at(workers, {"workers"});
    if (list.is_array()) {
        for (const Json& one : list) {
            sample.workers.push_back(read_worker(one, show(count(one, {"worker"}))));
        }
    }
    if (at(workers, {"control"}).is_object()) {
        sample.workers.push_back(read_worker(at(workers, {"control"}), "control"));
    }
    read_seats(stats, sample);
    if (!answers.groups.empty()) {
        const Json groups = parse(answers.groups);
        read_groups(at(groups, {"result", "groups"}), sample.groups);
    }
    return sample;
}

std::vector<std::string> render_top(const TopSample& sample,
                                    const TopSample* before,
                                    std::size_t columns,
                                    std::size_t rows) {
    std::vector<std::string> lines;
    lines.push_back(fmt::format("up {}{}  connections {} of {}  peak {}  rejected {}",
                                show_duration(sample.uptime),
                                sample.is_draining ? "  DRAINING" : "",
                                show(sample.connections),
                                show(sample.connections_max),
                                show(sample.peak),
                                show(sample.rejected)));
    add_workers(lines, sample, before);
    add_seats(lines, sample);
    add_groups(lines, sample);
    if (lines.size() > rows) lines.resize(rows);
    for (std::string& line : lines) cut(line, columns);
    return lines;
}

}  // namespace wspool::app
