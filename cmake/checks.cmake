# The house's own rules as tests: they run with all others, and each is first shown a planted violation.
set(checks ${CMAKE_CURRENT_SOURCE_DIR}/cmake)
get_property(pure_archives GLOBAL PROPERTY WSPOOL_PURE_ARCHIVES)

add_test(NAME house.layers COMMAND ${checks}/check_layers.sh ${CMAKE_CURRENT_SOURCE_DIR})
add_test(NAME house.layers_finds_a_planted_violation COMMAND ${checks}/check_layers.sh --self-test)
add_test(NAME house.documents COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/check_docs.sh)
add_test(NAME house.tidy_finds_a_planted_violation
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/tidy.sh --self-test)
# Instrumented code calls what its sanitizer needs, so purity is judged in the plain builds only.
if(NOT WSPOOL_SANITIZE)
    add_test(NAME house.purity COMMAND ${checks}/check_pure.sh ${pure_archives})
    add_test(NAME house.purity_finds_a_planted_violation
        COMMAND ${checks}/check_pure.sh --self-test ${CMAKE_CXX_COMPILER})
endif()
