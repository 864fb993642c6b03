#!/usr/bin/env bash
# clang-tidy over every source of ours, several at a time; a file that passed is not looked at again until
# it, a header, or the rules change.
#
#   lint.sh JOBS      needs build/check/compile_commands.json (./dev lint makes it)
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-2}
passed=build/check/lint
mkdir -p "$passed"

# One line per source: itself and every header of ours that it includes, directly or not.
# Left out: *_test.cpp, as the macros of GoogleTest and RapidCheck trip the checks by themselves; and the program of
# test/install, which is built where the library was installed.
sources_with_headers() {
    find src sim test \( -name '*.cpp' ! -name '*_test.cpp' ! -path 'test/install/*' -o -name '*.h' \) | sort |
        xargs grep -oE '^#include "([a-z_]+/)?[a-z_0-9]+\.h"' /dev/null |
        awk -F: '
            function collect(file,    n, part, i) {
                if (seen[file] == source) return
                seen[file] = source
                list = list " " file
                n = split(includes[file], part, " ")
                for (i = 1; i <= n; i++) collect(part[i])
            }
            {
                split($2, word, "\"")
                folder = $1
                sub(/[^\/]*$/, "", folder)
                header = word[2] !~ /\// ? folder word[2] : word[2] ~ /^sim\// ? word[2] : "src/" word[2]
                includes[$1] = includes[$1] " " header
                if ($1 ~ /\.cpp$/) sources[$1] = 1
            }
            END { for (source in sources) { list = ""; collect(source); print substr(list, 2) } }' | sort
}

rules=$(sha256sum <.clang-tidy)
todo=()
declare -A stamp
while IFS=' ' read -r source headers; do
    # shellcheck disable=SC2086  # a list of paths without spaces
    stamp[$source]=$passed/$({ echo "$rules"; cat "$source" $headers; } | sha256sum | cut -c 1-32)
    [[ -e ${stamp[$source]} ]] || todo+=("$source" "${stamp[$source]}")
done < <(sources_with_headers)

lint_one() {
    if said=$(clang-tidy-14 -p build/check --quiet \
        --extra-arg=-Wno-unknown-warning-option "$1" 2>/dev/null); then
        touch "$2"
        echo "lint: $1"
    else
        printf 'lint: %s FAILED\n%s\n' "$1" "$said"
        return 1
    fi
}
export -f lint_one
[[ ${#todo[@]} == 0 ]] || printf '%s\n' "${todo[@]}" | xargs -n 2 -P "$jobs" bash -c 'lint_one "$@"' lint_one
echo "lint: ${#stamp[@]} files pass"
