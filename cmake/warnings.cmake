# Warnings for every target of ours. They are errors in `./dev check` (WSPOOL_WERROR).
option(WSPOOL_WERROR "Treat warnings as errors" OFF)

add_library(wspool_warnings INTERFACE)
target_compile_options(wspool_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
    -Wnon-virtual-dtor -Wswitch-enum
    $<$<BOOL:${WSPOOL_WERROR}>:-Werror>)
