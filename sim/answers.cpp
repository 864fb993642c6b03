#include "sim/answers.h"

#include "sim/deliveries.h"

#include <algorithm>

namespace wspool::sim {

namespace {

// {"type":"ack",…,"epoch":"E","offset":N[,"recovered":false]} from behind `"epoch":`
bool take_position(std::string_view text, Told& told) {
    if (!take(text, "\"")) return false;
    const std::size_t end = text.find('"');
    if (end == std::string_view::npos || end == 0) return false;
    told.epoch = std::string(text.substr(0, end));
    text.remove_prefix(end + 1);
    if (!take(text, R"(,"offset":)") || !take_number(text, told.offset)) return false;
    if (told.answer.tells_recovered && !take(text, R"(,"recovered":false)")) return false;
    return text == "}";
}

bool is_match(std::string_view text, Told& told) {
    const Answer& answer = told.answer;
    const bool begins = text.substr(0, answer.text.size()) == answer.text;
    switch (answer.kind) {
        case AnswerKind::exact:
            return text == answer.text;
        case AnswerKind::error:
            return begins && text.substr(text.size() - 2) == "\"}";
        case AnswerKind::joined:
        case AnswerKind::published:
            return begins && take_position(text.substr(answer.text.size()), told);
        case AnswerKind::acknowledged:
            told.is_otherwise = text != answer.text || answer.text.empty();
            return !told.is_otherwise ||
                   text.substr(0, answer.otherwise.size()) == answer.otherwise;
    }
    return false;
}

}  // namespace

std::optional<Told> Answers::match(std::string_view text) {
    while (!due_.empty()) {
        Told told;
        told.answer = due_.front();
        if (is_match(text, told)) {
            due_.pop_front();
            return told;
        }
        if (!told.answer.is_optional) return std::nullopt;
        due_.pop_front();
    }
    return std::nullopt;
}

bool Answers::has_due() const {
    return std::any_of(
        due_.begin(), due_.end(), [](const Answer& answer) { return !answer.is_optional; });
}

std::string Answers::next() const {
    return due_.empty() ? "nothing" : due_.front().text;
}

}  // namespace wspool::sim
