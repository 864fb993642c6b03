// Stats as text for Prometheus.
#include <wspool/stats.h>

#include <charconv>
#include <string_view>

namespace wspool::api {
namespace {

using std::string_view;

struct Family {
    string_view name;  // after "wspool_pool_"
    string_view type;
    string_view help;
};

struct Count {
    Family family;
    string_view label;  // beside the host's: NAME="VALUE", or empty
    std::uint64_t (*of)(const HostStats&);
};

// Samples of one family follow each other.
constexpr Family connections{"connections", "gauge", "Connections, by state."};
constexpr Family failures{
    "acquire_failures_total", "counter", "Calls that got no connection, by reason."};
constexpr Count counts[] = {
    {connections, "state=\"connecting\"", [](auto& h) -> std::uint64_t { return h.connecting; }},
    {connections, "state=\"idle\"", [](auto& h) -> std::uint64_t { return h.idle; }},
    {connections, "state=\"in_use\"", [](auto& h) -> std::uint64_t { return h.active; }},
    {connections, "state=\"closing\"", [](auto& h) -> std::uint64_t { return h.closing; }},
    {{"connections_max", "gauge", "The most connections that there may be."},
     {},
     [](auto& h) -> std::uint64_t { return h.max; }},
    {{"connections_peak", "gauge", "The most connections that there were."},
     {},
     [](auto& h) -> std::uint64_t { return h.peak; }},
    {{"connections_opened_total", "counter", "Connections that opened."},
     {},
     [](auto& h) { return h.created; }},
    {{"connections_closed_total", "counter", "Connections that had opened and ended."},
     {},
     [](auto& h) { return h.closed; }},
    {{"reconnects_total", "counter", "Connections that opened after a loss."},
     {},
     [](auto& h) { return h.reconnects; }},
    {{"waiters", "gauge", "Calls that wait for a connection."},
     {},
     [](auto& h) -> std::uint64_t { return h.pending; }},
    {failures, "reason=\"timeout\"", [](auto& h) { return h.timeouts; }},
    {failures, "reason=\"capacity\"", [](auto& h) { return h.rejected; }},
    {failures, "reason=\"other\"", [](auto& h) { return h.failures; }},
    {{"preemptions_total", "counter", "Leases taken back for a higher priority."},
     {},
     [](auto& h) { return h.preempted; }},
    {{"leaks_total", "counter", "Leases held longer than the threshold."},
     {},
     [](auto& h) { return h.leaks; }},
    {{"circuit_open", "gauge", "1 while the host is not asked."},
     {},
     [](auto& h) -> std::uint64_t { return h.is_circuit_open ? 1 : 0; }},
    {{"queued_messages", "gauge", "Messages that wait for a connection."},
     {},
     [](auto& h) -> std::uint64_t { return h.queued_messages; }},
    {{"queued_bytes", "gauge", "Bytes of the messages that wait for a connection."},
     {},
     [](auto& h) -> std::uint64_t { return h.queued_bytes; }},
    {{"dropped_messages_total", "counter", "Messages refused or dropped by the bounds."},
     {},
     [](auto& h) { return h.dropped_messages; }},
    {{"subscriptions", "gauge", "Subscriptions."},
     {},
     [](auto& h) -> std::uint64_t { return h.subscriptions; }},
    {{"messages_sent_total", "counter", "Messages sent."},
     {},
     [](auto& h) { return h.messages_sent; }},
    {{"messages_received_total", "counter", "Messages received."},
     {},
     [](auto& h) { return h.messages_received; }},
    {{"bytes_sent_total", "counter", "Bytes of the payloads sent."},
     {},
     [](auto& h) { return h.bytes_sent; }},
    {{"bytes_received_total", "counter", "Bytes of the payloads received."},
     {},
     [](auto& h) { return h.bytes_received; }},
};

struct Durations {
    Family family;
    DurationSummary HostStats::*of;
};

constexpr Durations durations[] = {
    {{"acquire_seconds", "summary", "Waits for a connection, those in vain included."},
     &HostStats::acquire},
    {{"use_seconds", "summary", "How long connections were held."}, &HostStats::use},
    {{"connect_seconds", "summary", "From the first packet to the upgrade."}, &HostStats::connect},
};

template <class Number>
void add_number(std::string& text, Number number) {
    char digits[32];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
    text.append(std::begin(digits), end);
}

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

void add_head(std::string& text, const Family& family) {
    const std::string name = "wspool_pool_" + std::string(family.name);
    text.append("# HELP ").append(name).append(" ").append(family.help);
    text.append("\n# TYPE ").append(name).append(" ").append(family.type).append("\n");
}

// The name of a dedicated pool, which is part of a host's, may be anything.
std::string host_label(const std::string& host) {
    std::string label = "host=\"";
    for (const char c : host) {
        if (c == '\n') {
            label += "\\n";
            continue;
        }
        if (c == '"' || c == '\\') label += '\\';
        label += c;
    }
    return label + '"';
}

template <class Number>
void add_sample(
    std::string& text, string_view name, const std::string& host, string_view label, Number value) {
    text.append("wspool_pool_").append(name).append("{").append(host_label(host));
    if (!label.empty()) text.append(",").append(label);
    text.append("} ");
    add_number(text, value);
    text += '\n';
}

void add_summary(std::string& text, const Durations& one, const Stats& stats) {
    const std::string name(one.family.name);
    add_head(text, one.family);
    for (const auto& [host, figures] : stats.hosts) {
        const DurationSummary& summary = figures.*one.of;
        add_sample(text, name, host, "quantile=\"0.5\"", seconds(summary.p50));
        add_sample(text, name, host, "quantile=\"0.95\"", seconds(summary.p95));
        add_sample(text, name, host, "quantile=\"0.99\"", seconds(summary.p99));
        const double sum = seconds(summary.average) * static_cast<double>(summary.count);
        add_sample(text, name + "_sum", host, {}, sum);
        add_sample(text, name + "_count", host, {}, summary.count);
    }
}

}  // namespace

std::string prometheus_text(const Stats& stats) {
    std::string text;
    for (std::size_t i = 0; i < std::size(counts); ++i) {
        const Family& family = counts[i].family;
        if (i > 0 && counts[i - 1].family.name == family.name) continue;
        add_head(text, family);
        for (const auto& [host, figures] : stats.hosts) {
            for (std::size_t j = i; j < std::size(counts); ++j) {
                if (counts[j].family.name != family.name) break;
                add_sample(text, family.name, host, counts[j].label, counts[j].of(figures));
            }
        }
    }
    constexpr Family oldest{
        "oldest_wait_seconds", "gauge", "How long the first of the waiters has waited."};
    add_head(text, oldest);
    for (const auto& [host, figures] : stats.hosts)
        add_sample(text, oldest.name, host, {}, seconds(figures.oldest_wait));
    for (const Durations& one : durations) add_summary(text, one, stats);
    add_head(text, {"handler_errors_total", "counter", "Exceptions that handlers let out."});
    text.append("wspool_pool_handler_errors_total ");
    add_number(text, stats.handler_errors);
    return text += '\n';
}

}  // namespace wspool::api
