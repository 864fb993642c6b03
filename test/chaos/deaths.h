// Deaths: when workers were killed, as told by who killed them, so that what happened to a
// connection can be told from a fault. A file with one line each, times in nanoseconds of the
// monotonic clock:
//
//   killed TIME               a worker was killed, at TIME at the earliest
//   killed TIME stopped TIME  and before, it had been stopped
//
// How a queued connection that was lost is told from one that died with its worker: a client cannot
// see whether it was accepted. But a stopped worker accepts nobody: who began to connect while it
// was stopped waited in its queue, and must be served by its replacement. And where nobody was
// killed, nobody may be reset.
#pragma once

#include "base/result.h"
#include "base/time.h"

#include <optional>
#include <string>
#include <vector>

namespace wspool::chaos {

class Deaths {
  public:
    [[nodiscard]] static Result<Deaths> read(std::string file);

    void add(Instant killed_at, std::optional<Instant> stopped_at) {
        deaths_.push_back({killed_at, stopped_at});
    }
    // A connection that was open may have been lost at that time.
    [[nodiscard]] bool explain_loss(Instant at) const;
    // One that began to connect at `begun_at` may have been reset without an answer at `at`.
    [[nodiscard]] bool explain_reset(Instant begun_at, Instant at) const;
    [[nodiscard]] std::size_t count() const { return deaths_.size(); }

  private:
    struct Death {
        Instant killed_at;
        std::optional<Instant> stopped_at;
    };
    std::vector<Death> deaths_;
};

}  // namespace wspool::chaos
