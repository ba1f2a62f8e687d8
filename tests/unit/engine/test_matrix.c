/* tests/unit/engine/test_matrix.c: packed matrices through their public face: sizes, refusals,
 * memory, and GELU's stated error. */
#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/matrix.h"
#include "engine/cpu/target.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static qr__matrix *pack(size_t K, size_t N, qr_precision precision, qr__isa isa,
                        qr__memory_huge *memory) {
    float *w = malloc(K * N * sizeof *w), *bias = malloc(N * sizeof *bias);
    for (size_t i = 0; i < K * N; i++)
        w[i] = (float)((i * 7 + 3) % 11) - 5;
    for (size_t n = 0; n < N; n++)
        bias[n] = (float)n;
    qr__matrix *m = NULL;
    qr_error error = {0};
    const qr__matrix_rows rows = {.weights = w, .stride = K, .rows = N, .bias = bias, .scale = 1};
    const qr__matrix_source source = {.blocks = &rows, .blocks_len = 1, .in = K, .memory = memory};
    cr_assert_eq(qr__matrix_pack(&source, precision, isa, &m, &error), QR_OK, "%s", error.message);
    free(w);
    free(bias);
    return m;
}

Test(matrix, multiplies_after_its_source_is_gone) {
    qr__memory_huge *memory;
    cr_assert_eq(qr__memory_huge_create(&memory, NULL), QR_OK);
    qr__isa isa;
    cr_assert_eq(qr__target_choose(NULL, &isa, NULL), QR_OK);
    qr__matrix *m = pack(3, 70, QR_PRECISION_F32, isa, memory);
    cr_assert_eq(qr__matrix_in(m), 3);
    cr_assert_eq(qr__matrix_out(m), 70);
    cr_assert_geq(qr__matrix_bytes(m), 3 * 70 * sizeof(float));
    cr_assert_eq(qr__memory_huge_used(memory), qr__matrix_bytes(m));
    const float x[2][4] = {{1, 2, 3, 99}, {-1, 0, 0.5f, 99}}; /* ldx 4 */
    void *operand = aligned_alloc(64, qr__matrix_operand_bytes(m, 2));
    qr__matrix_operand(m, x[0], 4, 1, 2, operand);
    qr__matrix_operand(m, x[0], 4, 0, 1, operand);
    float y[2][70];
    qr__matrix_multiply(m, operand, 2, QR_EPILOGUE_BIAS, y[0], 70, 0, qr__matrix_panels(m));
    for (size_t t = 0; t < 2; t++)
        for (size_t n = 0; n < 70; n++) {
            float sum = (float)n;
            for (size_t k = 0; k < 3; k++)
                sum += x[t][k] * ((float)(((n * 3 + k) * 7 + 3) % 11) - 5);
            cr_assert_float_eq(y[t][n], sum, 1e-5);
        }
    free(operand);
    qr__matrix_destroy(m);
    qr__memory_huge_destroy(memory);
    qr__matrix_destroy(NULL);
    qr__memory_huge_destroy(NULL);
}

/* W * smooth and x / smooth is the same product; in int8 an outlier of x no longer takes nearly all
 * of its row's codes. Other formats leave both as they are. */
Test(matrix, smoothing_keeps_the_product) {
    enum { K = 37, N = 19 };
    float w[N * K], x[K], smooth[K], y[N], plain[N];
    for (size_t i = 0; i < N * K; i++)
        w[i] = (float)((i * 7 + 3) % 23) / 11 - 1;
    for (size_t k = 0; k < K; k++) {
        x[k] = ((float)((k * 5 + 2) % 17) / 8 - 1) * (k == 5 ? 100 : 1); /* an outlier at 5 */
        smooth[k] = k == 5 ? 10 : 1;
    }
    const qr__matrix_rows rows = {.weights = w, .stride = K, .rows = N, .scale = 1};
    qr__isa isa;
    cr_assert_eq(qr__target_choose(NULL, &isa, NULL), QR_OK);
    for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_INT8; p++) {
        if (qr__gemm_find(p, isa) == NULL)
            continue;
        double error[2] = {0};
        for (int smoothed = 0; smoothed < 2; smoothed++) {
            const qr__matrix_source source = {
                .blocks = &rows, .blocks_len = 1, .in = K, .smooth = smoothed ? smooth : NULL};
            qr__matrix *m = NULL;
            cr_assert_eq(qr__matrix_pack(&source, p, isa, &m, NULL), QR_OK);
            void *operand = aligned_alloc(64, qr__matrix_operand_bytes(m, 1));
            qr__matrix_operand(m, x, K, 0, 1, operand);
            qr__matrix_multiply(m, operand, 1, QR_EPILOGUE_BIAS, y, N, 0, qr__matrix_panels(m));
            for (size_t n = 0; n < N; n++) {
                double sum = 0;
                for (size_t k = 0; k < K; k++)
                    sum += (double)x[k] * (double)w[n * K + k];
                error[smoothed] = fmax(error[smoothed], fabs((double)y[n] - sum));
            }
            if (p != QR_PRECISION_INT8 && smoothed)
                cr_assert_arr_eq(y, plain, sizeof y);
            memcpy(plain, y, sizeof y);
            free(operand);
            qr__matrix_destroy(m);
        }
        if (p == QR_PRECISION_INT8)
            cr_assert_lt(error[1], error[0] / 2, "%g without, %g with", error[0], error[1]);
    }
}

Test(matrix, refuses_what_it_cannot_do) {
    const float w[4] = {1, 2, 3, 4};
    const qr__matrix_rows rows = {.weights = w, .stride = 2, .rows = 2, .scale = 1};
    const qr__matrix_source source = {.blocks = &rows, .blocks_len = 1, .in = 2};
    qr__matrix *m = NULL;
    qr_error error = {0};
    cr_assert_eq(qr__matrix_pack(&source, QR_PRECISION_INT8, QR_ISA_REF, &m, &error),
                 QR_BAD_OPTION);
    cr_assert_not_null(strstr(error.message, "int8"));
    cr_assert_eq(qr__matrix_pack(&source, QR_PRECISION_BF16, QR_ISA_REF, &m, NULL), QR_BAD_OPTION);
    cr_assert_null(m);
}

Test(matrix, refuses_rows_whose_sum_could_overflow) {
    qr__isa isa;
    cr_assert_eq(qr__target_choose(NULL, &isa, NULL), QR_OK);
    if (qr__gemm_find(QR_PRECISION_INT8, isa) == NULL)
        cr_skip_test("no int8 kernel on this machine");
    const float w = 1; /* refused before a further weight is read */
    const qr__matrix_rows rows = {.weights = &w, .stride = 100000, .rows = 1, .scale = 1};
    const qr__matrix_source source = {.blocks = &rows, .blocks_len = 1, .in = 100000};
    qr__matrix *m = NULL;
    qr_error error = {0};
    cr_assert_eq(qr__matrix_pack(&source, QR_PRECISION_INT8, isa, &m, &error), QR_BAD_OPTION);
    cr_assert_not_null(strstr(error.message, "overflow"));
}

/* Blocks of rows with strides and scales of their own are the same as one matrix that holds
 * their products. */
Test(matrix, blocks_are_rows_below_each_other) {
    enum { K = 70, LD = 83, N = 37, T = 3 };
    float *big = malloc(N * LD * sizeof *big), *scaled = malloc(N * K * sizeof *scaled);
    float bias[N], scaled_bias[N];
    for (size_t n = 0; n < N; n++) {
        float scale = n < 20 ? 0.3f : 1;
        bias[n] = n < 30 ? (float)n / 7 : 0;
        scaled_bias[n] = bias[n] * scale;
        for (size_t k = 0; k < LD; k++)
            big[n * LD + k] = (float)((n * 31 + k * 17) % 23) / 9 - 1;
        for (size_t k = 0; k < K; k++)
            scaled[n * K + k] = big[n * LD + 5 + k] * scale;
    }
    const qr__matrix_rows parts[] = {
        {.weights = big + 5, .stride = LD, .rows = 20, .bias = bias, .scale = 0.3f},
        {.weights = big + 20 * LD + 5, .stride = LD, .rows = 10, .bias = bias + 20, .scale = 1},
        {.weights = big + 30 * LD + 5, .stride = LD, .rows = 7, .scale = 1}};
    const qr__matrix_rows whole = {
        .weights = scaled, .stride = K, .rows = N, .bias = scaled_bias, .scale = 1};
    float x[T * K];
    for (size_t i = 0; i < T * K; i++)
        x[i] = (float)((i * 13) % 29) / 11 - 1;
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        float y[2][T * N];
        if (!qr__isa_available(kernel->isa))
            continue;
        for (size_t way = 0; way < 2; way++) {
            const qr__matrix_source source = {
                .blocks = way == 0 ? parts : &whole, .blocks_len = way == 0 ? 3 : 1, .in = K};
            qr__matrix *m = NULL;
            cr_assert_eq(qr__matrix_pack(&source, kernel->precision, kernel->isa, &m, NULL), QR_OK);
            cr_assert_eq(qr__matrix_out(m), N);
            void *operand = aligned_alloc(64, qr__matrix_operand_bytes(m, T));
            qr__matrix_operand(m, x, K, 0, T, operand);
            qr__matrix_multiply(m, operand, T, QR_EPILOGUE_BIAS, y[way], N, 0,
                                qr__matrix_panels(m));
            free(operand);
            qr__matrix_destroy(m);
        }
        cr_assert(memcmp(y[0], y[1], sizeof y[0]) == 0, "%s", kernel->name);
    }
    free(big);
    free(scaled);
}

/* A product that goes to blocks of columns has the numbers that it has side by side, and writes
 * nothing else; a panel that would lie in two is told beforehand. */
Test(matrix, columns_go_to_blocks) {
    enum { K = 40, BLOCK = 192, BLOCKS = 3, N = BLOCK * BLOCKS - 3, T = 35, LD = BLOCK + 7 };
    enum { APART = (T + 2) * LD };
    static float y[T * N], blocks[BLOCKS * APART];
    float *x = malloc(T * K * sizeof *x);
    for (size_t i = 0; i < T * K; i++)
        x[i] = (float)((i * 13) % 29) / 11 - 1;
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa))
            continue;
        qr__matrix *m = pack(K, N, kernel->precision, kernel->isa, NULL);
        cr_assert(qr__matrix_fits_block(m, BLOCK));
        cr_assert_not(qr__matrix_fits_block(m, 8));
        void *operand = aligned_alloc(64, qr__matrix_operand_bytes(m, T));
        qr__matrix_operand(m, x, K, 0, T, operand);
        qr__matrix_multiply(m, operand, T, QR_EPILOGUE_BIAS_RELU, y, N, 0, qr__matrix_panels(m));
        memset(blocks, 0x5a, sizeof blocks);
        const qr__matrix_output output = {.y = blocks, .ld = LD, .block = BLOCK, .apart = APART};
        qr__matrix_multiply_to(m, operand, T, QR_EPILOGUE_BIAS_RELU, &output, 0, 1);
        qr__matrix_multiply_to(m, operand, T, QR_EPILOGUE_BIAS_RELU, &output, 1,
                               qr__matrix_panels(m));
        for (size_t at = 0; at < BLOCKS * APART; at++) {
            const size_t t = at % APART / LD, n = at % LD, column = at / APART * BLOCK + n;
            const bool ours = t < T && n < BLOCK && column < N;
            cr_assert_arr_eq(&blocks[at], ours ? (void *)&y[t * N + column] : "\x5a\x5a\x5a\x5a", 4,
                             "%s: row %zu, column %zu", kernel->name, t, column);
        }
        free(operand);
        qr__matrix_destroy(m);
    }
    free(x);
}

Test(matrix, memory_grows_and_is_aligned) {
    qr__memory_huge *memory;
    cr_assert_eq(qr__memory_huge_create(&memory, NULL), QR_OK);
    size_t used = 0;
    for (size_t bytes = 1; bytes < (size_t)48 << 20; bytes = bytes * 5 + 3) {
        char *p = qr__memory_huge_alloc(memory, bytes);
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % 64, 0);
        cr_assert_eq(p[0], 0);
        cr_assert_eq(p[bytes - 1], 0);
        p[0] = p[bytes - 1] = 1;
        used += qr_round_up(bytes, 64);
    }
    cr_assert_eq(qr__memory_huge_used(memory), used);
    cr_assert_null(qr__memory_huge_alloc(memory, SIZE_MAX));
    qr__memory_huge_destroy(memory);
}

/* x through an identity matrix of one column: the epilogue alone. */
Test(matrix, gelu_keeps_its_error) {
    const qr__isa isas[] = {QR_ISA_AVX2, QR_ISA_AVX512F, QR_ISA_NEON};
    const float one = 1;
    const qr__matrix_rows rows = {.weights = &one, .stride = 1, .rows = 1, .scale = 1};
    const qr__matrix_source source = {.blocks = &rows, .blocks_len = 1, .in = 1};
    enum { ROWS = 200001 };
    float *x = malloc(ROWS * sizeof *x), *y = malloc(ROWS * sizeof *y);
    for (size_t i = 0; i < ROWS; i++)
        x[i] = ((float)i - 100000) / 12500; /* -8..8 */
    x[0] = -1e30f;
    x[1] = 1e30f;
    x[2] = INFINITY;
    x[3] = NAN;
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
        if (!qr__isa_available(isas[i]))
            continue;
        qr__matrix *m = NULL;
        cr_assert_eq(qr__matrix_pack(&source, QR_PRECISION_F32, isas[i], &m, NULL), QR_OK);
        void *operand = aligned_alloc(64, qr__matrix_operand_bytes(m, ROWS));
        qr__matrix_operand(m, x, 1, 0, ROWS, operand);
        for (int tanh_form = 0; tanh_form < 2; tanh_form++) {
            qr__matrix_multiply(m, operand, ROWS,
                                tanh_form ? QR_EPILOGUE_BIAS_GELU_NEW : QR_EPILOGUE_BIAS_GELU, y, 1,
                                0, 1);
            double worst = 0;
            for (size_t t = 4; t < ROWS; t++) {
                const double v = (double)x[t];
                const double want =
                    tanh_form ? v / 2 * (1 + tanh(sqrt(M_2_PI) * (v + 0.044715 * v * v * v)))
                              : v / 2 * (1 + erf(v * M_SQRT1_2));
                /* Rounding the result itself is not the formula's error. */
                worst = fmax(worst, fabs((double)y[t] - want) - fabs(want) * 0x1p-24);
            }
            cr_assert_leq(worst, 2.5e-7, "%s: %g", qr__isa_name(isas[i]), worst);
            cr_assert_float_eq(y[0], 0, 2.5e-7);
            cr_assert_eq(y[1], 1e30f);
            cr_assert(isinf(y[2]));
            cr_assert(isnan(y[3]));
        }
        free(operand);
        qr__matrix_destroy(m);
    }
    free(x);
    free(y);
}
