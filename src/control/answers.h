// What the control process answers from the stats page alone: figures, health, metrics. Pure.
#pragma once

#include "base/time.h"
#include "control/answer.h"
#include "control/seats.h"
#include "metrics/page.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace wspool::control {

struct Facts {
    const metrics::Page& page;
    std::uint64_t connections_max_per_worker = 0;
    Instant now;
    std::span<const SeatPoolFact> pools = {};
    bool is_drain_asked = false;
};

[[nodiscard]] bool is_page_path(std::string_view path);
[[nodiscard]] Answer answer_from_page(std::string_view path, const Facts& facts);

}  // namespace wspool::control
