// Party: one simulated client of the gateway: speaks the JSON protocol (or raw echo) through a
// Peer, knows what it is owed, and hands what it sees to the checkers. One Party is one connection;
// who returns under the same id is a new Party.
//
// How it ends is planned: every way of leaving or misbehaving says what the worker must do
// (`Plan`), and on_gone() compares. In the storm much excuses a worse end; in the calm nothing
// does.
#pragma once

#include "sim/answers.h"
#include "sim/deliveries.h"
#include "sim/gateway.h"
#include "sim/history.h"
#include "sim/journal.h"
#include "sim/peer.h"
#include "sim/plant.h"
#include "sim/swarm.h"

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::sim {

// What all parties of one simulation share.
struct World {
    Network& network;
    SimLoop& loop;
    Prng& prng;
    Journal& journal;
    History& history;
    Deliveries& deliveries;
    const Swarm& swarm;
    Plant& plant;
    const Gateway& gateway;
    bool is_stormy = true;   // and a while after: excuses much
    bool is_calm = false;    // excuses nothing
    bool is_ending = false;  // the worker drains or shuts down
    std::size_t recovered =
        0;  // joins of those who came back, and are told that they missed nothing
    std::size_t unrecovered = 0;
};

struct PartyOptions {
    std::string id;  // empty: anonymous
    bool offers_deflate = false;
    bool wants_welcome = false;
    bool is_echo = false;
    bool is_slow = false;
    std::string raw_request;  // instead of an upgrade; then `status` is expected
    int status = 101;
    const Session* predecessor = nullptr;  // who comes back, and what that one knew
};

// Whether the server's pings stay unanswered from then on.
enum class Silence : bool { no, yes };

enum class Departure : std::uint8_t { close_frame, half_close, abandon, reset };
inline constexpr std::size_t departure_count = 4;

class Party final : public PeerOwner {
  public:
    Party(World& world, Session& facts, const PartyOptions& options);

    // ---- to say
    [[nodiscard]] bool may_speak() const { return peer_.is_open() && !is_leaving_; }
    void join(const std::string& group, bool wants_offsets);
    // The groups of its predecessor, from where that one was.
    void rejoin();
    void leave(const std::string& group);
    void broadcast(const std::string& group, std::size_t size);
    void direct(const std::string& target, std::size_t size);
    void ask(std::uint64_t what);
    void ping();     // of the protocol, with an id
    void control();  // a WebSocket ping
    void echo(std::size_t size);
    void depart(Departure how);
    void stop_reading();
    // Its worker has died: what is under way may still come, and nothing else must.
    void orphan();
    // After write_*() of the peer that must end in this code: nothing is said any more.
    void plan_failure(ws::CloseCode code, Silence silence = Silence::yes);
    // What was written may end in any failure.
    void plan_anything();
    [[nodiscard]] Peer& peer() { return peer_; }

    // ---- to know
    [[nodiscard]] const Session& facts() const { return facts_; }
    [[nodiscard]] bool is_gone() const { return peer_.is_gone(); }
    [[nodiscard]] bool is_open() const { return peer_.is_open(); }
    [[nodiscard]] bool is_echo() const { return options_.is_echo; }
    [[nodiscard]] bool is_slow() const { return options_.is_slow; }
    [[nodiscard]] bool reads() const { return reads_; }
    [[nodiscard]] std::vector<std::string> groups() const;
    // At rest: everything that is due has come.
    void check_rest();

    // ---- PeerOwner
    void on_open() override;
    void on_refused(int status) override;
    void on_message(ws::Opcode opcode, std::string_view payload) override;
    void on_pong(std::string_view payload) override;
    void on_close_frame(ws::CloseCode code) override;
    void on_gone(Ending ending) override;
    void on_bad_server(std::string text) override;

  private:
    enum class Plan : std::uint8_t { stay, close_frame, half_close, failure, anything, nothing };

    [[nodiscard]] std::string name() const;
    void violate(const std::string& text);
    void note(const std::string& text);
    void say(std::string_view json);
    void note_said(std::size_t size);
    void say_bad(std::string_view text);
    void say_join(const std::string& group,
                  bool wants_offsets,
                  std::string_view since,
                  std::size_t op,
                  const std::string& id,
                  bool returns);
    [[nodiscard]] std::string unavailable(const std::string& id) const;
    void begin_leaving(Plan plan, ws::CloseCode code, Silence silence = Silence::yes);
    [[nodiscard]] std::string message_id(std::size_t op, bool is_wanted);
    [[nodiscard]] int publish(bool is_direct,
                              const std::string& name,
                              std::size_t size,
                              std::size_t op,
                              std::size_t envelope);
    [[nodiscard]] FrameStyle draw_style();
    void deliver(std::string_view text);
    void strike(std::string_view text, const std::vector<std::string>& instead);
    void on_text(std::string_view text);
    void on_answer(std::string_view text);
    void on_join_answer(const Told& told);
    void on_position(std::string_view text);
    void note_lost(const Answer& answer);
    void on_welcome(std::string_view text);
    void on_echoed(ws::Opcode opcode, std::string_view payload);
    [[nodiscard]] bool may_be_closed_with(ws::CloseCode code) const;
    [[nodiscard]] bool may_be_refused_with(int status) const;
    // Another session of its id that was there at the same time as this one.
    [[nodiscard]] bool has_namesake() const;
    [[nodiscard]] bool is_orphan() const { return facts_.orphaned_at != never; }
    [[nodiscard]] bool is_excused() const;
    void check_plan(Ending ending);

    World& world_;
    Session& facts_;
    PartyOptions options_;
    Peer peer_;
    Answers answers_;
    std::deque<std::pair<ws::Opcode, std::string>> echoes_;
    std::map<std::string, bool> groups_;  // as of our last word; the value: with offsets
    std::uint32_t bad_messages_ = 0;
    std::vector<std::string> pings_;
    std::size_t pongs_ = 0;  // pings before it are answered, or passed over
    Instant last_ping_{};
    std::size_t said_lately_ = 0;  // bytes, in the last seconds
    bool has_first_message_ = false;
    bool is_leaving_ = false;
    bool reads_ = true;
    bool left_in_calm_ = false;
    Plan plan_ = Plan::stay;
    ws::CloseCode planned_code_ = ws::CloseCode::none;
    ws::CloseCode close_code_ = ws::CloseCode::none;  // of the frame we got
    bool has_close_frame_ = false;
    bool was_told_of_drain_ = false;
    int status_ = 0;  // of a refusal
};

}  // namespace wspool::sim
