// What a party hears, and how it ends.
#include "sim/party.h"

#include <algorithm>

namespace wspool::sim {

using namespace std::chrono_literals;

namespace {

// How long a session whose client is gone may be taken for alive: its worker asks it for a sign of
// life within two seconds, unless it stands still or waits for others that do.
constexpr Duration ghost_time = 20s;

}  // namespace

void Party::on_open() {
    note("is open");
    facts_.opened_at = world_.network.now();
    facts_.incarnation = world_.gateway.incarnation_of(world_.loop.acceptor(peer_.stream()));
    if (!is_orphan()) facts_.present_until = never;
    if (!options_.raw_request.empty()) violate("was upgraded though its request is none");
    rejoin();
}

void Party::on_refused(int status) {
    note("is refused with " + std::to_string(status));
    status_ = status;
    if (!may_be_refused_with(status)) violate("was refused with " + std::to_string(status));
}

void Party::on_bad_server(std::string text) {
    violate("heard what no server may say: " + text);
    peer_.close(io::CloseMode::reset);
}

// ---- messages

void Party::on_message(ws::Opcode opcode, std::string_view payload) {
    note("hears " + excerpt(payload));
    if (options_.is_slow && reads_) {
        peer_.stop_reading();
        const Duration pause = Duration(static_cast<Duration::rep>(world_.prng.below(200'000'000)));
        world_.network.schedule(world_.network.now() + pause, [this] {
            if (reads_) peer_.resume_reading();
        });
    }
    if (options_.is_echo) return on_echoed(opcode, payload);
    if (opcode != ws::Opcode::text) return violate("got an answer that is no text");
    deliver(payload);
}

void Party::on_text(std::string_view text) {
    const bool is_first = !has_first_message_;
    has_first_message_ = true;
    if (options_.wants_welcome && is_first) return on_welcome(text);
    if (text.substr(0, 19) == R"({"type":"broadcast")") {
        world_.deliveries.on_broadcast(facts_, text);
    } else if (text.substr(0, 16) == R"({"type":"direct")") {
        world_.deliveries.on_direct(facts_, text);
    } else if (text.substr(0, 36) == R"({"type":"draining","reconnectDelay":)") {
        was_told_of_drain_ = true;
        if (!world_.is_ending) violate("was told of a drain that is none");
    } else if (!world_.history.is_alone && text.substr(0, 18) == R"({"type":"position")") {
        on_position(text);
    } else {
        on_answer(text);
    }
}

void Party::on_welcome(std::string_view text) {
    static_cast<void>(take(text, R"({"type":"welcome","clientId":)"));
    if (facts_.is_anonymous && text.size() == 40 && text.substr(0, 6) == "\"anon_") {
        const std::string id(text.substr(1, 37));
        if (!facts_.id.empty() && facts_.id != id) violate("has two ids");
        facts_.id = id;
    } else if (facts_.is_anonymous || text != quoted(facts_.id) + "}") {
        violate("was not welcomed under its id: " + excerpt(text));
    }
}

void Party::on_answer(std::string_view text) {
    if (plan_ == Plan::anything) return;
    const std::optional<Told> told = answers_.match(text);
    if (!told) {
        return violate("got " + excerpt(text) + " where this is due: " + excerpt(answers_.next()));
    }
    const Answer& answer = told->answer;
    facts_.seen_ops = std::max(facts_.seen_ops, answer.op + 1);
    world_.deliveries.note_taken(facts_, answer.op + 1);
    if (told->is_unavailable) {
        note_lost(answer);
    } else if (answer.kind == AnswerKind::published) {
        world_.deliveries.on_published(answer.publication, told->place);
    } else if (answer.kind == AnswerKind::acknowledged && !answer.is_optional) {
        world_.deliveries.on_direct_answer(answer.publication, !told->is_otherwise);
    } else if (answer.kind == AnswerKind::joined) {
        on_join_answer(*told);
    }
}

void Party::on_join_answer(const Told& told) {
    const std::string& group = told.answer.group;
    auto& said = facts_.memberships[group];
    const auto join = std::find_if(said.begin(), said.end(), [&](const Membership& membership) {
        return membership.op == told.answer.op;
    });
    WSPOOL_ASSERT(join != said.end());
    if (told.answer.tells_recovered && told.answer.returns) {
        const Place& since = facts_.predecessor->places.at(group);
        const bool is_where_it_was = told.place == since;
        if (told.is_recovered && !is_where_it_was) violate("R18: is recovered from elsewhere");
        if (!told.is_recovered && is_where_it_was)
            violate("R17: missed nothing and is not told so");
        if (told.is_recovered) facts_.recovered.insert(group);
        ++(told.is_recovered ? world_.recovered : world_.unrecovered);
    } else if (told.is_recovered) {
        violate("is told that it has missed nothing since it never was");
    }
    world_.deliveries.on_joined(facts_, group, *join, told.place);
}

void Party::on_position(std::string_view text) {
    const std::string_view whole = text;
    static_cast<void>(take(text, R"({"type":"position","group":)"));
    for (const std::string& group : world_.swarm.groups) {
        std::string_view rest = text;
        Place place;
        if (!take(rest, quoted(group) + R"(,"epoch":)") || !take_place(rest, place)) continue;
        const bool is_recovered = rest == R"(,"recovered":true})";
        if (!is_recovered && rest != R"(,"recovered":false})") break;
        return world_.deliveries.on_moved(facts_, group, std::move(place), is_recovered);
    }
    violate("was told a position that is none: " + excerpt(whole));
}

// Whether it was published is unknown; without an id, of which that is said as well.
void Party::note_lost(const Answer& answer) {
    auto& publications = world_.history.publications;
    for (std::size_t i = 0; i < publications.size(); ++i) {
        const bool is_it = static_cast<int>(i) == answer.publication;
        if (is_it || (answer.is_optional && publications[i].sender == facts_.number)) {
            publications[i].is_lost = true;
        }
    }
}

void Party::on_echoed(ws::Opcode opcode, std::string_view payload) {
    if (plan_ == Plan::anything) return;
    Plant& plant = world_.plant;
    if (plant.kind == PlantKind::drop_echo && !plant.is_done && world_.is_calm && !is_leaving_) {
        return strike(payload, {});
    }
    if (echoes_.empty() || echoes_.front().first != opcode || echoes_.front().second != payload) {
        return violate("got an echo that is not its next message");
    }
    echoes_.pop_front();
}

void Party::on_pong(std::string_view payload) {
    // While the way is blocked the worker keeps only the last ping, so some may be passed over.
    const auto from = pings_.begin() + static_cast<std::ptrdiff_t>(pongs_);
    const auto found = std::find(from, pings_.end(), payload);
    if (found == pings_.end()) {
        if (plan_ == Plan::stay) violate("got a pong to no ping of its own: " + excerpt(payload));
        return;
    }
    pongs_ = static_cast<std::size_t>(found - pings_.begin()) + 1;
}

// ---- plants

void Party::deliver(std::string_view text) {
    Plant& plant = world_.plant;
    const bool is_served = facts_.present_until == never && !is_leaving_ && !is_slow() && reads_;
    if (plant.kind == PlantKind::none || !world_.is_calm || world_.is_ending || !is_served) {
        return on_text(text);
    }
    const bool is_broadcast = text.substr(0, 19) == R"({"type":"broadcast")";
    const bool is_direct = text.substr(0, 16) == R"({"type":"direct")";
    // An answer without id may be one that nobody must wait for.
    const bool is_answer = !is_broadcast && !is_direct && text.find(R"("id":)") != text.npos;
    const bool has_offset = is_broadcast && text.find(R"(,"offset":)") != text.npos;
    if (!plant.held.empty()) {
        const bool is_second = plant.kind == PlantKind::swap_answers ? is_answer : has_offset;
        const bool is_same_group = plant.held.substr(0, 32) == text.substr(0, 32);
        if (plant.kind == PlantKind::leak_broadcast) {
            if (!facts_.memberships.empty()) return on_text(text);
        } else if (plant.victim != facts_.number || !is_second || (has_offset && !is_same_group)) {
            return on_text(text);
        }
        plant.is_done = true;
        on_text(text);
        return on_text(std::exchange(plant.held, {}));
    }
    switch (plant.is_done ? PlantKind::none : plant.kind) {
        case PlantKind::drop_broadcast:
            if (is_broadcast) return strike(text, {});
            break;
        case PlantKind::drop_direct:
            if (is_direct) return strike(text, {});
            break;
        case PlantKind::drop_answer:
            if (is_answer) return strike(text, {});
            break;
        case PlantKind::double_broadcast:
            if (is_broadcast) return strike(text, {std::string(text), std::string(text)});
            break;
        case PlantKind::double_direct:
            if (is_direct) return strike(text, {std::string(text), std::string(text)});
            break;
        case PlantKind::change_byte:
            if (is_broadcast) {
                std::string changed(text);
                char& byte = changed[changed.find(R"("x":)") + 4];
                byte = static_cast<char>(byte ^ 1);
                return strike(text, {changed});
            }
            break;
        case PlantKind::swap_broadcasts:
        case PlantKind::swap_answers:
            if (plant.kind == PlantKind::swap_answers ? is_answer : has_offset) {
                plant.held = text;
                return strike(text, {});
            }
            break;
        case PlantKind::leak_broadcast:
            if (is_broadcast) plant.held = text;
            break;
        case PlantKind::none:
        case PlantKind::drop_echo:
        case PlantKind::lose_close_frame:
        case PlantKind::change_close_code:
            break;
    }
    on_text(text);
}

// The planted fault: instead of `text` the checkers get this.
void Party::strike(std::string_view text, const std::vector<std::string>& instead) {
    note("(a fault is planted here: " + excerpt(text) + ")");
    world_.plant.is_done = true;
    world_.plant.victim = facts_.number;
    std::uint64_t number = 0;
    const std::size_t payload = text.find(R"({"p":)");
    const bool drops = world_.plant.kind == PlantKind::drop_broadcast ||
                       world_.plant.kind == PlantKind::drop_direct;
    if (drops && payload != text.npos) {
        std::string_view rest = text.substr(payload + 5);
        if (take_number(rest, number)) {
            world_.plant.sender = world_.history.publications[number].sender;
        }
    }
    for (const std::string& other : instead) on_text(other);
}

// ---- the end

void Party::on_close_frame(ws::CloseCode code) {
    Plant& plant = world_.plant;
    const bool is_strict = world_.is_calm && plan_ == Plan::failure && !is_excused();
    if (plant.kind == PlantKind::lose_close_frame && !plant.is_done && is_strict) {
        plant.must_be_noticed = true;
        return strike("a close frame", {});
    }
    if (plant.kind == PlantKind::change_close_code && !plant.is_done && is_strict) {
        plant.must_be_noticed = true;
        strike("a close code", {});
        code = ws::CloseCode::normal;
    }
    note("is closed with " + std::to_string(static_cast<int>(code)));
    has_close_frame_ = true;
    close_code_ = code;
    if (!may_be_closed_with(code)) {
        violate("was closed with " + std::to_string(static_cast<int>(code)) +
                " without a reason that it knows");
    }
    if (code == ws::CloseCode::service_restart && !options_.is_echo && !was_told_of_drain_) {
        violate("was closed for a restart and not told of the drain");
    }
    if (plan_ == Plan::stay || plan_ == Plan::failure) {
        const auto number = static_cast<std::uint16_t>(code);
        peer_.write_control(
            ws::Opcode::close,
            std::string{static_cast<char>(number >> 8), static_cast<char>(number & 0xff)});
    }
    if (plan_ == Plan::stay) {
        is_leaving_ = true;
        peer_.fall_silent();
        facts_.present_until = Instant::min();
    }
}

bool Party::has_namesake() const {
    return std::any_of(
        world_.history.sessions.begin(), world_.history.sessions.end(), [&](const Session& other) {
            if (&other == &facts_ || facts_.id.empty() || other.id != facts_.id) return false;
            // What a worker has written before it died counts (R2): also that somebody registers.
            if (other.opened_at == never && other.orphaned_at != never) return true;
            // Whoever left long ago is not there when it is asked for (R53).
            const bool is_ghost = !world_.history.is_alone && other.left_at != never &&
                                  other.left_at + ghost_time < facts_.started_at;
            return !is_ghost && std::min(other.gone_at, other.orphaned_at) >= facts_.started_at;
        });
}

// What spoils an end without being the worker's fault.
bool Party::is_excused() const {
    const bool is_tried = options_.is_slow || world_.swarm.tries_patience();
    return is_orphan() || peer_.was_disturbed() || !reads_ || plan_ == Plan::anything ||
           plan_ == Plan::nothing || (world_.is_stormy && is_tried);
}

bool Party::may_be_closed_with(ws::CloseCode code) const {
    if (plan_ == Plan::anything) return true;
    if ((plan_ == Plan::failure || plan_ == Plan::close_frame) && code == planned_code_)
        return true;
    if (code == ws::CloseCode::replaced) {
        return world_.swarm.worker.exchange.duplicate_id == hub::DuplicateId::replace &&
               has_namesake();
    }
    if (code == ws::CloseCode::try_again_later) return world_.is_stormy || !reads_;
    if (code == ws::CloseCode::going_away) {
        // A namesake made the worker ask for a sign of life (R53), and who stopped inside a frame
        // cannot give one.
        const bool is_asked =
            world_.swarm.worker.exchange.duplicate_id == hub::DuplicateId::reject && has_namesake();
        return world_.is_ending || is_excused() || (is_asked && plan_ == Plan::failure);
    }
    return code == ws::CloseCode::service_restart && world_.is_ending;
}

bool Party::may_be_refused_with(int status) const {
    if (!options_.raw_request.empty() && status == options_.status) return true;
    if (status == 409) {
        // Of two that wait for an id to be given up, the newer gets it (R52).
        const hub::DuplicateId policy = world_.swarm.worker.exchange.duplicate_id;
        const bool may_wait = !world_.history.is_alone && policy == hub::DuplicateId::replace;
        return (policy == hub::DuplicateId::reject || may_wait) && has_namesake();
    }
    if (status == 503) {
        return world_.is_ending || world_.swarm.worker.connections_max < 100 ||
               (world_.is_stormy && world_.swarm.storm.no_descriptors > 0);
    }
    return status == 408 && is_excused();
}

void Party::on_gone(Ending ending) {
    note("is gone, way " + std::to_string(static_cast<int>(ending)));
    facts_.left_at = world_.network.now();
    if (!is_orphan() && (ending == Ending::ended || has_close_frame_)) {
        facts_.gone_at = world_.network.now();
    }
    const bool is_orderly = reads_ && !is_orphan() && ending == Ending::ended &&
                            ((plan_ == Plan::half_close && !has_close_frame_) ||
                             ((plan_ == Plan::close_frame || plan_ == Plan::failure) &&
                              has_close_frame_ && close_code_ == planned_code_));
    if (is_orderly) {
        if (answers_.has_prompt_due()) violate("ended without this: " + excerpt(answers_.next()));
        if (!echoes_.empty()) violate("ended without an echo");
    } else {
        facts_.present_until = Instant::min();
        check_plan(ending);
    }
}

void Party::check_plan(Ending ending) {
    const bool was_open = facts_.opened_at != never;
    if (is_excused() || ending == Ending::by_us) return;
    if (!was_open) {
        const bool may_fail = world_.is_stormy && (world_.swarm.storm.refuse > 0 ||
                                                   world_.swarm.storm.no_descriptors > 0);
        if (status_ == 0 && !may_fail) violate("was dropped before it was answered");
        return;
    }
    // Whom the worker closes as a slow consumer while much of its own is on the way gets a reset:
    // what comes behind a close frame is thrown away up to a bound, and then the close frame with
    // it.
    if (world_.is_stormy && said_lately_ > 48 * 1024) return;
    if (!has_close_frame_) {
        violate("lost its connection without a close frame");
    } else if (ending == Ending::failed) {
        violate("got a reset after its close frame");
    }
}

void Party::check_rest() {
    if (!peer_.is_open() || is_leaving_) return;
    if (answers_.has_due()) violate("was never answered: " + excerpt(answers_.next()));
    if (!echoes_.empty()) violate("misses " + std::to_string(echoes_.size()) + " echoes");
    if (pongs_ < pings_.size()) violate("got no pong to its last ping");
}

}  // namespace wspool::sim
