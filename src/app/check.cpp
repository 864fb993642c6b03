// wspool check FILE: every error of a configuration, with its line and the mend.
#include "app/config_file.h"
#include "app/verbs.h"

#include <cstdio>

namespace wspool::app {

int run_check(const CheckArgs& args) {
    Config config;
    auto errors = read_config_file(args.file, config);
    if (errors.empty()) {
        for (const auto& error : contradictions(config)) errors.push_back(args.file + ": " + error);
    }
    if (errors.empty()) {
        std::printf("%s: OK\n", args.file.c_str());
        return exit_ok;
    }
    for (const auto& error : errors) std::fprintf(stderr, "%s\n", error.c_str());
    std::fprintf(stderr, "%zu %s\n", errors.size(), errors.size() == 1 ? "error" : "errors");
    return exit_unusable;
}

}  // namespace wspool::app
