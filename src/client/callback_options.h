// From the library's options to those of the core.
#pragma once

#include "client/core_options.h"

#include <wspool/options.h>

#include <string>

namespace wspool::client {

// Without TLS, which is made of files: see TlsOptions and io::TlsClient.
[[nodiscard]] CoreOptions core_options(const api::Options& options);
// For TLS; reads the files.
[[nodiscard]] Result<io::TlsClient> make_tls(const api::TlsOptions& options);
[[nodiscard]] bool is_default(const api::TlsOptions& options);

[[nodiscard]] pool::Priority priority_of(api::Priority priority);

// The options of a call that begins later, with what their views name.
template <class CallOptions>
class KeptOptions {
  public:
    explicit KeptOptions(const CallOptions& options) : options_(options), pool_(options.pool) {
        if constexpr (requires { options.client; }) client_ = options.client;
    }
    [[nodiscard]] CallOptions get() const {
        CallOptions options = options_;
        options.pool = pool_;
        if constexpr (requires { options.client; }) options.client = client_;
        return options;
    }

  private:
    CallOptions options_;
    std::string pool_;
    std::string client_;
};

}  // namespace wspool::client
