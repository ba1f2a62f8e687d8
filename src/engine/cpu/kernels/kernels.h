/* engine/cpu/kernels/kernels.h: every operation of the forward pass but the matrix products, and
 * the one table of who does it.
 *
 *     qr__kernels k;
 *     qr__kernels_choose(isa, QR_PRECISION_F32, &k);
 *     k.pool(y, x, S, C);
 *
 * The table (operation, precision, ISA, tolerance) drives dispatch,
 * tests/unit/engine/test_kernels.c and bench/kernels. A row's precision says from which plan on its
 * error is allowed (f32, bf16, int8): among the rows that it allows and whose ISA it includes, a
 * plan takes the one of the latest precision, then of the highest ISA. The plain C of QR_ISA_REF is
 * the oracle. Invariants: what a kernel computes for one row (one sequence, for attention and
 * pooling) depends on nothing else in the call; sums have one order, given by the sizes alone. No
 * kernel allocates. Tensors are f32 and row-major; rows need no alignment.
 */
#ifndef QR_ENGINE_CPU_KERNELS_H
#define QR_ENGINE_CPU_KERNELS_H

#include "engine/cpu/kernels/isa.h"
#include "engine/model_info.h"

/** y[rows][C] = (s - mean(s)) / sqrt(variance(s) + eps) * gamma + beta, where s = x + more +
 * residual in this order; `more` and `residual` may be NULL; y may be any of the three. */
typedef struct qr__layer_norm {
    float *y;
    const float *x, *more, *residual; /* [rows][C] */
    const float *gamma, *beta;        /* [C] */
    float eps;
    size_t rows, C;
} qr__layer_norm;
typedef void qr__layer_norm_kernel(const qr__layer_norm *n);

/** x[n] = activation(x[n]), in place. */
typedef void qr__activation_kernel(float *x, size_t n);

/** One sequence and one head: out[queries][D] = softmax(q * k^T) * v, with powers of 2 for powers
 * of e: q brings the factor log2(e) / sqrt(D). Row strides in floats. */
typedef struct qr__attention {
    float *out;         /* [queries][D], stride ld_out */
    const float *q;     /* [queries][D], stride ld_q */
    const float *k, *v; /* [keys][D], stride ld_kv */
    size_t ld_out, ld_q, ld_kv;
    size_t queries, keys; /* queries: all of the sequence's tokens, or only its first */
    size_t D;
    void *scratch; /* qr__attention_scratch_bytes(), 64-byte aligned, the calling thread's own */
} qr__attention;
typedef void qr__attention_kernel(const qr__attention *a);

/** Scratch that suffices every attention kernel for sequences of `keys` tokens. */
size_t qr__attention_scratch_bytes(size_t keys, size_t D);

/** y[C] = mean of x[S][C], rows added first to last. */
typedef void qr__pool_kernel(float *y, const float *x, size_t S, size_t C);

/** y[C] = word + position + type (type may be NULL); word is f32, or IEEE f16 where `half`. */
typedef void qr__embed_kernel(float *y, const void *word, bool half, const float *position,
                              const float *type, size_t C);

/** y[n] = x[n] in IEEE f16, rounded to nearest even; magnitudes above 65504 become 65504. */
typedef void qr__halve_kernel(uint16_t *y, const float *x, size_t n);

typedef struct qr__kernels {
    qr__layer_norm_kernel *layer_norm;
    qr__activation_kernel *gelu, *gelu_new, *relu, *tanh;
    qr__attention_kernel *attention;
    qr__pool_kernel *pool;
    qr__embed_kernel *embed;
    qr__halve_kernel *halve;
} qr__kernels;

/** The kernels of a plan. */
void qr__kernels_choose(qr__isa isa, qr_precision precision, qr__kernels *out);

typedef enum qr__operation {
    QR_OPERATION_LAYER_NORM,
    QR_OPERATION_GELU,
    QR_OPERATION_GELU_NEW,
    QR_OPERATION_RELU,
    QR_OPERATION_TANH,
    QR_OPERATION_ATTENTION,
    QR_OPERATION_POOL,
    QR_OPERATION_EMBED,
    QR_OPERATION_HALVE,
    QR_OPERATION_COUNT
} qr__operation;

/** A row of the table. `tolerance`: the most that a result may differ from the reference's for
 * inputs of order 1 (absolute). */
typedef struct qr__kernel {
    qr__operation operation;
    qr_precision precision;
    qr__isa isa;
    const char *name;
    double tolerance;
    void (*function)(void); /* cast to the operation's type */
} qr__kernel;

extern const qr__kernel qr__kernel_table[];
extern const size_t qr__kernel_table_len;

/** The row that a plan takes; plain C has every operation, so there is one. */
const qr__kernel *qr__kernel_find(qr__operation operation, qr_precision precision, qr__isa isa);

#endif
