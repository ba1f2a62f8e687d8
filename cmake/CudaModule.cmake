# libquerent_cuda.so: host code and an image of the kernels, in one file that the program loads when a GPU is asked for.
# It links no CUDA library. Two of them are made from the same objects: querent_cuda beside the program and installed, where
# nvcc was found (cmake/Cuda.cmake made QR_CUDA_FATBIN), and querent_cuda_tested, for tests with the fake driver, always.
file(GLOB module_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/engine/cuda/module/*.c)
set(image_source ${PROJECT_SOURCE_DIR}/src/engine/cuda/module/gpu_image.c)
list(REMOVE_ITEM module_sources ${image_source})
add_library(querent_cuda_objects OBJECT EXCLUDE_FROM_ALL ${module_sources} ${PROJECT_SOURCE_DIR}/src/engine/model_info.c)
target_link_libraries(querent_cuda_objects PRIVATE qr_flags)
set_target_properties(querent_cuda_objects PROPERTIES C_VISIBILITY_PRESET hidden)
# Machine code of a toolkit runs on drivers of its major version and later.
if(QR_CUDA_FATBIN)
    execute_process(COMMAND ${QR_NVCC} --version OUTPUT_VARIABLE said)
    if(said MATCHES "release ([0-9]+)\\.[0-9]+" AND CMAKE_MATCH_1 GREATER 12)
        target_compile_definitions(querent_cuda_objects PRIVATE QR_CUDA_RELEASE_MIN=${CMAKE_MATCH_1}000)
    endif()
endif()

# A module with an image, in a folder.
function(qr_cuda_module name image folder)
    set(copy ${CMAKE_CURRENT_BINARY_DIR}/${name}_image.c)
    configure_file(${image_source} ${copy} COPYONLY) # a source's flags are its own: each module has another image
    set_source_files_properties(${copy} PROPERTIES OBJECT_DEPENDS ${image} COMPILE_DEFINITIONS QR_CUDA_IMAGE="${image}")
    add_library(${name} MODULE $<TARGET_OBJECTS:querent_cuda_objects> ${copy})
    set_target_properties(${name} PROPERTIES OUTPUT_NAME querent_cuda LIBRARY_OUTPUT_DIRECTORY ${folder} LINKER_LANGUAGE C
        C_VISIBILITY_PRESET hidden)
    target_link_libraries(${name} PRIVATE qr_flags qr_base qr_cuda_stamp Threads::Threads ${CMAKE_DL_LIBS} m)
    target_link_options(${name} PRIVATE -Wl,--no-undefined -Wl,--exclude-libs,ALL)
endfunction()

if(QR_CUDA_FATBIN)
    qr_cuda_module(querent_cuda ${QR_CUDA_FATBIN} ${PROJECT_BINARY_DIR})
    if(TARGET qr_cuda_fatbin)
        add_dependencies(querent_cuda qr_cuda_fatbin)
    endif()
    if(NOT QR_CORE AND NOT QR_SANITIZE)
        install(TARGETS querent_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/querent)
    endif()
endif()
if(QR_TESTS AND NOT QR_CORE)
    set(placeholder ${PROJECT_BINARY_DIR}/tests/cuda/placeholder.image)
    file(GENERATE OUTPUT ${placeholder} CONTENT "QR_FAKE_CUDA_IMAGE\n") # only the fake driver takes it
    qr_cuda_module(querent_cuda_tested ${placeholder} ${PROJECT_BINARY_DIR}/tests/cuda)
endif()
