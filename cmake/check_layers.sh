#!/usr/bin/env bash
# Checks every #include of ours against the layer table in CMakeLists.txt (its wspool_layer lines).
#
#   check_layers.sh [ROOT]      one line per violation; exit 1 if there is any
#   check_layers.sh --self-test plants violations in a copy of a small tree and expects to find them
#
# Rules: 1. USES names only folders of a lower row. 2. A file in src/X includes only X and X's USES; a
# file in sim/ may include every folder; tests (*_test.cpp) may also use sim/. 3. An include in quotes
# names its folder. 4. PURE folders include no header of the system, of threads, of streams or of clocks;
# metrics/ lays out the page that processes share, and may include <atomic>.
set -euo pipefail

# What pure code may not include: the kernel's headers, threads, streams, clocks that can be read.
system_header='^(sys/|linux/|netinet/|arpa/|unistd\.h|fcntl\.h|poll\.h|signal\.h|pthread\.h|time\.h|ctime'
system_header+='|thread|mutex|shared_mutex|condition_variable|future|atomic|iostream|fstream|random'
system_header+='|filesystem|liburing\.h)'

check() {
    local root=$1
    find "$root/src" "$root/sim" -name '*.h' -o -name '*.cpp' 2>/dev/null | LC_ALL=C sort |
        { xargs grep -nHE '^[[:space:]]*#[[:space:]]*include' /dev/null || true; } |
        awk -v root="$root/" '
        function complain(text) { print text; bad = 1 }

        # ---- the table: wspool_layer(name ROW n [PURE] [USES a b] [LINKS …])
        FILENAME != "-" {
            sub(/#.*/, "")
            if ($0 ~ /^[ \t]*wspool_layer\(/) { call = ""; inside = 1 }
            if (!inside) next
            call = call " " $0
            if ($0 !~ /\)/) next
            inside = 0
            gsub(/[()]/, " ", call)
            n = split(call, word, " ")
            name = word[2]; mode = ""
            known[name] = 1
            for (i = 3; i <= n; i++) {
                if (word[i] == "PURE") pure[name] = 1
                else if (word[i] ~ /^(ROW|USES|LINKS|TEST_LINKS)$/) mode = word[i]
                else if (mode == "ROW") row[name] = word[i]
                else if (mode == "USES") {
                    may[name, word[i]] = 1
                    if (!(word[i] in known) || row[word[i]] >= row[name])
                        complain("CMakeLists.txt: " name " (row " row[name] ") may not use " word[i] \
                                 ": a layer uses only layers of a lower row, listed before it.")
                }
            }
            next
        }

        # ---- the includes: path:line:#include …
        {
            includes++
            line = $0
            sub("^" root, "", line)
            split(line, part, ":")
            where = part[1] ":" part[2]
            split(part[1], dir, "/")
            from = dir[1] == "sim" ? "sim" : dir[2]
            is_test = part[1] ~ /_test\.cpp$/
            match(line, /include[ \t]*["<][^">]*[">]/)
            header = substr(line, RSTART + 7, RLENGTH - 7)
            sub(/^[ \t]*/, "", header)
            quote = substr(header, 1, 1)
            header = substr(header, 2, length(header) - 2)
            if (quote == "<") {
                if ((from in pure) && !is_test && header ~ system_header &&
                    !(from == "metrics" && header == "atomic"))
                    complain(where ": " from " is pure and may not include <" header \
                             ">; take bytes, the time or randomness as an argument.")
                next
            }
            slash = index(header, "/")
            if (slash == 0) {
                complain(where ": write \"" header "\" with its folder in front.")
                next
            }
            to = substr(header, 1, slash - 1)
            if (to == from || from == "sim" || ((from, to) in may) || (is_test && to == "sim")) next
            complain(where ": " from " may not include " to "; the table in CMakeLists.txt says what it may.")
        }
        END {
            if (!bad) print includes + 0 " includes keep to the layers"
            exit bad
        }
        ' system_header="$system_header" \
            "$root/CMakeLists.txt" -
}

self_test() {
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    mkdir -p "$tree/src/low" "$tree/src/left" "$tree/src/right" "$tree/sim"
    cat >"$tree/CMakeLists.txt" <<'TABLE'
wspool_layer(low   ROW 0 PURE)
wspool_layer(left  ROW 1 PURE USES low
                   LINKS some::library)
wspool_layer(right ROW 1      USES low)
TABLE
    printf '#include "low/a.h"\n#include <vector>\n' >"$tree/src/left/good.h"
    printf '#include "left/good.h"\n#include "right/b.h"\n' >"$tree/sim/all.cpp"
    printf '#include "sim/all.h"\n' >"$tree/src/left/good_test.cpp"
    check "$tree" >/dev/null || { echo "self-test: a clean tree was refused."; exit 1; }

    expect() {  # expect NAME FILE TEXT WANTED
        printf '%s\n' "$3" >"$tree/$2"
        local said
        said=$(check "$tree") && { echo "self-test: $1 was not found."; exit 1; }
        [[ $said == *"$4"* ]] || { echo "self-test: $1 was reported as: $said"; exit 1; }
        rm "$tree/$2"
    }
    expect "an include upwards" src/low/bad.h '#include "left/good.h"' "src/low/bad.h:1: low may not include left"
    expect "an include sideways" src/right/bad.cpp '# include "left/good.h"' "right may not include left"
    expect "a test that includes sideways" src/right/bad_test.cpp '#include "left/good.h"' "right may not include left"
    expect "an unknown folder" src/left/bad.h '#include "nowhere/x.h"' "left may not include nowhere"
    expect "an include without folder" src/left/bad.h '#include "good.h"' "with its folder"
    expect "a system header in a pure folder" src/left/bad.cpp '#include <sys/socket.h>' "left is pure"
    expect "a thread in a pure folder" src/low/bad.cpp '#include <thread>' "low is pure"
    echo 'wspool_layer(odd ROW 1 USES left)' >>"$tree/CMakeLists.txt"
    check "$tree" >/dev/null && { echo "self-test: a table with a sideways use was not found."; exit 1; }
    echo "self-test: all planted violations were found."
}

if [[ ${1:-} == --self-test ]]; then self_test; else check "${1:-$(dirname "$0")/..}"; fi
