#include "control/answer.h"

namespace wspool::control {

Outcome make_result(Json value) {
    return {200, Json{{"result", std::move(value)}}};
}

Outcome make_failure(int status, std::string_view code, std::string_view message) {
    return {status, Json{{"error", {{"code", code}, {"message", message}}}}};
}

Outcome make_refusal(wire::Refusal refusal) {
    switch (refusal) {
        case wire::Refusal::too_big:
            return make_failure(413,
                                "too_big",
                                "The message is larger than what may be under way between "
                                "workers.");
        case wire::Refusal::forbidden:
            return make_failure(403, "forbidden", "That may not be done.");
        case wire::Refusal::unknown_target:
            return make_failure(404, "unknown_target", "No client of this id is connected.");
        case wire::Refusal::duplicate_id:
            return make_failure(409, "duplicate_id", "This client id is connected already.");
        case wire::Refusal::too_many_groups:
            return make_failure(409,
                                "too_many_groups",
                                "The client is in as many groups as it may be: let it leave one "
                                "first (limits.groups_per_client).");
        case wire::Refusal::unavailable:
        case wire::Refusal::none:
        case wire::Refusal::count_:
            break;
    }
    return make_failure(
        504, "unavailable", "No answer came in time: whether it was done is unknown.");
}

Answer to_answer(const Outcome& outcome) {
    // Names of clients are UTF-8, and so is all else; that is checked elsewhere, and an answer with
    // a wrong letter is better than none.
    return {outcome.status,
            json_type,
            outcome.json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n",
            {}};
}

}  // namespace wspool::control
