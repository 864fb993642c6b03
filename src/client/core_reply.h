// Finds which request a message answers: the member "id" of a JSON object. Pure.
#pragma once

#include <string_view>

namespace wspool::client {

// The top-level member "id" as it stands in the text: `7`, `"seven"`. Empty when there is none, or
// when the text up to it is no JSON object. What follows it is not looked at.
[[nodiscard]] std::string_view find_reply_id(std::string_view text);

}  // namespace wspool::client
