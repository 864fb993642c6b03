# wspool_layer(NAME ROW n [PURE] [USES folder…] [LINKS target…])
#
# Makes the static library wspool_NAME from src/NAME, and, with WSPOOL_TESTS, one test program
# NAME_test from its *_test.cpp. Files ending in _test, _fuzz, _bench and main.cpp stay outside the
# library. `USES` names the folders this one may include; cmake/check_layers.sh reads the same lines.
function(wspool_layer name)
    cmake_parse_arguments(arg "PURE" "ROW" "USES;LINKS" ${ARGN})
    set(dir ${CMAKE_CURRENT_SOURCE_DIR}/src/${name})
    file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cpp)
    list(FILTER sources EXCLUDE REGEX "(_test|_fuzz|_bench|/main)\\.cpp$")
    file(GLOB headers CONFIGURE_DEPENDS ${dir}/*.h)
    if(NOT sources)
        file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty_${name}.cpp "")
        set(sources ${CMAKE_CURRENT_BINARY_DIR}/empty_${name}.cpp)
    endif()
    add_library(wspool_${name} STATIC ${sources})
    target_include_directories(wspool_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/src)
    list(TRANSFORM arg_USES PREPEND wspool_ OUTPUT_VARIABLE uses)
    target_link_libraries(wspool_${name} PUBLIC ${uses} ${arg_LINKS} PRIVATE wspool_warnings)

    if(WSPOOL_TESTS)
        file(GLOB tests CONFIGURE_DEPENDS ${dir}/*_test.cpp)
        if(tests)
            add_executable(${name}_test ${tests})
            target_link_libraries(${name}_test PRIVATE
                wspool_${name} GTest::gtest_main rapidcheck rapidcheck_gtest wspool_warnings)
            include(GoogleTest)
            gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST)
        endif()
    endif()
endfunction()
