// Api: the HTTP API of the control process (docs/control-api.md): requests in, answers out, at once
// or when workers have said what is needed for them. Pure: it publishes through an Exchange, asks
// workers over the buffers of their links, and is told the time.
//
// How to drive it. After on_request(), on_action(), on_record() and on_time() take the exchange's
// actions, then advance(), until it returns false; then take answers with next_answer().
//
// How it works: what only looks at the stats page is answered at once (answers.h). A command (or a
// batch of them, one after the other) is a Run: the command under way has a number, by which the
// exchange's action or a worker's record ends it. A question is a Survey: it goes to one worker
// after the other (lists), or to all together, and each has ask_patience to reply; who has not, or
// has died, is named in the answer.
//
// Invariants: 1. each request is answered once, unless it is abandoned. 2. a command is begun only
// when no action of the exchange is left. 3. nothing waits longer than run_patience or
// survey_patience.
// Ownership: holds the bodies of the requests under way; page and exchange are the owner's.
// Limits: one run or survey for each session that waits, so their number is the engine's bound.
#pragma once

#include "base/time.h"
#include "control/answer.h"
#include "control/seats.h"
#include "hub/exchange.h"
#include "metrics/page.h"
#include "protocol/control_request.h"
#include "session/engine.h"
#include "wire/control_records.h"

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::control {

// Below the time that the engine holds a request, and above that in which the exchange gives up.
inline constexpr Duration run_patience = std::chrono::milliseconds(4'000);
inline constexpr Duration survey_patience = std::chrono::milliseconds(3'000);
inline constexpr Duration ask_patience = std::chrono::milliseconds(1'000);

inline constexpr std::size_t page_default = 100;
inline constexpr std::size_t page_max = 1'000;

struct ApiOptions {
    wire::Incarnation incarnation = 0;  // of this process
    std::uint64_t connections_max_per_worker = 0;
    std::vector<SeatPoolFact> pools;  // of seats
    protocol::ControlLimits limits;
};

struct Request {
    std::string_view method;
    std::string_view target;
    ByteView body{};
};

class Api {
  public:
    Api(const ApiOptions& options, const metrics::Page& page, hub::Exchange& exchange);

    // The process that has this index from now on.
    void set_worker(std::uint16_t index, wire::Incarnation incarnation);

    void on_request(session::SessionId session, const Request& request, Instant now);
    void on_abandoned(session::SessionId session);
    void on_action(const hub::Action& action);
    // False when the record is nonsense.
    [[nodiscard]] bool on_record(wire::Incarnation peer, ByteView record, Instant now);
    void on_time(Instant now);

    // Begins what is next; true when the exchange may have actions now.
    [[nodiscard]] bool advance(Instant now);
    struct Answered {
        session::SessionId session;
        Answer answer;
    };
    [[nodiscard]] bool next_answer(Answered& answered);
    // True once after a drain was asked for.
    [[nodiscard]] bool take_drain();
    [[nodiscard]] Instant next_deadline() const;
    [[nodiscard]] std::size_t waiting_count() const { return runs_.size() + surveys_.size(); }

  private:
    // ---- commands
    struct Run {
        session::SessionId session;
        ByteBuffer body;  // the payloads point into it
        std::vector<protocol::ControlCommand> commands;
        std::vector<Outcome> outcomes;  // of the first ones
        bool is_batch = false;
        std::uint64_t number = 0;  // of the one under way; 0: none is
        Instant deadline;
    };
    void begin_run(session::SessionId session, std::string_view verb, ByteView body, Instant now);
    void begin_command(Run& run, Instant now);
    [[nodiscard]] hub::PublishAnswer publish(const protocol::ControlCommand& command,
                                             Run& run,
                                             Instant now);
    void end_command(std::uint64_t number, Outcome outcome);
    void finish_run(const Run& run);
    [[nodiscard]] Run* find_run(std::uint64_t number);

    // ---- questions
    struct Asked {
        std::uint16_t worker = 0;
        wire::Incarnation incarnation = 0;
        std::uint64_t number = 0;
        Instant deadline;
    };
    enum class SurveyKind : std::uint8_t { clients, client, groups, group };
    struct Group {
        std::uint64_t epoch = 0;  // 0: its home has not replied
        std::uint64_t offset = 0;
        std::uint64_t history = 0;
        std::map<std::uint16_t, std::uint64_t> members;  // by worker
    };
    struct Survey {
        session::SessionId session;
        SurveyKind kind{};
        std::string name;  // of the client or group
        std::size_t limit = 0;
        std::uint16_t worker = 0;  // a list: where it stands
        std::uint32_t from = 0;
        bool is_counting = false;  // a list of groups is complete: all are asked for members
        std::vector<Asked> asked;  // and have not replied
        std::vector<std::uint16_t> missing;
        Json clients = Json::array();
        std::vector<std::string> order;       // of the groups
        std::map<std::string, Group> groups;  // by name
        Instant deadline;
    };
    [[nodiscard]] static bool is_list(const Survey& survey);
    [[nodiscard]] static bool is_listing(const Survey& survey);
    static void go_on_with_next_worker(Survey& survey);
    void begin_list(session::SessionId session,
                    SurveyKind kind,
                    std::string_view target,
                    Instant now);
    void begin_detail(session::SessionId session,
                      SurveyKind kind,
                      std::string_view encoded,
                      Instant now);
    void ask(Survey& survey, std::uint16_t worker, const wire::Question& question, Instant now);
    void ask_for_members(Survey& survey, Instant now);
    // Asks who is next; true when there is nobody, and the answer was given.
    [[nodiscard]] bool step(Survey& survey, Instant now);
    void take_reply(Survey& survey, std::uint16_t worker, const wire::Reply& reply);
    void finish_survey(const Survey& survey);
    void give_up_on_the_silent(Survey& survey, Instant now);
    [[nodiscard]] Json groups_of(const Survey& survey) const;

    void answer(session::SessionId session, Answer answer);
    void answer_post(session::SessionId session, std::string_view name, ByteView body, Instant now);
    void answer_get(session::SessionId session, std::string_view target, Instant now);

    [[nodiscard]] std::uint16_t worker_count() const {
        return static_cast<std::uint16_t>(workers_.size());
    }

    const ApiOptions options_;
    const metrics::Page& page_;
    hub::Exchange& exchange_;
    std::vector<wire::Incarnation> workers_;  // by index; 0: none was told
    std::list<Run> runs_;
    std::list<Survey> surveys_;
    std::uint64_t last_number_ = 0;
    std::deque<Answered> answered_;
    bool is_drain_asked_ = false;  // the page says so only when the master has heard of it
    bool is_drain_due_ = false;    // to be taken
};

}  // namespace wspool::control
