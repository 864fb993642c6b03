#include "sim/misbehaviour.h"

#include <array>

namespace wspool::sim {

namespace {

using ws::CloseCode;

struct Bytes {
    const char* what;
    std::string_view bytes;
    CloseCode code;
};

// Frames as they stand on the wire; the mask is zero.
constexpr std::array<Bytes, 12> frames = {{
    {"an unmasked frame", std::string_view("\x81\x02hi", 4), CloseCode::protocol_error},
    {"RSV2", std::string_view("\xa1\x80\0\0\0\0", 6), CloseCode::protocol_error},
    {"opcode 3", std::string_view("\x83\x80\0\0\0\0", 6), CloseCode::protocol_error},
    {"opcode 15", std::string_view("\x8f\x80\0\0\0\0", 6), CloseCode::protocol_error},
    {"a fragmented ping", std::string_view("\x09\x80\0\0\0\0", 6), CloseCode::protocol_error},
    {"a long ping", std::string_view("\x89\xfe\0\x7e\0\0\0\0", 8), CloseCode::protocol_error},
    {"a lone continuation", std::string_view("\x80\x80\0\0\0\0", 6), CloseCode::protocol_error},
    {"a text inside a text",
     std::string_view("\x01\x81\0\0\0\0[\x81\x81\0\0\0\0]", 14),
     CloseCode::protocol_error},
    {"a length in too long a form",
     std::string_view("\x81\xfe\0\x05\0\0\0\0hello", 13),
     CloseCode::protocol_error},
    {"a length with the top bit",
     std::string_view("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14),
     CloseCode::protocol_error},
    {"no UTF-8", std::string_view("\x81\x82\0\0\0\0\xc3\x28", 8), CloseCode::invalid_payload},
    {"a declared length beyond the limit",
     std::string_view("\x82\xff\0\0\0\x01\0\0\0\0\0\0\0\0", 14),
     CloseCode::too_big},
}};

constexpr std::array<Bytes, 4> closes = {{
    {"a close of one byte", std::string_view("\x03", 1), CloseCode::protocol_error},
    {"close code 1005", std::string_view("\x03\xed", 2), CloseCode::protocol_error},
    {"close code 999", std::string_view("\x03\xe7", 2), CloseCode::protocol_error},
    {"a close reason that is no UTF-8",
     std::string_view("\x03\xe8\xff\xff", 4),
     CloseCode::invalid_payload},
}};

void flood(Party& party, const Swarm& swarm, std::uint64_t which) {
    Peer& peer = party.peer();
    if (which == 0) {
        for (int i = 0; i < 100; ++i) peer.write_control(ws::Opcode::ping, "flood");
        return party.plan_failure(CloseCode::policy);
    }
    peer.write_frame(0x01, "");
    for (std::uint32_t i = 0; i <= swarm.worker.engine.limits.empty_fragments_max; ++i) {
        peer.write_frame(0x00, "");
    }
    party.plan_failure(CloseCode::policy);
}

void abuse_deflate(Party& party, const Swarm& swarm, bool is_bomb) {
    Peer& peer = party.peer();
    if (!peer.has_deflate()) {
        peer.write_frame(0xc1, "compressed?");
        return party.plan_failure(CloseCode::protocol_error);
    }
    if (!is_bomb) {
        peer.write_frame(0xc1, "\xff\xff\xff\xff no deflate");
        return party.plan_failure(CloseCode::invalid_payload);
    }
    FrameStyle style;
    style.is_compressed = true;
    const std::string bomb(swarm.worker.engine.limits.message_size_max + 1, ' ');
    peer.write_message(ws::Opcode::text, bomb, style);
    party.plan_failure(CloseCode::too_big);
}

void write_garbage(Party& party, Prng& prng) {
    std::string garbage(1 + prng.below(400), '\0');
    for (char& c : garbage) c = static_cast<char>(prng.next() & 0xff);
    party.peer().write_raw(garbage);
    party.plan_anything();
}

}  // namespace

void misbehave(Party& party, const Swarm& swarm, Prng& prng, std::uint64_t which) {
    Peer& peer = party.peer();
    // What was right before is answered all the same.
    if (!party.is_echo() && prng.chance(0.5)) party.ping();
    which %= frames.size() + closes.size() + 8;
    if (which < frames.size()) {
        peer.write_raw(frames[which].bytes);
        return party.plan_failure(frames[which].code);
    }
    which -= frames.size();
    if (which < closes.size()) {
        peer.write_control(ws::Opcode::close, closes[which].bytes);
        return party.plan_failure(closes[which].code);
    }
    which -= closes.size();
    if (which < 2) return flood(party, swarm, which);
    if (which < 4) return abuse_deflate(party, swarm, which == 2);
    if (which == 4) {
        peer.write_message(ws::Opcode::binary,
                           std::string(swarm.worker.engine.limits.message_size_max + 1, 'b'),
                           FrameStyle{});
        return party.plan_failure(CloseCode::too_big);
    }
    if (which == 5) return write_garbage(party, prng);
    if (which == 6) {
        // A frame that is begun and never finished.
        peer.write_raw(std::string_view("\x81\x85\0\0\0\0he", 8));
        return party.plan_failure(CloseCode::policy);
    }
    // A message of which only the first fragment comes; pings between fragments are answered.
    peer.write_frame(0x01, "to be continued");
    party.plan_failure(CloseCode::policy, Silence::no);
}

PartyOptions bad_request(Prng& prng) {
    const std::string head =
        "Host: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    const std::array<std::pair<std::string, int>, 9> requests = {{
        {"GET /healthz HTTP/1.1\r\nHost: sim\r\n\r\n", 200},
        {"GET / HTTP/1.1\r\nHost: sim\r\n\r\n", 426},
        {"GET / HTTP/1.1\r\n" + head + "Sec-WebSocket-Version: 12\r\n\r\n", 426},
        {"GET /?clientId=%00 HTTP/1.1\r\n" + head + "Sec-WebSocket-Version: 13\r\n\r\n", 400},
        {"GET /?priority=vip HTTP/1.1\r\n" + head + "Sec-WebSocket-Version: 13\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" + head + "Sec-WebSocket-Version: 13\r\nContent-Length: 1\r\n\r\nx",
         400},
        {"nonsense\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: sim\r\nX: " + std::string(9'000, 'x'), 431},
        {"GET / HTTP/1.1\r\nHost: s", 408},
    }};
    const auto& request = requests[prng.below(requests.size())];
    PartyOptions options;
    options.raw_request = request.first;
    options.status = request.second;
    return options;
}

}  // namespace wspool::sim
