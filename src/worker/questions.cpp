// What the control process asks about clients and groups (docs/control-api.md): looked up, and
// replied over the link in the same turn.
#include "worker/worker_state.h"

#include <algorithm>

namespace wspool::worker {
namespace {

// Of one reply, whatever is asked for: a turn of the worker must stay short.
constexpr std::size_t items_max = 1'000;
constexpr std::size_t looks_max = 16'384;
constexpr std::size_t groups_listed_max = 1'000;

}  // namespace

bool Worker::State::on_question(const link::PeerLinks::OwnRecord& record) {
    wire::Question question;
    if (!wire::decode(record.bytes, question)) return false;
    ByteBuffer* out = exchange.outgoing(record.peer);
    if (out == nullptr) return true;
    wire::Reply reply{.number = question.number, .kind = question.kind};
    client_items.clear();
    group_items.clear();
    switch (question.kind) {
        case wire::QuestionKind::clients:
            list_clients(question, reply);
            break;
        case wire::QuestionKind::client:
            exchange.list_holders_of(question.name, holders);
            for (const std::uint32_t index : holders) list_client(index, true);
            break;
        case wire::QuestionKind::groups:
            list_groups(question, reply);
            break;
        case wire::QuestionKind::members:
            count_members(question);
            break;
    }
    const bool is_about_clients = wire::is_about_clients(question.kind);
    reply.count = is_about_clients ? client_items.count() : group_items.count();
    reply.items = is_about_clients ? client_items.view() : group_items.view();
    wire::encode(*out, reply);
    return true;
}

void Worker::State::list_client(std::uint32_t index, bool with_groups) {
    const Client& client = clients[index];
    if (client.state != ClientState::active || client.is_echo) return;
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    hub::ClientId::TextBuffer buffer;
    wire::ClientItem item;
    item.id = exchange.id_of(index, buffer);
    item.priority = static_cast<std::uint8_t>(client.priority);
    item.connected_ms = static_cast<std::uint64_t>(
        duration_cast<milliseconds>(engine.open_for(client.session)).count());
    item.outbox_bytes = engine.outbox_size(client.session);
    item.group_count = static_cast<std::uint32_t>(exchange.group_count_of(index));
    name_items.clear();
    if (with_groups) {
        exchange.list_groups_of(index, groups_listed_max, group_names);
        for (const std::string_view name : group_names) name_items.add({name});
    }
    item.listed = name_items.count();
    item.groups = name_items.view();
    client_items.add(item);
}

void Worker::State::list_clients(const wire::Question& question, wire::Reply& reply) {
    const std::size_t limit = std::min<std::size_t>(question.limit, items_max);
    const std::size_t end = std::min<std::size_t>(clients.size(), question.from + looks_max);
    std::uint32_t index = question.from;
    while (index < end && client_items.count() < limit) list_client(index++, false);
    reply.has_more = index < clients.size();
    reply.next = index;
}

void Worker::State::list_groups(const wire::Question& question, wire::Reply& reply) {
    const std::size_t limit = std::min<std::size_t>(question.limit, items_max);
    std::size_t looks = looks_max;
    reply.next = question.from;
    while (group_items.count() < limit) {
        const auto group = exchange.next_group(reply.next, looks);
        if (!group) break;
        group_items.add({.name = group->name,
                         .members = group->members,
                         .epoch = group->position.epoch,
                         .offset = group->position.offset,
                         .history = group->history});
    }
    reply.has_more = exchange.has_names_from(reply.next);
}

// What is not known here, or has no member here and is not homed here either, is left out.
void Worker::State::count_members(const wire::Question& question) {
    wire::NameCursor cursor(question.names, question.count);
    wire::NameItem name;
    while (cursor.next(name) && group_items.count() < items_max) {
        const auto group = exchange.group(name.name);
        if (!group || (group->members == 0 && !group->is_home)) continue;
        group_items.add({.name = group->name,
                         .members = group->members,
                         .epoch = group->position.epoch,
                         .offset = group->position.offset,
                         .history = group->history});
    }
}

}  // namespace wspool::worker
