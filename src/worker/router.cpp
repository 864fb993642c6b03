// What clients say, routed (docs/protocol.md).
#include "worker/worker_state.h"

#include <algorithm>
#include <array>

namespace wspool::worker {

using protocol::MessageType;
using protocol::ParseOutcome;

void Worker::State::on_message(const session::Event& event) {
    Client& client = clients[event.session.index];
    WSPOOL_ASSERT(client.session == event.session);
    if (client.is_echo) {
        (void)engine.send(event.session, event.opcode, event.payload);
        return;
    }
    const ParseOutcome outcome =
        parser.parse(event.payload, event.opcode == ws::Opcode::text, message);
    if (outcome != ParseOutcome::ok) {
        on_bad_message(client, outcome);
        return;
    }
    switch (message.type) {
        case MessageType::broadcast:
            broadcast(client);
            return;
        case MessageType::direct:
            direct(client);
            return;
        case MessageType::join:
            join(client);
            return;
        case MessageType::leave:
            leave(client);
            return;
        case MessageType::ping:
            scratch.clear();
            protocol::append_pong(scratch, message.id);
            answer(client);
            return;
        case MessageType::other:
            scratch.clear();
            protocol::append_echo(scratch, as_text(event.payload));
            answer(client);
            return;
    }
}

void Worker::State::on_bad_message(Client& client, ParseOutcome outcome) {
    if (outcome == ParseOutcome::bad_name) {
        answer_error(
            client, "bad_name", "names are 1 to 128 bytes of UTF-8 without control characters");
        return;
    }
    if (outcome == ParseOutcome::bad_request) {
        answer_error(
            client, "bad_request", "a member of this message is missing or of the wrong type");
        return;
    }
    ++counters.bad_messages;
    scratch.clear();
    scratch.append(protocol::invalid_format);
    answer(client);
    if (options.bad_messages_max != 0 && ++client.bad_messages >= options.bad_messages_max) {
        engine.close(client.session,
                     ws::CloseCode::policy,
                     "too many messages that are not JSON",
                     metrics::CloseReason::bad_messages);
    }
}

void Worker::State::answer(Client& client) {
    (void)engine.send(client.session, ws::Opcode::text, scratch.view());
}

void Worker::State::answer_error(Client& client, std::string_view code, std::string_view sentence) {
    scratch.clear();
    protocol::append_error(scratch, message.id, code, sentence);
    answer(client);
}

void Worker::State::join(Client& client) {
    const hub::Hub::Joined joined = hub.join(client.memberships,
                                             client.session.index,
                                             message.group,
                                             message.wants_offsets,
                                             engine.now());
    if (joined.outcome == hub::Hub::JoinOutcome::too_many) {
        answer_error(client, "too_many_groups", "leave a group before joining another");
        return;
    }
    counters.groups = hub.group_count();
    if (message.id.empty()) return;
    const std::string epoch = hub::format_epoch(joined.position.epoch);
    protocol::JoinAck ack;
    ack.group = message.group;
    ack.epoch = epoch;
    ack.offset = joined.position.offset;
    if (message.since) ack.recovered = false;  // no history is kept yet
    scratch.clear();
    protocol::append_join_ack(scratch, message.id, ack);
    answer(client);
}

void Worker::State::leave(Client& client) {
    (void)hub.leave(client.memberships, message.group, engine.now());
    counters.groups = hub.group_count();
    if (message.id.empty()) return;
    scratch.clear();
    protocol::append_ack(scratch, message.id);
    answer(client);
}

void Worker::State::broadcast(Client& client) {
    const hub::Hub::Publication publication = hub.publish(message.group, engine.now());
    fan_out(client, publication);
    if (message.id.empty()) return;
    const std::string epoch = hub::format_epoch(publication.position.epoch);
    scratch.clear();
    protocol::append_publish_ack(scratch, message.id, epoch, publication.position.offset);
    answer(client);
}

// Encodes the message at most once in each of its two forms, whatever the number of members.
void Worker::State::fan_out(const Client& sender, const hub::Hub::Publication& publication) {
    session::Frame plain;
    session::Frame numbered;
    for (const hub::Member& member : publication.members) {
        if (member.index == sender.session.index) continue;
        session::Frame& frame = member.has_offsets != 0 ? numbered : plain;
        if (frame.plain.data == nullptr) {
            scratch.clear();
            if (member.has_offsets != 0) {
                scratch.append(",\"offset\":");
                scratch.append(std::to_string(publication.position.offset));
            }
            scratch.append('}');
            const std::array<ByteView, 3> pieces = {
                as_bytes(publication.prefix), as_bytes(message.payload), scratch.view()};
            frame = engine.frame(ws::Opcode::text, pieces);
        }
        (void)engine.send_frame(clients[member.index].session, frame);
    }
}

void Worker::State::direct(Client& client) {
    if (directory.find(message.target) == IndexTable::none) {
        answer_error(client, "unknown_target", "no client of this id is connected");
        return;
    }
    hub::ClientId::TextBuffer buffer;
    scratch.clear();
    protocol::append_direct(
        scratch, message.payload, directory.id_of(client.session.index, buffer));
    directory.for_each(message.target, [&](std::uint32_t index) {
        (void)engine.send(clients[index].session, ws::Opcode::text, scratch.view());
    });
    if (message.id.empty()) return;
    scratch.clear();
    protocol::append_ack(scratch, message.id);
    answer(client);
}

}  // namespace wspool::worker
