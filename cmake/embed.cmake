# Files that the program carries. Included: wspool_embed(LAYER HEADER file…) makes, for each src/LAYER/name.ext, the
# function `std::string_view name_ext()` that src/LAYER/HEADER declares in namespace wspool::LAYER. As a script
# (cmake -P) it writes the source that defines them. The source depends on nothing but the files, lies in the build
# tree, and is written again when one of them, or this script, has changed.
if(NOT CMAKE_SCRIPT_MODE_FILE)
    set(WSPOOL_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
    function(wspool_embed layer header)
        list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/src/${layer}/ OUTPUT_VARIABLE files)
        set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded/${layer}.cpp)
        add_custom_command(OUTPUT ${source}
            COMMAND ${CMAKE_COMMAND} -D "SOURCE=${source}" -D "LAYER=${layer}" -D "HEADER=${header}"
                    -D "FILES=${files}" -P ${WSPOOL_EMBED_SCRIPT}
            DEPENDS ${files} ${WSPOOL_EMBED_SCRIPT}
            COMMENT "Embedding files of src/${layer}"
            VERBATIM)
        target_sources(wspool_${layer} PRIVATE ${source})
    endfunction()
    return()
endif()

set(text "// Written by cmake/embed.cmake.\n#include \"${LAYER}/${HEADER}\"\n\nnamespace wspool::${LAYER} {\n")
foreach(file IN LISTS FILES)
    get_filename_component(name ${file} NAME)
    string(REPLACE "." "_" name ${name})
    file(SIZE ${file} size)
    # Byte by byte, so that no content can end the literal; a line for each line of the file.
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
    string(REPLACE "\\x0a" "\\x0a\"\n        \"" bytes "${bytes}")
    string(APPEND text "\nstd::string_view ${name}() {\n    return {\n        \"${bytes}\",\n        ${size}};\n}\n")
endforeach()
string(APPEND text "\n}  // namespace wspool::${LAYER}\n")
file(WRITE ${SOURCE} "${text}")
