// What TlsLoop remembers about one stream that speaks TLS. Private to TlsLoop.
#pragma once

#include "io/tls_conversation.h"
#include "io/tls_loop.h"

#include <memory>

namespace wspool::io {

struct TlsLoop::Stream {
    std::unique_ptr<TlsConversation> tls;
    StreamId id;
    std::uint64_t owner = 0;
    ByteBuffer held;            // ciphertext to be decrypted before anything else
    std::size_t sent_size = 0;  // of the owner's send since the last wait()
    std::size_t in_flight = 0;  // of the unsent bytes, given to the inner loop
    int error = 0;              // of failed
    int send_error = 0;         // the kernel takes no more, ever
    int refusal = 0;            // of the owner's send, where sent_size is 0: 0 before the handshake
    bool is_connecting : 1 = false;  // TCP
    bool is_paused : 1 = false;      // by the owner
    bool is_holding : 1 = false;     // `held`, or plaintext within `tls`
    bool is_inner_paused : 1 = false;
    bool has_sent : 1 = false;      // the owner, since the last wait()
    bool is_blocked : 1 = false;    // the owner was told, or is about to be
    bool is_full : 1 = false;       // the kernel has no room
    bool wants_fin : 1 = false;     // after the unsent bytes, and the handshake
    bool has_ended : 1 = false;     // our half
    bool has_told_end : 1 = false;  // the peer's half
    bool has_told_failure : 1 = false;
    bool is_ready : 1 = false;  // in the lists of these names
    bool is_unsent : 1 = false;
    bool is_reading : 1 = false;

    [[nodiscard]] bool is_handshaking() const { return tls->state() == TlsState::handshaking; }
    [[nodiscard]] bool is_secured() const {
        return tls->state() == TlsState::open || tls->state() == TlsState::ended;
    }
    [[nodiscard]] bool has_failed() const { return tls->state() == TlsState::failed; }

    // Nothing that comes from inside matters any more.
    [[nodiscard]] bool is_broken() const { return has_failed() || has_told_failure; }

    // ---- what there is to tell without news from inside
    [[nodiscard]] bool owes_failure() const { return has_failed() && !has_told_failure; }
    [[nodiscard]] bool owes_room() const {
        return is_blocked && send_error == 0 && is_secured() && tls->unsent().empty();
    }
    [[nodiscard]] bool owes_end() const {
        return tls->state() == TlsState::ended && !has_told_end && !is_paused && !is_holding;
    }
    [[nodiscard]] bool owes_bytes() const { return is_holding && is_secured() && !is_paused; }
    [[nodiscard]] bool owes_anything() const {
        return owes_failure() || owes_room() || owes_end() || owes_bytes();
    }
    [[nodiscard]] bool wants_inner_pause() const {
        return is_holding || (is_paused && is_secured());
    }
};

}  // namespace wspool::io
