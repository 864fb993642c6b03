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

everything=$({ cat .clang-tidy; find src sim include -name "*.h" 2>/dev/null | sort | xargs cat; } | sha256sum)
todo=()
declare -A stamp
# Tests are left out: the macros of GoogleTest and RapidCheck trip the checks by themselves.
while IFS= read -r source; do
    stamp[$source]=$passed/$({ echo "$everything"; cat "$source"; } | sha256sum | cut -c 1-32)
    [[ -e ${stamp[$source]} ]] || todo+=("$source" "${stamp[$source]}")
done < <(find src sim -name '*.cpp' ! -name '*_test.cpp' | sort)

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
