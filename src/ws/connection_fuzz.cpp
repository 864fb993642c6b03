// A stream of frames from a peer. The first byte chooses the role and deflate, the second how the
// bytes are cut; the cut stream must give the events of the whole one, and those of the plain
// decoder.
#include "base/assert.h"
#include "base/random.h"
#include "ws/connection.h"
#include "ws/connection_model.h"

#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using wspool::Prng;
    namespace ws = wspool::ws;
    if (size < 2) return 0;
    const ws::Role role = (data[0] & 1) != 0 ? ws::Role::client : ws::Role::server;
    const bool has_deflate = (data[0] & 2) != 0;
    const std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);

    ws::Inflater inflater;
    ws::Codec codec;
    codec.inflater = &inflater;
    codec.limits.message_size_max = (data[0] & 4) != 0 ? 64 : 16'384;
    codec.limits.fragments_max = (data[0] & 8) != 0 ? 3 : 1000;
    codec.limits.empty_fragments_max = (data[0] & 16) != 0 ? 1 : 100;

    const auto whole = ws::model::read_whole(role, has_deflate, codec, bytes);
    WSPOOL_ASSERT(whole == ws::model::Decoder(role, has_deflate, codec.limits).decode(bytes));

    Prng prng(data[1]);
    const std::uint64_t piece_max = data[1] % 4 == 0 ? 1 : 1 + prng.below(64);
    ws::Connection connection(role, has_deflate);
    const auto cut = ws::model::read_in_pieces(
        connection, codec, bytes, [&] { return 1 + prng.below(piece_max); });
    WSPOOL_ASSERT(cut == whole);
    WSPOOL_ASSERT(connection.held_bytes() <= 4096 + 2 * size);
    return 0;
}
