# The library as users get it: one archive (or, with BUILD_SHARED_LIBS, one shared object) of all layers
# that the client pool stands on, its headers, and how CMake and pkg-config find it:
#
#   cmake --install build/release --prefix /usr/local
#
# Only wspool::api is seen from outside a shared object; what lies below is ours to change.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
find_package(Threads REQUIRED)

set(wspool_library_layers base ws http protocol metrics pool io session client)
foreach(layer IN LISTS wspool_library_layers)
    list(APPEND wspool_library_objects $<TARGET_OBJECTS:wspool_${layer}>)
endforeach()
file(GLOB wspool_public_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/wspool/*.h)

add_library(wspool_library ${wspool_library_objects})
add_library(wspool::wspool ALIAS wspool_library)
set_target_properties(wspool_library PROPERTIES
    OUTPUT_NAME wspool
    EXPORT_NAME wspool
    LINKER_LANGUAGE CXX
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})  # each 0.x may break its users
target_sources(wspool_library PUBLIC
    FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${wspool_public_headers})
target_compile_features(wspool_library PUBLIC cxx_std_20)
target_link_libraries(wspool_library PRIVATE
    OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB PkgConfig::liburing Threads::Threads)
if(BUILD_SHARED_LIBS)
    target_link_options(wspool_library PRIVATE
        -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/wspool.map)
    set_target_properties(wspool_library PROPERTIES
        LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/wspool.map)
endif()

set(wspool_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/wspool)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/wspoolConfig.cmake.in
    ${PROJECT_BINARY_DIR}/wspoolConfig.cmake INSTALL_DESTINATION ${wspool_cmake_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/wspoolConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
if(BUILD_SHARED_LIBS)
    set(wspool_pc_private Requires.private)
else()
    set(wspool_pc_private Requires)
endif()
# From the file itself, because the prefix is chosen when it is installed.
file(RELATIVE_PATH wspool_pc_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${PROJECT_SOURCE_DIR}/cmake/wspool.pc.in ${PROJECT_BINARY_DIR}/wspool.pc @ONLY)

install(TARGETS wspool_library EXPORT wspool_targets COMPONENT library
    LIBRARY COMPONENT library ARCHIVE COMPONENT library
    FILE_SET HEADERS COMPONENT library)
install(EXPORT wspool_targets NAMESPACE wspool:: FILE wspoolTargets.cmake
    DESTINATION ${wspool_cmake_dir} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/wspoolConfig.cmake ${PROJECT_BINARY_DIR}/wspoolConfigVersion.cmake
    DESTINATION ${wspool_cmake_dir} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/wspool.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
install(TARGETS wspool RUNTIME COMPONENT program)
