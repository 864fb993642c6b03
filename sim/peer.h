// Peer: the client's end of one WebSocket, simulated: it writes handshake and frames byte by byte
// as it is told, right or wrong, and reads with ws::Connection. Deliberately shares nothing with
// session/: it is half of the judge.
//
// How it works: the owner of the clients' loop passes events on; what the peer sees is told to its
// PeerOwner at once. Writing only queues; flush() hands at most one send to the loop per turn.
#pragma once

#include "base/random.h"
#include "http/head.h"
#include "sim/sim_loop.h"
#include "ws/connection.h"
#include "ws/deflate.h"
#include "ws/handshake.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wspool::sim {

// How a peer's connection came to its end.
enum class Ending : std::uint8_t { ended, failed, by_us };

class PeerOwner {
  public:
    virtual ~PeerOwner() = default;
    virtual void on_open() = 0;
    // An HTTP answer other than 101.
    virtual void on_refused(int status) = 0;
    virtual void on_message(ws::Opcode opcode, std::string_view payload) = 0;
    virtual void on_pong(std::string_view payload) = 0;
    virtual void on_close_frame(ws::CloseCode code) = 0;
    virtual void on_gone(Ending ending) = 0;
    // The server said what no server may say.
    virtual void on_bad_server(std::string text) = 0;
};

struct FrameStyle {
    int fragments = 1;
    bool is_compressed = false;
};

class Peer {
  public:
    Peer(SimLoop& loop, Prng& prng, PeerOwner& owner, std::uint64_t loop_owner);

    void connect(const io::Address& address, const ws::ClientHandshake& handshake);
    // Connects and sends this instead of a handshake.
    void connect_raw(const io::Address& address, std::string bytes);

    // ---- writing
    void write_message(ws::Opcode opcode, std::string_view payload, const FrameStyle& style);
    void write_control(ws::Opcode opcode, std::string_view payload);
    void write_raw(std::string_view bytes) { out_.append(bytes); }
    // A masked frame with any first byte, for what write_message() would not write.
    void write_frame(std::uint8_t first_byte, std::string_view payload);
    void shut_when_flushed() { shuts_ = true; }
    // From here on pings are not answered: what was written stays the last word.
    void fall_silent() { is_silent_ = true; }
    void close(io::CloseMode mode);

    // ---- reading
    void stop_reading();
    void resume_reading();

    // ---- turns
    void flush();
    void settle(const io::ShortSend* short_send);
    void handle(const io::Event& event);

    [[nodiscard]] bool is_open() const { return state_ == State::open; }
    [[nodiscard]] bool is_gone() const { return state_ == State::gone; }
    [[nodiscard]] bool has_deflate() const { return has_deflate_; }
    [[nodiscard]] bool was_disturbed() const {
        return was_disturbed_ || loop_.was_disturbed(stream_);
    }
    [[nodiscard]] bool is_flushed() const { return out_.empty(); }
    // Something is to be done in the next turn.
    [[nodiscard]] bool wants_turn() const;
    [[nodiscard]] io::StreamId stream() const { return stream_; }

  private:
    enum class State : std::uint8_t { connecting, answer_awaited, open, refused, gone };
    void read_head(MutableBytes bytes);
    void read_frames(MutableBytes bytes);
    void leave(Ending ending, io::CloseMode mode);

    SimLoop& loop_;
    Prng& prng_;
    PeerOwner& owner_;
    std::uint64_t loop_owner_;
    io::StreamId stream_;
    State state_ = State::connecting;
    ws::ClientHandshake handshake_;
    std::string head_;
    ws::Connection connection_{ws::Role::client};
    ws::Inflater inflater_;
    ws::Deflater deflater_;
    ws::Codec codec_;
    bool has_deflate_ = false;
    int deflate_bits_ = 15;
    std::string out_;
    std::size_t sending_ = 0;
    bool is_connected_ = false;
    bool is_blocked_ = false;
    bool shuts_ = false;
    bool has_shut_ = false;
    bool has_close_frame_ = false;
    bool is_silent_ = false;
    bool was_disturbed_ = false;
};

}  // namespace wspool::sim
