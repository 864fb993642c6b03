#include "hub/directory.h"

#include <algorithm>

namespace wspool::hub {
namespace {

constexpr std::array<std::array<char, 2>, 256> hex_pairs = [] {
    constexpr std::string_view digits = "0123456789abcdef";
    std::array<std::array<char, 2>, 256> pairs{};
    for (std::size_t i = 0; i < 256; ++i) pairs[i] = {digits[i >> 4], digits[i & 15]};
    return pairs;
}();

}  // namespace

ClientId ClientId::named(std::string_view name) {
    ClientId id;
    id.name_ = std::make_unique<char[]>(name.size());
    std::copy(name.begin(), name.end(), id.name_.get());
    id.size_ = name.size();
    return id;
}

ClientId ClientId::anonymous(Entropy& entropy) {
    ClientId id;
    id.bits_ = {};
    entropy.fill(id.bits_);
    return id;
}

std::string_view ClientId::text(TextBuffer& buffer) const {
    if (name_) return {name_.get(), size_};
    static constexpr std::string_view prefix = "anon_";
    char* out = std::copy(prefix.begin(), prefix.end(), buffer.data());
    for (const std::byte bits : bits_) {
        out = std::copy_n(hex_pairs[std::to_integer<std::size_t>(bits)].data(), 2, out);
    }
    return {buffer.data(), buffer.size()};
}

void Directory::add(std::uint32_t index, std::string_view name) {
    insert(index, ClientId::named(name));
}

void Directory::add_anonymous(std::uint32_t index) {
    insert(index, ClientId::anonymous(entropy_));
}

void Directory::insert(std::uint32_t index, ClientId id) {
    ids_.grow_to(index);
    ids_[index] = std::move(id);
    ClientId::TextBuffer buffer;
    table_.insert(sip_hash(ids_[index].text(buffer), key_), index);
}

void Directory::remove(std::uint32_t index) {
    ClientId::TextBuffer buffer;
    table_.erase(sip_hash(ids_[index].text(buffer), key_), index);
    ids_[index] = ClientId();
}

std::uint32_t Directory::find(std::string_view id) const {
    return table_.find(sip_hash(id, key_), [&](std::uint32_t index) {
        ClientId::TextBuffer buffer;
        return ids_[index].text(buffer) == id;
    });
}

}  // namespace wspool::hub
