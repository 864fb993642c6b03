#include "sim/answers.h"

#include "sim/deliveries.h"

#include <algorithm>

namespace wspool::sim {

namespace {

// {"type":"ack",…,"epoch":"E","offset":N[,"recovered":B]} from behind `"epoch":`
bool take_position(std::string_view text, Told& told) {
    if (!take_place(text, told.place)) return false;
    if (told.answer.tells_recovered) {
        told.is_recovered = take(text, R"(,"recovered":true)");
        if (!told.is_recovered && !take(text, R"(,"recovered":false)")) return false;
    }
    return text == "}";
}

bool is_match(std::string_view text, Told& told) {
    const Answer& answer = told.answer;
    const auto begins_with = [&](const std::string& start) {
        return text.substr(0, start.size()) == start;
    };
    told.is_unavailable = !answer.unavailable.empty() && begins_with(answer.unavailable);
    if (told.is_unavailable) return true;
    const bool begins = begins_with(answer.text);
    switch (answer.kind) {
        case AnswerKind::exact:
            return text == answer.text;
        case AnswerKind::error:
            return begins && text.substr(text.size() - 2) == "\"}";
        case AnswerKind::joined:
        case AnswerKind::published:
            return begins && !answer.text.empty() &&
                   take_position(text.substr(answer.text.size()), told);
        case AnswerKind::acknowledged:
            told.is_otherwise = text != answer.text || answer.text.empty();
            return !told.is_otherwise || begins_with(answer.otherwise);
    }
    return false;
}

}  // namespace

std::optional<Told> Answers::match(std::string_view text) {
    for (auto at = due_.begin(); at != due_.end();) {
        Told told;
        told.answer = *at;
        if (is_match(text, told)) {
            due_.erase(at);
            return told;
        }
        if (may_be_late(*at)) {
            ++at;
        } else if (at->is_optional) {
            at = due_.erase(at);
        } else {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

bool Answers::has_due() const {
    return std::any_of(
        due_.begin(), due_.end(), [](const Answer& answer) { return !answer.is_optional; });
}

bool Answers::has_prompt_due() const {
    return std::any_of(due_.begin(), due_.end(), [this](const Answer& answer) {
        return !answer.is_optional && !may_be_late(answer);
    });
}

std::string Answers::next() const {
    return due_.empty() ? "nothing" : due_.front().text;
}

}  // namespace wspool::sim
