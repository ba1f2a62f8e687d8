/* engine/cuda/module/driver_calls.h: the part of NVIDIA's driver that the module uses, in
 * declarations of our own, so that it compiles where no CUDA is.
 *
 *     #define QR_X(name, symbol, arguments) qr__cu_result(*name) arguments;
 *     struct calls { QR__DRIVER_LIST(QR_X) };              // as driver.h has it
 *     #undef QR_X
 *
 * tests/cuda compares numbers, sizes and types with cuda.h where there is one, and its fake driver
 * defines what stands here. C and C++. Handles are pointers to nothing that is known here. Threads:
 * every call may be made by any thread that has made the context its current one.
 */
#ifndef QR_ENGINE_CUDA_DRIVER_CALLS_H
#define QR_ENGINE_CUDA_DRIVER_CALLS_H

#include <stddef.h>
#include <stdint.h>

/** CUresult: 0 is success. These are the ones that we look at. */
enum {
    QR__CU_OK = 0,
    QR__CU_INVALID_VALUE = 1,
    QR__CU_OUT_OF_MEMORY = 2,
    QR__CU_NO_DEVICE = 100,
    QR__CU_NO_BINARY_FOR_GPU = 209,
    QR__CU_NOT_READY = 600,
    QR__CU_LAUNCH_OUT_OF_RESOURCES = 701,
    QR__CU_UNKNOWN = 999
};

/** CUdevice_attribute */
enum {
    QR__CU_MEMORY_CLOCK_KHZ = 36,
    QR__CU_MEMORY_BUS_BITS = 37,
    QR__CU_MULTIPROCESSORS = 16,
    QR__CU_CAPABILITY_MAJOR = 75,
    QR__CU_CAPABILITY_MINOR = 76,
    QR__CU_TAKES_COOPERATIVE = 95, /* COOPERATIVE_LAUNCH */
    QR__CU_SHARED_BYTES_MOST = 97  /* MAX_SHARED_MEMORY_PER_BLOCK_OPTIN */
};

/** Flags and attributes, each for one call. */
enum {
    QR__CU_STREAM_NON_BLOCKING = 1,   /* stream_create */
    QR__CU_CAPTURE_THREAD_LOCAL = 1,  /* begin_capture */
    QR__CU_HOST_DEVICE_MAP = 2,       /* host_alloc */
    QR__CU_FUNCTION_SHARED_BYTES = 8, /* function_set: MAX_DYNAMIC_SHARED_SIZE_BYTES */
    QR__CU_FUNCTION_CARVEOUT = 9,     /* function_set: PREFERRED_SHARED_MEMORY_CARVEOUT, percent */
    QR__CU_LAUNCH_COOPERATIVE = 2,    /* attribute: COOPERATIVE */
    QR__CU_LAUNCH_PROGRAMMATIC = 6    /* attribute: PROGRAMMATIC_STREAM_SERIALIZATION */
};

typedef int qr__cu_result;       /* CUresult */
typedef int qr__cu_device;       /* CUdevice */
typedef uint64_t qr__cu_pointer; /* CUdeviceptr */
typedef struct qr__cu_context_st *qr__cu_context;
typedef struct qr__cu_module_st *qr__cu_module;
typedef struct qr__cu_function_st *qr__cu_function;
typedef struct qr__cu_stream_st *qr__cu_stream;
typedef struct qr__cu_event_st *qr__cu_event;
typedef struct qr__cu_graph_st *qr__cu_graph;
typedef struct qr__cu_exec_st *qr__cu_exec;

/** CUlaunchAttribute */
typedef struct qr__cu_attribute {
    int id;
    char pad[4];
    union {
        char pad[64];
        int number;
    } value;
} qr__cu_attribute;

/** CUlaunchConfig */
typedef struct qr__cu_launch {
    unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
    qr__cu_stream stream;
    qr__cu_attribute *attributes;
    unsigned attributes_len;
} qr__cu_launch;

/** Each row: our name, the driver's symbol, its arguments. All return CUresult. */
#define QR__DRIVER_LIST(X)                                                                         \
    X(init, cuInit, (unsigned flags))                                                              \
    X(version, cuDriverGetVersion, (int *version))                                                 \
    X(error_name, cuGetErrorName, (qr__cu_result result, const char **name))                       \
    X(error_string, cuGetErrorString, (qr__cu_result result, const char **text))                   \
    X(device_count, cuDeviceGetCount, (int *count))                                                \
    X(device_get, cuDeviceGet, (qr__cu_device * device, int ordinal))                              \
    X(device_name, cuDeviceGetName, (char *name, int bytes, qr__cu_device device))                 \
    X(device_attribute, cuDeviceGetAttribute, (int *value, int attribute, qr__cu_device device))   \
    X(primary_retain, cuDevicePrimaryCtxRetain, (qr__cu_context * context, qr__cu_device device))  \
    X(primary_release, cuDevicePrimaryCtxRelease_v2, (qr__cu_device device))                       \
    X(set_current, cuCtxSetCurrent, (qr__cu_context context))                                      \
    X(module_load, cuModuleLoadData, (qr__cu_module * module, const void *image))                  \
    X(module_unload, cuModuleUnload, (qr__cu_module module))                                       \
    X(module_function, cuModuleGetFunction,                                                        \
      (qr__cu_function * function, qr__cu_module module, const char *name))                        \
    X(function_set, cuFuncSetAttribute, (qr__cu_function function, int attribute, int value))      \
    X(mem_info, cuMemGetInfo_v2, (size_t *free_bytes, size_t *total_bytes))                        \
    X(mem_alloc, cuMemAlloc_v2, (qr__cu_pointer * pointer, size_t bytes))                          \
    X(mem_free, cuMemFree_v2, (qr__cu_pointer pointer))                                            \
    X(host_alloc, cuMemHostAlloc, (void **pointer, size_t bytes, unsigned flags))                  \
    X(host_free, cuMemFreeHost, (void *pointer))                                                   \
    X(host_pointer, cuMemHostGetDevicePointer_v2,                                                  \
      (qr__cu_pointer * device, void *host, unsigned flags))                                       \
    X(copy_in, cuMemcpyHtoDAsync_v2,                                                               \
      (qr__cu_pointer to, const void *from, size_t bytes, qr__cu_stream stream))                   \
    X(stream_create, cuStreamCreate, (qr__cu_stream * stream, unsigned flags))                     \
    X(stream_destroy, cuStreamDestroy_v2, (qr__cu_stream stream))                                  \
    X(stream_query, cuStreamQuery, (qr__cu_stream stream))                                         \
    X(begin_capture, cuStreamBeginCapture_v2, (qr__cu_stream stream, int mode))                    \
    X(end_capture, cuStreamEndCapture, (qr__cu_stream stream, qr__cu_graph * graph))               \
    X(launch, cuLaunchKernelEx,                                                                    \
      (const qr__cu_launch *launch, qr__cu_function function, void **arguments, void **extra))     \
    X(graph_make, cuGraphInstantiateWithFlags,                                                     \
      (qr__cu_exec * exec, qr__cu_graph graph, unsigned long long flags))                          \
    X(graph_upload, cuGraphUpload, (qr__cu_exec exec, qr__cu_stream stream))                       \
    X(graph_launch, cuGraphLaunch, (qr__cu_exec exec, qr__cu_stream stream))                       \
    X(graph_destroy, cuGraphDestroy, (qr__cu_graph graph))                                         \
    X(exec_destroy, cuGraphExecDestroy, (qr__cu_exec exec))                                        \
    X(event_create, cuEventCreate, (qr__cu_event * event, unsigned flags))                         \
    X(event_destroy, cuEventDestroy_v2, (qr__cu_event event))                                      \
    X(event_record, cuEventRecord, (qr__cu_event event, qr__cu_stream stream))                     \
    X(event_elapsed, cuEventElapsedTime, (float *ms, qr__cu_event begin, qr__cu_event end))

#endif
