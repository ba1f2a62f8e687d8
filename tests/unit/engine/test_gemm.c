/* tests/unit/engine/test_gemm.c: every matrix product of the table that this machine runs, against
 * sums in double of the very values that the kernel was given: over odd sizes, for the same bits in
 * any company, and for rows at the edges of quantization. */
#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/matrix_pack.h"
#include "engine/cpu/quantize_weights.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define M_MAX 100 /* rows in company: above what any kernel takes at once */
#define M_FEW 40  /* rows that are held against sums in double */

static uint32_t state = 1;

/* -1..1 */
static float noise(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

static float *noises(size_t n) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = noise();
    return x;
}

static double from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint16_t to_bf16(float f) { /* nearest even */
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* A problem with everything that a kernel reads; exact sizes, so that AddressSanitizer sees one
 * byte too far. */
typedef struct problem {
    const qr__gemm_kernel *kernel;
    qr__gemm_shape shape;
    size_t rows;
    float *x, *w, *bias;
    void *operand, *panels;
    double *wide; /* W as packed */
} problem;

/* int8's codes have a test of their own (test_quantize_weights.c). */
static void widen_weights(problem *p) {
    const size_t K = p->shape.K, N = p->shape.N;
    int8_t *codes = malloc(K + QR__GROUP_SPAN);
    p->wide = malloc(K * N * sizeof *p->wide);
    for (size_t n = 0; n < N; n++) {
        const float *w = p->w + n * K;
        double scale = 0;
        if (p->kernel->precision == QR_PRECISION_INT8)
            scale = (double)qr__quantize_weights(w, K, p->kernel->group, codes);
        for (size_t k = 0; k < K; k++)
            p->wide[n * K + k] = p->kernel->precision == QR_PRECISION_INT8 ? codes[k] * scale
                                 : p->kernel->precision == QR_PRECISION_BF16
                                     ? from_bf16(to_bf16(w[k]))
                                     : (double)w[k];
    }
    free(codes);
}

static void pack_problem(const problem *p) {
    const size_t K = p->shape.K;
    const qr__matrix_rows rows = {
        .weights = p->w, .stride = K, .rows = p->shape.N, .bias = p->bias, .scale = 1};
    const qr__matrix_source source = {.blocks = &rows, .blocks_len = 1, .in = K};
    cr_assert_eq(qr__matrix_pack_panels(p->kernel, &p->shape, &source, p->panels), QR_OK);
}

static void problem_init(problem *p, const qr__gemm_kernel *kernel, size_t rows, size_t K,
                         size_t N) {
    *p = (problem){.kernel = kernel, .rows = rows, .shape = qr__gemm_shape_of(kernel, K, N)};
    p->x = noises(rows * K);
    p->w = noises(N * K);
    p->bias = noises(N);
    p->operand = aligned_alloc(64, rows * p->shape.stride);
    memset(p->operand, 0xff, rows * p->shape.stride); /* whatever was there before */
    const size_t bytes = p->shape.panels * p->shape.panel_bytes;
    p->panels = aligned_alloc(64, bytes);
    memset(p->panels, 0, bytes);
    pack_problem(p);
    for (size_t t = 0; t < rows; t++)
        kernel->quantize(&p->shape, p->x + t * K, (char *)p->operand + t * p->shape.stride);
    widen_weights(p);
}

static void problem_deinit(problem *p) {
    free(p->x);
    free(p->w);
    free(p->bias);
    free(p->operand);
    free(p->panels);
    free(p->wide);
}

static void run(const problem *p, size_t first, size_t rows, size_t begin, size_t end,
                qr__epilogue epilogue, float *y, size_t ldy) {
    p->kernel->multiply(
        &(qr__gemm_task){.shape = &p->shape,
                         .panels = p->panels,
                         .operand = (const char *)p->operand + first * p->shape.stride,
                         .rows = rows,
                         .epilogue = epilogue,
                         .y = y,
                         .ldy = ldy,
                         .begin = begin,
                         .end = end});
}

/* SDOT's codes are signed, 128 less than u8's. */
static int code_at(const qr__gemm_kernel *kernel, const void *row, size_t k) {
    return kernel->isa == QR_ISA_NEONDOT ? ((const int8_t *)row)[k] : ((const uint8_t *)row)[k];
}

/* What row t holds at k, as the kernel sees it. */
static double operand_at(const problem *p, size_t t, size_t k) {
    const char *row = (const char *)p->operand + t * p->shape.stride;
    if (p->kernel->precision == QR_PRECISION_INT8) {
        qr__gemm_row constants;
        memcpy(&constants, row + p->shape.row_at, sizeof constants);
        return code_at(p->kernel, row, k) * (double)constants.scale + (double)constants.offset;
    }
    if (p->kernel->step > 1) {
        uint16_t half;
        memcpy(&half, row + 2 * k, sizeof half);
        return from_bf16(half);
    }
    float f;
    memcpy(&f, row + 4 * k, sizeof f);
    return f;
}

/* What its terms add up to, signs aside: an int8 value is the sum of a code's and the offset's. */
static double size_at(const problem *p, size_t t, size_t k) {
    const double x = operand_at(p, t, k);
    if (p->kernel->precision != QR_PRECISION_INT8)
        return fabs(x);
    qr__gemm_row constants;
    memcpy(&constants, (const char *)p->operand + t * p->shape.stride + p->shape.row_at,
           sizeof constants);
    return fabs(x - (double)constants.offset) + fabs((double)constants.offset);
}

static double activated(qr__epilogue epilogue, double v) {
    switch (epilogue) {
    case QR_EPILOGUE_BIAS:
        break;
    case QR_EPILOGUE_BIAS_GELU:
        return v / 2 * (1 + erf(v * M_SQRT1_2));
    case QR_EPILOGUE_BIAS_GELU_NEW:
        return v / 2 * (1 + tanh(sqrt(M_2_PI) * (v + 0.044715 * v * v * v)));
    case QR_EPILOGUE_BIAS_RELU:
        return v > 0 ? v : 0;
    }
    return v;
}

/* The greatest error of y, in units of sum(|x| |w|) + |bias|. */
static double worst_error(const problem *p, qr__epilogue epilogue, const float *y, size_t ldy) {
    const size_t K = p->shape.K;
    double worst = 0, *x = malloc(K * sizeof *x), *sizes = malloc(K * sizeof *sizes);
    for (size_t t = 0; t < p->rows; t++) {
        for (size_t k = 0; k < K; k++)
            x[k] = operand_at(p, t, k), sizes[k] = size_at(p, t, k);
        for (size_t n = 0; n < p->shape.N; n++) {
            double sum = p->bias[n], size = fabs(sum);
            for (size_t k = 0; k < K; k++) {
                sum += x[k] * p->wide[n * K + k];
                size += sizes[k] * fabs(p->wide[n * K + k]);
            }
            double error = fabs(y[t * ldy + n] - activated(epilogue, sum));
            if (epilogue != QR_EPILOGUE_BIAS)
                error = fmax(0, error - 3e-7); /* of the activation itself */
            worst = isnan(error) ? INFINITY : fmax(worst, error / size); /* fmax drops a NaN */
        }
    }
    free(x);
    free(sizes);
    return worst;
}

static const size_t Ks[] = {1, 2, 3, 5, 17, 64, 255, 384, 509, 1536}, Ns[] = {1, 2, 33, 100};

#define EACH(i, array)                                                                             \
    size_t i = 0;                                                                                  \
    i < sizeof(array) / sizeof *(array);                                                           \
    i++

Test(gemm, matches_sums_in_double) {
    size_t tested = 0;
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa))
            continue;
        double worst = 0;
        for (EACH(a, Ks))
            for (EACH(b, Ns))
                for (size_t rows = 1; rows <= M_FEW; rows += Ks[a] > 300 ? 13 : 3) {
                    problem p;
                    problem_init(&p, kernel, rows, Ks[a], Ns[b]);
                    float *y = malloc(rows * Ns[b] * sizeof *y);
                    const qr__epilogue epilogue = (qr__epilogue)(rows % 4);
                    run(&p, 0, rows, 0, p.shape.panels, epilogue, y, Ns[b]);
                    const double error = worst_error(&p, epilogue, y, Ns[b]);
                    worst = fmax(worst, error);
                    cr_assert_leq(error, kernel->tolerance,
                                  "%s: M %zu K %zu N %zu epilogue %d: error %g", kernel->name, rows,
                                  Ks[a], Ns[b], epilogue, error);
                    free(y);
                    problem_deinit(&p);
                }
        cr_log_info("%s: worst error %.2g of sum(|x||w|)", kernel->name, worst);
        tested++;
    }
    cr_assert_gt(tested, 0);
}

/* Alone, with mates, at any place, in any split of the panels: the same bits. And nothing else of y
 * is written. */
Test(gemm, same_bits_in_any_company) {
    const size_t N = 100, ldy = 117;
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || !kernel->invariant)
            continue;
        for (EACH(a, Ks)) {
            problem p;
            problem_init(&p, kernel, M_MAX, Ks[a], N);
            static float alone[M_MAX][128], y[M_MAX * 128];
            for (size_t t = 0; t < M_MAX; t++)
                run(&p, t, 1, 0, p.shape.panels, QR_EPILOGUE_BIAS_GELU, alone[t], ldy);
            for (size_t rows = 1; rows <= M_MAX; rows += rows < M_FEW ? 1 : 5) {
                const size_t first = (rows * 7) % (M_MAX - rows + 1);
                const size_t cut = rows % (p.shape.panels + 1);
                memset(y, 0x5a, sizeof y);
                run(&p, first, rows, cut, p.shape.panels, QR_EPILOGUE_BIAS_GELU, y, ldy);
                run(&p, first, rows, 0, cut, QR_EPILOGUE_BIAS_GELU, y, ldy);
                for (size_t t = 0; t < rows; t++)
                    cr_assert_arr_eq(y + t * ldy, alone[first + t], N * sizeof(float),
                                     "%s: M %zu row %zu K %zu", kernel->name, rows, t, Ks[a]);
                for (size_t at = 0; at < M_MAX * 128; at++)
                    if (at % ldy >= N || at / ldy >= rows)
                        cr_assert_arr_eq(&y[at], "\x5a\x5a\x5a\x5a", 4, "%s: wrote outside at %zu",
                                         kernel->name, at);
            }
            problem_deinit(&p);
        }
    }
}

static void quantize_one(const qr__gemm_kernel *kernel, const float *x, size_t K, double *out,
                         qr__gemm_row *constants) {
    const qr__gemm_shape shape = qr__gemm_shape_of(kernel, K, 1);
    void *row = aligned_alloc(64, shape.stride);
    kernel->quantize(&shape, x, row);
    memcpy(constants, (char *)row + shape.row_at, sizeof *constants);
    for (size_t k = 0; k < K; k++)
        out[k] = code_at(kernel, row, k) * (double)constants->scale + (double)constants->offset;
    free(row);
}

Test(gemm, int8_rows_at_the_edges) {
    const struct {
        float fill, special;
        double error; /* allowed, of the range */
    } cases[] = {
        {0, 0, 0},
        {1.25f, 1.25f, 0},
        {-3, -3, 0},
        {0, 1e30f, 0.502 / 255},
        {1, -1e30f, 0.502 / 255},
        {3e38f, -3e38f, 0.502 / 255},
        {0, 1e-40f, 1},
        {1e-42f, -1e-42f, 1},
        {-0.17f, 5, 0.502 / 255},
        {0, 1e-30f, 0.502 / 255},
    };
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || kernel->precision != QR_PRECISION_INT8)
            continue;
        for (EACH(c, cases))
            for (size_t K = 1; K < 70; K += 4) {
                float x[70];
                double back[70];
                qr__gemm_row constants;
                for (size_t k = 0; k < K; k++)
                    x[k] = cases[c].fill;
                x[K / 2] = cases[c].special;
                quantize_one(kernel, x, K, back, &constants);
                cr_assert(isfinite(constants.scale) && constants.scale >= 0);
                const double range = fabs((double)cases[c].fill - (double)cases[c].special);
                for (size_t k = 0; k < K; k++)
                    cr_assert_leq(fabs(back[k] - (double)x[k]), cases[c].error * range,
                                  "case %zu K %zu: %g for %g", c, K, back[k], (double)x[k]);
            }
        /* Noise: no value further off than half a step. */
        for (size_t K = 1; K < 600; K += 37) {
            float *x = noises(K);
            double *back = malloc(K * sizeof *back);
            qr__gemm_row constants;
            quantize_one(kernel, x, K, back, &constants);
            for (size_t k = 0; k < K; k++)
                cr_assert_leq(fabs(back[k] - (double)x[k]), 0.501 * (double)constants.scale);
            free(x);
            free(back);
        }
    }
}

/* The largest sums that int8 can make, for each sign: no saturation, no overflow. */
Test(gemm, int8_extremes_are_exact) {
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || kernel->precision != QR_PRECISION_INT8)
            continue;
        const size_t K = 4096, N = 3;
        problem p;
        problem_init(&p, kernel, 2, K, N);
        for (size_t k = 0; k < K; k++) {
            p.x[k] = k == 0 ? 0 : 255; /* codes 0, 255, 255, ... with scale 1 */
            p.x[K + k] = k % 2 == 0 ? 0 : 255;
            p.w[k] = 127;
            p.w[K + k] = -127;
            p.w[2 * K + k] = k % 2 == 0 ? 127 : -127;
        }
        memset(p.bias, 0, N * sizeof *p.bias);
        pack_problem(&p);
        for (size_t t = 0; t < 2; t++)
            kernel->quantize(&p.shape, p.x + t * K, (char *)p.operand + t * p.shape.stride);
        float y[2][3];
        run(&p, 0, 2, 0, p.shape.panels, QR_EPILOGUE_BIAS, y[0], N);
        const double unit = 255.0 * 127.0;
        cr_assert_float_eq(y[0][0], unit * (double)(K - 1), 16);
        cr_assert_float_eq(y[0][1], -unit * (double)(K - 1), 16);
        cr_assert_float_eq(y[0][2], -unit, 1e-3);
        cr_assert_float_eq(y[1][0], unit * (double)K / 2, 16);
        cr_assert_float_eq(y[1][2], -unit * (double)K / 2, 16);
        problem_deinit(&p);
    }
}

/* Groups that hold all that 16 bits do, in every shape, met by the greatest activations: exact,
 * where one step more would saturate. */
Test(gemm, int8_groups_at_their_bound_are_exact) {
    static const int8_t blocks[][8] = {
        {127, 1, 0, 0, 0, 0, 0, 0},         {0, 0, 64, 0, 0, 0, 0, 64},
        {32, 32, 32, 32, 32, 32, 32, 32},   {-127, -1, -1, -127, 0, 0, 0, 0},
        {-32, -32, 64, 64, -32, -32, 0, 0}, {100, -100, 50, -50, 28, -28, 78, -78},
    };
    enum { BLOCKS = sizeof blocks / sizeof blocks[0], K = 8 * (BLOCKS + 1) };
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || kernel->precision != QR_PRECISION_INT8)
            continue;
        problem p;
        problem_init(&p, kernel, 1, K, BLOCKS);
        memset(p.w, 0, K * BLOCKS * sizeof *p.w);
        memset(p.bias, 0, BLOCKS * sizeof *p.bias);
        for (size_t n = 0; n < BLOCKS; n++) {
            for (size_t k = 0; k < 8 * BLOCKS; k++) /* column n begins with block n */
                p.w[n * K + k] = blocks[(n + k / 8) % BLOCKS][k % 8];
            p.w[n * K + 8 * BLOCKS] = 127; /* scale 1 for VNNI as well */
        }
        pack_problem(&p);
        for (size_t k = 0; k < K; k++)
            p.x[k] = k < 8 * BLOCKS ? 255 : 0;
        kernel->quantize(&p.shape, p.x, p.operand);
        float y[BLOCKS];
        run(&p, 0, 1, 0, p.shape.panels, QR_EPILOGUE_BIAS, y, BLOCKS);
        double sum = 0;
        for (size_t k = 0; k < 8 * BLOCKS; k++)
            sum += 255.0 * (double)p.w[k];
        for (size_t n = 0; n < BLOCKS; n++)
            cr_assert_float_eq(y[n], sum, 1e-3, "%s: column %zu: %g for %g", kernel->name, n,
                               (double)y[n], sum);
        problem_deinit(&p);
    }
}

Test(gemm, each_isa_has_its_kernel) {
    const struct {
        qr__isa isa;
        const char *f32, *bf16, *int8;
    } want[] = {
#if defined(QR_OPENBLAS)
        {QR_ISA_REF, "gemm_f32__openblas", NULL, NULL},
#else
        {QR_ISA_REF, "gemm_f32__ref", NULL, NULL},
#endif
#if defined(__x86_64__)
        {QR_ISA_AVX2, "gemm_f32__avx2", "gemm_bf16__avx2", "gemm_int8__avx2"},
        {QR_ISA_AVX2VNNI, "gemm_f32__avx2", "gemm_bf16__avx2", "gemm_int8__avx2vnni"},
        {QR_ISA_AVX512F, "gemm_f32__avx512f", "gemm_bf16__avx512f", "gemm_int8__avx512f"},
        {QR_ISA_AVX512VNNI, "gemm_f32__avx512f", "gemm_bf16__avx512f", "gemm_int8__avx512vnni"},
        {QR_ISA_AVX512BF16, "gemm_f32__avx512f", "gemm_bf16__avx512bf16", "gemm_int8__avx512vnni"},
        {QR_ISA_AMX, "gemm_f32__avx512f", "gemm_bf16__amx", "gemm_int8__amx"},
#elif defined(__aarch64__)
        {QR_ISA_NEON, "gemm_f32__neon", "gemm_bf16__neon", NULL},
        {QR_ISA_NEONDOT, "gemm_f32__neon", "gemm_bf16__neon", "gemm_int8__neondot"},
#endif
    };
    for (EACH(i, want)) {
        const char *names[] = {want[i].f32, want[i].bf16, want[i].int8};
        const qr_precision precisions[] = {QR_PRECISION_F32, QR_PRECISION_BF16, QR_PRECISION_INT8};
        for (size_t j = 0; j < 3; j++) {
            const qr__gemm_kernel *kernel = qr__gemm_find(precisions[j], want[i].isa);
            if (names[j] == NULL)
                cr_assert_null(kernel);
            else
                cr_assert_str_eq(kernel->name, names[j]);
        }
    }
}
