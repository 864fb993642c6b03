#!/usr/bin/env bash
# clang-tidy over every source of ours, several at a time; what passed is not looked at again until it, a
# header, or the rules change.
#
# Most of the time goes into what the headers of others hold, anew for each file. So the sources of a folder
# are looked at twelve at once, in one file that includes them; what only works on the main file (the
# analyzer, and a few checks) is asked of each by itself. Not of app, whose files use the same small names,
# nor of tests: these are looked at one by one.
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

by_itself='-*,clang-analyzer-core.*,clang-analyzer-cplusplus.*,clang-analyzer-deadcode.*,clang-analyzer-unix.*'
by_itself+=',misc-unused-using-decls,misc-unused-alias-decls,bugprone-suspicious-include,bugprone-exception-escape'
together='-clang-analyzer-*,-bugprone-suspicious-include,-bugprone-exception-escape'
batch_size=12
rules=$(sha256sum <.clang-tidy)
pending=()  # what to look at, its checks ("all": those of .clang-tidy), its stamp: three words each
units=0

stamp_of() {  # stamp_of CHECKS FILE…: named after all that counts
    local checks=$1
    shift
    echo "$passed/$({ echo "$rules $checks"; cat "$@"; } | sha256sum | cut -c 1-32)"
}

add() {  # add FILE CHECKS DEPENDENCY…
    local file=$1 checks=$2 stamp
    shift 2
    stamp=$(stamp_of "$checks" "$file" "$@")
    units=$((units + 1))
    [[ -e $stamp ]] || pending+=("$file" "${checks:-all}" "$stamp")
}

batch=()
batch_headers=()
batch_folder=
batch_count=0
end_batch() {
    [[ ${#batch[@]} == 0 ]] && return
    local file=$passed/together_${batch_folder}_$batch_count.cpp
    printf '#include "../../../%s"\n' "${batch[@]}" >"$file.new"
    cmp -s "$file.new" "$file" && rm "$file.new" || mv "$file.new" "$file"
    # shellcheck disable=SC2086  # lists of paths without spaces
    add "$file" "$together" "${batch[@]}" ${batch_headers[*]}
    batch=()
    batch_headers=()
    batch_count=$((batch_count + 1))
}

while IFS=' ' read -r source headers; do
    folder=${source#src/}
    folder=${folder%%/*}
    # shellcheck disable=SC2086
    if [[ $source == test/* || $folder == app || $source == *_fuzz.cpp || $source == *_bench.cpp ||
        $source == */main.cpp ]]; then
        add "$source" '' $headers
        continue
    fi
    # shellcheck disable=SC2086
    add "$source" "$by_itself" $headers
    if [[ $folder != "$batch_folder" || ${#batch[@]} == "$batch_size" ]]; then end_batch; fi
    [[ $folder == "$batch_folder" ]] || batch_count=0
    batch_folder=$folder
    batch+=("$source")
    batch_headers+=("$headers")
done < <(sources_with_headers)
end_batch

# The options that a source of the same folder is compiled with.
options_of() {
    local source=$1
    [[ $source != */together_* ]] || source=$(sed -n '1s/.*"\(.*\)"/\1/p' "$1" | sed 's#^\(\.\./\)*##')
    jq -r --arg file "$PWD/$source" 'first(.[] | select(.file == $file)) | .command' build/check/compile_commands.json |
        tr ' ' '\n' | grep -E '^-(D|I|isystem|std|W|f)|^/' | grep -vE '^/.*bin/|\.cpp$' | sed 's/\\//g'
}

lint_one() {
    local checks=() options started=$SECONDS
    [[ $2 == all ]] || checks=(--checks="$2")
    mapfile -t options < <(options_of "$1")
    options+=(-Wno-unknown-warning-option)
    if said=$(clang-tidy-14 --quiet "${checks[@]}" "$1" -- "${options[@]}" 2>/dev/null); then
        touch "$3"
        echo "lint: $1 ($((SECONDS - started)) s)"
    else
        printf 'lint: %s FAILED\n%s\n' "$1" "$said"
        return 1
    fi
}
export -f lint_one options_of
[[ ${#pending[@]} == 0 ]] ||
    printf '%s\n' "${pending[@]}" | xargs -d '\n' -n 3 -P "$jobs" bash -c 'lint_one "$@"' lint_one
echo "lint: $units runs pass"
