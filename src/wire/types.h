// The words that records between our processes are made of (docs/protocol/): who somebody is,
// what kind of record or message something is, and why something was refused. Pure values.
#pragma once

#include <cstdint>

namespace wspool::wire {

// A process start, numbered by the master, never used twice; 0: nobody. A peer is an incarnation,
// never an index.
using Incarnation = std::uint64_t;

// The place of the control process, which is nobody's home; workers have 0 … N−1.
inline constexpr std::uint16_t control_index = 0xFFFF;

// Groups and client ids are two separate sets of names.
enum class Space : std::uint8_t { group, id };

// What a published message is: for the members of a group, for the sessions of an id, or an order
// of the control process to the sessions of an id.
enum class Kind : std::uint8_t { broadcast, direct, command };

// One client connection: who accepted it, and its number there; the number stays when it moves.
struct SessionNumber {
    Incarnation incarnation = 0;
    std::uint64_t counter = 0;
    friend bool operator==(const SessionNumber&, const SessionNumber&) = default;
};

// Which publish a message comes from; `sequence` counts per (incarnation, home index).
struct Origin {
    Incarnation incarnation = 0;
    std::uint64_t sequence = 0;
    friend bool operator==(const Origin&, const Origin&) = default;
};

enum class Refusal : std::uint8_t {
    none,
    too_big,  // would not fit an empty window (R61)
    forbidden,
    unknown_target,  // no session has this id (R12)
    unavailable,     // outcome unknown if it had been sent once (R32, R33)
    duplicate_id,    // 409: the id is held, or a newer register took the place (R52, R53)
    too_many_groups,
    count_,
};

// Why a connection that was offered is not taken (R42, R44).
enum class Decline : std::uint8_t {
    draining,
    full,
    no_descriptor,  // the receiver's process had none left for it
};

// 0 … 15 are the master's (hello, peer, drain …), 64 … 79 are for handover and upgrade.
enum class RecordType : std::uint8_t {
    peer = 1,
    publish = 16,
    refused,
    deliver,
    sequenced,
    got,
    stable,
    join,
    joined,
    leave,
    evict,
    check,
    held,
    announce,
    announce_name,
    announce_entry,
    announce_resend,
    announced,
    opened,
    offer = 64,
    taken,
    declined,
    redeem = 80,  // 80 … 95 are about seats
    redeemed,
    command = 96,  // 96 … 111: the control process and the workers (control_records.h)
    command_answer,
    question,
    reply,
};

// Of the process that has the exchange, not of the exchange itself.
[[nodiscard]] constexpr bool is_owners(RecordType type) {
    return type >= RecordType::redeem;
}

[[nodiscard]] constexpr bool is_of_control(RecordType type) {
    return type >= RecordType::command;
}

}  // namespace wspool::wire
