# The rules of tools/tidy.sh, one pass over all files. Called with root="PATH/" and LC_ALL=C.

function complain(text) { print name ":" FNR ": " text; bad = 1 }
function complain_of_file(text) { print name ": " text; bad = 1 }
function ban(pattern, text) { if (code ~ pattern) complain(text) }

function begin_file(    stem) {
    name = FILENAME
    sub("^" root, "", name)
    is_header = name ~ /\.h$/
    is_cpp = name ~ /\.(h|cpp)$/
    is_markdown = name ~ /\.md$/
    is_test = name ~ /_test\.(h|cpp)$/ || name ~ /_test_[a-z]+\.h$/ || name ~ /^test\//
    in_src = name ~ /^src\//
    columns_max = is_cpp ? 100 : 120
    lines_max = is_test ? 1000 : 700
    lines = once = titles = fenced = is_table = 0
    if (is_header && $0 !~ /^\/\/ /)
        complain("open the header with a comment: what it is, for whom, invariants, owners, limits.")
    own = ""
    if (name ~ /^src\/.*\.cpp$/ && name !~ /_(test|fuzz|bench)\.cpp$/) {
        stem = name
        sub(/^src\//, "", stem)
        sub(/\.cpp$/, ".h", stem)
        if ((getline ignored < (root "src/" stem)) > 0) own = stem
        close(root "src/" stem)
    }
}

function finish_file() {
    if (name == "") return
    if (is_cpp && lines > lines_max) complain_of_file(lines " lines; split it: " lines_max " is the limit.")
    else if (is_cpp && !is_test && lines > 400)
        print name ": warning: " lines " lines; beyond 400 think again."
    if (is_header && !once) complain_of_file("#pragma once is missing.")
    if (is_markdown && titles != 1) complain_of_file(titles " titles (# …); a page has one.")
}

FNR == 1 { finish_file(); begin_file() }
{ lines++ }

is_markdown {
    if ($0 ~ /^```/) fenced = !fenced
    if (!fenced && $0 ~ /^# /) titles++
    next
}

# ---- every source
{
    text = $0
    gsub(/[\200-\277]/, "", text)  # a character counts once, whatever its bytes
    # A table that clang-format leaves alone may be wider.
    if ($0 ~ /clang-format off/) is_table = 1
    if ($0 ~ /clang-format on/) is_table = 0
    if (length(text) > columns_max && !is_table && text !~ /https?:\/\//)
        complain("longer than " columns_max " columns.")
    if ($0 ~ /[ \t]$/) complain("white space at the end.")
    if (name ~ /^tools\/tidy\./) next
    if ($0 ~ /(^|[^a-zA-Z])(TODO|FIXME|XXX)([^a-zA-Z]|$)/) complain("finish it, or describe it in an issue.")
    if ($0 ~ /NOLINT|DISABLED_|GTEST_SKIP/) complain("nothing is switched off here: mend the cause.")
}
!is_cpp { next }

# ---- C++
/^#pragma once/ { once = 1 }
own != "" && /^#include/ {
    if (index($0, "\"" own "\"") == 0) complain("include \"" own "\" first: it proves that it stands alone.")
    own = ""
}
{
    code = $0
    gsub(/"([^"\\]|\\.)*"/, "\"\"", code)
    sub(/\/\/.*/, "", code)
    if (code ~ /\t/) complain("a tab; indent with spaces.")
    # The entry point of a fuzz target has to stand outside our namespaces; the library's names are found
    # in two.
    if (code !~ /using namespace std::[a-z_:]*literals/ && name !~ /_fuzz\.cpp$/ &&
        name != "include/wspool/result.h")
        ban("using namespace ", "name what you need, or write its namespace.")
    if (is_test) {
        ban("(sleep_for|sleep_until|usleep|nanosleep|[^a-z_]sleep)[ ]*\\(",
            "wait for a named event, not for time to pass.")
        next
    }
}
in_src {
    # CLI11 is told of a bad value by its own exception, and nothing else is.
    if (code !~ /throw CLI::/)
        ban("(^|[^a-z_:])throw[ ;]", "errors are values: return a Result (base/result.h).")
    ban("(^|[^a-z_])assert\\(", "WSPOOL_ASSERT is on in every build (base/assert.h).")
    ban("(^|[^a-z_])(volatile|setjmp|longjmp)([^a-z_]|$)", "use std::atomic, or ordinary control flow.")
    ban("std::regex", "write the few lines that parse it: <regex> is slow to compile and to run.")
    if (name !~ /^src\/app\//) {
        # The system's resolver blocks for as long as it likes: it gets a thread, which may outlive its owner.
        # The library's blocking flavour is a thread; leases and coroutines may outlive the pool they came
        # from, and what TLS needs is shared by whoever speaks it.
        if (name !~ /^src\/io\/resolver\.(h|cpp)$/ && name !~ /^src\/client\/blocking_thread\.(h|cpp)$/) {
            if (name !~ /^src\/client\/(client_pool|callback_(pool|driver)|coroutine|lease|core_options)\.(h|cpp)$/)
                ban("shared_ptr", "give it one owner and hand out ids or references.")
            ban("std::(jthread|thread|mutex|async)", "one thread per process: a second one belongs to app/.")
        }
        ban("std::(cout|cerr|clog)", "return what is to be said; only app/ prints.")
        # Last words before an abort are the exception.
        if (name != "src/base/assert.h" && !(name ~ /^src\/io\// && code ~ /fprintf\(stderr/))
            ban("(^|[^a-z_])f?printf\\(", "return what is to be said; only app/ prints.")
    }
    if (name !~ /^src\/(app|io)\//) ban("_clock::now\\(", "take the time as an argument; io/ reads the clock.")
}
END { finish_file(); exit bad }
