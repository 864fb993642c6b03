// Reading a TOML file into Config. Everything that is wrong with the file is told, not only the
// first.
#pragma once

#include "app/config.h"

#include <string>
#include <string_view>
#include <vector>

namespace wspool::app {

// At most 1 MiB: a configuration that is longer is another file, named by mistake.
inline constexpr std::size_t config_size_max = 1024 * 1024;

// Each error is "NAME:LINE:COLUMN: what is wrong, and how to mend it", in the order of the lines.
[[nodiscard]] std::vector<std::string> read_config_text(std::string_view text,
                                                        std::string_view name,
                                                        Config& config);
// The whole file, however wrong it is.
[[nodiscard]] Result<std::string> load_config_text(const std::string& path);
[[nodiscard]] std::vector<std::string> read_config_file(const std::string& path, Config& config);

}  // namespace wspool::app
