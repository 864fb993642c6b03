// Histories and logs: what is kept of the messages of a name, and for how long.
#include "hub/exchange_state.h"

#include <algorithm>

namespace wspool::hub {
namespace {

// What one kept message costs, for the bounds of the history.
[[nodiscard]] std::size_t cost_of(std::size_t blob_size) {
    return blob_size + sizeof(Message);
}

}  // namespace

const HistoryRule* Exchange::State::rule_of(const Name& name) const {
    return name.rule < options.history.size() ? &options.history[name.rule] : nullptr;
}

bool Exchange::State::keeps(const Name& name) const {
    const HistoryRule* rule = rule_of(name);
    return rule != nullptr && rule->messages > 0;
}

std::uint64_t Exchange::State::stable_of(const Name& name) const {
    return is_mine(name) ? home.stable : upstreams[name.home].stable;
}

void Exchange::State::push_message(std::uint32_t index,
                                   const Message& message,
                                   const Passing& passing) {
    Name& name = names[index];
    if (!name.messages) name.messages = std::make_unique<BlobRing<Message>>();
    name.messages->push_back(message, as_bytes(passing.sender_id), passing.payload);
    if (is_mine(name)) {
        ++history_messages;
        history_bytes += cost_of(passing.sender_id.size() + passing.payload.size());
    }
}

void Exchange::State::drop_front(Name& name) {
    if (is_mine(name)) {
        --history_messages;
        history_bytes -= cost_of(name.messages->blob(0).size());
    }
    name.messages->pop_front();
    if (!name.messages->empty()) return;
    name.messages->shrink();
    if (name.history.is_linked) histories[name.rule].erase(names, find(name.space, name.text));
}

// Drops what is stable and beyond the bounds of the name's history.
void Exchange::State::trim(std::uint32_t index, Instant now) {
    Name& name = names[index];
    const std::uint64_t stable = stable_of(name);
    const HistoryRule* rule = rule_of(name);
    while (name.has_messages() && name.messages->front().s <= stable) {
        const BlobRing<Message>& messages = *name.messages;
        const bool fits = rule != nullptr && messages.size() <= rule->messages &&
                          messages.bytes() + messages.size() * sizeof(Message) <= rule->bytes &&
                          now - messages[0].at < rule->age;
        if (fits) return;
        drop_front(name);
    }
}

// A message was added: to the end of those with history, and within the bounds.
void Exchange::State::touch_history(std::uint32_t index, Instant now) {
    Name& name = names[index];
    if (!keeps(name) || !name.has_messages()) return;
    auto& list = histories[name.rule];
    name.published = now;
    if (list.back() != index || !name.history.is_linked) {
        if (name.history.is_linked) list.erase(names, index);
        list.push_back(names, index);
    }
    if (history_bytes > options.history_bytes_max) bound_history();
}

// Over the bound of the worker, those lose their history first whose last publish is oldest; what
// is unstable stays.
void Exchange::State::bound_history() {
    while (history_bytes > options.history_bytes_max) {
        std::uint32_t oldest = IndexTable::none;
        for (const auto& list : histories) {
            std::uint32_t index = list.front();
            while (index != IndexTable::none && names[index].messages->front().s > home.stable) {
                index = names[index].history.next;
            }
            if (index == IndexTable::none) continue;
            if (oldest == IndexTable::none || names[index].published < names[oldest].published) {
                oldest = index;
            }
        }
        if (oldest == IndexTable::none) return;
        drop_front(names[oldest]);
    }
}

void Exchange::State::expire_history(Instant now) {
    for (std::size_t rule = 0; rule < histories.size(); ++rule) {
        while (histories[rule].size() > 0) {
            const std::uint32_t index = histories[rule].front();
            if (now - names[index].published < options.history[rule].age) break;
            trim(index, now);
            // What is left is unstable: it is looked at again when it is stable.
            if (names[index].history.is_linked) histories[rule].erase(names, index);
        }
    }
}

wire::Entry Exchange::State::entry_at(const Name& name, std::size_t i) const {
    const Message& message = (*name.messages)[i];
    const ByteView blob = name.messages->blob(i);
    return {.s = message.s,
            .offset = message.offset,
            .origin = message.origin,
            .session = message.session,
            .kind = message.kind,
            .sender_id = as_text(blob.first(message.sender_size)),
            .payload = blob.subspan(message.sender_size)};
}

std::uint64_t Exchange::State::offset_at_stable(const Name& name) const {
    std::uint64_t offset = name.position.offset;
    if (!name.messages) return offset;
    for (std::size_t i = name.messages->size(); i > 0; --i) {
        if ((*name.messages)[i - 1].s <= home.stable) break;
        offset = (*name.messages)[i - 1].offset - 1;
    }
    return offset;
}

// R17. `floor`: where who did not ask, or asks in vain, starts. `since` must not lie above it: of
// what is unstable a fresh receiver needs every message (R15).
Exchange::State::ReplayChoice Exchange::State::choose_start(Name& name,
                                                            const Position* since,
                                                            std::uint64_t room,
                                                            std::uint64_t floor) {
    if (since == nullptr) return {floor, false};
    const auto refuse = [&]() -> ReplayChoice {
        ++totals.unrecovered_total;
        return {floor, false};
    };
    if (since->epoch != name.position.epoch || since->offset > floor) return refuse();
    if (since->offset < name.position.offset) {
        if (!name.has_messages() || since->offset + 1 < name.messages->front().offset) {
            return refuse();
        }
        const std::uint64_t first = name.messages->front().offset;
        std::uint64_t size = 0;
        for (std::uint64_t i = since->offset + 1 - first; i < name.messages->size(); ++i) {
            size += name.messages->blob(i).size() - (*name.messages)[i].sender_size;
            if (size > room) return refuse();
        }
    }
    ++totals.recovered_total;
    return {since->offset, true};
}

// Fills `replay` with start+1 … end, but for what the session's own id has sent (R21).
void Exchange::State::replay_from_history(const Name& name,
                                          std::uint64_t start,
                                          std::uint64_t end,
                                          std::uint32_t session) {
    replay.clear();
    if (start >= end) return;
    ClientId::TextBuffer buffer;
    const std::string_view id = sessions[session].id.text(buffer);
    const std::uint64_t first = name.messages->front().offset;
    WSPOOL_ASSERT(start + 1 >= first);
    for (std::uint64_t offset = start + 1; offset <= end; ++offset) {
        const wire::Entry entry = entry_at(name, offset - first);
        if (options.duplicate_id != DuplicateId::allow && entry.sender_id == id) continue;
        replay.push_back({offset, entry.payload});
    }
}

}  // namespace wspool::hub
