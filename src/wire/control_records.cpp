#include "wire/control_records.h"

namespace wspool::wire {
namespace {

template <class Item, class Check>
[[nodiscard]] bool check_items(ByteView bytes, std::uint32_t count, Check check) {
    ListCursor<Item> cursor(bytes, count);
    Item item;
    while (cursor.is_ok() && cursor.next(item)) {
        if (!check(item)) return false;
    }
    return cursor.is_complete();
}

[[nodiscard]] bool check_names(ByteView bytes, std::uint32_t count) {
    return check_items<NameItem>(bytes, count, [](const NameItem& /*item*/) { return true; });
}

}  // namespace

bool decode(ByteView record, Question& result) {
    return decode_fields(record, result) && check_names(result.names, result.count);
}

bool decode(ByteView record, Reply& result) {
    if (!decode_fields(record, result)) return false;
    if (is_about_clients(result.kind)) {
        return check_items<ClientItem>(result.items, result.count, [](const ClientItem& item) {
            return check_names(item.groups, item.listed);
        });
    }
    return check_items<GroupItem>(
        result.items, result.count, [](const GroupItem& /*item*/) { return true; });
}

}  // namespace wspool::wire
