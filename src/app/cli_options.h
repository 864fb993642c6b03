// Options of the command line: our own readers in place of CLI11's, so that files, variables and
// options are told of in one wording. For the verbs of cli.h.
#pragma once

#include "app/cli.h"
#include "base/result.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace wspool::app {

template <class T, class Parse>
CLI::callback_t reader(T& target, Parse parse) {
    return [&target, parse](const CLI::results_t& results) {
        auto value = parse(results.back());
        if (!value) throw CLI::ValidationError(value.error().message);
        target = static_cast<T>(*value);
        return true;
    };
}

CLI::Option* add_count(CLI::App& app,
                       const std::string& name,
                       std::uint64_t& target,
                       std::uint64_t min,
                       const std::string& help);
// A bare number of bytes is clear enough on a command line.
CLI::Option* add_size(CLI::App& app,
                      const std::string& name,
                      std::uint64_t& target,
                      const std::string& help);
CLI::Option* add_duration(CLI::App& app,
                          const std::string& name,
                          Duration& target,
                          const std::string& help,
                          std::chrono::hours max = std::chrono::hours(24));

template <class Enum>
CLI::Option* add_choice(CLI::App& app,
                        const std::string& name,
                        Enum& target,
                        const std::map<std::string, Enum>& choices,
                        const std::string& help) {
    const auto parse = [choices](const std::string& text) -> Result<Enum> {
        const auto found = choices.find(text);
        if (found != choices.end()) return found->second;
        std::string names;
        for (const auto& [choice, value] : choices) names += (names.empty() ? "" : ", ") + choice;
        return fail(fmt::format("\"{}\" is none of {}", text, names));
    };
    return app.add_option(name, reader(target, parse), help);
}

void repeatable(CLI::Option* option);

// The options of `wspool bench`, with one subcommand of each kind, which is told in `kind`.
void add_bench(CLI::App& app, BenchArgs& args, std::optional<BenchKind>& kind);

}  // namespace wspool::app
