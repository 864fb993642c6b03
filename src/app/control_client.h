// control_request(): one request to the control API of a running gateway, and its answer. For the
// verbs that ask or tell it something; blocks until the answer is there or the time is over.
//
// An error is about the way there: nothing listens, nothing answers in time, or what answers is no
// control API. What the gateway itself refuses is an HttpAnswer with its status.
// Limits: answers of at most 64 MiB.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "io/address.h"

#include <string>
#include <string_view>

namespace wspool::app {

struct HttpAnswer {
    int status = 0;
    std::string content_type;
    std::string body;
};

// `body` is JSON, or empty for none; `token` goes with it as a bearer token unless it is empty.
// `timeout` is over all: connecting, sending, and the whole answer.
[[nodiscard]] Result<HttpAnswer> control_request(const io::Address& address,
                                                 std::string_view method,
                                                 std::string_view path,
                                                 std::string_view body,
                                                 std::string_view token,
                                                 Duration timeout);

}  // namespace wspool::app
