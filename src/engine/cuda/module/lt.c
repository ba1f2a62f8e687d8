/* engine/cuda/module/lt.c: choosing and launching cuBLASLt's products.
 *
 * It counts matrices by columns, so ours are transposed to it, without a copy: y'[n][T] = W[n][k] *
 * x'[k][T], with W stored as a k by n matrix that is to be transposed. */
#include "engine/cuda/module/lt.h"

#include "engine/cuda/module/gpu_shapes.h"

#include <dlfcn.h>
#include <stdlib.h>

typedef struct calls {
#define QR_X(name, symbol, arguments) qr__lt_status(*name) arguments;
    QR__LT_LIST(QR_X)
#undef QR_X
} calls;

struct qr__lt_product {
    qr__lt_kind kind;
    uint32_t tokens;
    qr__lt_operation operation;
    qr__lt_layout w, x, y;
    qr__lt_algorithm algorithm;
    size_t workspace_bytes;
};

#define PRODUCTS_MAX (QR__LT_KINDS * QR__GPU_BUCKETS_MAX) /* a kind and bucket each */

struct qr__lt {
    calls calls;
    qr__lt_handle handle;
    int type; /* of weights and activations */
    qr__lt_product products[PRODUCTS_MAX];
    size_t count;
};

size_t qr__lt_tokens(void) {
    const char *wanted = getenv("QUERENT_CUDA_GEMM");
    if (wanted != NULL && strcmp(wanted, "own") == 0)
        return SIZE_MAX;
    return wanted != NULL && strcmp(wanted, "cublaslt") == 0 ? 1 : QR__LT_TOKENS;
}

/* The newest first: it is for the driver's own CUDA. */
static void *open_library(void) {
    void *library = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
    return library != NULL ? library : dlopen("libcublasLt.so.12", RTLD_NOW | RTLD_LOCAL);
}

static bool find_calls(calls *out) {
    static const qr__driver_symbol rows[] = {
#define QR_X(name, symbol, arguments) {#symbol, offsetof(calls, name)},
        QR__LT_LIST(QR_X)
#undef QR_X
    };
    void *library = open_library();
    return library != NULL &&
           qr__driver_find(library, rows, sizeof rows / sizeof rows[0], out) == NULL;
}

qr__lt *qr__lt_create(qr_precision precision) {
    qr__lt *lt = precision == QR_PRECISION_F32 ? NULL : calloc(1, sizeof *lt);
    if (lt == NULL)
        return NULL;
    lt->type = precision == QR_PRECISION_F16 ? QR__LT_F16 : QR__LT_BF16;
    if (!find_calls(&lt->calls) || lt->calls.create(&lt->handle) != QR__LT_OK) {
        free(lt);
        return NULL;
    }
    return lt;
}

static void drop(const qr__lt *lt, const qr__lt_product *p) {
    const qr__lt_layout layouts[] = {p->w, p->x, p->y};
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (layouts[i] != NULL)
            (void)lt->calls.layout_destroy(layouts[i]);
    if (p->operation != NULL)
        (void)lt->calls.operation_destroy(p->operation);
}

void qr__lt_destroy(qr__lt *lt) {
    if (lt == NULL)
        return;
    for (size_t i = 0; i < lt->count; i++)
        drop(lt, &lt->products[i]);
    (void)lt->calls.destroy(lt->handle);
    free(lt);
}

static bool is_partial(qr__lt_kind kind) {
    return kind == QR__LT_OUTPUT || kind == QR__LT_DOWN;
}

/* A bias has the type of y, so what has none says none: y is f32 there. */
static qr__lt_status describe(const qr__lt *lt, qr__lt_product *p) {
    const int transposed = QR__LT_TRANSPOSED, plain = QR__LT_PLAIN;
    const int epilogue = is_partial(p->kind) ? QR__LT_EPILOGUE_NONE : QR__LT_EPILOGUE_BIAS;
    const struct {
        int attribute;
        const int *value;
    } rows[] = {{QR__LT_TRANSPOSE_A, &transposed},
                {QR__LT_TRANSPOSE_B, &plain},
                {QR__LT_EPILOGUE, &epilogue},
                {QR__LT_BIAS_TYPE, &lt->type}};
    qr__lt_status status =
        lt->calls.operation_create(&p->operation, QR__LT_COMPUTE_F32, QR__LT_F32);
    const size_t count = sizeof rows / sizeof rows[0] - (is_partial(p->kind) ? 1 : 0);
    for (size_t i = 0; i < count && status == QR__LT_OK; i++)
        status =
            lt->calls.operation_set(p->operation, rows[i].attribute, rows[i].value, sizeof(int));
    return status;
}

static qr__lt_status lay_out(const qr__lt *lt, qr__lt_product *p, uint32_t n, uint32_t k) {
    const int type = is_partial(p->kind) ? QR__LT_F32 : lt->type;
    qr__lt_status status = lt->calls.layout_create(&p->w, lt->type, k, n, k);
    if (status == QR__LT_OK)
        status = lt->calls.layout_create(&p->x, lt->type, k, p->tokens, k);
    if (status == QR__LT_OK)
        status = lt->calls.layout_create(&p->y, type, n, p->tokens, n);
    return status;
}

/* Of the algorithms whose sums have one order: a batch has the same bits whenever it comes. */
static qr__lt_status choose(const qr__lt *lt, qr__lt_product *p) {
    const size_t workspace_bytes = QR__LT_WORKSPACE_BYTES_MAX;
    const uint32_t reductions = QR__LT_REDUCTION_COMPUTE;
    qr__lt_preference preference = NULL;
    qr__lt_found found = {0};
    int count = 0;
    qr__lt_status status = lt->calls.preference_create(&preference);
    if (status != QR__LT_OK)
        return status;
    status = lt->calls.preference_set(preference, QR__LT_WORKSPACE_BYTES, &workspace_bytes,
                                      sizeof workspace_bytes);
    if (status == QR__LT_OK)
        status =
            lt->calls.preference_set(preference, QR__LT_REDUCTIONS, &reductions, sizeof reductions);
    if (status == QR__LT_OK)
        status = lt->calls.find(lt->handle, p->operation, p->w, p->x, p->y, p->y, preference, 1,
                                &found, &count);
    (void)lt->calls.preference_destroy(preference);
    if (status == QR__LT_OK)
        status = count == 1 ? found.state : -1;
    p->algorithm = found.algorithm;
    p->workspace_bytes = found.workspace_bytes;
    return status == QR__LT_OK && found.workspace_bytes > workspace_bytes ? -1 : status;
}

void qr__lt_plan(qr__lt *lt, qr__lt_kind kind, uint32_t tokens, uint32_t n, uint32_t k) {
    if (lt == NULL || lt->count == PRODUCTS_MAX || tokens < qr__lt_tokens())
        return;
    qr__lt_product *p = &lt->products[lt->count];
    *p = (qr__lt_product){.kind = kind, .tokens = tokens};
    qr__lt_status status = describe(lt, p);
    if (status == QR__LT_OK)
        status = lay_out(lt, p, n, k);
    if (status == QR__LT_OK)
        status = choose(lt, p);
    if (status == QR__LT_OK)
        lt->count++;
    else
        drop(lt, p);
}

const qr__lt_product *qr__lt_find(const qr__lt *lt, qr__lt_kind kind, uint32_t tokens) {
    for (size_t i = 0; lt != NULL && i < lt->count; i++)
        if (lt->products[i].kind == kind && lt->products[i].tokens == tokens)
            return &lt->products[i];
    return NULL;
}

/* A launch takes the bias's address with it: the next one may set another. */
qr__lt_status qr__lt_multiply(const qr__lt *lt, const qr__lt_product *p, const qr__lt_buffers *at,
                              qr__cu_stream stream) {
    static const float one = 1, zero = 0;
    void *bias = (void *)(uintptr_t)at->bias, *y = (void *)(uintptr_t)at->y;
    qr__lt_status status =
        is_partial(p->kind)
            ? QR__LT_OK
            : lt->calls.operation_set(p->operation, QR__LT_BIAS_POINTER, &bias, sizeof bias);
    if (status != QR__LT_OK)
        return status;
    return lt->calls.multiply(lt->handle, p->operation, &one, (const void *)(uintptr_t)at->w, p->w,
                              (const void *)(uintptr_t)at->x, p->x, &zero, y, p->y, y, p->y,
                              &p->algorithm, (void *)(uintptr_t)at->workspace, p->workspace_bytes,
                              stream);
}
