// The log: lines on stderr, text or JSON. One line per call whatever the values hold: control bytes
// are escaped and long values are cut, so that nothing a peer says can forge or flood a line.
//
// spdlog writes them; it is included in log.cpp alone, because it costs seconds per file.
// Limits: a message is cut at 2,048 bytes, a field's value at 1,024.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace wspool::app {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
enum class LogFormat : std::uint8_t { text, json };

struct LogOptions {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::text;
};

// A named value behind the message: `name=value` in text, a member of the object in JSON.
struct LogField {
    std::string_view name;
    std::variant<std::uint64_t, std::string_view> value;
};

// Before the first line; until then lines are text from `info` up.
void set_up_log(const LogOptions& options);

void log_line(LogLevel level, std::string_view message, std::span<const LogField> fields = {});
void vlog(LogLevel level, fmt::string_view format, fmt::format_args args);

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    vlog(LogLevel::info, format, fmt::make_format_args(args...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    vlog(LogLevel::warning, format, fmt::make_format_args(args...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
    vlog(LogLevel::error, format, fmt::make_format_args(args...));
}

// `text` with control bytes escaped (`\u001b`) and what is not UTF-8 replaced, cut at `size_max`
// bytes: what a peer said, made fit for a terminal.
[[nodiscard]] std::string escape_for_terminal(std::string_view text,
                                              std::size_t size_max = SIZE_MAX);

// What log_line() writes behind time and level; apart for the tests. `text` of JSON lines is a
// sequence of members without braces.
[[nodiscard]] std::string format_log_body(LogFormat format,
                                          std::string_view message,
                                          std::span<const LogField> fields);

}  // namespace wspool::app
