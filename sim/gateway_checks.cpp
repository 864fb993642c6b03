// What must hold of the workers of a simulated gateway.
#include "sim/gateway.h"
#include "wire/records.h"

#include <algorithm>

namespace wspool::sim {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t turns_max = 3'000'000;
constexpr std::uint64_t turns_per_check = 16;

}  // namespace

// ---- after every turn

void Gateway::check_turn(const Process& process) {
    const metrics::Counters& counters = process.worker->counters();
    if (turns_ > turns_max) journal_.violate("the workers take turns without end");
    if (turns_ % turns_per_check == 0) {
        process.worker->check_invariants();
        check_bounds(process);
    }
    if (!counters.is_conserved())
        journal_.violate("accepted = delivered + dropped + queued is broken");
    // Who can be sent to may hold what one turn brought; before the worker sleeps that is flushed.
    if (process.loop->next_turn_time() <= network_.now()) return;
    const std::size_t per_session = swarm_.worker.engine.outbox_size_max +
                                    swarm_.worker.engine.limits.message_size_max + 8 * 1024;
    if (counters.outbox_bytes > process.loop->open_count() * per_session) {
        journal_.violate("outboxes hold " + std::to_string(counters.outbox_bytes) + " bytes");
    }
}

// R60, R62: what is unstable holds window of those who published it, at each home, and those get it
// back before the receivers hear of it; and the dead count until their home knows it.
void Gateway::check_bounds(const Process& process) {
    const auto recent =
        std::count_if(history_.deaths.begin(), history_.deaths.end(), [this](const auto& death) {
            return death.second + 10s > network_.now();
        });
    const std::size_t publishers = processes_.size() + static_cast<std::size_t>(recent);
    const std::size_t bound =
        2 * publishers * processes_.size() * swarm_.worker.exchange.window_records;
    const hub::ExchangeFigures figures = process.worker->exchange().figures();
    if (figures.log_records > bound) {
        journal_.violate("R60: a worker holds " + std::to_string(figures.log_records) +
                         " unstable messages, and all windows allow " + std::to_string(bound));
    }
    if (figures.holes_total > 0) journal_.violate("I4: a merge found a hole");
}

// R9, R60: at most one `got` for each peer and turn. Where nothing was left of earlier turns, what
// is sent now is of this one.
void Gateway::check_sent(const LinkRef& link, int side, std::string_view wanted, bool is_whole) {
    bool& was_whole = link_was_whole_.try_emplace({link, side}, true).first->second;
    int gots = 0;
    wire::Header header;
    ByteView rest = was_whole ? as_bytes(wanted) : ByteView();
    while (wire::read_header(rest, UINT32_MAX, header) == wire::HeaderOutcome::ok) {
        if (header.type == wire::RecordType::got) ++gots;
        rest = rest.subspan(header.size);
    }
    if (gots > 1) journal_.violate("R9: a worker told one other twice in a turn what it got");
    was_whole = is_whole;
}

// ---- at rest

bool Gateway::is_at_rest() const {
    return std::all_of(processes_.begin(), processes_.end(), [](const Process& process) {
        return process.life == Life::running && process.worker->exchange().is_open() &&
               process.worker->exchange().is_at_rest();
    });
}

metrics::Counters Gateway::counters() const {
    if (!supervisor_) return processes_.front().worker->counters();
    metrics::Counters sum;
    for (const Process& process : processes_) {
        if (process.life != Life::running) continue;
        const metrics::Counters& counters = process.worker->counters();
        sum.connections += counters.connections;
        sum.queued += counters.queued;
        sum.outbox_bytes += counters.outbox_bytes;
    }
    return sum;
}

void Gateway::check_books(std::size_t clients, const std::set<std::string>& groups) const {
    const auto expect = [&](const char* what, std::uint64_t is, std::uint64_t should) {
        if (is == should) return;
        journal_.violate(std::string("at rest there are ") + std::to_string(is) + " " + what +
                         ", not " + std::to_string(should));
    };
    const metrics::Counters sum = counters();
    expect("connections", sum.connections, clients);
    expect("messages queued", sum.queued, 0);
    // A ping may just have been written to each: two bytes.
    if (sum.outbox_bytes > 2 * clients) journal_.violate("at rest outboxes hold bytes");
    const std::size_t others = processes_.size() - 1;
    for (const Process& process : processes_) {
        if (process.life != Life::running) {
            journal_.violate("at rest a worker is missing");
            continue;
        }
        process.worker->check_invariants();
        // A listener, and for each link a stream and a channel.
        expect("streams of a worker",
               process.loop->open_count(),
               process.worker->counters().connections + 1 + 2 * others);
        if (!supervisor_) expect("groups", process.worker->counters().groups, groups.size());
    }
    if (!is_at_rest()) journal_.violate("I6: at rest something is under way between the workers");
}

// ---- in the end

void Gateway::check_left(const Process& process) const {
    process.worker->check_invariants();
    const metrics::Counters& counters = process.worker->counters();
    std::uint64_t closed = 0;
    for (const std::uint64_t count : counters.connections_closed) closed += count;
    if (counters.connections != 0 || counters.queued != 0 || counters.outbox_bytes != 0 ||
        counters.groups != 0) {
        journal_.violate("in the end the counters are not zero");
    }
    if (closed != counters.connections_opened) {
        journal_.violate("in the end " + std::to_string(counters.connections_opened) +
                         " connections were opened and " + std::to_string(closed) + " closed");
    }
    if (!counters.is_conserved()) journal_.violate("in the end the books do not balance");
}

void Gateway::check_nothing_is_left() const {
    if (!supervisor_) check_left(processes_.front());
    if (network_.open_ends() != 0) {
        journal_.violate("in the end " + std::to_string(network_.open_ends()) + " ends are open");
    }
    if (network_.held_count() != 0) {
        journal_.violate("in the end " + std::to_string(network_.held_count()) +
                         " descriptors are nobody's");
    }
}

}  // namespace wspool::sim
