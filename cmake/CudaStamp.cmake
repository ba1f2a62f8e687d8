# qr__cuda_stamp (src/engine/cuda/module_abi.h), by which the program knows the GPU's module of its own build: the library
# qr_cuda_stamp, for both. It is a hash of names and contents, and of nothing else: another folder, day or compiler makes the
# same one. Hashed is all that a module is made of, and all that is passed between the two: tests/cli/test_gpu_module.py
# compares the list with what the module's sources include.
#
# Included, it makes the library; as a script (-DOUT=FILE -P) it writes the source, whenever one of the files has changed.
cmake_minimum_required(VERSION 3.25)
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
set(patterns src/base/*.h src/engine/*.h src/engine/model/*.h src/engine/model_info.c src/engine/cuda/*.h src/engine/cuda/module/*
    src/engine/cuda/kernels/*)
list(TRANSFORM patterns PREPEND ${root}/)

if(CMAKE_SCRIPT_MODE_FILE)
    file(GLOB files RELATIVE ${root} ${patterns}) # sorted
    foreach(file IN LISTS files)
        file(SHA256 ${root}/${file} hash)
        string(APPEND all "${file} ${hash}\n")
    endforeach()
    string(SHA256 stamp "${all}")
    string(SUBSTRING ${stamp} 0 16 stamp)
    file(WRITE ${OUT} "/* Made by cmake/CudaStamp.cmake; do not edit. */\nextern const char qr__cuda_stamp[];\n"
        "const char qr__cuda_stamp[] = \"${stamp}\";\n")
    return()
endif()

file(GLOB stamped CONFIGURE_DEPENDS ${patterns})
set(stamp_source ${PROJECT_BINARY_DIR}/cuda_stamp.c)
add_custom_command(OUTPUT ${stamp_source} DEPENDS ${stamped} ${CMAKE_CURRENT_LIST_FILE}
    COMMAND ${CMAKE_COMMAND} -DOUT=${stamp_source} -P ${CMAKE_CURRENT_LIST_FILE}
    COMMENT "Hashing what the GPU's module is made of" VERBATIM)
add_library(qr_cuda_stamp STATIC ${stamp_source})
set_target_properties(qr_cuda_stamp PROPERTIES C_VISIBILITY_PRESET hidden)
