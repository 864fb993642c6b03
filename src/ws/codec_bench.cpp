// What the codec costs per message and per byte.
#include "ws/connection.h"
#include "ws/mask.h"
#include "ws/utf8.h"

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

namespace wspool::ws {
namespace {

constexpr MaskKey key = {std::byte{0x37}, std::byte{0xFA}, std::byte{0x21}, std::byte{0x3D}};

void set_bytes(benchmark::State& state, std::size_t size) {
    state.SetBytesProcessed(static_cast<std::int64_t>(size) * state.iterations());
}

std::string make_text(std::size_t size, std::string_view character) {
    std::string text;
    while (text.size() + character.size() <= size) text += character;
    text.resize(size, 'a');
    return text;
}

// Many frames in one read, as from a busy socket; the time is that of all of them. They are written
// anew each time, because reading unmasks them in place.
void read_text(benchmark::State& state) {
    constexpr int frame_count = 64;
    const std::string payload(static_cast<std::size_t>(state.range(0)), 'a');
    FrameHeader header;
    header.payload_size = payload.size();
    header.is_masked = true;
    header.mask = key;
    ByteBuffer sent;
    for (int i = 0; i < frame_count; ++i) {
        sent.commit(write_frame_header(header, sent.reserve_back(frame_header_size_max)));
        sent.append(payload);
        apply_mask(sent.bytes().last(payload.size()), key);
    }
    ByteBuffer received;
    received.append(sent.view());
    Connection connection(Role::server);
    const Codec codec;
    while (state.KeepRunning()) {
        std::memcpy(received.data(), sent.data(), sent.size());
        MutableBytes input = received.bytes();
        for (int i = 0; i < frame_count; ++i) {
            Event event = connection.read(input, codec);
            benchmark::DoNotOptimize(event);
        }
    }
    set_bytes(state, payload.size() * frame_count);
    state.SetItemsProcessed(frame_count * state.iterations());
}
BENCHMARK(read_text)->Arg(0)->Arg(20)->Arg(64)->Arg(512)->Arg(16'384);

// A message that arrives in pieces of 64 KiB, as from a socket.
void read_large_binary(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    FrameHeader header;
    header.opcode = Opcode::binary;
    header.payload_size = size;
    header.is_masked = true;
    header.mask = key;
    ByteBuffer frame;
    frame.commit(write_frame_header(header, frame.reserve_back(frame_header_size_max)));
    frame.append(std::string(size, 'a'));
    Connection connection(Role::server);
    Codec codec;
    codec.limits.message_size_max = size;
    while (state.KeepRunning()) {
        MutableBytes rest = frame.bytes();
        while (!rest.empty()) {
            MutableBytes input = rest.first(std::min<std::size_t>(rest.size(), 65'536));
            rest = rest.subspan(input.size());
            Event event = connection.read(input, codec);
            benchmark::DoNotOptimize(event);
        }
    }
    set_bytes(state, size);
}
BENCHMARK(read_large_binary)->Arg(100'000)->Arg(1 << 20);

void mask(benchmark::State& state) {
    std::string text(static_cast<std::size_t>(state.range(0)), 'a');
    while (state.KeepRunning()) {
        apply_mask(std::as_writable_bytes(std::span(text)), key, 1);
        benchmark::ClobberMemory();
    }
    set_bytes(state, text.size());
}
BENCHMARK(mask)->Arg(3)->Arg(10)->Arg(64)->Arg(255)->Arg(256)->Arg(4096)->Arg(65'536);

void check_utf8(benchmark::State& state, std::string_view character) {
    const std::string text = make_text(static_cast<std::size_t>(state.range(0)), character);
    while (state.KeepRunning()) {
        bool is_valid = is_valid_utf8(as_bytes(text));
        benchmark::DoNotOptimize(is_valid);
    }
    set_bytes(state, text.size());
}
BENCHMARK_CAPTURE(check_utf8, ascii, "a")->Arg(10)->Arg(64)->Arg(4096)->Arg(65'536);
BENCHMARK_CAPTURE(check_utf8, euro, "€")->Arg(10)->Arg(64)->Arg(4096)->Arg(65'536);
BENCHMARK_CAPTURE(check_utf8, mixed, "naïve 😀 ")->Arg(64)->Arg(4096)->Arg(65'536);

void deflate_text(benchmark::State& state) {
    const std::string text =
        make_text(static_cast<std::size_t>(state.range(0)), "{\"type\":\"broadcast\",\"n\":17} ");
    Deflater deflater;
    ByteBuffer out;
    while (state.KeepRunning()) {
        out.clear();
        deflater.compress(as_bytes(text), out);
        benchmark::DoNotOptimize(out.data());
    }
    set_bytes(state, text.size());
}
BENCHMARK(deflate_text)->Arg(100)->Arg(10'000);

void inflate_text(benchmark::State& state) {
    const std::string text =
        make_text(static_cast<std::size_t>(state.range(0)), "{\"type\":\"broadcast\",\"n\":17} ");
    Deflater deflater;
    ByteBuffer compressed;
    deflater.compress(as_bytes(text), compressed);
    Inflater inflater;
    while (state.KeepRunning()) {
        ByteBuffer out;
        const InflateOutcome outcome = inflater.decompress(compressed.view(), text.size(), out);
        WSPOOL_ASSERT(outcome == InflateOutcome::ok);
        benchmark::DoNotOptimize(out.data());
    }
    set_bytes(state, text.size());
}
BENCHMARK(inflate_text)->Arg(100)->Arg(10'000);

}  // namespace
}  // namespace wspool::ws
