#include "app/cli_options.h"

#include "app/units.h"

namespace wspool::app {

CLI::Option* add_count(CLI::App& app,
                       const std::string& name,
                       std::uint64_t& target,
                       std::uint64_t min,
                       const std::string& help) {
    const auto parse = [min](const std::string& text) -> Result<std::uint64_t> {
        auto count = parse_count(text);
        if (!count) return count;
        if (*count < min || *count > 10'000'000) {
            return fail(fmt::format("\"{}\": write a number from {} to 10000000", text, min));
        }
        return count;
    };
    return app.add_option(name, reader(target, parse), help)
        ->type_name("N")
        ->default_str(std::to_string(target));
}

CLI::Option* add_size(CLI::App& app,
                      const std::string& name,
                      std::uint64_t& target,
                      const std::string& help) {
    const auto parse = [](const std::string& text) -> Result<std::uint64_t> {
        auto size = parse_count(text);
        if (!size) size = parse_size(text);
        if (size && *size > 1ull << 30) return fail(fmt::format("\"{}\" is more than 1GiB", text));
        return size;
    };
    return app.add_option(name, reader(target, parse), help)
        ->type_name("SIZE")
        ->default_str(format_size(target));
}

CLI::Option* add_duration(CLI::App& app,
                          const std::string& name,
                          Duration& target,
                          const std::string& help,
                          std::chrono::hours max) {
    const auto parse = [max](const std::string& text) -> Result<Duration> {
        auto duration = parse_duration(text);
        if (duration && *duration > max) {
            return fail(fmt::format("\"{}\" is more than {} hours", text, max.count()));
        }
        return duration;
    };
    return app.add_option(name, reader(target, parse), help)
        ->type_name("TIME")
        ->default_str(format_duration(target));
}

void repeatable(CLI::Option* option) {
    option->expected(1)->allow_extra_args(false)->multi_option_policy(
        CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace wspool::app
