// What clients say, routed (docs/protocol.md).
#include "worker/worker_state.h"

#include <charconv>

namespace wspool::worker {
namespace {

using protocol::MessageType;
using protocol::ParseOutcome;

constexpr char tag_is_direct = 1;
constexpr char tag_has_offsets = 2;
constexpr char tag_is_command = 4;

// A position as a client gives it back. What is no epoch of ours matches none: epoch 0 is never
// given out.
[[nodiscard]] hub::Position position_of(const protocol::ClientMessage::Since& since) {
    hub::Position position{0, since.offset};
    const char* const end = since.epoch.data() + since.epoch.size();
    const auto [at, error] = std::from_chars(since.epoch.data(), end, position.epoch, 16);
    const bool is_ours =
        error == std::errc() && at == end && hub::format_epoch(position.epoch) == since.epoch;
    if (!is_ours) position.epoch = 0;
    return position;
}

struct Sentence {
    std::string_view code, text;
};

[[nodiscard]] Sentence sentence_of(wire::Refusal refusal) {
    switch (refusal) {
        case wire::Refusal::too_big:
            return {"too_big", "the message is larger than what may be under way between workers"};
        case wire::Refusal::forbidden:
            return {"forbidden", "this client may not do that"};
        case wire::Refusal::unknown_target:
            return {"unknown_target", "no client of this id is connected"};
        case wire::Refusal::too_many_groups:
            return {"too_many_groups", "leave a group before joining another"};
        case wire::Refusal::duplicate_id:
            return {"forbidden", "this client id is connected already"};
        case wire::Refusal::unavailable:
        case wire::Refusal::none:
        case wire::Refusal::count_:
            break;
    }
    return {"unavailable", "no answer came in time: whether it was done is unknown"};
}

}  // namespace

Tag read_tag(std::string_view bytes) {
    if (bytes.empty()) return {};
    const char flags = bytes.front();
    return {(flags & tag_is_direct) != 0,
            (flags & tag_has_offsets) != 0,
            (flags & tag_is_command) != 0,
            bytes.substr(1)};
}

std::string_view Worker::State::write_tag(const Tag& tag) {
    tag_scratch.assign(1,
                       static_cast<char>((tag.is_direct ? tag_is_direct : 0) |
                                         (tag.has_offsets ? tag_has_offsets : 0) |
                                         (tag.is_command ? tag_is_command : 0)));
    tag_scratch.append(tag.id);
    return tag_scratch;
}

void Worker::State::on_message(const session::Event& event) {
    Client& client = clients[event.session.index];
    WSPOOL_ASSERT(client.session == event.session);
    if (has_shares) pool_of(client).touch(client.seat, engine.now());
    if (!fits_pool(client, event.payload.size())) return;
    if (throttle && !spend(client, event.payload.size())) return;
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
        answer_error(client,
                     message.id,
                     "bad_name",
                     "names are 1 to 128 bytes of UTF-8 without control characters");
        return;
    }
    if (outcome == ParseOutcome::bad_request) {
        answer_error(client,
                     message.id,
                     "bad_request",
                     "a member of this message is missing or of the wrong type");
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

void Worker::State::answer_error(Client& client,
                                 std::string_view id,
                                 std::string_view code,
                                 std::string_view sentence) {
    scratch.clear();
    protocol::append_error(scratch, id, code, sentence);
    answer(client);
}

void Worker::State::answer_refusal(Client& client, std::string_view id, wire::Refusal refusal) {
    const Sentence sentence = sentence_of(refusal);
    answer_error(client, id, sentence.code, sentence.text);
}

void Worker::State::join(Client& client) {
    using Outcome = hub::JoinAnswer::Outcome;
    if (!may_join(client, message.group)) {
        answer_refusal(client, message.id, wire::Refusal::forbidden);
        return;
    }
    hub::JoinRequest request;
    request.group = message.group;
    request.has_offsets = message.wants_offsets;
    if (message.since) request.since = position_of(*message.since);
    const std::size_t queued = engine.outbox_size(client.session);
    request.room =
        options.engine.outbox_size_max > queued ? options.engine.outbox_size_max - queued : 0;
    request.tag = write_tag({.has_offsets = message.wants_offsets, .id = message.id});
    const hub::JoinAnswer joined = exchange.join(to_hub(client.session), request, engine.now());
    switch (joined.outcome) {
        case Outcome::refused:
            answer_refusal(client, message.id, joined.refusal);
            return;
        case Outcome::pending:
            hold(client, held_by_exchange);
            return;
        case Outcome::joined:
        case Outcome::was_member:
            break;
    }
    acknowledge_join(client,
                     message.id,
                     message.group,
                     joined.position,
                     message.since ? std::optional(joined.is_recovered) : std::nullopt);
    replay(client, joined.replay, joined.prefix, message.wants_offsets);
}

void Worker::State::leave(Client& client) {
    (void)exchange.leave(to_hub(client.session), message.group, engine.now());
    if (message.id.empty()) return;
    scratch.clear();
    protocol::append_ack(scratch, message.id);
    answer(client);
}

void Worker::State::broadcast(Client& client) {
    if (!may_publish(client, message.group)) {
        answer_refusal(client, message.id, wire::Refusal::forbidden);
        return;
    }
    publish(client,
            {.name = message.group,
             .payload = as_bytes(message.payload),
             .sender = to_hub(client.session),
             .tag = {}},
            {.id = message.id});
}

void Worker::State::direct(Client& client) {
    publish(client,
            {.name = message.target,
             .payload = as_bytes(message.payload),
             .sender = to_hub(client.session),
             .tag = {}},
            {.is_direct = true, .id = message.id});
}

void Worker::State::publish(Client& client, hub::PublishRequest request, const Tag& tag) {
    using Outcome = hub::PublishAnswer::Outcome;
    request.tag = write_tag(tag);
    const hub::PublishAnswer published =
        tag.is_direct ? exchange.direct(request, wire::Kind::direct, engine.now())
                      : exchange.broadcast(request, engine.now());
    switch (published.outcome) {
        case Outcome::sequenced:
            deliver(published.delivery);
            acknowledge(client, tag, published.position);
            break;
        case Outcome::refused:
            answer_refusal(client, message.id, published.refusal);
            break;
        case Outcome::paused:
            hold(client, held_by_exchange);
            break;
        case Outcome::pending:
            break;
    }
}

}  // namespace wspool::worker
