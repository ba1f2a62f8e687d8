/* engine/cuda/module/lt_calls.h: the part of cuBLASLt that the module uses, in declarations of our
 * own, as driver_calls.h has the driver's.
 *
 *     #define QR_X(name, symbol, arguments) qr__lt_status(*name) arguments;
 *     struct calls { QR__LT_LIST(QR_X) };
 *     #undef QR_X
 *
 * tests/cuda compares them with cublasLt.h where there is one, and has a fake library of what
 * stands here. C and C++. The numbers are the same in cuBLASLt 12 and 13.
 */
#ifndef QR_ENGINE_CUDA_LT_CALLS_H
#define QR_ENGINE_CUDA_LT_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/cuda/module/driver_calls.h"

enum { QR__LT_OK = 0 };
enum { QR__LT_F32 = 0, QR__LT_F16 = 2, QR__LT_BF16 = 14 }; /* cudaDataType */
enum { QR__LT_COMPUTE_F32 = 68 };                          /* cublasComputeType_t */
enum { QR__LT_PLAIN = 0, QR__LT_TRANSPOSED = 1 };          /* cublasOperation_t */
enum { QR__LT_EPILOGUE_NONE = 1, QR__LT_EPILOGUE_BIAS = 4 };

/** cublasLtMatmulDescAttributes_t */
enum {
    QR__LT_TRANSPOSE_A = 3,
    QR__LT_TRANSPOSE_B = 4,
    QR__LT_EPILOGUE = 7,
    QR__LT_BIAS_POINTER = 8,
    QR__LT_BIAS_TYPE = 26
};

/** cublasLtMatmulPreferenceAttributes_t */
enum { QR__LT_WORKSPACE_BYTES = 1, QR__LT_REDUCTIONS = 3 };

/** Sums of parts of K in a workspace, in a fixed order; not in place, which counts arrivals. */
enum { QR__LT_REDUCTION_COMPUTE = 2 };

typedef int qr__lt_status; /* cublasStatus_t */
typedef struct qr__lt_handle_st *qr__lt_handle;
typedef struct qr__lt_operation_st *qr__lt_operation;
typedef struct qr__lt_layout_st *qr__lt_layout;
typedef struct qr__lt_preference_st *qr__lt_preference;

/** cublasLtMatmulAlgo_t */
typedef struct qr__lt_algorithm {
    uint64_t data[8];
} qr__lt_algorithm;

/** cublasLtMatmulHeuristicResult_t */
typedef struct qr__lt_found {
    qr__lt_algorithm algorithm;
    size_t workspace_bytes;
    qr__lt_status state;
    float waves;
    int reserved[4];
} qr__lt_found;

/** Each row: our name, the library's symbol, its arguments. All return cublasStatus_t. */
#define QR__LT_LIST(X)                                                                             \
    X(create, cublasLtCreate, (qr__lt_handle * handle))                                            \
    X(destroy, cublasLtDestroy, (qr__lt_handle handle))                                            \
    X(operation_create, cublasLtMatmulDescCreate,                                                  \
      (qr__lt_operation * operation, int compute, int scale))                                      \
    X(operation_destroy, cublasLtMatmulDescDestroy, (qr__lt_operation operation))                  \
    X(operation_set, cublasLtMatmulDescSetAttribute,                                               \
      (qr__lt_operation operation, int attribute, const void *value, size_t bytes))                \
    X(layout_create, cublasLtMatrixLayoutCreate,                                                   \
      (qr__lt_layout * layout, int type, uint64_t rows, uint64_t columns, int64_t distance))       \
    X(layout_destroy, cublasLtMatrixLayoutDestroy, (qr__lt_layout layout))                         \
    X(preference_create, cublasLtMatmulPreferenceCreate, (qr__lt_preference * preference))         \
    X(preference_destroy, cublasLtMatmulPreferenceDestroy, (qr__lt_preference preference))         \
    X(preference_set, cublasLtMatmulPreferenceSetAttribute,                                        \
      (qr__lt_preference preference, int attribute, const void *value, size_t bytes))              \
    X(find, cublasLtMatmulAlgoGetHeuristic,                                                        \
      (qr__lt_handle handle, qr__lt_operation operation, qr__lt_layout a, qr__lt_layout b,         \
       qr__lt_layout c, qr__lt_layout d, qr__lt_preference preference, int wanted,                 \
       qr__lt_found found[], int *count))                                                          \
    X(multiply, cublasLtMatmul,                                                                    \
      (qr__lt_handle handle, qr__lt_operation operation, const void *alpha, const void *a,         \
       qr__lt_layout a_layout, const void *b, qr__lt_layout b_layout, const void *beta,            \
       const void *c, qr__lt_layout c_layout, void *d, qr__lt_layout d_layout,                     \
       const qr__lt_algorithm *algorithm, void *workspace, size_t workspace_bytes,                 \
       qr__cu_stream stream))

#endif
