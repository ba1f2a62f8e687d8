# What a machine with a GPU needs to try and time it, and nothing else: base, the GPU's backend and its module, the kernels'
# tests, whole passes, the benchmark. No library but libc and no Debian package but a C and a C++ compiler, CMake and nvcc:
# -DQR_DEVICE=ON, which tests/run-device says.
file(GLOB base_sources CONFIGURE_DEPENDS src/base/*.c)
add_library(qr_base STATIC ${base_sources})
target_link_libraries(qr_base PUBLIC qr_flags PRIVATE Threads::Threads m)
set_target_properties(qr_base PROPERTIES C_VISIBILITY_PRESET hidden)
include(cmake/CudaModule.cmake)

# Of the engine: what stands between a batch and a backend, and the reference. Models are made in memory, by the tests.
file(GLOB engine_sources CONFIGURE_DEPENDS src/engine/cuda/*.c src/engine/cpu/ref/*.c)
add_library(qr_engine STATIC ${engine_sources} src/engine/model_info.c src/engine/batch.c src/engine/contexts.c
    src/engine/model/bert_store.c)
set_source_files_properties(src/engine/cuda/module_file.c PROPERTIES COMPILE_DEFINITIONS QR_LIBDIR="${CMAKE_INSTALL_LIBDIR}")
target_link_libraries(qr_engine PUBLIC qr_base qr_cuda_stamp Threads::Threads ${CMAKE_DL_LIBS} m)
set_target_properties(qr_engine PROPERTIES C_VISIBILITY_PRESET hidden)
add_subdirectory(tests/cuda)
