// ClientServers: the servers that a client pool connects to, all hosts of one simulation on one
// loop. They write handshakes and frames byte by byte, right or wrong as their mood is, and tell
// the ledger what they receive; like sim/peer.h they share nothing with session/.
//
// How it works: a host's mood says what becomes of connections accepted from then on, and each
// connection keeps the mood that it was accepted in; "refuses" and "vanished" strike open ones too.
// What a slow connection says is put off and stays in order. Limits: none but the network's.
#pragma once

#include "base/random.h"
#include "sim/client_ledger.h"
#include "sim/client_plant.h"
#include "sim/client_swarm.h"
#include "sim/sim_loop.h"
#include "ws/connection.h"
#include "ws/deflate.h"

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::sim {

class ClientServers {
  public:
    ClientServers(Network& network,
                  const ClientSwarm& swarm,
                  ClientLedger& ledger,
                  Journal& journal,
                  ClientPlant& plant,
                  std::uint64_t seed);

    [[nodiscard]] SimLoop& loop() { return loop_; }
    [[nodiscard]] Instant next_turn_time() const;
    void turn();

    void set_mood(std::size_t host, Mood mood);
    // No more faults, but for what the holes never answer.
    void calm_down();
    // Every open connection of the host ends, as `way` says.
    enum class Drop : std::uint8_t { close_frame, finish, reset };
    void drop_all(std::size_t host, Drop way, ws::CloseCode code);
    void close_everything();
    [[nodiscard]] std::size_t open_count() const { return alive_.size(); }

  private:
    enum class State : std::uint8_t { head, open, finishing, gone };
    struct Connection {
        int number = 0;
        std::size_t host = 0;
        io::StreamId stream;
        State state = State::head;
        Mood mood{};
        Lie lie{};
        std::string head;
        ws::Connection reader{ws::Role::server};
        bool has_deflate = false;
        bool is_deaf = false;  // says and hears nothing any more
        bool has_unread = false;
        bool waits_for_peer = false;  // finishing: until it has answered, or gone
        std::string out;
        std::size_t sending = 0;
        bool is_blocked = false;
        Instant says_no_earlier{};
        std::size_t late = 0;  // pieces that are put off
    };
    struct Host {
        Mood mood = Mood::healthy;
        std::vector<std::optional<io::StreamId>> listeners;  // one for each live address
    };

    void listen(std::size_t host);
    void unlisten(std::size_t host);
    void set_silent(std::size_t host, bool is_silent);
    void accept(const io::Event& event);
    void handle(const io::Event& event);
    void read(Connection& connection, MutableBytes bytes);
    void read_head(Connection& connection, MutableBytes bytes);
    void answer_head(Connection& connection, std::string_view request_bytes);
    [[nodiscard]] int find_target(std::size_t host, std::string_view path) const;
    void tell_lie(Connection& connection, std::string_view key);
    void lie_after_head(Connection& connection);
    void read_frames(Connection& connection, MutableBytes bytes);
    void on_message(Connection& connection, std::string_view received);
    void pass_on(Connection& connection, std::string_view text);
    [[nodiscard]] static bool is_heard(const Connection& connection);
    [[nodiscard]] static std::string close_payload(ws::CloseCode code);
    void say(Connection& connection, std::string bytes);
    void say_frame(Connection& connection, ws::Opcode opcode, std::string_view payload);
    void push(Connection& connection);
    void end_later(Connection& connection);
    void begin_close(Connection& connection, ws::CloseCode code);
    void finish(Connection& connection);
    void leave(Connection& connection, io::CloseMode mode, bool is_clean);
    void flush(Connection& connection);
    [[nodiscard]] bool wants_turn(const Connection& connection) const;
    [[nodiscard]] Duration lateness();

    Network& network_;
    const ClientSwarm& swarm_;
    ClientLedger& ledger_;
    Journal& journal_;
    ClientPlant& plant_;
    SimLoop loop_;
    Prng prng_;
    ws::Inflater inflater_;
    ws::Deflater deflater_;
    ws::Codec codec_;
    bool is_stormy_ = true;
    std::vector<Host> hosts_;
    std::deque<Connection> connections_;
    std::vector<std::size_t> alive_;
};

}  // namespace wspool::sim
