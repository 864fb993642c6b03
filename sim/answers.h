// Answers: the checker of what one client is answered: every answer that is due comes, in the order
// of the messages, and says what it should. An answer that may or may not come (to a direct message
// without id) is optional.
#pragma once

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
    std::string group;             // joined
    int publication = -1;          // published, acknowledged
};

// What an answer told.
struct Told {
    Answer answer;
    std::string epoch;
    std::uint64_t offset = 0;
    bool is_otherwise = false;
};

class Answers {
  public:
    void expect(Answer answer) { due_.push_back(std::move(answer)); }
    // Matches the text with what is due; nothing when it is not what should come.
    [[nodiscard]] std::optional<Told> match(std::string_view text);
    [[nodiscard]] bool has_due() const;
    // What should come next, for the report.
    [[nodiscard]] std::string next() const;

  private:
    std::deque<Answer> due_;
};

}  // namespace wspool::sim
