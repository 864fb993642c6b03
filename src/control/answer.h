// An answer of the control API, and the two forms that it has in JSON. Pure.
#pragma once

#include "wire/types.h"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace wspool::control {

// Members in the order in which they are written.
using Json = nlohmann::ordered_json;

inline constexpr std::string_view json_type = "application/json";

struct Answer {
    int status = 200;
    std::string_view content_type;
    std::string body;
    std::string headers = {};  // whole lines
};

// Of one command, alone or in a batch: {"result":…} or {"error":{"code","message"}}.
struct Outcome {
    int status = 200;
    Json json;
};

[[nodiscard]] Outcome make_result(Json value);
[[nodiscard]] Outcome make_failure(int status, std::string_view code, std::string_view message);
[[nodiscard]] Outcome make_refusal(wire::Refusal refusal);

[[nodiscard]] Answer to_answer(const Outcome& outcome);
[[nodiscard]] inline Answer result(Json value) {
    return to_answer(make_result(std::move(value)));
}
[[nodiscard]] inline Answer failure(int status, std::string_view code, std::string_view message) {
    return to_answer(make_failure(status, code, message));
}

}  // namespace wspool::control
