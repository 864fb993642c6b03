# wspool_layer(NAME ROW n [PURE] [USES folder…] [LINKS target…] [TEST_LINKS target…])
#
# Makes the static library wspool_NAME from src/NAME, and, with WSPOOL_TESTS, one test program
# NAME_test from its *_test.cpp; with WSPOOL_BENCH and Google Benchmark, NAME_bench from its *_bench.cpp
# (`./dev bench NAME`; no other target builds it). Files ending in _test, _fuzz, _bench and main.cpp stay
# outside the library. `USES` names the folders this one may include; cmake/check_layers.sh reads the same lines.
# WSPOOL_PURE_ARCHIVES collects the PURE ones for cmake/check_pure.sh.
include(GoogleTest)
# Only who measures needs it (./dev bench NAME installs it), so nothing else depends on its presence.
if(WSPOOL_BENCH)
    find_package(benchmark QUIET)
endif()

function(wspool_layer name)
    cmake_parse_arguments(arg "PURE" "ROW" "USES;LINKS;TEST_LINKS" ${ARGN})
    set(dir ${CMAKE_CURRENT_SOURCE_DIR}/src/${name})
    file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cpp)
    list(FILTER sources EXCLUDE REGEX "(_test|_fuzz|_bench|/main)\\.cpp$")
    file(GLOB headers CONFIGURE_DEPENDS ${dir}/*.h)
    if(NOT sources)
        file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty_${name}.cpp "")
        set(sources ${CMAKE_CURRENT_BINARY_DIR}/empty_${name}.cpp)
    endif()
    add_library(wspool_${name} STATIC ${sources})
    # A header set lets CMake compile each header by itself (all_verify_interface_header_sets).
    target_sources(wspool_${name} PUBLIC
        FILE_SET HEADERS BASE_DIRS ${CMAKE_CURRENT_SOURCE_DIR}/src FILES ${headers})
    target_include_directories(wspool_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/src)
    list(TRANSFORM arg_USES PREPEND wspool_ OUTPUT_VARIABLE uses)
    target_link_libraries(wspool_${name} PUBLIC ${uses} ${arg_LINKS} PRIVATE wspool_warnings)
    # The top row holds one file per verb, each with small names of its own: these do not share a file.
    if(arg_ROW LESS 4)
        set_target_properties(wspool_${name} PROPERTIES UNITY_BUILD ${WSPOOL_UNITY})
        target_compile_options(wspool_${name} PRIVATE ${WSPOOL_LTO_COMPILE})
    endif()
    if(arg_PURE)
        set_property(GLOBAL APPEND PROPERTY WSPOOL_PURE_ARCHIVES $<TARGET_FILE:wspool_${name}>)
    endif()

    if(WSPOOL_TESTS)
        file(GLOB tests CONFIGURE_DEPENDS ${dir}/*_test.cpp)
        if(tests)
            add_executable(${name}_test ${tests})
            target_link_libraries(${name}_test PRIVATE wspool_${name} ${arg_TEST_LINKS} wspool_test)
            wspool_discover_tests(${name}_test ${name}.)
        endif()
    endif()
    if(WSPOOL_BENCH AND benchmark_FOUND)
        file(GLOB benches CONFIGURE_DEPENDS ${dir}/*_bench.cpp)
        if(benches)
            # Linked as the program is (build_kind.cmake), so that the figures are those of the program.
            add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
            target_compile_options(${name}_bench PRIVATE ${WSPOOL_LTO_COMPILE})
            target_link_options(${name}_bench PRIVATE ${WSPOOL_LTO_LINK})
            target_link_libraries(${name}_bench PRIVATE
                wspool_${name} benchmark::benchmark_main wspool_warnings)
        endif()
    endif()
endfunction()

# One ctest test per case of a GoogleTest program, listed when ctest starts rather than while building.
function(wspool_discover_tests target prefix)
    gtest_discover_tests(${target} TEST_PREFIX ${prefix} DISCOVERY_MODE PRE_TEST
        PROPERTIES TIMEOUT 120)
endfunction()

# What every test program of ours links.
if(WSPOOL_TESTS)
    add_library(wspool_test INTERFACE)
    target_link_libraries(wspool_test INTERFACE
        GTest::gtest_main rapidcheck rapidcheck_gtest wspool_warnings)
endif()
