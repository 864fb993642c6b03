// Resolver: host names to addresses without blocking the loop. The system's resolver blocks for as
// long as it likes, so it runs on one background thread; answers are values that the owner pulls.
// One per loop: watch fd(), and when it is readable call next() until it returns false.
//
//   auto resolver = io::Resolver::make().value();
//   loop.watch(resolver->fd(), owner);
//   auto id = resolver->start("example.org", 443, tag);
//   … `readable` …
//   for (io::Resolution answer; resolver->next(answer);) …
//
// How it works: the thread is started by the first name that needs it. Names are looked up one
// after the other, in the order asked, and each request is answered once, in that order too;
// numeric addresses are answered without the thread, and may overtake.
//
// Ownership: answers are the caller's. All calls come from one thread.
// Limits: requests_max requests asked and not yet pulled, the one being looked up included;
// one more is refused with a sentence. A lookup has no deadline of ours: resolv.conf has one (by
// default 5 s, twice, for each server), the callers have theirs. A lookup that hangs holds up those
// behind it, and the destructor does not wait for it: the thread is left to itself with what it
// needs, and ends when the lookup does.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "io/address.h"

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace wspool::io {

// Of one request; never used again.
enum class ResolveId : std::uint64_t {};

struct Resolution {
    ResolveId id{};
    std::uint64_t tag = 0;
    Result<std::vector<Address>> addresses;  // at least one, in the order to be tried (RFC 6724)
};

class Resolver {
  public:
    static constexpr std::size_t requests_max = 1024;

    // What is asked on the thread; the system's resolver (io/resolve.h) but in tests.
    using Lookup = Result<std::vector<Address>> (*)(const std::string& host, std::uint16_t port);

    [[nodiscard]] static Result<std::unique_ptr<Resolver>> make();
    [[nodiscard]] static Result<std::unique_ptr<Resolver>> make(Lookup lookup);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // Readable while there are answers; it stays the resolver's.
    [[nodiscard]] int fd() const;
    // Asks for the addresses of `host`: a name, or a numeric address, IPv6 with or without
    // brackets.
    [[nodiscard]] Result<ResolveId> start(std::string host, std::uint16_t port, std::uint64_t tag);
    // No answer will come; does nothing for a request that was answered.
    void cancel(ResolveId id);
    // The next answer, false when there is none.
    [[nodiscard]] bool next(Resolution& resolution);

  private:
    struct Shared;
    explicit Resolver(std::shared_ptr<Shared> shared);
    [[nodiscard]] Result<void> start_thread();

    std::shared_ptr<Shared> shared_;  // with the thread, which may outlive this
    std::thread thread_;
    std::uint64_t last_id_ = 0;
};

// RFC 8305 (happy eyeballs): the addresses with their families in turn, beginning with the family
// of the first; within a family the order stays. Connects to them are begun connect_stagger apart.
[[nodiscard]] std::vector<Address> interleave_families(std::vector<Address> addresses);
inline constexpr Duration connect_stagger = std::chrono::milliseconds(250);

}  // namespace wspool::io
