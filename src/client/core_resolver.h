// NameResolver: what a Core needs of a resolver, so that the simulator can answer for the system.
// SystemNameResolver is io::Resolver under that name.
#pragma once

#include "base/result.h"
#include "io/resolver.h"

#include <cstdint>
#include <memory>
#include <string>

namespace wspool::client {

class NameResolver {
  public:
    virtual ~NameResolver() = default;
    NameResolver() = default;
    NameResolver(const NameResolver&) = delete;
    NameResolver& operator=(const NameResolver&) = delete;

    // Readable while there are answers. -1: there is none; answers are looked for in each turn.
    [[nodiscard]] virtual int fd() const = 0;
    // One answer with `tag` follows, unless it is cancelled.
    [[nodiscard]] virtual Result<io::ResolveId> start(const std::string& host,
                                                      std::uint16_t port,
                                                      std::uint64_t tag) = 0;
    virtual void cancel(io::ResolveId id) = 0;
    [[nodiscard]] virtual bool next(io::Resolution& resolution) = 0;
};

class SystemNameResolver final : public NameResolver {
  public:
    explicit SystemNameResolver(std::unique_ptr<io::Resolver> resolver)
        : resolver_(std::move(resolver)) {}

    [[nodiscard]] int fd() const override { return resolver_->fd(); }
    [[nodiscard]] Result<io::ResolveId> start(const std::string& host,
                                              std::uint16_t port,
                                              std::uint64_t tag) override {
        return resolver_->start(host, port, tag);
    }
    void cancel(io::ResolveId id) override { resolver_->cancel(id); }
    [[nodiscard]] bool next(io::Resolution& resolution) override {
        return resolver_->next(resolution);
    }

  private:
    std::unique_ptr<io::Resolver> resolver_;
};

}  // namespace wspool::client
