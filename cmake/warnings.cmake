# Warnings for every target of ours. They are errors in `./dev check` (WSPOOL_WERROR).
option(WSPOOL_WERROR "Treat warnings as errors" OFF)

add_library(wspool_warnings INTERFACE)
target_compile_options(wspool_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
    -Wnon-virtual-dtor -Wswitch-enum
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> # g++ 12 sees it in "x" + std::to_string(n), wrongly (PR105651)
    $<$<BOOL:${WSPOOL_WERROR}>:-Werror>)
