// Child processes: forking, what a child does first, ending, and waiting for the end; and the name
// under which a process is seen in `ps`.
//
// fork() copies the calling thread only: a process that forks has no other, and no ring of io_uring
// (a child that held its descriptor would keep it alive).
#pragma once

#include "base/result.h"

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wspool::io {

// 0 in the child, as of fork(2).
[[nodiscard]] Result<pid_t> fork_process();

// What a child does first. Closes every descriptor but the standard ones and `keep`. Clears the
// signals' state: those that a terminal or an operator sends to a whole group of processes are
// ignored, for the parent passes on what concerns its children; SIGTERM, which also comes when the
// parent `parent` dies, stays blocked for Signals.
void become_child(pid_t parent, std::span<const int> keep);

[[nodiscard]] pid_t own_process_id();
void send_signal(pid_t process, int signal);

struct EndedChild {
    pid_t pid;
    bool by_signal;
    int detail;  // the signal, or the exit status
};
// A child that has ended and was not reported before; none when there is none now.
[[nodiscard]] std::optional<EndedChild> reap_child();
// Ends this process as exit(3) does: for a child, which must not return to what its parent was
// about to do.
[[noreturn]] void exit_process(int status);

// Where the command line of this process lies, which set_process_title() overwrites: what main()
// got must not be used after that.
void remember_arguments(int argc, char** argv);
// `ps` and `top` show `title` instead of the command line, cut to the room there is, and `name` (15
// bytes) where they show a program's name.
void set_process_title(std::string_view title, const std::string& name);

// Processors that this process may use; at least 1.
[[nodiscard]] unsigned usable_processors();

}  // namespace wspool::io
