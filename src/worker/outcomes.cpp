// What comes of what clients said: deliveries, answers that had to wait for another worker, and
// what becomes of ids.
#include "worker/worker_state.h"

#include <array>

namespace wspool::worker {

using metrics::CloseReason;
using metrics::RejectReason;

void Worker::State::run_actions() {
    if (!exchange.has_actions()) return;
    do {
        hub::Action action;
        while (exchange.next_action(action)) run(action);
    } while (carry_out_command());
}

Client* Worker::State::find(hub::Session session) {
    if (session.index >= clients.size()) return nullptr;
    Client& client = clients[session.index];
    const bool is_it =
        client.session.generation == session.generation && client.session.index == session.index;
    return is_it && client.state != ClientState::absent ? &client : nullptr;
}

void Worker::State::run(const hub::Action& action) {
    using hub::ActionKind;
    if (action.kind == ActionKind::deliver) return deliver(action.delivery);
    if (action.kind == ActionKind::position) return tell_position(action);
    Client* client = find(action.session);
    if (client == nullptr) return;
    const Tag tag = read_tag(action.tag);
    switch (action.kind) {
        case ActionKind::joined:
            if (tag.is_command) return end_commanded_join(*client, action.position, {});
            acknowledge_join(*client,
                             tag.id,
                             action.group,
                             action.position,
                             action.has_since ? std::optional(action.is_recovered) : std::nullopt);
            replay(*client, action.replay, action.prefix, tag.has_offsets);
            let_go(*client, held_by_exchange);
            return;
        case ActionKind::published:
            acknowledge(*client, tag, action.position);
            return;
        case ActionKind::refused:
            if (tag.is_command) return end_commanded_join(*client, {}, action.refusal);
            answer_refusal(*client, tag.id, action.refusal);
            if (!action.group.empty()) let_go(*client, held_by_exchange);
            return;
        case ActionKind::resume:
            let_go(*client, held_by_exchange);
            return;
        case ActionKind::granted:
            activate(*client, {});
            return;
        case ActionKind::rejected:
            reject(*client);
            return;
        case ActionKind::evict:
            evict(*client);
            return;
        case ActionKind::check:
            check(*client, action.question);
            return;
        case ActionKind::deliver:
        case ActionKind::position:
            return;
    }
}

void Worker::State::deliver(const hub::Delivery& delivery) {
    if (delivery.kind == wire::Kind::broadcast) {
        fan_out(delivery);
        return;
    }
    if (delivery.kind == wire::Kind::command) {
        take_command(delivery);
        return;
    }
    scratch.clear();
    protocol::append_direct(scratch, as_text(delivery.payload), delivery.sender_id);
    for (const hub::Member& member : delivery.members) {
        (void)engine.send(clients[member.index].session, ws::Opcode::text, scratch.view());
    }
}

// Encodes the message at most once in each of its two forms, whatever the number of members.
void Worker::State::fan_out(const hub::Delivery& delivery) {
    session::Frame plain;
    session::Frame numbered;
    for (const hub::Member& member : delivery.members) {
        if (member.index == delivery.excluded) continue;
        session::Frame& frame = member.has_offsets != 0 ? numbered : plain;
        if (frame.plain.data == nullptr) {
            frame = broadcast_frame(delivery.prefix,
                                    delivery.payload,
                                    member.has_offsets != 0,
                                    delivery.position.offset);
        }
        (void)engine.send_frame(clients[member.index].session, frame);
    }
}

session::Frame Worker::State::broadcast_frame(std::string_view prefix,
                                              ByteView payload,
                                              bool has_offset,
                                              std::uint64_t offset) {
    scratch.clear();
    if (has_offset) {
        scratch.append(",\"offset\":");
        scratch.append(std::to_string(offset));
    }
    scratch.append('}');
    const std::array<ByteView, 3> pieces = {as_bytes(prefix), payload, scratch.view()};
    return engine.frame(ws::Opcode::text, pieces);
}

void Worker::State::acknowledge(Client& client, const Tag& tag, const hub::Position& position) {
    if (tag.id.empty()) return;
    scratch.clear();
    if (tag.is_direct) {
        protocol::append_ack(scratch, tag.id);
    } else {
        const std::string epoch = hub::format_epoch(position.epoch);
        protocol::append_publish_ack(scratch, tag.id, epoch, position.offset);
    }
    answer(client);
}

void Worker::State::acknowledge_join(Client& client,
                                     std::string_view id,
                                     std::string_view group,
                                     const hub::Position& position,
                                     std::optional<bool> recovered) {
    if (id.empty()) return;
    const std::string epoch = hub::format_epoch(position.epoch);
    protocol::JoinAck ack;
    ack.group = group;
    ack.epoch = epoch;
    ack.offset = position.offset;
    ack.recovered = recovered;
    scratch.clear();
    protocol::append_join_ack(scratch, id, ack);
    answer(client);
}

void Worker::State::replay(Client& client,
                           std::span<const hub::Replay> messages,
                           std::string_view prefix,
                           bool has_offsets) {
    for (const hub::Replay& one : messages) {
        session::Frame frame = broadcast_frame(prefix, one.payload, has_offsets, one.offset);
        (void)engine.send_frame(client.session, frame);
    }
}

void Worker::State::tell_position(const hub::Action& action) {
    const std::string epoch = hub::format_epoch(action.position.epoch);
    scratch.clear();
    protocol::append_position(
        scratch, action.group, epoch, action.position.offset, action.is_recovered);
    for (const hub::Member& member : action.members) {
        if (member.has_offsets == 0) continue;
        (void)engine.send(clients[member.index].session, ws::Opcode::text, scratch.view());
    }
}

// -----------------------------------------------------------------------------------------------
// ids

// Its id was not granted.
void Worker::State::reject(Client& client) {
    deactivate(client);
    if (!client.is_open) {
        refuse(client.session,
               409,
               "This client id is connected already.\n",
               RejectReason::duplicate_id);
        return;
    }
    engine.close(client.session,
                 ws::CloseCode::replaced,
                 "this client id is connected already",
                 CloseReason::replaced);
}

void Worker::State::evict(Client& client) {
    deactivate(client);
    if (!client.is_open) {
        refuse(client.session,
               409,
               "A newer connection took this client id.\n",
               RejectReason::duplicate_id);
        return;
    }
    engine.close(client.session,
                 ws::CloseCode::replaced,
                 "replaced by a newer connection of the same id",
                 CloseReason::replaced);
}

void Worker::State::check(Client& client, std::uint64_t question) {
    if (client.state != ClientState::active || !engine.is_open(client.session)) {
        deactivate(client);
        return;
    }
    // Who was heard lately is alive, and so is who is not read for now: its pong could not come in.
    // Asked for each attempt at its id, a holder would answer until its pongs were too many.
    if (engine.is_paused(client.session) ||
        engine.was_heard_within(client.session, check_patience)) {
        exchange.held(to_hub(client.session), question);
        return;
    }
    for (Check& pending : checks) {
        if (pending.session != client.session) continue;
        pending.question = question;  // the home asks anew, and counts the last question only
        return;
    }
    checks.push_back({client.session, question, engine.now() + check_patience});
    engine.ping(client.session);
}

void Worker::State::on_pong(session::SessionId session) {
    for (auto at = checks.begin(); at != checks.end(); ++at) {
        if (at->session != session) continue;
        exchange.held(to_hub(session), at->question);
        checks.erase(at);
        return;
    }
}

void Worker::State::end_checks() {
    while (!checks.empty() && checks.front().deadline <= engine.now()) {
        const Check check = checks.front();
        checks.pop_front();
        Client* client = find(to_hub(check.session));
        if (client == nullptr) continue;
        deactivate(*client);
        engine.close(check.session,
                     ws::CloseCode::going_away,
                     "no answer to a ping",
                     CloseReason::pong_timeout);
    }
}

}  // namespace wspool::worker
