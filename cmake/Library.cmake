# libquerent, shared and static, from the rooms that it needs (docs/LIBRARY.md).
set(rooms qr_library qr_pipeline qr_tokenizer qr_engine qr_onnx qr_onnx_format qr_cuda_stamp qr_base)
set(map ${PROJECT_SOURCE_DIR}/src/library/querent.map)

add_library(querent_shared SHARED $<TARGET_OBJECTS:qr_library>)
set_target_properties(querent_shared PROPERTIES OUTPUT_NAME querent LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS ${map} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_link_libraries(querent_shared PRIVATE qr_pipeline)
target_link_options(querent_shared PRIVATE -Wl,--version-script=${map} -Wl,--no-undefined -Wl,--exclude-libs,ALL)

# The static one is one object, linked beforehand, in which all names but qr_lib_* are local: a program's own qr_x cannot
# meet ours.
set(static ${PROJECT_BINARY_DIR}/libquerent.a)
set(object ${PROJECT_BINARY_DIR}/querent_all.o)
set(archives "")
foreach(room IN LISTS rooms)
    list(APPEND archives $<TARGET_FILE:${room}>)
endforeach()
add_custom_command(OUTPUT ${static}
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${object} -Wl,--whole-archive ${archives} -Wl,--no-whole-archive
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=qr_lib_* ${object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${static}
    COMMAND ${CMAKE_AR} rcs ${static} ${object}
    DEPENDS ${rooms}
    COMMENT "Linking libquerent.a"
    VERBATIM)
add_custom_target(querent_static ALL DEPENDS ${static})
