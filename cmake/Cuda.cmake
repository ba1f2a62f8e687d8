# The GPU's kernels as one image, PROJECT_BINARY_DIR/cuda/querent_cuda.fatbin: target qr_cuda_fatbin, and QR_CUDA_FATBIN where
# it is made. Without nvcc, and for QR_CUDA=OFF, nothing is made and QR_CUDA_FATBIN is not set; the program is the same.
#
#   QR_CUDA=AUTO   when an nvcc is found that makes code for all of QR_CUDA_CODE (the default)
#   QR_CUDA=ON     the same, and it is an error when there is none
#
# Beside the image lies querent_cuda.ptxas, what ptxas says of each kernel (tools/cuda_figures.py reads it), and in ptx/ what
# the same call of nvcc went through: the PTX that machine code was made of and that the image has (tests/cuda/ptx runs it).
# A warning fails, and so does a spilled register.
set(QR_CUDA AUTO CACHE STRING "build libquerent_cuda.so, which needs nvcc: AUTO, ON or OFF")
set_property(CACHE QR_CUDA PROPERTY STRINGS AUTO ON OFF)
if(QR_CUDA STREQUAL "OFF" OR (QR_CUDA STREQUAL "AUTO" AND (QR_CORE OR QR_SANITIZE OR CMAKE_CROSSCOMPILING)))
    return()
endif()

# Machine code for Ampere and Hopper. The PTX is for other devices: they compile it when they load the module. compute_90's
# has grid_wait(), without which no kernel may begin early.
set(QR_CUDA_CODE -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a
    -gencode arch=compute_80,code=compute_80 -gencode arch=compute_90,code=compute_90)

# The first that works: an old nvcc, or one whose C++ compiler is missing or too new for it, is passed over.
set(QR_NVCC "" CACHE FILEPATH
    "the CUDA compiler; empty: CUDACXX, PATH, CUDA_HOME, /usr/local/cuda, what tools/setup cuda installed")
set(nvccs ${QR_NVCC})
if(NOT nvccs)
    set(nvcc_on_path NOTFOUND)
    find_program(nvcc_on_path nvcc NO_CACHE NO_CMAKE_FIND_ROOT_PATH)
    file(GLOB nvcc_of_setup ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cu*/bin/nvcc)
    set(nvccs $ENV{CUDACXX} ${nvcc_on_path} $ENV{CUDA_HOME}/bin/nvcc $ENV{CUDA_PATH}/bin/nvcc /usr/local/cuda/bin/nvcc
        ${nvcc_of_setup})
endif()
set(QR_NVCC "")
foreach(nvcc IN LISTS nvccs)
    if(QR_NVCC OR NOT EXISTS "${nvcc}")
        continue()
    endif()
    if(NOT QR_NVCC_TRIED STREQUAL nvcc)
        set(trial ${PROJECT_BINARY_DIR}/cuda/trial.cu)
        file(WRITE ${trial}
            "struct a { int *x; };\nextern \"C\" __global__ void k(const __grid_constant__ a b) { *b.x = 1; }\n")
        execute_process(COMMAND ${nvcc} -std=c++17 ${QR_CUDA_CODE} -fatbin -o ${trial}.fatbin ${trial}
            RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
        if(failed)
            string(STRIP "${said}" said)
            message(STATUS "${nvcc} does not compile for the GPUs that the kernels are for: ${said}")
            continue()
        endif()
        set(QR_NVCC_TRIED ${nvcc} CACHE INTERNAL "")
    endif()
    set(QR_NVCC ${nvcc})
endforeach()
if(NOT QR_NVCC)
    if(QR_CUDA STREQUAL "ON")
        message(FATAL_ERROR "QR_CUDA=ON needs nvcc of CUDA 12 or later: "
            "CUDACXX, PATH, CUDA_HOME, /usr/local/cuda, or tools/setup cuda, which fetches it")
    endif()
    message(STATUS "No nvcc that works: built without libquerent_cuda.so (-DQR_CUDA=ON makes this an error)")
    return()
endif()

set(QR_CUDA_FATBIN ${PROJECT_BINARY_DIR}/cuda/querent_cuda.fatbin)
set(cuda_report ${PROJECT_BINARY_DIR}/cuda/querent_cuda.ptxas)
set(cuda_kept ${PROJECT_BINARY_DIR}/cuda/ptx)
file(MAKE_DIRECTORY ${cuda_kept})
file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/engine/cuda/kernels/*)
set(cuda_compile ${QR_NVCC} -std=c++17 -O3 -I ${PROJECT_SOURCE_DIR}/src ${QR_CUDA_CODE} -Werror all-warnings
    -Xptxas -v,-warn-spills,-Werror --keep --keep-dir ${cuda_kept} -fatbin -o ${QR_CUDA_FATBIN}
    ${PROJECT_SOURCE_DIR}/src/engine/cuda/kernels/querent_cuda.cu)
# What nvcc says is shown when it fails only: -v says a lot.
add_custom_command(OUTPUT ${QR_CUDA_FATBIN} BYPRODUCTS ${cuda_report}
    COMMAND sh -c "\"$@\" > \"$0\" 2>&1 && \"$1\" --version >> \"$0\" || { cat \"$0\" >&2; exit 1; }"
        ${cuda_report} ${cuda_compile}
    COMMAND find ${cuda_kept} -type f ! -name "*.ptx" -delete
    DEPENDS ${cuda_sources} COMMENT "Compiling the GPU's kernels" VERBATIM)
add_custom_target(qr_cuda_fatbin DEPENDS ${QR_CUDA_FATBIN})
