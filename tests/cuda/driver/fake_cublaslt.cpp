/* A libcublasLt.so.13 that multiplies one number at a time, in the fake driver's streams. It takes
 * what the module may ask for, and refuses the rest.
 *
 * Environment: QR_FAKE_LT_FAIL names a call that fails ("cublasLtMatmul"), or "none" so that no
 * algorithm is found, or "capture": products cannot be captured, and end a capture. */
#include "driver/fake_cuda.h"
#include "engine/cuda/kernels/gpu.h"
#include "engine/cuda/module/lt_calls.h"
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

#define CALL extern "C" __attribute__((visibility("default"))) qr__lt_status

static const int INVALID_VALUE = 7, NOT_SUPPORTED = 15, EXECUTION_FAILED = 13;

struct qr__lt_handle_st {
    decltype(&qr_fake_cuda_add) add;
    decltype(&qr_fake_cuda_spoil) spoil;
};
struct qr__lt_operation_st {
    int transpose_a = 0, transpose_b = 0, epilogue = QR__LT_EPILOGUE_NONE, bias_type = -1;
    const void *bias = nullptr;
};
struct qr__lt_layout_st {
    int type;
    uint64_t rows, columns;
    int64_t distance;
};
struct qr__lt_preference_st {
    uint64_t workspace = 0;
    uint32_t reductions = 7;
};

static bool fails(const char *call) {
    const char *wanted = getenv("QR_FAKE_LT_FAIL");
    return wanted && !strcmp(wanted, call);
}
#define LT_ENTER                                                                                   \
    if (fails(__func__))                                                                           \
    return NOT_SUPPORTED

#define QR_X(name, symbol, arguments) extern "C" qr__lt_status symbol arguments;
QR__LT_LIST(QR_X)
#undef QR_X

/* The driver is the one that the process has loaded, as the real library finds it. */
CALL cublasLtCreate(qr__lt_handle *handle) {
    LT_ENTER;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *add = driver ? dlsym(driver, "qr_fake_cuda_add") : nullptr;
    void *spoil = driver ? dlsym(driver, "qr_fake_cuda_spoil") : nullptr;
    if (!add || !spoil)
        return 1; // not initialized
    *handle = new qr__lt_handle_st{reinterpret_cast<decltype(&qr_fake_cuda_add)>(add),
                                   reinterpret_cast<decltype(&qr_fake_cuda_spoil)>(spoil)};
    return QR__LT_OK;
}
CALL cublasLtDestroy(qr__lt_handle handle) {
    delete handle;
    return QR__LT_OK;
}

CALL cublasLtMatmulDescCreate(qr__lt_operation *operation, int compute, int scale) {
    LT_ENTER;
    if (compute != QR__LT_COMPUTE_F32 || scale != QR__LT_F32)
        return NOT_SUPPORTED;
    *operation = new qr__lt_operation_st;
    return QR__LT_OK;
}
CALL cublasLtMatmulDescDestroy(qr__lt_operation operation) {
    delete operation;
    return QR__LT_OK;
}
CALL cublasLtMatmulDescSetAttribute(qr__lt_operation operation, int attribute, const void *value,
                                    size_t bytes) {
    LT_ENTER;
    int *number = attribute == QR__LT_TRANSPOSE_A   ? &operation->transpose_a
                  : attribute == QR__LT_TRANSPOSE_B ? &operation->transpose_b
                  : attribute == QR__LT_EPILOGUE    ? &operation->epilogue
                  : attribute == QR__LT_BIAS_TYPE   ? &operation->bias_type
                                                    : nullptr;
    if (number && bytes == sizeof *number) {
        memcpy(number, value, bytes);
        return QR__LT_OK;
    }
    if (attribute != QR__LT_BIAS_POINTER || bytes != sizeof operation->bias)
        return INVALID_VALUE;
    memcpy(&operation->bias, value, bytes);
    return QR__LT_OK;
}

CALL cublasLtMatrixLayoutCreate(qr__lt_layout *layout, int type, uint64_t rows, uint64_t columns,
                                int64_t distance) {
    LT_ENTER;
    *layout = new qr__lt_layout_st{type, rows, columns, distance};
    return QR__LT_OK;
}
CALL cublasLtMatrixLayoutDestroy(qr__lt_layout layout) {
    delete layout;
    return QR__LT_OK;
}

CALL cublasLtMatmulPreferenceCreate(qr__lt_preference *preference) {
    LT_ENTER;
    *preference = new qr__lt_preference_st;
    return QR__LT_OK;
}
CALL cublasLtMatmulPreferenceDestroy(qr__lt_preference preference) {
    delete preference;
    return QR__LT_OK;
}
CALL cublasLtMatmulPreferenceSetAttribute(qr__lt_preference preference, int attribute,
                                          const void *value, size_t bytes) {
    LT_ENTER;
    if (attribute == QR__LT_WORKSPACE_BYTES && bytes == sizeof preference->workspace)
        memcpy(&preference->workspace, value, bytes);
    else if (attribute == QR__LT_REDUCTIONS && bytes == sizeof preference->reductions)
        memcpy(&preference->reductions, value, bytes);
    else
        return INVALID_VALUE;
    return QR__LT_OK;
}

static const uint64_t MARK = 0x716c740000000001u;

/* Sums in place count arrivals: nobody may ask for them. */
CALL cublasLtMatmulAlgoGetHeuristic(qr__lt_handle, qr__lt_operation o, qr__lt_layout a,
                                    qr__lt_layout b, qr__lt_layout, qr__lt_layout d,
                                    qr__lt_preference preference, int wanted, qr__lt_found found[],
                                    int *count) {
    LT_ENTER;
    bool right = o->transpose_a == QR__LT_TRANSPOSED && o->transpose_b == QR__LT_PLAIN &&
                 a->rows == b->rows && d->rows == a->columns && d->columns == b->columns &&
                 a->type == b->type && (preference->reductions & 1) == 0 && wanted >= 1;
    if (o->epilogue == QR__LT_EPILOGUE_BIAS)
        right = right && o->bias_type == d->type && d->type == a->type;
    else
        right = right && o->epilogue == QR__LT_EPILOGUE_NONE && o->bias_type == -1 &&
                d->type == QR__LT_F32;
    *count = !right || fails("none") ? 0 : 1;
    if (!right)
        return NOT_SUPPORTED;
    found[0] = {};
    found[0].algorithm.data[0] = MARK;
    found[0].workspace_bytes = preference->workspace / 2;
    return QR__LT_OK;
}

namespace {
struct product {
    const void *a, *b, *bias;
    void *d;
    int type, d_type;
    uint64_t n, k, tokens;
};
} // namespace

static float at(const void *data, int type, uint64_t i) {
    uint16_t half;
    float wide;
    if (type == QR__LT_F32) {
        memcpy(&wide, static_cast<const char *>(data) + 4 * i, 4);
        return wide;
    }
    memcpy(&half, static_cast<const char *>(data) + 2 * i, 2);
    return type == QR__LT_F16 ? emulated::widen(qr_f16{}, half) : emulated::widen(qr_bf16{}, half);
}

static void run(const void *bytes) {
    product p;
    memcpy(&p, bytes, sizeof p);
    for (uint64_t t = 0; t < p.tokens; t++)
        for (uint64_t n = 0; n < p.n; n++) {
            float sum = 0;
            for (uint64_t k = 0; k < p.k; k++)
                sum += at(p.a, p.type, n * p.k + k) * at(p.b, p.type, t * p.k + k);
            sum += p.bias ? at(p.bias, p.d_type, n) : 0;
            uint64_t i = t * p.n + n;
            if (p.d_type == QR__LT_F32) {
                memcpy(static_cast<char *>(p.d) + 4 * i, &sum, 4);
                continue;
            }
            uint16_t half =
                p.d_type == QR__LT_F16 ? emulated::narrow_f16(sum) : emulated::narrow_bf16(sum);
            memcpy(static_cast<char *>(p.d) + 2 * i, &half, 2);
        }
}

CALL cublasLtMatmul(qr__lt_handle handle, qr__lt_operation o, const void *alpha, const void *a,
                    qr__lt_layout al, const void *b, qr__lt_layout bl, const void *beta,
                    const void *, qr__lt_layout, void *d, qr__lt_layout dl,
                    const qr__lt_algorithm *algorithm, void *workspace, size_t workspace_bytes,
                    qr__cu_stream stream) {
    LT_ENTER;
    bool biased = o->epilogue == QR__LT_EPILOGUE_BIAS;
    if (*static_cast<const float *>(alpha) != 1 || *static_cast<const float *>(beta) != 0 ||
        algorithm->data[0] != MARK || (workspace_bytes && !workspace) || (biased && !o->bias) ||
        al->distance != (int64_t)al->rows || bl->distance != (int64_t)bl->rows ||
        dl->distance != (int64_t)dl->rows)
        return INVALID_VALUE;
    if (fails("capture") && handle->spoil(stream))
        return EXECUTION_FAILED;
    const product p = {
        a, b, biased ? o->bias : nullptr, d, al->type, dl->type, dl->rows, al->rows, dl->columns};
    return handle->add(stream, run, &p, sizeof p) ? EXECUTION_FAILED : QR__LT_OK;
}
