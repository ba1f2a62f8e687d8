/* Our declarations of the driver's calls and of cuBLASLt's against NVIDIA's headers, at compile
 * time: numbers, layouts, and of every call how many arguments it has and how each is passed.
 * tests/house/test_cuda_calls.py compiles it where the headers are. */
#include "../driver/more_calls.h"
#include "engine/cuda/module/lt_calls.h"
#include <cublasLt.h>
#include <cuda.h>
#include <type_traits>

/* Integers and enumerations of a size are passed alike, and pointers. */
template <class Ours, class Theirs> constexpr bool passed_alike() {
    return sizeof(Ours) == sizeof(Theirs) &&
           std::is_pointer_v<Ours> == (std::is_pointer_v<Theirs> || std::is_array_v<Theirs>) &&
           std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs>;
}

template <class Ours, class Theirs> struct alike : std::false_type {};
template <class R, class S, class... As, class... Bs> struct alike<R (*)(As...), S (*)(Bs...)> {
    template <bool same, int = 0> struct arguments : std::false_type {};
    template <int n>
    struct arguments<true, n> : std::bool_constant<(passed_alike<As, Bs>() && ...)> {};
    static constexpr bool value =
        passed_alike<R, S>() && arguments<(sizeof...(As) == sizeof...(Bs))>::value;
};

#define QR_X(name, symbol, arguments)                                                              \
    static_assert(alike<qr__cu_result(*) arguments, decltype(&symbol)>::value, #symbol);
QR__DRIVER_LIST(QR_X)
QR_MORE_DRIVER_LIST(QR_X)
#undef QR_X
#define QR_X(name, symbol, arguments)                                                              \
    static_assert(alike<qr__lt_status(*) arguments, decltype(&symbol)>::value, #symbol);
QR__LT_LIST(QR_X)
#undef QR_X

static_assert(!alike<int (*)(int), int (*)(int, int)>::value, "a check that can fail");
static_assert(!alike<int (*)(int), int (*)(int *)>::value, "a check that can fail");
static_assert(!alike<int (*)(unsigned), int (*)(size_t)>::value, "a check that can fail");

static_assert(sizeof(qr__cu_launch) == sizeof(CUlaunchConfig) &&
                  offsetof(qr__cu_launch, shared_bytes) ==
                      offsetof(CUlaunchConfig, sharedMemBytes) &&
                  offsetof(qr__cu_launch, stream) == offsetof(CUlaunchConfig, hStream) &&
                  offsetof(qr__cu_launch, attributes) == offsetof(CUlaunchConfig, attrs) &&
                  offsetof(qr__cu_launch, attributes_len) == offsetof(CUlaunchConfig, numAttrs),
              "CUlaunchConfig");
static_assert(sizeof(qr__cu_attribute) == sizeof(CUlaunchAttribute) &&
                  offsetof(qr__cu_attribute, value) == offsetof(CUlaunchAttribute, value),
              "CUlaunchAttribute");
static_assert(sizeof(qr__lt_algorithm) == sizeof(cublasLtMatmulAlgo_t) &&
                  sizeof(qr__lt_found) == sizeof(cublasLtMatmulHeuristicResult_t) &&
                  offsetof(qr__lt_found, workspace_bytes) ==
                      offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize) &&
                  offsetof(qr__lt_found, state) == offsetof(cublasLtMatmulHeuristicResult_t, state),
              "cublasLtMatmulHeuristicResult_t");

#define SAME(ours, theirs) static_assert((int)(ours) == (int)(theirs), #theirs)
SAME(QR__CU_OK, CUDA_SUCCESS);
SAME(QR__CU_INVALID_VALUE, CUDA_ERROR_INVALID_VALUE);
SAME(QR__CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
SAME(QR__CU_NO_DEVICE, CUDA_ERROR_NO_DEVICE);
SAME(QR__CU_NO_BINARY_FOR_GPU, CUDA_ERROR_NO_BINARY_FOR_GPU);
SAME(QR__CU_LAUNCH_OUT_OF_RESOURCES, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
SAME(QR__CU_NOT_READY, CUDA_ERROR_NOT_READY);
SAME(QR__CU_UNKNOWN, CUDA_ERROR_UNKNOWN);
SAME(QR__CU_MEMORY_CLOCK_KHZ, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
SAME(QR__CU_MEMORY_BUS_BITS, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
SAME(QR__CU_MULTIPROCESSORS, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(QR__CU_CAPABILITY_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(QR__CU_CAPABILITY_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(QR__CU_TAKES_COOPERATIVE, CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH);
SAME(QR__CU_SHARED_BYTES_MOST, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
SAME(QR__CU_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
SAME(QR__CU_CAPTURE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
SAME(QR__CU_HOST_DEVICE_MAP, CU_MEMHOSTALLOC_DEVICEMAP);
SAME(QR__CU_FUNCTION_SHARED_BYTES, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME(QR__CU_FUNCTION_CARVEOUT, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT);
SAME(QR__CU_LAUNCH_COOPERATIVE, CU_LAUNCH_ATTRIBUTE_COOPERATIVE);
SAME(QR__CU_LAUNCH_PROGRAMMATIC, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
SAME(QR__LT_OK, CUBLAS_STATUS_SUCCESS);
SAME(QR__LT_F32, CUDA_R_32F);
SAME(QR__LT_F16, CUDA_R_16F);
SAME(QR__LT_BF16, CUDA_R_16BF);
SAME(QR__LT_COMPUTE_F32, CUBLAS_COMPUTE_32F);
SAME(QR__LT_PLAIN, CUBLAS_OP_N);
SAME(QR__LT_TRANSPOSED, CUBLAS_OP_T);
SAME(QR__LT_EPILOGUE_NONE, CUBLASLT_EPILOGUE_DEFAULT);
SAME(QR__LT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_BIAS);
SAME(QR__LT_TRANSPOSE_A, CUBLASLT_MATMUL_DESC_TRANSA);
SAME(QR__LT_TRANSPOSE_B, CUBLASLT_MATMUL_DESC_TRANSB);
SAME(QR__LT_EPILOGUE, CUBLASLT_MATMUL_DESC_EPILOGUE);
SAME(QR__LT_BIAS_POINTER, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
SAME(QR__LT_BIAS_TYPE, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE);
SAME(QR__LT_WORKSPACE_BYTES, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
SAME(QR__LT_REDUCTIONS, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
SAME(QR__LT_REDUCTION_COMPUTE, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
