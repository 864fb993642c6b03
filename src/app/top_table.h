// What `wspool top` shows: the answers of the control API as a table of text. Pure.
//
// How it works: a sample is what one round of questions brought. Rates are the differences to the
// sample before; without one they are averages since the start of the worker. An answer may lack
// what an older or newer gateway does not tell: what is missing is shown as `-`, and a section
// without anything is left out.
#pragma once

#include "base/result.h"
#include "base/time.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::app {

// Bodies of the answers; empty: there was none.
struct TopAnswers {
    std::string_view stats;    // /api/stats
    std::string_view workers;  // /api/workers
    std::string_view groups;   // /api/groups
};

struct TopWorker {
    std::string name;   // "0", or "control"
    std::string state;  // empty: not told
    std::optional<std::uint64_t> incarnation, pid, connections, connections_max;
    std::optional<std::uint64_t> received, sent, bytes_in, bytes_out, dropped, queued, groups;
    std::optional<std::uint64_t> restarts;
    double uptime = 0;
};

struct TopPriority {
    std::string name;
    std::optional<std::uint64_t> seats, waiting, preempted;
};

struct TopPool {
    std::string name;
    std::optional<std::uint64_t> seats, seats_max, waiting;
};

struct TopGroup {
    std::string name;
    std::optional<std::uint64_t> members, offset, history;
};

struct TopSample {
    Instant at{};
    double uptime = 0;
    bool is_draining = false;
    std::optional<std::uint64_t> connections, connections_max, peak, rejected;
    std::vector<TopWorker> workers;
    std::vector<TopPriority> priorities;
    std::vector<TopPool> pools;
    std::vector<TopGroup> groups;  // of the first page, largest first
};

// An error when the answers about figures or workers are no JSON of a gateway.
[[nodiscard]] Result<TopSample> read_top(const TopAnswers& answers, Instant at);

// Lines without ends, none longer than `columns` characters, at most `rows`.
[[nodiscard]] std::vector<std::string> render_top(const TopSample& sample,
                                                  const TopSample* before,
                                                  std::size_t columns,
                                                  std::size_t rows);

}  // namespace wspool::app
