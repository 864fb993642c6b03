// The clients' JSON protocol (docs/protocol.md): one message parsed in one pass, answers written.
//
// JSON is RFC 8259 over UTF-8, checked from the first byte to the last by our own one-pass grammar
// check, because the payload is passed on byte for byte: what the grammar allows passes, what it
// does not allow, anywhere, refuses the whole message (docs/decisions/ has the measurement against
// simdjson). Pure.
//
// Ownership: views point into the message's bytes or into the Parser's scratch, and stay valid
// until the next parse().
#pragma once

#include "base/bytes.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::protocol {

struct JsonValue;

enum class MessageType : std::uint8_t { join, leave, broadcast, direct, ping, other };

enum class ParseOutcome : std::uint8_t {
    ok,
    malformed,    // not JSON, no object, too deep, a duplicate key in the envelope, a second
                  // document: answered with {"error":"Invalid message format"}
    bad_request,  // JSON, a known type, but a member is missing or of the wrong type (also a bad
                  // `id`)
    bad_name,     // group or targetId is not 1–128 bytes of UTF-8 without control characters
};

struct ClientMessage {
    MessageType type = MessageType::other;
    std::string_view group;    // decoded
    std::string_view target;   // decoded
    std::string_view payload;  // JSON text, byte for byte, without surrounding white space
    std::string_view
        id;  // JSON text of the id (integer, or string of at most 64 bytes); empty: none
    bool wants_offsets = false;
    struct Since {
        std::string_view epoch;
        std::uint64_t offset = 0;
    };
    std::optional<Since> since;
};

struct ParserOptions {
    std::size_t depth_max = 64;  // nesting beyond it is malformed; the message itself is level 1
    std::size_t name_size_max = 128;
};

class Parser {
  public:
    explicit Parser(const ParserOptions& options = {});
    // `is_utf8`: already checked (text messages); binary ones are checked here. On bad_request and
    // bad_name `out.id` is filled where it could be read, so that the error can carry it. `since`
    // and `offsets` mean something in a join only; elsewhere they are keys like any other.
    [[nodiscard]] ParseOutcome parse(ByteView message, bool is_utf8, ClientMessage& out);

  private:
    struct Envelope;

    [[nodiscard]] std::string_view decoded(std::string_view quoted, bool has_escapes);
    [[nodiscard]] const char* read_member(const char* at,
                                          const char* end,
                                          std::string_view& key,
                                          JsonValue& value);
    [[nodiscard]] bool read_envelope(std::string_view text, Envelope& envelope);
    [[nodiscard]] bool read_id(const JsonValue& value, std::string_view& id);
    [[nodiscard]] bool read_since(const JsonValue& value,
                                  std::optional<ClientMessage::Since>& since);
    [[nodiscard]] ParseOutcome read_name(const JsonValue& value, std::string_view& name);
    [[nodiscard]] ParseOutcome read_members(const Envelope& envelope, ClientMessage& out);

    ParserOptions options_;
    std::string scratch_;  // decoded strings that had escapes; never grows during a parse
    std::size_t message_size_ = 0;
    std::vector<std::string_view> unknown_keys_;  // of the envelope, to find duplicates
};

// Whether `name` may be a group's or client's: 1–128 bytes of UTF-8 without control characters
// (U+0000–U+001F, U+007F–U+009F).
[[nodiscard]] bool is_valid_name(std::string_view name, std::size_t size_max = 128);

// ---- answers. All append; strings are escaped, `payload` and `id` are JSON text and go in as they
// are.

void append_json_string(ByteBuffer& out, std::string_view text);
// {"type":"broadcast","group":G,"payload":  — kept per group; the message follows, then } or
// ,"offset":N}
void append_broadcast_prefix(ByteBuffer& out, std::string_view group);
// {"type":"direct","payload":P,"from":ID}
void append_direct(ByteBuffer& out, std::string_view payload, std::string_view from);
// {"type":"echo","payload":M}
void append_echo(ByteBuffer& out, std::string_view message);
// {"type":"pong"} or {"type":"pong","id":N}
void append_pong(ByteBuffer& out, std::string_view id);
struct JoinAck {
    std::string_view group, epoch;
    std::uint64_t offset = 0;
    std::optional<bool> recovered;
};
// {"type":"ack","id":N,"group":G,"epoch":E,"offset":N[,"recovered":B]}
void append_join_ack(ByteBuffer& out, std::string_view id, const JoinAck& ack);
// {"type":"ack","id":N,"epoch":E,"offset":N}
void append_publish_ack(ByteBuffer& out,
                        std::string_view id,
                        std::string_view epoch,
                        std::uint64_t offset);
// {"type":"ack","id":N}
void append_ack(ByteBuffer& out, std::string_view id);
// {"type":"error"[,"id":N],"code":C,"message":M}
void append_error(ByteBuffer& out,
                  std::string_view id,
                  std::string_view code,
                  std::string_view message);
// {"type":"welcome","clientId":…}
void append_welcome(ByteBuffer& out, std::string_view client_id);
// {"type":"position","group":G,"epoch":E,"offset":N,"recovered":B}
void append_position(ByteBuffer& out,
                     std::string_view group,
                     std::string_view epoch,
                     std::uint64_t offset,
                     bool is_recovered);
// {"type":"draining","reconnectDelay":MS}
void append_draining(ByteBuffer& out, std::uint64_t reconnect_delay_ms);
// {"type":"queued","position":N,"timeout":MS}
void append_queued(ByteBuffer& out, std::uint64_t position, std::uint64_t timeout_ms);
inline constexpr std::string_view admitted = R"({"type":"admitted"})";
// {"type":"preempted","reason":"Higher priority connection needed","reconnectDelay":MS,"ticket":T}
void append_preempted(ByteBuffer& out, std::uint64_t reconnect_delay_ms, std::string_view ticket);
inline constexpr std::string_view preempted_reason = "Higher priority connection needed";
inline constexpr std::string_view invalid_format = R"({"error":"Invalid message format"})";

}  // namespace wspool::protocol
