/* tests/unit/engine/test_gemm_int8.c: matrix products in int8, of every kernel that this machine
 * runs: their sums to the bit, also where they are largest, and rows at the edges of
 * quantization. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/cpu/quantize_weights.h"
#include "gemm_fixture.h"

static const size_t Ks[] = {1, 2, 3, 5, 17, 64, 255, 384, 509, 1536};

#define EACH(i, array)                                                                             \
    size_t i = 0;                                                                                  \
    i < sizeof(array) / sizeof *(array);                                                           \
    i++

/* Where sums are integers, nothing is left to an order: plain C gets the same bits from the same
 * codes. */
Test(gemm_int8, is_plain_arithmetic_to_the_bit) {
    const size_t N = 45, rows = 13;
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || kernel->precision != QR_PRECISION_INT8)
            continue;
        for (EACH(a, Ks)) {
            const size_t K = Ks[a], width = kernel->columns;
            struct gemm_problem p;
            gemm_problem_init(&p, kernel, rows, K, N);
            float y[13 * 45];
            int8_t *codes = malloc(K + QR__GROUP_SPAN);
            gemm_problem_run(&p, 0, rows, 0, p.shape.panels, QR_EPILOGUE_BIAS, y, N);
            for (size_t n = 0; n < N; n++) {
                const float *constants =
                    (const float *)(const void *)((const char *)p.panels +
                                                  n / width * p.shape.panel_bytes +
                                                  p.shape.constants_at) +
                    n % width;
                const float scale = qr__quantize_weights(p.w + n * K, K, kernel->group, codes);
                cr_assert_eq(constants[0], p.bias[n]);
                cr_assert_eq(constants[width], scale);
                for (size_t t = 0; t < rows; t++) {
                    const char *row = (const char *)p.operand + t * p.shape.stride;
                    qr__gemm_row of_row;
                    memcpy(&of_row, row + p.shape.row_at, sizeof of_row);
                    int32_t sum = 0;
                    for (size_t k = 0; k < K; k++)
                        sum += gemm_code_at(kernel, row, k) * codes[k];
                    const float offset = fmaf(of_row.offset, constants[2 * width], constants[0]);
                    const float want = fmaf((float)sum * scale, of_row.scale, offset);
                    cr_assert_eq(y[t * N + n], want, "%s: K %zu row %zu column %zu: %a for %a",
                                 kernel->name, K, t, n, (double)y[t * N + n], (double)want);
                }
            }
            free(codes);
            gemm_problem_deinit(&p);
        }
    }
}

static void quantize_one(const qr__gemm_kernel *kernel, const float *x, size_t K, double *out,
                         qr__gemm_row *constants) {
    const qr__gemm_shape shape = qr__gemm_shape_of(kernel, K, 1);
    void *row = aligned_alloc(64, shape.stride);
    kernel->quantize(&shape, x, K, 1, row);
    memcpy(constants, (char *)row + shape.row_at, sizeof *constants);
    for (size_t k = 0; k < K; k++)
        out[k] =
            gemm_code_at(kernel, row, k) * (double)constants->scale + (double)constants->offset;
    free(row);
}

Test(gemm_int8, rows_at_the_edges) {
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
            float *x = gemm_noises(K);
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

/* Rows may be converted several at once: the bits of each are those of it alone, whatever stands in
 * the others, and nothing is written between a row's codes and its constants' end but its own. */
Test(gemm_int8, rows_are_converted_alike_in_any_company) {
    const size_t most = 9, extra = 5;
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || kernel->precision != QR_PRECISION_INT8)
            continue;
        for (EACH(a, Ks))
            for (int factored = 0; factored < 2; factored++) {
                const size_t K = Ks[a], ldx = K + extra;
                qr__gemm_shape shape = qr__gemm_shape_of(kernel, K, 1);
                float *x = gemm_noises(most * ldx), *factors = gemm_noises(K);
                shape.factors = factored ? factors : NULL;
                for (size_t t = 0; t < most; t++) /* a range of its own, beside huge and strange */
                    for (size_t k = 0; k < ldx; k++)
                        x[t * ldx + k] *= k >= K ? NAN : t == 4 ? 3e38f : (float)(t + 1);
                x[6 * ldx] = NAN;
                char *together = aligned_alloc(64, most * shape.stride);
                char *alone = aligned_alloc(64, shape.stride);
                for (size_t rows = 1; rows <= most; rows++) {
                    memset(together, 0x5a, most * shape.stride);
                    kernel->quantize(&shape, x, ldx, rows, together);
                    for (size_t t = 0; t < most; t++) {
                        const char *row = together + t * shape.stride;
                        memset(alone, 0x5a, shape.stride);
                        if (t < rows)
                            kernel->quantize(&shape, x + t * ldx, ldx, 1, alone);
                        cr_assert_arr_eq(row, alone, shape.stride, "%s: K %zu, row %zu of %zu",
                                         kernel->name, K, t, rows);
                    }
                }
                free(x), free(factors), free(together), free(alone);
            }
    }
}

/* The largest sums that int8 can make, for each sign: no saturation, no overflow. */
Test(gemm_int8, extremes_are_exact) {
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || kernel->precision != QR_PRECISION_INT8)
            continue;
        const size_t K = 4096, N = 3;
        struct gemm_problem p;
        gemm_problem_init(&p, kernel, 2, K, N);
        for (size_t k = 0; k < K; k++) {
            p.x[k] = k == 0 ? 0 : 255; /* codes 0, 255, 255, ... with scale 1 */
            p.x[K + k] = k % 2 == 0 ? 0 : 255;
            p.w[k] = 127;
            p.w[K + k] = -127;
            p.w[2 * K + k] = k % 2 == 0 ? 127 : -127;
        }
        memset(p.bias, 0, N * sizeof *p.bias);
        gemm_problem_pack(&p);
        kernel->quantize(&p.shape, p.x, K, 2, p.operand);
        float y[2][3];
        gemm_problem_run(&p, 0, 2, 0, p.shape.panels, QR_EPILOGUE_BIAS, y[0], N);
        const double unit = 255.0 * 127.0;
        cr_assert_float_eq(y[0][0], unit * (double)(K - 1), 16);
        cr_assert_float_eq(y[0][1], -unit * (double)(K - 1), 16);
        cr_assert_float_eq(y[0][2], -unit, 1e-3);
        cr_assert_float_eq(y[1][0], unit * (double)K / 2, 16);
        cr_assert_float_eq(y[1][2], -unit * (double)K / 2, 16);
        gemm_problem_deinit(&p);
    }
}

/* Groups that hold all that 16 bits do, in every shape, met by the greatest activations: exact,
 * where one step more would saturate. */
Test(gemm_int8, groups_at_their_bound_are_exact) {
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
        struct gemm_problem p;
        gemm_problem_init(&p, kernel, 1, K, BLOCKS);
        memset(p.w, 0, K * BLOCKS * sizeof *p.w);
        memset(p.bias, 0, BLOCKS * sizeof *p.bias);
        for (size_t n = 0; n < BLOCKS; n++) {
            for (size_t k = 0; k < 8 * BLOCKS; k++) /* column n begins with block n */
                p.w[n * K + k] = blocks[(n + k / 8) % BLOCKS][k % 8];
            p.w[n * K + 8 * BLOCKS] = 127; /* scale 1 for VNNI as well */
        }
        gemm_problem_pack(&p);
        for (size_t k = 0; k < K; k++)
            p.x[k] = k < 8 * BLOCKS ? 255 : 0;
        kernel->quantize(&p.shape, p.x, K, 1, p.operand);
        float y[BLOCKS];
        gemm_problem_run(&p, 0, 1, 0, p.shape.panels, QR_EPILOGUE_BIAS, y, BLOCKS);
        double sum = 0;
        for (size_t k = 0; k < 8 * BLOCKS; k++)
            sum += 255.0 * (double)p.w[k];
        for (size_t n = 0; n < BLOCKS; n++)
            cr_assert_float_eq(y[n], sum, 1e-3, "%s: column %zu: %g for %g", kernel->name, n,
                               (double)y[n], sum);
        gemm_problem_deinit(&p);
    }
}
