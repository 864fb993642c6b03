// From the library's options to those of the core.
#pragma once

#include "client/core_options.h"

#include <wspool/options.h>

namespace wspool::client {

// Without TLS, which is made of files: see TlsOptions and io::TlsClient.
[[nodiscard]] CoreOptions core_options(const api::Options& options);
// For TLS; reads the files.
[[nodiscard]] Result<io::TlsClient> make_tls(const api::TlsOptions& options);
[[nodiscard]] bool is_default(const api::TlsOptions& options);

[[nodiscard]] pool::Priority priority_of(api::Priority priority);

}  // namespace wspool::client
