// What is said between master and child, as bytes. Private to master/. Both ends are one binary, so
// a message is its members one behind the other.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

namespace wspool::master {

enum class LinkMessageKind : std::uint32_t {
    // ---- from the master; the first two carry a descriptor each, and come in this order, and so
    // does `reload`
    peer_stream = 1,
    peer_channel,
    drain,
    shut_down,
    stop,
    reload,
    // ---- from the child
    ready,
    drained,
    ask_drain,  // the control process: somebody wants the gateway to end
};

struct LinkMessage {
    LinkMessageKind kind{};
    std::uint32_t index = 0;        // of a peer
    std::uint64_t incarnation = 0;  // of a peer
    std::uint64_t is_home = 0;
};
static_assert(sizeof(LinkMessage) == 24);

using LinkMessageBytes = std::array<std::byte, sizeof(LinkMessage)>;

[[nodiscard]] inline LinkMessageBytes encode(const LinkMessage& message) {
    LinkMessageBytes bytes;
    std::memcpy(bytes.data(), &message, sizeof message);
    return bytes;
}

[[nodiscard]] inline std::optional<LinkMessage> decode(ByteView bytes) {
    LinkMessage message;
    if (bytes.size() != sizeof message) return std::nullopt;
    std::memcpy(&message, bytes.data(), sizeof message);
    if (message.kind < LinkMessageKind::peer_stream || message.kind > LinkMessageKind::ask_drain) {
        return std::nullopt;
    }
    return message;
}

}  // namespace wspool::master
