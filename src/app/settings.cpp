#include "app/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <numeric>

namespace wspool::app {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t gib = 1024 * mib;

constexpr std::array<std::string_view, 3> duplicate_names = {"replace", "reject", "allow"};
constexpr std::array<std::string_view, 3> io_names = {"auto", "uring", "epoll"};
constexpr std::array<std::string_view, 2> auth_names = {"none", "jwt"};
constexpr std::array<std::string_view, 2> refuse_names = {"http", "close"};
constexpr std::array<std::string_view, 4> level_names = {"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 2> format_names = {"text", "json"};

// Bounds: the least is what still works, the most is what the types and the kernel below can take
// (1 GiB of message, 2^31 of buffer, 1,024 levels of JSON, 255 tokens of control frames) or what no
// one means (a day of waiting for a handshake).
#define FIELD(path) ([](Config & c) -> auto& { return c.path; })
#define CHOOSE(path, Enum)                                             \
    ([](Config& c, std::size_t i) { c.path = static_cast<Enum>(i); }), \
        ([](const Config& c) { return static_cast<std::size_t>(c.path); })
const Setting table[] = {
    {"server",
     "listen",
     AddressesKind{FIELD(server.listen)},
     "listen",
     "Where clients connect: ADDR:PORT, [ADDR]:PORT or unix:/path; may be repeated"},
    {"server",
     "workers",
     CountKind{FIELD(server.workers), 1, 256, "auto"},
     "workers",
     "Worker processes; \"auto\" for one per core"},
    {"server",
     "single_process",
     FlagKind{FIELD(server.single_process)},
     "single-process",
     "One worker in the program's own process, without master and control API; for debuggers"},
    {"server",
     "duplicate_id",
     ChoiceKind{duplicate_names, CHOOSE(server.duplicate_id, hub::DuplicateId)},
     "duplicate-id",
     "A second connection of the same id: replace, reject or allow"},
    {"server",
     "io",
     ChoiceKind{io_names, CHOOSE(server.io, io::LoopChoice)},
     "io",
     "Event loop: auto, uring or epoll"},
    {"server",
     "batch_wait",
     DurationKind{FIELD(server.batch_wait), microseconds(1), milliseconds(10), true},
     "batch-wait",
     "Under load, wait up to this long for more work per system call; \"off\" for none"},
    {"server", "echo", FlagKind{FIELD(server.echo)}, "echo", "Add the raw echo endpoint at /echo"},
    {"server",
     "drain_time",
     DurationKind{FIELD(server.drain_time), milliseconds(1), hours(24)},
     "drain-time",
     "Spread the closing of clients over this long when draining"},

    {"limits",
     "max_message_size",
     SizeKind{FIELD(limits.max_message_size), 1, gib},
     "max-message-size",
     "Largest message a client may send"},
    {"limits",
     "max_connections_per_worker",
     CountKind{FIELD(limits.max_connections_per_worker), 1, 10'000'000},
     "max-connections",
     "Most connections per worker"},
    {"limits", "outbox", SizeKind{FIELD(limits.outbox), 4 * kib, gib}},
    {"limits", "send_buffer", SizeKind{FIELD(limits.send_buffer), 4 * kib, 256 * mib, true}},
    {"limits", "link_memory", SizeKind{FIELD(limits.link_memory), mib, 1024 * gib}},
    {"limits", "json_depth", CountKind{FIELD(limits.json_depth), 1, 1024}},
    {"limits", "bad_messages", CountKind{FIELD(limits.bad_messages), 1, 1'000'000}},
    {"limits", "groups_per_client", CountKind{FIELD(limits.groups_per_client), 1, 1'000'000}},
    {"limits", "head_size", SizeKind{FIELD(limits.head_size), 512, mib}},
    {"limits", "head_fields", CountKind{FIELD(limits.head_fields), 8, 10'000}},
    {"limits", "fragments", CountKind{FIELD(limits.fragments), 1, 1'000'000'000}},
    {"limits", "control_frames", CountKind{FIELD(limits.control_frames), 1, 1'000'000}},
    {"limits", "control_frames_burst", CountKind{FIELD(limits.control_frames_burst), 1, 255}},
    {"limits",
     "handshake_timeout",
     DurationKind{FIELD(limits.handshake_timeout), milliseconds(1), hours(24)}},
    {"limits",
     "frame_timeout",
     DurationKind{FIELD(limits.frame_timeout), milliseconds(1), hours(24)}},
    {"limits",
     "message_timeout",
     DurationKind{FIELD(limits.message_timeout), milliseconds(1), hours(24)}},
    {"limits",
     "write_timeout",
     DurationKind{FIELD(limits.write_timeout), milliseconds(1), hours(24)}},
    {"limits",
     "close_timeout",
     DurationKind{FIELD(limits.close_timeout), milliseconds(1), hours(24)}},
    {"limits", "rate", RateKind{FIELD(limits.rate), 1'000'000}},
    {"limits", "rate_bytes", SizeKind{FIELD(limits.rate_bytes), kib, gib, true}},
    {"limits",
     "connections_per_ip",
     CountKind{FIELD(limits.connections_per_ip), 1, 10'000'000, "off"}},
    {"limits", "connect_rate_per_ip", RateKind{FIELD(limits.connect_rate_per_ip), 1'000'000}},

    {"admission", "shares", SharesKind{FIELD(admission.shares)}},
    {"admission", "max_waiters", CountKind{FIELD(admission.max_waiters), 0, 1'000'000}},
    {"admission",
     "wait_timeout",
     DurationsKind{FIELD(admission.wait_timeout), milliseconds(0), hours(24)}},
    {"admission", "refuse", ChoiceKind{refuse_names, CHOOSE(admission.refuse, worker::RefuseWay)}},
    {"admission", "grace", DurationKind{FIELD(admission.grace), milliseconds(0), hours(24)}},
    {"admission", "min_hold", DurationKind{FIELD(admission.min_hold), milliseconds(0), hours(24)}},
    {"admission",
     "reconnect_delay",
     DurationKind{FIELD(admission.reconnect_delay), milliseconds(0), hours(24)}},
    {"admission",
     "idle_after",
     DurationKind{FIELD(admission.idle_after), milliseconds(0), hours(24)}},
    {"admission", "preemption_percent", CountKind{FIELD(admission.preemption_percent), 0, 100}},
    {"admission",
     "ticket_time",
     DurationKind{FIELD(admission.ticket_time), milliseconds(1), hours(24)}},

    {"keepalive",
     "ping_interval",
     DurationKind{FIELD(keepalive.ping_interval), milliseconds(1), hours(24), true}},
    {"keepalive",
     "pong_timeout",
     DurationKind{FIELD(keepalive.pong_timeout), milliseconds(1), hours(24)}},

    {"compression", "enabled", FlagKind{FIELD(compression.enabled)}},
    {"compression", "min_size", SizeKind{FIELD(compression.min_size), 0, gib}},

    {"history", "messages", CountKind{FIELD(history.messages), 0, 1'000'000}},
    {"history", "bytes", SizeKind{FIELD(history.bytes), kib, gib}},
    {"history", "total", SizeKind{FIELD(history.total), kib, 1024 * gib}},
    {"history", "age", DurationKind{FIELD(history.age), milliseconds(1), hours(24)}},

    {"control",
     "address",
     OptionalAddressKind{FIELD(control.address)},
     "control",
     "Where the control API and the metrics are: ADDR:PORT, unix:/path, or \"off\""},
    {"control", "token", TextKind{FIELD(control.token), 0, control_token_size_max}},
    {"control", "token_file", TextKind{FIELD(control.token_file), 0, 4096}},

    {"health", "interval", DurationKind{FIELD(health.interval), milliseconds(1), hours(24), true}},
    {"health", "stall", DurationKind{FIELD(health.stall), milliseconds(100), hours(24)}},

    {"auth", "mode", ChoiceKind{auth_names, CHOOSE(auth.mode, AuthMode)}},
    {"auth", "leeway", DurationKind{FIELD(auth.leeway), Duration::zero(), seconds(30)}},
    {"auth", "query_token", FlagKind{FIELD(auth.query_token)}},
    {"auth", "origins", OriginsKind{FIELD(auth.origins)}},

    {"log",
     "level",
     ChoiceKind{level_names, CHOOSE(log.level, LogLevel)},
     "log-level",
     "Least level to log: debug, info, warning or error"},
    {"log",
     "format",
     ChoiceKind{format_names, CHOOSE(log.format, LogFormat)},
     "log-format",
     "Lines on stderr: text or json"},
};
#undef FIELD
#undef CHOOSE

// What a reload applies (Worker::set_options, Master::reload, set_up_log). The rest was given away
// at the start: to sockets, to the kernel, or to processes that must all agree on it.
constexpr std::string_view live_settings[] = {
    "server.drain_time",
    "limits.max_message_size",
    "limits.outbox",
    "limits.json_depth",
    "limits.bad_messages",
    "limits.groups_per_client",
    "limits.head_size",
    "limits.head_fields",
    "limits.fragments",
    "limits.control_frames",
    "limits.control_frames_burst",
    "limits.handshake_timeout",
    "limits.frame_timeout",
    "limits.message_timeout",
    "limits.write_timeout",
    "limits.close_timeout",
    "keepalive.ping_interval",
    "keepalive.pong_timeout",
    "compression.enabled",
    "compression.min_size",
    "history.messages",
    "history.bytes",
    "history.total",
    "history.age",
    "health.interval",
    "health.stall",
    "auth.leeway",
    "auth.query_token",
    "auth.origins",
    "log.level",
    "log.format",
};

char to_upper(char c) {
    if (c == '-') return '_';
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::string upper(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), to_upper);
    return result;
}

// Optimal string alignment: insert, delete, replace, and swap of neighbours cost one each.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

}  // namespace

std::span<const Setting> settings() {
    return table;
}

const Setting* find_setting(std::string_view section, std::string_view key) {
    for (const std::span<const Setting> part : {settings(), list_settings()}) {
        for (const Setting& setting : part) {
            if (setting.section == section && setting.key == key) return &setting;
        }
    }
    return nullptr;
}

const Setting* find_option(std::string_view option) {
    const auto found = std::find_if(std::begin(table), std::end(table), [&](const Setting& s) {
        return !s.option.empty() && s.option == option;
    });
    return found == std::end(table) ? nullptr : found;
}

std::vector<std::string_view> known_sections() {
    std::vector<std::string_view> result;
    for (const Setting& setting : table) {
        if (result.empty() || result.back() != setting.section) result.push_back(setting.section);
    }
    return result;
}

std::vector<std::string_view> keys_of(std::string_view section) {
    std::vector<std::string_view> result;
    for (const std::span<const Setting> part : {settings(), list_settings()}) {
        for (const Setting& setting : part) {
            if (setting.section == section) result.push_back(setting.key);
        }
    }
    for (const ListSection& list : list_sections()) {
        const std::size_t dot = list.name.rfind('.');
        if (dot != std::string_view::npos && list.name.substr(0, dot) == section)
            result.push_back(list.name.substr(dot + 1));
    }
    return result;
}

std::string full_name(const Setting& setting) {
    return fmt::format("{}.{}", setting.section, setting.key);
}

bool is_live(const Setting& setting) {
    return std::find(std::begin(live_settings), std::end(live_settings), full_name(setting)) !=
           std::end(live_settings);
}

std::size_t live_setting_count() {
    return std::size(live_settings);
}

std::vector<std::string> environment_names(const Setting& setting) {
    std::vector<std::string> result;
    result.push_back(fmt::format("WSPOOL_{}_{}", upper(setting.section), upper(setting.key)));
    if (!setting.option.empty()) {
        std::string short_name = "WSPOOL_" + upper(setting.option);
        if (short_name != result.front()) result.push_back(std::move(short_name));
    }
    return result;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
    std::string_view best;
    // Half of the word may be wrong; beyond that a proposal is noise. Long words are cut: the
    // distance is quadratic, and no key is that long.
    word = word.substr(0, 64);
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 2) + 1;
    for (const std::string_view candidate : candidates) {
        const std::size_t d = distance(word, candidate);
        if (d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}

}  // namespace wspool::app
