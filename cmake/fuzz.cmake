# Every src/LAYER/STEM_fuzz.cpp becomes two programs from the same LLVMFuzzerTestOneInput:
#   LAYER_STEM_fuzz_replay   with any compiler; ctest runs it over test/corpus/LAYER_STEM, so that what
#                            was found once is checked in every test run
#   LAYER_STEM_fuzz          libFuzzer (preset fuzz, clang); `./dev fuzz` runs it
file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/*/*_fuzz.cpp)

foreach(source IN LISTS fuzz_sources)
    string(REGEX REPLACE "^.*/src/([^/]+)/([^/]+)_fuzz\\.cpp$" "\\1;\\2" parts ${source})
    list(GET parts 0 layer)
    list(GET parts 1 stem)
    set(target ${layer}_${stem}_fuzz)
    set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/test/corpus/${layer}_${stem})
    if(WSPOOL_TESTS)
        add_executable(${target}_replay ${source} test/fuzz/replay_main.cpp)
        target_link_libraries(${target}_replay PRIVATE wspool_${layer} wspool_warnings)
        add_test(NAME fuzz.${layer}_${stem}_corpus COMMAND ${target}_replay ${corpus})
        set_tests_properties(fuzz.${layer}_${stem}_corpus PROPERTIES TIMEOUT 300)
    endif()
    if(WSPOOL_FUZZ)
        add_executable(${target} ${source})
        target_link_libraries(${target} PRIVATE wspool_${layer} wspool_warnings)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
        list(APPEND fuzz_targets ${target})
    endif()
endforeach()
if(WSPOOL_FUZZ)
    add_custom_target(fuzzers DEPENDS ${fuzz_targets})
endif()
