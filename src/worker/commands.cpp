// What the control process orders (docs/control-api.md): a command comes as a delivery to the
// sessions of an id, is carried out when all that was delivered before it is done, and is answered
// to the process that gave it.
#include "worker/worker_state.h"

#include <algorithm>

namespace wspool::worker {

// Put off until there are no actions left: a join would overtake what is still to be delivered.
void Worker::State::take_command(const hub::Delivery& delivery) {
    wire::Command order;
    if (!wire::decode(delivery.payload, order)) return;  // of a control process, if of anybody
    for (const hub::Member& member : delivery.members) {
        Command command{.session = clients[member.index].session,
                        .number = order.number,
                        .asker = order.asker,
                        .kind = order.kind,
                        .code = order.code,
                        .group = std::string(order.group),
                        .reason = std::string(order.reason),
                        .deadline = engine.now() + command_patience};
        if (commands.size() < commands_max) {
            commands.push_back(std::move(command));
        } else {
            answer_command(command, {.refusal = wire::Refusal::unavailable});
        }
    }
}

// The first command that can be carried out or answered now. A session that is not read waits for
// an answer about a group or for window: joins and leaves of it wait too, as its own would.
bool Worker::State::carry_out_command() {
    for (auto at = commands.begin(); at != commands.end(); ++at) {
        Client* client = find(to_hub(at->session));
        const bool is_there = client != nullptr && client->state == ClientState::active;
        const bool is_late = engine.now() >= at->deadline;
        if (is_there && !is_late && at->kind != wire::CommandKind::disconnect &&
            engine.is_paused(client->session)) {
            continue;
        }
        const Command command = std::move(*at);
        commands.erase(at);
        if (!is_there) {
            answer_command(command, {.refusal = wire::Refusal::unknown_target});
        } else if (is_late) {
            answer_command(command, {.refusal = wire::Refusal::unavailable});
        } else {
            carry_out(*client, command);
        }
        return true;
    }
    return false;
}

void Worker::State::carry_out(Client& client, const Command& command) {
    switch (command.kind) {
        case wire::CommandKind::join:
            join_by_command(client, command);
            return;
        case wire::CommandKind::leave:
            (void)exchange.leave(to_hub(client.session), command.group, engine.now());
            answer_command(command, {});
            return;
        case wire::CommandKind::disconnect:
            engine.close(client.session,
                         static_cast<ws::CloseCode>(command.code),
                         command.reason,
                         metrics::CloseReason::disconnected);
            answer_command(command, {});
            return;
    }
}

// While the join is pending the client is not read, as after a join of its own.
void Worker::State::join_by_command(Client& client, const Command& command) {
    using Outcome = hub::JoinAnswer::Outcome;
    hub::JoinRequest request;
    request.group = command.group;
    request.tag = write_tag({.is_command = true, .id = {}});
    const hub::JoinAnswer joined = exchange.join(to_hub(client.session), request, engine.now());
    if (joined.outcome == Outcome::pending) {
        hold(client, held_by_exchange);
        commanded_joins.push_back(command);
        return;
    }
    answer_command(command,
                   {.refusal = joined.refusal,
                    .epoch = joined.position.epoch,
                    .offset = joined.position.offset});
}

void Worker::State::end_commanded_join(Client& client,
                                       const hub::Position& position,
                                       wire::Refusal refusal) {
    const auto at =
        std::find_if(commanded_joins.begin(), commanded_joins.end(), [&](const Command& command) {
            return command.session == client.session;
        });
    if (at == commanded_joins.end()) return;
    const Command command = std::move(*at);
    commanded_joins.erase(at);
    answer_command(command,
                   {.refusal = refusal, .epoch = position.epoch, .offset = position.offset});
    let_go(client, held_by_exchange);
}

// An asker that has died wants no answer.
void Worker::State::answer_command(const Command& command, const wire::CommandAnswer& answer) {
    ByteBuffer* out = exchange.outgoing(command.asker);
    if (out == nullptr) return;
    wire::CommandAnswer numbered = answer;
    numbered.number = command.number;
    wire::encode(*out, numbered);
}

}  // namespace wspool::worker
