# How everything is compiled: optimisation, hardening, sanitizers, and what makes builds quicker. The
# presets (CMakePresets.json) set these switches; nobody else has to know them.
option(WSPOOL_SLOW_CHECKS "Check invariants that cost more than O(1)" OFF)
option(WSPOOL_UNITY "Compile each layer as a few large files: for cold builds" OFF)
option(WSPOOL_FUZZ "Build the fuzzers (clang only)" OFF)
option(WSPOOL_LTO "Optimise the program across its layers when it is linked (GNU only)" OFF)
set(WSPOOL_SANITIZE "" CACHE STRING "Sanitizers for everything: address,undefined or thread")

# -g1: function names and lines for profiles and crash reports at a third of -g's size. NDEBUG concerns
# other people's headers only: our assertions are always on (docs/decisions/0004).
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")

# A shared library is made of the layers' objects.
if(BUILD_SHARED_LIBS)
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()

if(WSPOOL_SANITIZE)
    # Without -fno-sanitize-recover UBSan only prints, and a run that prints still passes.
    # Without vptr, because UBSan learns whether an object's memory can be read by opening a pipe: in a
    # program that has run out of descriptors, which is what some tests are about, it takes every object
    # for broken. Calls on dead objects are AddressSanitizer's to find.
    add_compile_options(-O1 -g -fno-omit-frame-pointer
        -fsanitize=${WSPOOL_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${WSPOOL_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
    # Hardening that costs nothing measurable on the echo and fan-out benches. PIE is the compiler's
    # default on Debian.
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
        -fstack-clash-protection -fcf-protection -fno-plt)
    add_link_options(-Wl,-z,relro,-z,now)
endif()
# The hot path crosses five layers for each message. Linked as one, it costs 14 % less per echo at 16 in
# flight. Only the program is linked so: the layers' objects hold ordinary code as well, which the tests
# link quickly and check_pure.sh reads.
if(WSPOOL_LTO AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(WSPOOL_LTO_COMPILE -flto=auto -ffat-lto-objects)
    set(WSPOOL_LTO_LINK -flto=auto -fuse-linker-plugin)
    add_link_options(-fno-use-linker-plugin)
endif()
if(WSPOOL_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(WSPOOL_SLOW_CHECKS)
    add_compile_definitions(WSPOOL_SLOW_CHECKS)
endif()
set(CMAKE_UNITY_BUILD_BATCH_SIZE 12)

find_program(WSPOOL_CCACHE ccache)
if(WSPOOL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${WSPOOL_CCACHE})
endif()
find_program(WSPOOL_MOLD mold)
if(WSPOOL_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_link_options(-fuse-ld=mold)
endif()
