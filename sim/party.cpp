// What a party says. What it hears is in party_hearing.cpp.
#include "sim/party.h"

#include <algorithm>

namespace wspool::sim {

namespace {

using namespace std::chrono_literals;

// JSON that a gateway is tempted to understand, and must not touch.
constexpr std::array<std::string_view, 10> oddities = {"0",
                                                       "null",
                                                       "1e400",
                                                       R"("\ud800")",
                                                       R"("\u0000\/")",
                                                       "[ 1 ,\t2 ]",
                                                       R"({"":{"":[]}})",
                                                       "-0.0",
                                                       "123456789012345678901234567890",
                                                       R"({"p":1,"p":2})"};

ws::ClientHandshake make_handshake(const PartyOptions& options, Prng& prng) {
    SeededEntropy entropy(prng.next());
    ws::ClientHandshake handshake;
    handshake.host = "sim";
    handshake.key = ws::make_key(entropy);
    handshake.offer_deflate = options.offers_deflate;
    handshake.target = options.is_echo ? "/echo" : "/";
    if (options.wants_welcome) handshake.subprotocols = {"other", "wspool.v1"};
    if (options.id.empty()) return handshake;
    // Percent-encoded whole, or as a header where that may hold it.
    const bool is_plain = std::all_of(
        options.id.begin(), options.id.end(), [](char c) { return c >= 'a' && c <= 'z'; });
    if (is_plain && prng.chance(0.3)) {
        handshake.headers.emplace_back("X-Client-Id", options.id);
        return handshake;
    }
    constexpr std::string_view digits = "0123456789ABCDEF";
    handshake.target += "?clientId=";
    for (const char c : options.id) {
        const auto byte = static_cast<unsigned char>(c);
        handshake.target += '%';
        handshake.target += digits[byte >> 4];
        handshake.target += digits[byte & 15];
    }
    return handshake;
}

}  // namespace

Party::Party(World& world, Session& facts, const PartyOptions& options)
    : world_(world),
      facts_(facts),
      options_(options),
      peer_(world.loop, world.prng, *this, static_cast<std::uint64_t>(facts.number) + 1),
      answers_(world.history.is_alone) {
    facts_.id = options.id;
    facts_.is_anonymous = options.id.empty();
    facts_.started_at = world.network.now();
    facts_.predecessor = options.predecessor;
    if (options.raw_request.empty()) {
        note("connects as '" + options.id + "'" + (options.is_echo ? " to the echo" : ""));
        peer_.connect(world.gateway.address(), make_handshake(options, world.prng));
    } else {
        note("asks " + excerpt(options.raw_request.substr(0, 30)));
        peer_.connect_raw(world.gateway.address(), options.raw_request);
    }
}

std::string Party::name() const {
    return "client " + std::to_string(facts_.number);
}

void Party::note(const std::string& text) {
    world_.journal.note(name() + " " + text);
}

void Party::violate(const std::string& text) {
    world_.journal.violate(name() + " " + text);
}

std::vector<std::string> Party::groups() const {
    std::vector<std::string> names;
    for (const auto& [group, has_offsets] : groups_) names.push_back(group);
    return names;
}

// ---- writing

FrameStyle Party::draw_style() {
    FrameStyle style;
    if (world_.prng.chance(world_.swarm.is_fragmented)) {
        style.fragments = 1 + static_cast<int>(world_.prng.below(6));
    }
    style.is_compressed = world_.prng.chance(world_.swarm.is_compressed);
    return style;
}

void Party::say(std::string_view json) {
    note("says " + excerpt(json));
    const bool is_binary = world_.prng.chance(world_.swarm.is_binary);
    peer_.write_message(is_binary ? ws::Opcode::binary : ws::Opcode::text, json, draw_style());
    note_said(json.size());
}

void Party::note_said(std::size_t size) {
    said_lately_ += size;
    world_.network.schedule(world_.network.now() + 10s, [this, size] { said_lately_ -= size; });
}

void Party::say_bad(std::string_view text) {
    Answer answer;
    answer.op = facts_.next_op(world_.network.now());
    answer.text = R"({"error":"Invalid message format"})";
    answers_.expect(std::move(answer));
    say(text);
    if (++bad_messages_ >= world_.swarm.worker.bad_messages_max) {
        plan_failure(ws::CloseCode::policy);
    }
}

// The member `,"id":…` of a message, or nothing.
std::string Party::message_id(std::size_t op, bool is_wanted) {
    if (!is_wanted) return {};
    const std::string number = std::to_string(op);
    return R"(,"id":)" + (world_.prng.chance(0.5) ? number : "\"m-" + number + "\"");
}

void Party::join(const std::string& group, bool wants_offsets) {
    const std::size_t op = facts_.next_op(world_.network.now());
    const bool has_since = world_.prng.chance(0.2);
    // With several workers an epoch may end: who counts offsets must know in which it does.
    const bool must_know = world_.is_calm || (wants_offsets && !world_.history.is_alone);
    const std::string id =
        message_id(op, must_know || world_.prng.chance(world_.swarm.has_message_id));
    say_join(group, wants_offsets, has_since ? R"({"epoch":"e","offset":3})" : "", op, id, false);
}

void Party::rejoin() {
    if (facts_.predecessor == nullptr || !facts_.memberships.empty()) return;
    for (const auto& [group, place] : facts_.predecessor->places) {
        const auto& last = facts_.predecessor->memberships.at(group).back();
        if (!last.joins || !last.has_offsets || !last.place) continue;
        const std::size_t op = facts_.next_op(world_.network.now());
        const std::string since =
            R"({"epoch":")" + place.epoch + R"(","offset":)" + std::to_string(place.offset) + "}";
        say_join(group, true, since, op, message_id(op, true), true);
    }
}

void Party::say_join(const std::string& group,
                     bool wants_offsets,
                     std::string_view since,
                     std::size_t op,
                     const std::string& id,
                     bool returns) {
    const bool has_since = !since.empty();
    std::string json = R"({"type":"join","group":)" + quoted(group) + id;
    if (wants_offsets) json += R"(,"offsets":true)";
    if (has_since) json += R"(,"since":)" + std::string(since);
    Answer answer;
    answer.op = op;
    const bool is_refused = groups_.count(group) == 0 &&
                            groups_.size() >= world_.swarm.worker.exchange.groups_per_member_max;
    if (is_refused) {
        answer.kind = AnswerKind::error;
        answer.text = R"({"type":"error")" + id + R"(,"code":"too_many_groups")";
        answers_.expect(std::move(answer));
    } else {
        groups_[group] = wants_offsets;
        facts_.memberships[group].push_back(
            Membership{op, true, wants_offsets, world_.network.now(), never, {}});
        facts_.unknown.emplace_back(op, &facts_.memberships[group].back().known_at);
        if (!id.empty()) {
            answer.kind = AnswerKind::joined;
            answer.text = R"({"type":"ack")" + id + R"(,"group":)" + quoted(group) + R"(,"epoch":)";
            answer.tells_recovered = has_since;
            answer.returns = returns;
            answer.group = group;
            answers_.expect(std::move(answer));
        }
    }
    say(json + "}");
}

void Party::leave(const std::string& group) {
    const std::size_t op = facts_.next_op(world_.network.now());
    const std::string id = message_id(op, world_.prng.chance(world_.swarm.has_message_id));
    groups_.erase(group);
    facts_.memberships[group].push_back(
        Membership{op, false, false, world_.network.now(), never, {}});
    facts_.unknown.emplace_back(op, &facts_.memberships[group].back().known_at);
    if (!id.empty()) {
        Answer answer;
        answer.op = op;
        answer.text = R"({"type":"ack")" + id + "}";
        answers_.expect(std::move(answer));
    }
    say(R"({"type":"leave","group":)" + quoted(group) + id + "}");
}

// Enters a publication whose message is `size` bytes long, or as short as it can be.
int Party::publish(bool is_direct,
                   const std::string& target,
                   std::size_t size,
                   std::size_t op,
                   std::size_t envelope) {
    const int number = static_cast<int>(world_.history.publications.size());
    std::string payload = R"({"p":)" + std::to_string(number) + R"(,"x":)";
    const std::size_t used = envelope + payload.size() + 1;
    if (size > used + 2) {
        payload += '"' + std::string(size - used - 2, 'x') + '"';
    } else {
        payload += oddities[world_.prng.below(oddities.size())];
    }
    payload += '}';
    world_.history.publications.push_back(Publication{
        facts_.number, is_direct, target, payload, op, world_.network.now(), never, {}});
    facts_.unknown.emplace_back(op, &world_.history.publications.back().known_at);
    return number;
}

void Party::broadcast(const std::string& group, std::size_t size) {
    const std::size_t op = facts_.next_op(world_.network.now());
    const std::string id = message_id(op, world_.prng.chance(world_.swarm.has_message_id));
    const std::string head = R"({"type":"broadcast","group":)" + quoted(group) + id;
    const std::string_view member = R"(,"payload":)";
    const int number = publish(false, group, size, op, head.size() + member.size() + 1);
    const std::string& payload = world_.history.publications.back().payload;
    Answer answer;
    answer.op = op;
    answer.kind = AnswerKind::published;
    answer.publication = number;
    answer.unavailable = unavailable(id);
    answer.is_optional = id.empty();
    if (!id.empty()) answer.text = R"({"type":"ack")" + id + R"(,"epoch":)";
    if (!id.empty() || !answer.unavailable.empty()) answers_.expect(std::move(answer));
    // White space around the payload is not part of it.
    const bool has_space = size == 0 && world_.prng.chance(0.3);
    say(head + std::string(member) + (has_space ? " \n" : "") + payload +
        (has_space ? "\t}" : "}"));
}

void Party::direct(const std::string& target, std::size_t size) {
    const std::size_t op = facts_.next_op(world_.network.now());
    const std::string id = message_id(op, world_.prng.chance(world_.swarm.has_message_id));
    const std::string_view head = R"({"payload":)";
    const std::string tail = R"(,"targetId":)" + quoted(target) + R"(,"type":"direct")" + id + "}";
    Answer answer;
    answer.op = op;
    answer.kind = AnswerKind::acknowledged;
    answer.publication = publish(true, target, size, op, head.size() + tail.size());
    if (!id.empty()) answer.text = R"({"type":"ack")" + id + "}";
    answer.otherwise = R"({"type":"error")" + id + R"(,"code":"unknown_target")";
    answer.is_optional = id.empty();
    answer.unavailable = unavailable(id);
    answers_.expect(std::move(answer));
    say(std::string(head) + world_.history.publications.back().payload + tail);
}

// A home that died and did not come back in time (R33), or a message that three homes died of
// (R32).
std::string Party::unavailable(const std::string& id) const {
    if (world_.history.is_alone || !world_.is_stormy) return {};
    return R"({"type":"error")" + id + R"(,"code":"unavailable")";
}

void Party::ping() {
    Answer answer;
    answer.op = facts_.next_op(world_.network.now());
    const std::string id = message_id(answer.op, true);
    answer.text = R"({"type":"pong")" + id + "}";
    answers_.expect(std::move(answer));
    say(R"({"type":"ping")" + id + "}");
}

void Party::ask(std::uint64_t what) {
    constexpr std::array<std::string_view, 8> not_json = {"",
                                                          "[1]",
                                                          R"({"type":"ping")",
                                                          R"({"type":"ping"} x)",
                                                          "{'a':1}",
                                                          R"({"a":01})",
                                                          R"({"type":"ping","type":"ping"})",
                                                          "\"text\""};
    constexpr std::array<std::string_view, 5> unknown = {R"({"type":"other","x":[1e999]})",
                                                         R"({"hello":"world"})",
                                                         "{}",
                                                         R"({"type":"echo","payload":null,"id":7})",
                                                         R"({"type":"Ping"})"};
    constexpr std::array<std::string_view, 4> incomplete = {R"({"type":"join")",
                                                            R"({"type":"broadcast","group":"all")",
                                                            R"({"type":"direct","payload":1)",
                                                            R"({"type":"leave","group":7)"};
    Answer answer;
    std::string json;
    if (what % 5 == 0) return ping();
    if (what % 5 == 1) return say_bad(not_json[world_.prng.below(not_json.size())]);
    answer.op = facts_.next_op(world_.network.now());
    if (what % 5 == 2) {
        json = unknown[world_.prng.below(unknown.size())];
        answer.text = R"({"type":"echo","payload":)" + json + "}";
    } else if (what % 5 == 3) {
        const std::string id = message_id(answer.op, world_.prng.chance(0.5));
        json = std::string(incomplete[world_.prng.below(incomplete.size())]) + id + "}";
        answer.kind = AnswerKind::error;
        answer.text = R"({"type":"error")" + id + R"(,"code":"bad_request")";
    } else {
        const std::string id = message_id(answer.op, world_.prng.chance(0.5));
        const std::string bad = world_.prng.chance(0.5) ? "" : std::string(129, 'n');
        json = R"({"type":"join","group":)" + quoted(bad) + id + "}";
        answer.kind = AnswerKind::error;
        answer.text = R"({"type":"error")" + id + R"(,"code":"bad_name")";
    }
    answers_.expect(std::move(answer));
    say(json);
}

void Party::control() {
    if (world_.network.now() - last_ping_ < 1s) return;  // more is a flood
    last_ping_ = world_.network.now();
    pings_.push_back("ping " + std::to_string(pings_.size()) +
                     std::string(world_.prng.below(110), 'p'));
    note("pings " + std::to_string(pings_.size()));
    peer_.write_control(ws::Opcode::ping, pings_.back());
}

void Party::echo(std::size_t size) {
    const bool is_binary = world_.prng.chance(0.5);
    std::string payload(size, '\0');
    for (char& c : payload) {
        const std::uint64_t bits = world_.prng.next();
        c = static_cast<char>(is_binary ? bits & 0xff : 32 + bits % 95);
    }
    const ws::Opcode opcode = is_binary ? ws::Opcode::binary : ws::Opcode::text;
    note("sends " + std::to_string(size) + " bytes to be echoed");
    peer_.write_message(opcode, payload, draw_style());
    note_said(size);
    echoes_.emplace_back(opcode, std::move(payload));
}

// ---- leaving

void Party::begin_leaving(Plan plan, ws::CloseCode code, Silence silence) {
    is_leaving_ = true;
    left_in_calm_ = world_.is_calm;
    plan_ = plan;
    planned_code_ = code;
    if (reads_) facts_.present_until = world_.network.now();
    if (silence == Silence::yes) peer_.fall_silent();
}

void Party::plan_failure(ws::CloseCode code, Silence silence) {
    note("must be closed with " + std::to_string(static_cast<int>(code)));
    begin_leaving(Plan::failure, code, silence);
}

void Party::plan_anything() {
    begin_leaving(Plan::anything, ws::CloseCode::none);
}

void Party::depart(Departure how) {
    note("departs, way " + std::to_string(static_cast<int>(how)));
    switch (how) {
        case Departure::close_frame: {
            constexpr std::array<std::uint16_t, 4> codes = {0, 1000, 3000, 4999};
            const std::uint16_t code = codes[world_.prng.below(codes.size())];
            std::string payload;
            if (code != 0) {
                payload = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
                payload += world_.prng.chance(0.5) ? "" : "farewell";
            }
            peer_.write_control(ws::Opcode::close, payload);
            return begin_leaving(
                Plan::close_frame,
                code == 0 ? ws::CloseCode::no_status : static_cast<ws::CloseCode>(code));
        }
        case Departure::half_close:
            peer_.shut_when_flushed();
            return begin_leaving(Plan::half_close, ws::CloseCode::none);
        case Departure::abandon:
        case Departure::reset:
            begin_leaving(Plan::nothing, ws::CloseCode::none);
            peer_.close(how == Departure::reset ? io::CloseMode::reset : io::CloseMode::graceful);
            return;
    }
}

void Party::orphan() {
    note("is an orphan");
    is_leaving_ = true;
    facts_.present_until = Instant::min();
    facts_.orphaned_at = world_.network.now();
    peer_.fall_silent();
}

void Party::stop_reading() {
    note("reads no more");
    reads_ = false;
    facts_.present_until = Instant::min();
    peer_.stop_reading();
}

}  // namespace wspool::sim
