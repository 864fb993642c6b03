// Journal: what happened in one simulation, line by line in virtual time, as a hash (two runs of
// one seed give the same), and printed when asked. Keeps the first violation.
#pragma once

#include "sim/network.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace wspool::sim {

class Journal {
  public:
    Journal(const Network& network, bool prints) : network_(network), prints_(prints) {}

    void note(std::string_view line);
    // The first one counts: what follows is often its consequence.
    void violate(std::string text);

    [[nodiscard]] bool is_clean() const { return violation_.empty(); }
    [[nodiscard]] const std::string& violation() const { return violation_; }
    [[nodiscard]] std::uint64_t hash() const { return hash_; }
    [[nodiscard]] std::uint64_t lines() const { return lines_; }
    [[nodiscard]] Instant now() const { return network_.now(); }

  private:
    const Network& network_;
    bool prints_;
    std::string violation_;
    std::uint64_t hash_ = 0xcbf29ce484222325ull;
    std::uint64_t lines_ = 0;
};

// Virtual time as "12.345678", in seconds since the simulation began.
[[nodiscard]] std::string format_time(Instant at);
// At most 100 bytes of `text`, for a line of the journal.
[[nodiscard]] std::string excerpt(std::string_view text);

}  // namespace wspool::sim
