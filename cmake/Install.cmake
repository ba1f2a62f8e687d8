# `cmake --install`: the program, the library, what finds it, and man pages. DESTDIR and --prefix may be given then: the
# files that find the library say where it is by where they are.
include(CMakePackageConfigHelpers)
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/querent)
file(RELATIVE_PATH QR_PC_TO_PREFIX /prefix/${pc_dir} /prefix)
file(RELATIVE_PATH QR_CONFIG_TO_PREFIX /prefix/${config_dir} /prefix)
string(REGEX REPLACE "/$" "" QR_PC_TO_PREFIX ${QR_PC_TO_PREFIX})
string(JOIN " " QR_LIBS_PRIVATE ${JANSSON_LDFLAGS} ${XXHASH_LDFLAGS} ${PROTOBUF_C_LDFLAGS} ${OPENBLAS_LDFLAGS} -lpthread -lm)

configure_file(${CMAKE_CURRENT_LIST_DIR}/querent.pc.in ${PROJECT_BINARY_DIR}/querent.pc @ONLY)
configure_file(${CMAKE_CURRENT_LIST_DIR}/querentConfig.cmake.in ${PROJECT_BINARY_DIR}/querentConfig.cmake @ONLY)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/querentConfigVersion.cmake VERSION ${PROJECT_VERSION}
    COMPATIBILITY SameMinorVersion)

install(TARGETS querent RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS querent_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_BINARY_DIR}/libquerent.a DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/include/querent.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_BINARY_DIR}/querent.pc DESTINATION ${pc_dir})
install(FILES ${PROJECT_BINARY_DIR}/querentConfig.cmake ${PROJECT_BINARY_DIR}/querentConfigVersion.cmake
    DESTINATION ${config_dir})

# Man pages, where scdoc is there (tools/setup install).
find_program(SCDOC scdoc)
if(SCDOC)
    set(man ${PROJECT_SOURCE_DIR}/docs/man)
    set(made ${PROJECT_BINARY_DIR}/man)
    file(MAKE_DIRECTORY ${made})
    add_custom_command(OUTPUT ${made}/querent.1
        COMMAND ${CMAKE_COMMAND} -DQUERENT=$<TARGET_FILE:querent> -DPAGE=${man}/querent.1.scd.in -DOUT=${made}/querent.1.scd
            -P ${CMAKE_CURRENT_LIST_DIR}/ManPage.cmake
        COMMAND ${SCDOC} <${made}/querent.1.scd >${made}/querent.1
        DEPENDS querent ${man}/querent.1.scd.in ${CMAKE_CURRENT_LIST_DIR}/ManPage.cmake)
    add_custom_command(OUTPUT ${made}/querent.h.3
        COMMAND ${SCDOC} <${man}/querent.h.3.scd >${made}/querent.h.3 DEPENDS ${man}/querent.h.3.scd)
    add_custom_target(man ALL DEPENDS ${made}/querent.1 ${made}/querent.h.3)
    install(FILES ${made}/querent.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${made}/querent.h.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
else()
    message(STATUS "no scdoc: man pages are not made")
endif()
