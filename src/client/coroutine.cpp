#include "client/callback_options.h"

#include <wspool/coroutine.h>

namespace wspool::api::detail {

Awaitable<Lease> await_acquire(std::shared_ptr<AsyncPool> pool,
                               std::string url,
                               const AcquireOptions& options) {
    return {std::move(pool),
            [url = std::move(url), options = client::KeptOptions(options)](
                AsyncPool& on, CallNumber call, std::function<void(Result<Lease>)> done) {
                on.start_acquire(call, url, options.get(), std::move(done));
            }};
}

Awaitable<void> await_send(std::shared_ptr<AsyncPool> pool,
                           std::string url,
                           std::string message,
                           const SendOptions& options) {
    return {std::move(pool),
            [url = std::move(url),
             message = std::move(message),
             options = client::KeptOptions(options)](
                AsyncPool& on, CallNumber call, std::function<void(Result<void>)> done) {
                on.start_send(call, url, message, options.get(), std::move(done));
            }};
}

Awaitable<std::string> await_request(std::shared_ptr<AsyncPool> pool,
                                     std::string url,
                                     std::string id,
                                     std::string message,
                                     const SendOptions& options) {
    return {std::move(pool),
            [url = std::move(url),
             id = std::move(id),
             message = std::move(message),
             options = client::KeptOptions(options)](
                AsyncPool& on, CallNumber call, std::function<void(Result<std::string>)> done) {
                on.start_request(call, url, id, message, options.get(), std::move(done));
            }};
}

}  // namespace wspool::api::detail
