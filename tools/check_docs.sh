#!/usr/bin/env bash
# Checks that the reference pages tell all there is: every configuration key with its default, every figure
# and reason, every decision, and that no page links to a file that is not there.
#
#   check_docs.sh     one line per gap; exit 1 if there is any
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
complain() { echo "$*"; bad=1; }

# Keys and defaults: the example file has them all (its own test sees to that).
section=''
while IFS= read -r line; do
    if [[ $line =~ ^\[([a-z_]+)\]$ ]]; then
        section=${BASH_REMATCH[1]}
    elif [[ $line =~ ^([a-z_]+)\ =\ (.*)$ ]]; then
        grep -qF "| \`$section.${BASH_REMATCH[1]}\` | \`${BASH_REMATCH[2]}\` |" docs/configuration.md ||
            complain "docs/configuration.md: say that $section.${BASH_REMATCH[1]} is ${BASH_REMATCH[2]} by default."
    fi
done <config/wspool.example.toml

while IFS= read -r figure; do
    grep -qE "^\| \`$figure[\`{]" docs/metrics.md || complain "docs/metrics.md: explain $figure."
done < <(grep -oE '"wspool_[a-z_]+' src/metrics/counters.cpp | tr -d '"' | sort -u)

while IFS= read -r reason; do
    grep -qE "^\| \`$reason\`|\`$reason\` \(" docs/metrics.md || complain "docs/metrics.md: explain the reason $reason."
done < <(sed -n '/_names =/,/};/p' src/metrics/counters.cpp | grep -oE '"[a-z0-9_]+"' | tr -d '"' | sort -u)

for page in docs/decisions/0*.md; do
    grep -qF "($(basename "$page"))" docs/decisions/README.md ||
        complain "docs/decisions/README.md: list $(basename "$page")."
done

# Tests that the page on security names.
while IFS= read -r name; do
    grep -rqE "def $name\\(" test/integration || complain "docs/security.md: there is no test $name."
done < <(grep -oE '`test_[a-z0-9_]+`' docs/security.md | tr -d '\`' | sort -u)

folders='src|docs|test|bench|sim|cmake|tools|config|include'
endings='h|cpp|md|sh|py|toml|cmake|svg|json|js|mjs'
# Links and paths in words: [text](path), and `path/file.ext` of our folders. What stands between fences is
# code: a lambda is no link.
while IFS=: read -r page target; do
    [[ -e $(dirname "$page")/$target || -e $target ]] || complain "$page: there is no $target."
done < <(find . \( -name build -o -name node_modules -o -name .git \) -prune -o -name '*.md' -print |
    LC_ALL=C sort | while IFS= read -r page; do
        { sed '/^```/,/^```/d' "$page" | grep -oE '\]\([^)#]+' | cut -c 3- | grep -vE '^(https?|mailto):' || true
          grep -oE "(\`|[ (])($folders)/[a-zA-Z0-9_/.-]+\.($endings)" "$page" |
            sed -E 's/^[`( ]//' || true; } | sort -u | sed "s|^|${page#./}:|"
    done)

[[ $bad == 0 ]] && echo "the documents are complete"
exit $bad
