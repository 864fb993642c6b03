// Reload: what SIGHUP does to a running gateway: its sources are read again, and what can change
// while it runs does. Pure but for reading the file.
//
// How it works: the master reads the file, and checks all sources. If anything is wrong, each
// mistake is logged and nothing changes anywhere. Else every child gets the text of the file over
// its line (a descriptor), and does the same with it: so all have read the same text, whatever
// happens to the file meanwhile, and environment and options they share by birth. A setting that is
// not live (app/settings.h) keeps its value in all of them until a restart.
//
// Invariant: all processes of a gateway have the same Config after the same reloads. Children are
// born with the master's.
#pragma once

#include "app/config.h"

#include <string>
#include <string_view>
#include <vector>

namespace wspool::app {

struct Reload {
    std::vector<std::string> errors;  // not empty: `config` is what it was
    Config config;
    std::vector<std::string> changed;        // names of live settings
    std::vector<std::string> needs_restart;  // names of those that differ and are kept
};

// `current` with what the sources say now.
[[nodiscard]] Reload reload(const ConfigSources& sources, const Config& current);

// Reads the file anew, where there is one: `sources.file_text` is then its text. False when it
// cannot be read, which is logged like any other mistake.
[[nodiscard]] bool read_again(ConfigSources& sources);
// reload() into `config`, and the lines about it; false when nothing was changed for a mistake.
[[nodiscard]] bool reload_and_log(const ConfigSources& sources, Config& config);

}  // namespace wspool::app
