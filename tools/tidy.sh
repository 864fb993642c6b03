#!/usr/bin/env bash
# The house's style where neither the compiler nor clang-format nor clang-tidy looks. Each ban names what
# to write instead; the rules are in tools/tidy.awk.
#
#   tidy.sh [ROOT]        one line per finding; exit 1 if there is any (warnings do not count)
#   tidy.sh --self-test   plants one fault of each kind and expects to find it
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)

sources() {
    find "$1" \( -name .git -o -name build -o -name node_modules -o -name corpus \) -prune -o \
        -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.cmake' -o -name '*.sh' -o -name '*.awk' \
        -o -name '*.py' -o -name '*.js' -o -name '*.mjs' -o -name '*.md' -o -name CMakeLists.txt \
        -o -path "$1/dev" -o -path "$1/.ci/run" \) -print | sort
}

fuzzers_have_a_corpus() {
    local root=$1 bad=0 source layer stem
    while IFS= read -r source; do
        layer=$(basename "$(dirname "$source")")
        stem=$(basename "$source" _fuzz.cpp)
        if [[ -z $(find "$root/test/corpus/${layer}_$stem" -type f 2>/dev/null | head -n 1) ]]; then
            echo "${source#"$root"/}: put inputs into test/corpus/${layer}_$stem; the test run replays them."
            bad=1
        fi
    done < <(find "$root/src" -name '*_fuzz.cpp' 2>/dev/null | sort)
    return $bad
}

no_large_files() {
    local found
    found=$(find "$1" \( -name .git -o -name build -o -name node_modules \) -prune -o -type f -size +256k -print)
    [[ -z $found ]] && return 0
    echo "$found: larger than 256 KiB; make it at build time, or keep it out."
    return 1
}

check() {
    local root bad=0
    root=$(cd "$1" && pwd)
    sources "$root" | xargs awk -v root="$root/" -f "$here/tidy.awk" || bad=1
    fuzzers_have_a_corpus "$root" || bad=1
    no_large_files "$root" || bad=1
    [[ $bad == 0 ]] && echo "$(sources "$root" | wc -l) files are tidy"
    return $bad
}

self_test() {
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    mkdir -p "$tree/src/ws" "$tree/docs"
    printf '// A header.\n#pragma once\n' >"$tree/src/ws/good.h"
    printf '#include "ws/good.h"\n\n#include <vector>\n' >"$tree/src/ws/good.cpp"
    printf '# Title\n\n```\n# not a title\n```\n' >"$tree/docs/good.md"
    check "$tree" >/dev/null || { echo "self-test: a clean tree was refused."; exit 1; }

    expect() {  # expect FILE TEXT WANTED
        printf '%b\n' "$2" >"$tree/$1"
        local said
        said=$(check "$tree") && { echo "self-test: '$2' in $1 was not found."; exit 1; }
        [[ $said == *"$3"* ]] || { echo "self-test: '$2' in $1 was reported as: $said"; exit 1; }
        rm "$tree/$1"
    }
    expect src/ws/a.h '#pragma once' "open the header"
    expect src/ws/a.h '// A header.' "#pragma once is missing"
    expect src/ws/a.cpp "// $(printf 'x%.0s' {1..100})" "100 columns"
    expect src/ws/a.cpp 'int a; ' "white space"
    expect src/ws/a.cpp '\tint a;' "a tab"
    expect src/ws/a.cpp '// TODO: later' "finish it"
    expect src/ws/a.cpp 'int a;  // NOLINT' "mend the cause"
    expect src/ws/a.cpp 'using namespace std;' "name what you need"
    expect src/ws/a.cpp 'void f() { throw 1; }' "errors are values"
    expect src/ws/a.cpp 'void f() { assert(true); }' "WSPOOL_ASSERT"
    expect src/ws/a.cpp 'std::shared_ptr<int> a;' "one owner"
    expect src/ws/a.cpp 'std::thread a;' "belongs to app"
    expect src/ws/a.cpp 'void f() { printf(""); }' "only app/ prints"
    expect src/ws/a.cpp 'auto a = std::chrono::steady_clock::now();' "take the time"
    expect src/ws/a_test.cpp 'void f() { std::this_thread::sleep_for(1s); }' "named event"
    expect src/ws/a_fuzz.cpp 'int a;' "test/corpus/ws_a"
    expect docs/a.md '# One\n\n# Two' "a page has one"
    rm "$tree/src/ws/good.cpp"
    expect src/ws/good.cpp '#include <vector>\n#include "ws/good.h"' "first"
    expect src/ws/a.cpp "$(printf 'int a;\\n%.0s' {1..701})" "split it"
    expect docs/a.png "$(head -c 400000 /dev/zero | tr '\0' x)" "256 KiB"
    echo "self-test: all planted faults were found."
}

if [[ ${1:-} == --self-test ]]; then self_test; else check "${1:-$here/..}"; fi
