// The answers of the clients' protocol, written.
#include "protocol/message.h"

#include <array>
#include <charconv>

namespace wspool::protocol {
namespace {

void append_number(ByteBuffer& out, std::uint64_t number) {
    std::array<char, 20> digits;
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    out.append(std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
}

void append_id(ByteBuffer& out, std::string_view id) {
    if (id.empty()) return;
    out.append(R"(,"id":)");
    out.append(id);
}

}  // namespace

void append_json_string(ByteBuffer& out, std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    out.append('"');
    std::size_t plain = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        out.append(text.substr(plain, i - plain));
        plain = i + 1;
        if (byte >= 0x20) {
            out.append('\\');
            out.append(text[i]);
        } else {
            out.append("\\u00");
            out.append(digits[byte >> 4]);
            out.append(digits[byte & 15]);
        }
    }
    out.append(text.substr(plain));
    out.append('"');
}

void append_broadcast_prefix(ByteBuffer& out, std::string_view group) {
    out.append(R"({"type":"broadcast","group":)");
    append_json_string(out, group);
    out.append(R"(,"payload":)");
}

void append_direct(ByteBuffer& out, std::string_view payload, std::string_view from) {
    out.append(R"({"type":"direct","payload":)");
    out.append(payload);
    out.append(R"(,"from":)");
    append_json_string(out, from);
    out.append('}');
}

void append_echo(ByteBuffer& out, std::string_view message) {
    out.append(R"({"type":"echo","payload":)");
    out.append(message);
    out.append('}');
}

void append_pong(ByteBuffer& out, std::string_view id) {
    out.append(R"({"type":"pong")");
    append_id(out, id);
    out.append('}');
}

void append_join_ack(ByteBuffer& out, std::string_view id, const JoinAck& ack) {
    out.append(R"({"type":"ack")");
    append_id(out, id);
    out.append(R"(,"group":)");
    append_json_string(out, ack.group);
    out.append(R"(,"epoch":)");
    append_json_string(out, ack.epoch);
    out.append(R"(,"offset":)");
    append_number(out, ack.offset);
    if (ack.recovered)
        out.append(*ack.recovered ? R"(,"recovered":true)" : R"(,"recovered":false)");
    out.append('}');
}

void append_position(ByteBuffer& out,
                     std::string_view group,
                     std::string_view epoch,
                     std::uint64_t offset,
                     bool is_recovered) {
    out.append(R"({"type":"position","group":)");
    append_json_string(out, group);
    out.append(R"(,"epoch":)");
    append_json_string(out, epoch);
    out.append(R"(,"offset":)");
    append_number(out, offset);
    out.append(is_recovered ? R"(,"recovered":true})" : R"(,"recovered":false})");
}

void append_publish_ack(ByteBuffer& out,
                        std::string_view id,
                        std::string_view epoch,
                        std::uint64_t offset) {
    out.append(R"({"type":"ack")");
    append_id(out, id);
    out.append(R"(,"epoch":)");
    append_json_string(out, epoch);
    out.append(R"(,"offset":)");
    append_number(out, offset);
    out.append('}');
}

void append_ack(ByteBuffer& out, std::string_view id) {
    out.append(R"({"type":"ack")");
    append_id(out, id);
    out.append('}');
}

void append_error(ByteBuffer& out,
                  std::string_view id,
                  std::string_view code,
                  std::string_view message) {
    out.append(R"({"type":"error")");
    append_id(out, id);
    out.append(R"(,"code":)");
    append_json_string(out, code);
    out.append(R"(,"message":)");
    append_json_string(out, message);
    out.append('}');
}

void append_welcome(ByteBuffer& out, std::string_view client_id) {
    out.append(R"({"type":"welcome","clientId":)");
    append_json_string(out, client_id);
    out.append('}');
}

void append_draining(ByteBuffer& out, std::uint64_t reconnect_delay_ms) {
    out.append(R"({"type":"draining","reconnectDelay":)");
    append_number(out, reconnect_delay_ms);
    out.append('}');
}

void append_queued(ByteBuffer& out, std::uint64_t position, std::uint64_t timeout_ms) {
    out.append(R"({"type":"queued","position":)");
    append_number(out, position);
    out.append(R"(,"timeout":)");
    append_number(out, timeout_ms);
    out.append('}');
}

void append_preempted(ByteBuffer& out, std::uint64_t reconnect_delay_ms, std::string_view ticket) {
    out.append(R"({"type":"preempted","reason":)");
    append_json_string(out, preempted_reason);
    out.append(R"(,"reconnectDelay":)");
    append_number(out, reconnect_delay_ms);
    out.append(R"(,"ticket":)");
    append_json_string(out, ticket);
    out.append('}');
}

}  // namespace wspool::protocol
