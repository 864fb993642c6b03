#include "crowd.h"

#include "base/assert.h"
#include "ws/handshake.h"

#include <algorithm>
#include <cstdio>

namespace wspool::chaos {
namespace {

using session::EventKind;

// Fewer than any queue of a listener holds.
constexpr std::size_t connecting_max = 128;
constexpr std::size_t passers_max = 256;
constexpr std::uint64_t passer_tag = std::uint64_t{1} << 32;
// Ids of joins lie above those of messages.
constexpr std::uint64_t join_id = std::uint64_t{1} << 32;
// How often a phase looks whether it is over, and how finely a rate is kept.
constexpr Duration beat = std::chrono::milliseconds(20);
constexpr Duration fine_beat = std::chrono::milliseconds(1);

session::EngineOptions engine_options() {
    session::EngineOptions options;
    options.control_frames_per_second = 0;
    options.handshake_timeout = std::chrono::seconds(10);
    return options;
}

std::vector<std::string> names(std::string_view prefix, std::uint64_t count) {
    std::vector<std::string> all;
    for (std::uint64_t i = 0; i < count; ++i)
        all.push_back(std::string(prefix) + std::to_string(i));
    return all;
}

std::string sentence_of(const session::Event& event) {
    return "closed with " + std::to_string(static_cast<unsigned>(event.code)) + " " +
           std::string(event.text) + " (" + std::string(metrics::name(event.reason)) + ")";
}

}  // namespace

Crowd::Crowd(const CrowdOptions& options, std::unique_ptr<io::Loop> loop)
    : options_(options),
      prng_(options.seed),
      loop_(std::move(loop)),
      engine_(*loop_, engine_options(), entropy_, counters_),
      wire_(static_cast<std::size_t>(options.size)),
      clients_(static_cast<std::size_t>(options.members + options.groups * options.publishers)),
      ledger_(LedgerOptions{options.history},
              names("c", clients_.size()),
              names("g", options.groups),
              engine_.now()),
      passers_(passers_max, never),
      last_delivery_(static_cast<std::size_t>(options.groups), never) {
    set_up_clients();
}

void Crowd::set_up_clients() {
    for (ClientIndex index = 0; index < clients_.size(); ++index) {
        Client& client = clients_[index];
        client.group = static_cast<GroupIndex>(index % options_.groups);
        client.is_publisher = index >= options_.members;
        // The first publisher of a group is no member: it sends the fences, which all members get.
        const std::uint64_t turn = (index - options_.members) / options_.groups;
        client.is_member = !client.is_publisher || turn % 2 == 1;
        client.wants_offsets = prng_.below(100) < options_.offsets_percent;
        if (client.is_publisher) publishers_.push_back(index);
        returns_.push({Instant{}, index});
    }
    // Their groups go round from the number of members on, so that each group has its share.
    for (std::size_t i = 0; i < publishers_.size(); ++i)
        clients_[publishers_[i]].group = static_cast<GroupIndex>(i % options_.groups);
}

void Crowd::run() {
    engine_.wait(Instant{});  // reads the clock
    change_phase(Phase::gathering);
    while (phase_ != Phase::over) {
        engine_.wait(next_deadline());
        session::Event event;
        while (engine_.next(event)) on_event(event);
        bring_back();
        if (phase_ == Phase::loading) {
            pass_by();
            publish_due();
        }
        go_on();
    }
}

// ---- phases

Instant Crowd::next_deadline() const {
    Instant deadline = now() + (phase_ == Phase::loading && options_.rate > 0 ? fine_beat : beat);
    if (!returns_.empty()) deadline = std::min(deadline, returns_.top().due);
    return deadline;
}

void Crowd::change_phase(Phase phase) {
    if (phase_ == Phase::loading && phase != Phase::loading) {
        figures_.load_seconds = std::chrono::duration<double>(now() - phase_since_).count();
        figures_.load_published = ledger_.figures().published + ledger_.figures().directs;
        figures_.load_delivered = ledger_.figures().delivered + ledger_.figures().directs_received;
    }
    phase_ = phase;
    phase_since_ = now();
    if (phase == Phase::loading) {
        std::fprintf(stderr, "chaos_load: loading\n");
        std::fill(last_delivery_.begin(), last_delivery_.end(), now());
        publish_due();
    }
    if (phase == Phase::settling) std::fprintf(stderr, "chaos_load: settling\n");
    if (phase == Phase::fencing) send_fences();
}

void Crowd::go_on() {
    const Duration passed = now() - phase_since_;
    const bool is_late = passed >= options_.patience;
    switch (phase_) {
        case Phase::gathering:
            if (is_gathered()) return change_phase(Phase::loading);
            break;
        case Phase::loading:
            if (passed >= options_.duration) change_phase(Phase::settling);
            return;
        case Phase::settling:
            if (is_settled()) return change_phase(Phase::fencing);
            break;
        case Phase::fencing:
            if (is_fenced()) return change_phase(Phase::over);
            break;
        case Phase::draining:
            if (std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
                    return client.state == State::away;
                }))
                return change_phase(Phase::over);
            break;
        case Phase::over:
            return;
    }
    if (!is_late) return;
    complain_of_stragglers();
    change_phase(Phase::over);
}

bool Crowd::is_gathered() const {
    return std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
        return client.state == State::ready;
    });
}

bool Crowd::is_settled() const {
    const bool passers_are_through =
        std::all_of(passers_.begin(), passers_.end(), [](Instant begun) { return begun == never; });
    return passers_are_through && is_gathered() &&
           std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
               return client.unanswered == 0;
           });
}

bool Crowd::is_fenced() const {
    return is_settled() && std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
               return client.fences == (client.is_member ? 2u : 1u);
           });
}

void Crowd::complain_of_stragglers() {
    constexpr std::string_view phase_names[] = {
        "gathering", "loading", "settling", "fencing", "draining", "over"};
    const std::string at_end =
        " at the end of " + std::string(phase_names[static_cast<std::size_t>(phase_)]);
    for (ClientIndex index = 0; index < clients_.size(); ++index) {
        const Client& client = clients_[index];
        const std::string who = ledger_.records().clients[index];
        if (phase_ == Phase::draining) {
            if (client.state != State::away)
                ledger_.complain("drain", who + " was not closed when the gateway drained");
        } else if (client.state != State::ready) {
            ledger_.complain("late", (who + " is not connected and joined").append(at_end));
        } else if (client.unanswered > 0) {
            ledger_.complain("late", (who + " waits for answers").append(at_end));
        } else if (phase_ == Phase::fencing && client.fences < (client.is_member ? 2u : 1u)) {
            ledger_.complain("late", who + " has not got the last messages sent to it");
        }
    }
    for (const Instant begun : passers_) {
        if (begun != never) ledger_.complain("late", "a passer-by was never answered");
    }
}

// ---- connections

void Crowd::start_connect(std::uint64_t tag, const std::string& id) {
    ws::ClientHandshake handshake;
    handshake.host = io::format_address(options_.address);
    handshake.target = "/?clientId=" + id;
    handshake.key = ws::make_key(entropy_);
    handshake.offer_deflate = false;
    const auto session = engine_.connect(options_.address, handshake, tag);
    if (!session) {
        ledger_.complain("connect", session.error().message);
        phase_ = Phase::over;
    } else if (tag < passer_tag) {
        clients_[tag].session = *session;
    }
}

void Crowd::bring_back() {
    while (!returns_.empty() && returns_.top().due <= now() && connecting_ < connecting_max &&
           phase_ != Phase::draining && phase_ != Phase::over) {
        const ClientIndex index = returns_.top().client;
        returns_.pop();
        Client& client = clients_[index];
        client.state = State::connecting;
        client.connecting_at = now();
        ++connecting_;
        start_connect(index, ledger_.records().clients[index]);
    }
}

void Crowd::come_back_later(ClientIndex index) {
    const auto jitter = static_cast<std::uint64_t>(options_.jitter.count());
    const auto drawn = static_cast<Duration::rep>(prng_.below(jitter + 1));
    returns_.push({now() + Duration(drawn), index});
}

void Crowd::pass_by() {
    const double passed = std::chrono::duration<double>(now() - phase_since_).count();
    const auto due =
        static_cast<std::uint64_t>(passed * static_cast<double>(options_.connects_per_second));
    while (passed_ < due) {
        const auto place = std::find(passers_.begin(), passers_.end(), never);
        if (place == passers_.end()) return;
        *place = now();
        const auto slot = static_cast<std::uint64_t>(place - passers_.begin());
        start_connect(passer_tag + slot, "passer" + std::to_string(passed_));
        ++passed_;
    }
}

void Crowd::on_event(session::Event& event) {
    switch (event.kind) {
        case EventKind::opened:
            return on_opened(event);
        case EventKind::failed:
            return on_failed(event);
        case EventKind::closed:
            return on_closed(event);
        case EventKind::message:
            if (event.tag < passer_tag) {
                on_message(static_cast<ClientIndex>(event.tag), as_text(event.payload));
            }
            return;
        case EventKind::opening:
        case EventKind::plain:
        case EventKind::pong:
        case EventKind::released:
        case EventKind::readable:
        case EventKind::abandoned:
        case EventKind::stream:
            return;
    }
}

void Crowd::on_opened(const session::Event& event) {
    ++figures_.connects;
    const bool is_passer = event.tag >= passer_tag;
    const Instant begun =
        is_passer ? passers_[event.tag - passer_tag] : clients_[event.tag].connecting_at;
    if (phase_ != Phase::gathering)
        figures_.connect.record(static_cast<std::uint64_t>((now() - begun).count()));
    if (is_passer) {
        engine_.abort(event.session);
        passers_[event.tag - passer_tag] = never;
        return;
    }
    const auto index = static_cast<ClientIndex>(event.tag);
    Client& client = clients_[index];
    --connecting_;
    (void)ledger_.opened(index, now());
    client.state = State::open;
    if (client.is_member) {
        join(index);
    } else {
        on_ready(client);
    }
}

void Crowd::on_ready(Client& client) {
    client.state = State::ready;
    client.ready_at = now();
    if (phase_ == Phase::gathering) return;
    ++figures_.returned;
    if (!client.is_member) ++figures_.returned_no_member;
}

void Crowd::on_failed(const session::Event& event) {
    const bool is_passer = event.tag >= passer_tag;
    const Instant begun =
        is_passer ? passers_[event.tag - passer_tag] : clients_[event.tag].connecting_at;
    const std::string who = is_passer ? "a passer-by" : ledger_.records().clients[event.tag];
    const std::string why(event.text);
    const auto says = [&why](std::string_view part) { return why.find(part) != std::string::npos; };
    if (says("reset") || says("closed the connection during")) {
        ++figures_.reset;
        losses_.push_back({begun, now(), false, who});
    } else if (!options_.drains) {
        ++(says("refused") && says("connecting") ? figures_.refused
           : says("in time")                     ? figures_.unanswered
                                                 : figures_.rejected);
        ledger_.complain("connect", who + " could not connect: " + why);
    }
    if (is_passer) {
        passers_[event.tag - passer_tag] = never;
        return;
    }
    const auto index = static_cast<ClientIndex>(event.tag);
    --connecting_;
    clients_[index].state = State::away;
    come_back_later(index);
}

void Crowd::on_closed(const session::Event& event) {
    if (event.tag >= passer_tag) return;
    const auto index = static_cast<ClientIndex>(event.tag);
    Client& client = clients_[index];
    ledger_.ended(index, now());
    const std::string who = ledger_.records().clients[index];
    const bool is_drained = client.has_left && event.code == ws::CloseCode::service_restart;
    if (is_drained) {
        ++figures_.drained;
    } else if (event.reason == metrics::CloseReason::peer_lost) {
        ++figures_.disconnected;
        losses_.push_back({client.connecting_at, now(), true, who});
    } else {
        ledger_.complain("closed", who + " was " + sentence_of(event));
    }
    client.state = State::away;
    client.unanswered = 0;
    client.fences = 0;
    come_back_later(index);
}

void Crowd::judge_losses(const Deaths& deaths) {
    for (const Loss& loss : losses_) {
        if (loss.was_open && !deaths.explain_loss(loss.at)) {
            ledger_.complain("lost", loss.who + " was disconnected although no worker had died");
        }
        if (!loss.was_open && !options_.drains && !deaths.explain_reset(loss.begun_at, loss.at)) {
            ledger_.complain("lost_in_queue",
                             loss.who +
                                 " was reset before it was answered, and no worker died "
                                 "that can have accepted it");
        }
    }
}

// ---- what they hear

GroupIndex Crowd::find_group(std::string_view name) const {
    const auto& groups = ledger_.records().groups;
    const auto found = std::find(groups.begin(), groups.end(), name);
    return found == groups.end() ? none : static_cast<GroupIndex>(found - groups.begin());
}

void Crowd::on_message(ClientIndex index, std::string_view text) {
    const Heard heard = wire_.read(text);
    Client& client = clients_[index];
    switch (heard.kind) {
        case HeardKind::broadcast:
            return on_broadcast(index, heard);
        case HeardKind::direct:
            return on_direct(index, heard);
        case HeardKind::ack:
            return on_ack(index, heard);
        case HeardKind::error:
            return on_error(index, heard);
        case HeardKind::position:
            if (find_group(heard.group) == client.group && heard.offset && heard.recovered) {
                return ledger_.moved(index,
                                     client.group,
                                     {std::string(heard.epoch), *heard.offset},
                                     *heard.recovered,
                                     now());
            }
            break;
        case HeardKind::draining:
            client.has_left = true;
            if (options_.drains) {
                if (phase_ != Phase::draining) change_phase(Phase::draining);
                return;
            }
            break;
        case HeardKind::other:
            break;
    }
    ledger_.complain("stray",
                     ledger_.records().clients[index] +
                         " got what it cannot have asked for: " + std::string(text.substr(0, 200)));
}

void Crowd::on_ack(ClientIndex index, const Heard& heard) {
    Client& client = clients_[index];
    const std::optional<Position> position =
        heard.offset ? std::optional(Position{std::string(heard.epoch), *heard.offset})
                     : std::nullopt;
    if (heard.id == join_id + index && client.state == State::open && position &&
        find_group(heard.group) == client.group) {
        ledger_.joined(
            index, client.group, client.wants_offsets, {*position, heard.recovered}, now());
        if (phase_ != Phase::gathering && !heard.recovered) ++figures_.returned_without_since;
        return on_ready(client);
    }
    const auto message = static_cast<MessageIndex>(heard.id.value_or(none));
    if (!ledger_.acknowledge(index, message, position, now())) {
        ledger_.complain("stray",
                         ledger_.records().clients[index] + " got an ack that it did not wait for");
        return;
    }
    on_answered(index, message);
}

void Crowd::on_error(ClientIndex index, const Heard& heard) {
    const std::uint64_t id = heard.id.value_or(none);
    if (id == join_id + index && heard.code == "unavailable") return join(index);
    const auto message = static_cast<MessageIndex>(id);
    if (id >= none || !ledger_.refuse(index, message, heard.code, now())) {
        ledger_.complain(
            "refused",
            ledger_.records().clients[index] + " is told the error " + std::string(heard.code));
        return;
    }
    on_answered(index, message);
}

void Crowd::on_answered(ClientIndex index, MessageIndex message) {
    Client& client = clients_[index];
    --client.unanswered;
    const Duration taken = now() - ledger_.message(message).sent_at;
    figures_.answer.record(static_cast<std::uint64_t>(taken.count()));
    if (phase_ == Phase::loading && options_.rate == 0) {
        while (publish(index)) continue;
    }
}

void Crowd::on_broadcast(ClientIndex index, const Heard& heard) {
    Client& client = clients_[index];
    const GroupIndex group = find_group(heard.group);
    if (group != client.group || !client.is_member) {
        ledger_.complain("stray",
                         ledger_.records().clients[index] + " got a message of another group");
        return;
    }
    ledger_.received(index, group, heard.message, heard.offset, now());
    if (heard.message >= first_fence_) ++client.fences;
    if (heard.message < ledger_.records().messages.size()) {
        const Duration taken = now() - ledger_.message(heard.message).sent_at;
        // What was sent while it was away tells nothing about the way.
        if (ledger_.message(heard.message).sent_at >= client.ready_at)
            figures_.delivery.record(static_cast<std::uint64_t>(taken.count()));
    }
    if (phase_ == Phase::loading) {
        const Duration pause = now() - last_delivery_[group];
        figures_.longest_pause = std::max(figures_.longest_pause, pause);
        last_delivery_[group] = now();
    }
}

void Crowd::on_direct(ClientIndex index, const Heard& heard) {
    ledger_.received_direct(index, heard.message, heard.from, now());
    if (heard.message >= first_fence_) ++clients_[index].fences;
}

// ---- what they say

void Crowd::send(ClientIndex index, const std::string& text) {
    // A session that is going reports its end by itself.
    (void)engine_.send(clients_[index].session, ws::Opcode::text, as_bytes(text));
}

void Crowd::join(ClientIndex index) {
    const Client& client = clients_[index];
    const auto since = ledger_.position_of(index);
    send(index,
         wire_.join(ledger_.records().groups[client.group],
                    client.wants_offsets,
                    join_id + index,
                    since ? std::string_view(since->epoch) : std::string_view(),
                    since ? since->offset : 0));
}

// False when it may not.
bool Crowd::publish(ClientIndex index) {
    Client& client = clients_[index];
    if (client.state != State::ready || client.unanswered >= options_.window) return false;
    ++client.unanswered;
    if (prng_.below(100) < options_.directs_percent) {
        const auto target = static_cast<ClientIndex>(prng_.below(clients_.size()));
        const MessageIndex message = ledger_.send_direct(index, target, now());
        send(index, wire_.direct(ledger_.records().clients[target], message));
    } else {
        const MessageIndex message = ledger_.publish(index, client.group, now());
        send(index, wire_.broadcast(ledger_.records().groups[client.group], message));
    }
    return true;
}

void Crowd::publish_due() {
    if (phase_ != Phase::loading) return;
    std::uint64_t due = UINT64_MAX;
    if (options_.rate > 0) {
        const double passed = std::chrono::duration<double>(now() - phase_since_).count();
        const auto wanted = static_cast<std::uint64_t>(passed * static_cast<double>(options_.rate));
        const std::uint64_t sent = ledger_.records().messages.size();
        due = wanted > sent ? wanted - sent : 0;
    }
    std::size_t passed_over = 0;
    while (due > 0 && passed_over < publishers_.size()) {
        const ClientIndex index = publishers_[next_publisher_];
        next_publisher_ = (next_publisher_ + 1) % publishers_.size();
        if (publish(index)) {
            --due;
            passed_over = 0;
        } else {
            ++passed_over;
        }
    }
}

void Crowd::send_fences() {
    first_fence_ = static_cast<MessageIndex>(ledger_.records().messages.size());
    for (ClientIndex index = 0; index < clients_.size(); ++index) {
        const ClientIndex sender = publishers_[clients_[index].group];
        const MessageIndex message = ledger_.send_direct(sender, index, now());
        ++clients_[sender].unanswered;
        send(sender, wire_.direct(ledger_.records().clients[index], message));
    }
    for (GroupIndex group = 0; group < options_.groups; ++group) {
        const ClientIndex sender = publishers_[group];
        const MessageIndex message = ledger_.publish(sender, group, now());
        ++clients_[sender].unanswered;
        send(sender, wire_.broadcast(ledger_.records().groups[group], message));
    }
}

}  // namespace wspool::chaos
