// The verbs of the program, one file each (check.cpp, serve.cpp, connect.cpp, send.cpp, bench.cpp,
// top.cpp, drain.cpp).
// Each runs to its end and returns the exit status.
#pragma once

#include "app/cli.h"

namespace wspool::app {

[[nodiscard]] int run_check(const CheckArgs& args);
[[nodiscard]] int run_serve(const ServeArgs& args);
[[nodiscard]] int run_connect(const ConnectArgs& args);
[[nodiscard]] int run_send(const SendArgs& args);
[[nodiscard]] int run_bench(const BenchArgs& args);
[[nodiscard]] int run_top(const TopArgs& args);
[[nodiscard]] int run_drain(const DrainArgs& args);

}  // namespace wspool::app
