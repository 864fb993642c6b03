// The records between the control process and the workers (docs/control-api.md): commands to the
// sessions of an id, and questions about clients and groups.
//
// A command goes as the payload of a publish of Kind::command to the id's home, so that it finds
// the holder wherever that is; its answer, a question and its reply go over the link between the
// two processes. All carry the number that the control process gave.
#pragma once

#include "wire/records.h"

namespace wspool::wire {

enum class CommandKind : std::uint8_t { join, leave, disconnect };

// P → the holders of the id, as a payload.
struct Command {
    static constexpr RecordType type = RecordType::command;
    std::uint64_t number = 0;
    Incarnation asker = 0;  // who wants the answer
    CommandKind kind{};
    std::string_view group{};  // join, leave
    std::uint16_t code = 0;    // disconnect: of the close frame, and its text
    std::string_view reason{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.number);
        codec.number(self.asker);
        codec.choice(self.kind, CommandKind::disconnect);
        codec.text(self.group);
        codec.number(self.code);
        codec.text(self.reason);
    }
};

// Holder → the asker.
struct CommandAnswer {
    static constexpr RecordType type = RecordType::command_answer;
    std::uint64_t number = 0;
    Refusal refusal{};
    std::uint64_t epoch = 0;  // of a join: after which position the next message comes
    std::uint64_t offset = 0;
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.number);
        codec.choice(self.refusal, Refusal::too_many_groups);
        codec.number(self.epoch);
        codec.place(self.offset);
    }
};

enum class QuestionKind : std::uint8_t {
    clients,  // of this worker, from `from` on
    client,   // the sessions of the id `name`
    groups,   // homed at this worker, from `from` on
    members,  // each of `names`: its members here, and from its home the rest as well
};

// Control process → worker. `names` holds `count` NameItem.
struct Question {
    static constexpr RecordType type = RecordType::question;
    std::uint64_t number = 0;
    QuestionKind kind{};
    std::uint32_t from = 0;
    std::uint32_t limit = 0;
    std::string_view name{};
    std::uint32_t count = 0;
    ByteView names{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.number);
        codec.choice(self.kind, QuestionKind::members);
        codec.number(self.from);
        codec.number(self.limit);
        codec.text(self.name);
        codec.number(self.count);
        codec.bytes(self.names);
    }
};

// Worker → control process. `items` holds `count` ClientItem (to clients and client), or GroupItem.
struct Reply {
    static constexpr RecordType type = RecordType::reply;
    std::uint64_t number = 0;
    QuestionKind kind{};
    bool has_more = false;
    std::uint32_t next = 0;  // where to go on
    std::uint32_t count = 0;
    ByteView items{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.number);
        codec.choice(self.kind, QuestionKind::members);
        codec.flag(self.has_more);
        codec.number(self.next);
        codec.number(self.count);
        codec.bytes(self.items);
    }
};

struct NameItem {
    std::string_view name{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.name(self.name);
    }
};

// 0 … 3 from critical to low; what admission does not know is none of them.
inline constexpr std::uint8_t no_priority = 0xFF;

struct ClientItem {
    std::string_view id{};
    std::uint8_t priority = no_priority;
    std::uint64_t connected_ms = 0;
    std::uint64_t outbox_bytes = 0;
    std::uint32_t group_count = 0;
    std::uint32_t listed = 0;  // of its groups, in `groups`: to a question for one client alone
    ByteView groups{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.name(self.id);
        codec.number(self.priority);
        codec.number(self.connected_ms);
        codec.number(self.outbox_bytes);
        codec.number(self.group_count);
        codec.number(self.listed);
        codec.bytes(self.groups);
    }
};

struct GroupItem {
    std::string_view name{};
    std::uint64_t members = 0;  // here
    std::uint64_t epoch = 0;    // 0: not from the group's home
    std::uint64_t offset = 0;
    std::uint64_t history = 0;  // messages
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.name(self.name);
        codec.number(self.members);
        codec.number(self.epoch);
        codec.place(self.offset);
        codec.number(self.history);
    }
};

[[nodiscard]] bool decode(ByteView record, Question& result);
[[nodiscard]] bool decode(ByteView record, Reply& result);

[[nodiscard]] constexpr bool is_about_clients(QuestionKind kind) {
    return kind == QuestionKind::clients || kind == QuestionKind::client;
}

using NameCursor = ListCursor<NameItem>;
using ClientCursor = ListCursor<ClientItem>;
using GroupCursor = ListCursor<GroupItem>;

// A list while it grows, for a record that is written when it is complete.
template <class Item>
class ItemList {
  public:
    void add(const Item& item) {
        Writer writer(bytes_);
        Item::fields(writer, item);
        ++count_;
    }
    void clear() {
        bytes_.clear();
        count_ = 0;
    }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] ByteView view() const { return bytes_.view(); }

  private:
    ByteBuffer bytes_;
    std::uint32_t count_ = 0;
};

}  // namespace wspool::wire
