// Answers: the checker of what one client is answered: every answer that is due comes, in the order
// of the messages, and says what it should. An answer that may or may not come (to a direct message
// without id) is optional. With several workers a publication is answered when its home has
// answered: until then later messages are answered before it.
#pragma once

#include "sim/history.h"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace wspool::sim {

enum class AnswerKind : std::uint8_t {
    exact,         // this text
    error,         // begins with this text
    joined,        // begins with it; a position follows
    published,     // the same
    acknowledged,  // this text, or an error that begins with `otherwise`
};

struct Answer {
    std::size_t op = 0;  // of the message that it answers
    AnswerKind kind{};
    std::string text;
    std::string otherwise;
    bool is_optional = false;
    bool tells_recovered = false;  // joined: `since` was given
    bool returns = false;          // joined: with the place where its predecessor was
    std::string unavailable;       // how an error begins that may come instead; empty: none may
    std::string group;             // joined
    int publication = -1;          // published, acknowledged
};

// What an answer told.
struct Told {
    Answer answer;
    Place place;
    bool is_recovered = false;
    bool is_otherwise = false;
    bool is_unavailable = false;
};

class Answers {
  public:
    explicit Answers(bool is_prompt) : is_prompt_(is_prompt) {}

    void expect(Answer answer) { due_.push_back(std::move(answer)); }
    // Matches the text with what is due; nothing when it is not what should come.
    [[nodiscard]] std::optional<Told> match(std::string_view text);
    [[nodiscard]] bool has_due() const;
    // Due before anything that comes later is: also to who leaves.
    [[nodiscard]] bool has_prompt_due() const;
    // What should come next, for the report.
    [[nodiscard]] std::string next() const;

  private:
    [[nodiscard]] bool may_be_late(const Answer& answer) const {
        return !is_prompt_ &&
               (answer.kind == AnswerKind::published || answer.kind == AnswerKind::acknowledged);
    }

    bool is_prompt_;  // one worker: everything is answered at once
    std::deque<Answer> due_;
};

}  // namespace wspool::sim
