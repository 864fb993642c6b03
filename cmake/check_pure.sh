#!/usr/bin/env bash
# Checks that pure layers are sans-I/O: their archives must not call sockets, clocks, threads, files, the
# environment or sources of randomness. What they need of these comes in as arguments.
#
#   check_pure.sh ARCHIVE…          one line per forbidden symbol; exit 1 if there is any
#   check_pure.sh --self-test CXX   compiles planted calls and expects to find each
#
# zlib, OpenSSL's digests and the allocator are calls without effect on the world, and allowed; so are
# the few symbols with which an assertion reports and aborts.
set -euo pipefail

forbidden='^(socket|bind|listen|accept4?|connect|recv(from|m?msg)?|send(to|m?msg|file)?|shutdown|setsockopt'
forbidden+='|getsockopt|getaddrinfo|epoll_.*|poll|ppoll|select|io_uring_.*|eventfd|timerfd_.*|signalfd'
forbidden+='|read|write|p?readv|p?writev|pread(64)?|pwrite(64)?|open(64|at)?|close|fopen(64)?'
forbidden+='|ioctl|fcntl(64)?|mmap(64)?'
forbidden+='|clock_gettime|gettimeofday|time|nanosleep|clock_nanosleep|usleep|sleep|timer_.*'
forbidden+='|pthread_.*|thrd_.*|fork|vfork|execve?|kill|syscall|signal|sigaction'
forbidden+='|getrandom|getentropy|rand|srand|random|arc4random.*|RAND_.*|getenv|secure_getenv'
forbidden+='|std::chrono::.*::now\(\)|std::thread::.*|std::this_thread::.*|std::random_device::.*'
forbidden+='|std::condition_variable::.*|std::basic_[io]?f?stream.*|std::filesystem::.*)(@.*)?$'

check() {
    local archive
    for archive; do [[ -f $archive ]] || { echo "$archive: build it first."; return 1; }; done
    nm -uC --format=posix -A "$@" 2>/dev/null |
        sed -E 's/^[^[]*\/?lib([^/[]+)\.a\[([^]]+)\]: /\1 \2 /; s/ [Uwv]( .*)?$//' |
        awk -v forbidden="$forbidden" '
            {
                archive = $1; object = $2; symbol = $0
                sub(/^[^ ]+ [^ ]+ /, "", symbol)
                if (symbol ~ forbidden) { print archive " (" object "): calls " symbol \
                    ", but pure code may not; take it as an argument."; bad = 1 }
                symbols++
            }
            END {
                if (!bad) print symbols + 0 " calls out of pure code, none of them forbidden"
                exit bad
            }'
}

self_test() {
    local compiler=$1
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    compile() {  # compile SOURCE: makes libplanted.a
        printf '%s\n' "$1" >"$tree/planted.cpp"
        rm -f "$tree/libplanted.a"
        "$compiler" -std=c++20 -O1 -c "$tree/planted.cpp" -o "$tree/planted.o"
        ar rc "$tree/libplanted.a" "$tree/planted.o"
    }
    expect_found() {  # expect_found NAME SOURCE
        compile "$2"
        if check "$tree/libplanted.a" >/dev/null; then echo "self-test: $1 was not found."; exit 1; fi
    }
    compile '#include <string>
        #include <vector>
        std::string f(std::vector<std::string>& v) { v.emplace_back("a"); return v.back() + "b"; }'
    check "$tree/libplanted.a" >/dev/null || { echo "self-test: pure code was refused."; exit 1; }
    expect_found "a socket" '#include <sys/socket.h>
        int f() { return ::socket(AF_INET, SOCK_STREAM, 0); }'
    expect_found "a clock" '#include <chrono>
        auto f() { return std::chrono::steady_clock::now(); }'
    expect_found "a thread" '#include <thread>
        void f() { std::thread([] {}).join(); }'
    expect_found "randomness" '#include <random>
        unsigned f() { return std::random_device{}(); }'
    expect_found "a read of the environment" '#include <cstdlib>
        const char* f() { return std::getenv("HOME"); }'
    expect_found "a file" '#include <fstream>
        void f() { std::ofstream("x") << 1; }'
    echo "self-test: all planted calls were found."
}

case ${1:-} in
    --self-test) self_test "${2:-g++}" ;;
    "") echo "usage: check_pure.sh ARCHIVE… | --self-test COMPILER" >&2; exit 2 ;;
    *) check "$@" ;;
esac
