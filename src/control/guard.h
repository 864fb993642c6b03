// Guard: who may ask the control process at all: bearer token, and the rules that keep a browser
// from being used against it. Pure.
//
// A page of any site can make its visitor's browser send requests to this machine. What it cannot
// do is leave out or forge Origin and Host, or set Authorization; so
//   a request with an Origin is refused unless that is the control API's own (its Host);
//   without a token, on a loopback address, Host must be an address or localhost, for a name may be
//   one that the site has made point here (DNS rebinding);
//   a body must call itself application/json, which no form can.
// /healthz and /readyz are for everybody: they tell nothing else. The dashboard (dashboard.h),
// which tells nothing at all, needs no token.
#pragma once

#include "control/answer.h"
#include "http/head.h"

#include <optional>
#include <string>
#include <string_view>

namespace wspool::control {

struct GuardOptions {
    std::string token;         // empty: nobody is asked for one
    bool checks_host = false;  // on a loopback address of TCP, where there is no token
};

class Guard {
  public:
    explicit Guard(const GuardOptions& options) : options_(options) {}
    // Why the request is refused; nothing when it is not.
    [[nodiscard]] std::optional<Answer> judge(const http::RequestHead& request) const;

  private:
    [[nodiscard]] bool has_token(const http::RequestHead& request) const;

    GuardOptions options_;
};

// Takes as long for any text of the secret's length.
[[nodiscard]] bool is_same_secret(std::string_view secret, std::string_view text);

}  // namespace wspool::control
