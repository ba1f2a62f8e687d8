/* tests/unit/engine/test_matrix.c: packed matrices through their public face: sizes, refusals,
 * memory, and GELU's stated error. */
#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/matrix.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static qr_matrix *pack(size_t K, size_t N, qr_precision precision, const char *isa,
                       qr_memory_huge *memory) {
    float *w = malloc(K * N * sizeof *w), *bias = malloc(N * sizeof *bias);
    for (size_t i = 0; i < K * N; i++)
        w[i] = (float)((i * 7 + 3) % 11) - 5;
    for (size_t n = 0; n < N; n++)
        bias[n] = (float)n;
    qr_matrix *m = NULL;
    qr_error error = {0};
    qr_matrix_source source = {.weights = w, .bias = bias, .in = K, .out = N, .memory = memory};
    cr_assert_eq(qr_matrix_pack(&source, precision, isa, &m, &error), QR_OK, "%s", error.message);
    free(w);
    free(bias);
    return m;
}

Test(matrix, multiplies_after_its_source_is_gone) {
    qr_memory_huge *memory;
    cr_assert_eq(qr_memory_huge_create(&memory, NULL), QR_OK);
    qr_matrix *m = pack(3, 70, QR_PRECISION_F32, NULL, memory);
    cr_assert_eq(qr_matrix_in(m), 3);
    cr_assert_eq(qr_matrix_out(m), 70);
    cr_assert_eq(qr_matrix_precision(m), QR_PRECISION_F32);
    cr_assert_geq(qr_matrix_bytes(m), 3 * 70 * sizeof(float));
    cr_assert_eq(qr_memory_huge_used(memory), qr_matrix_bytes(m));
    const float x[2][4] = {{1, 2, 3, 99}, {-1, 0, 0.5f, 99}}; /* ldx 4 */
    void *operand = aligned_alloc(64, qr_matrix_operand_bytes(m, 2));
    qr_matrix_operand(m, x[0], 4, 1, 2, operand);
    qr_matrix_operand(m, x[0], 4, 0, 1, operand);
    float y[2][70];
    qr_matrix_multiply(m, operand, 2, QR_EPILOGUE_BIAS, y[0], 70, 0, qr_matrix_panels(m));
    for (size_t t = 0; t < 2; t++)
        for (size_t n = 0; n < 70; n++) {
            float sum = (float)n;
            for (size_t k = 0; k < 3; k++)
                sum += x[t][k] * ((float)(((n * 3 + k) * 7 + 3) % 11) - 5);
            cr_assert_float_eq(y[t][n], sum, 1e-5);
        }
    free(operand);
    qr_matrix_destroy(m);
    qr_memory_huge_destroy(memory);
    qr_matrix_destroy(NULL);
    qr_memory_huge_destroy(NULL);
}

Test(matrix, refuses_what_it_cannot_do) {
    const float w[4] = {1, 2, 3, 4};
    qr_matrix_source source = {.weights = w, .in = 2, .out = 2};
    qr_matrix *m = NULL;
    qr_error error = {0};
    cr_assert_eq(qr_matrix_pack(&source, QR_PRECISION_F32, "sse9", &m, &error), QR_BAD_OPTION);
    cr_assert_not_null(strstr(error.message, "sse9"));
    cr_assert_eq(qr_matrix_pack(&source, QR_PRECISION_INT8, "ref", &m, &error), QR_BAD_OPTION);
    cr_assert_not_null(strstr(error.message, "int8"));
    if (qr_isa_available(QR_ISA_AVX2)) {
        cr_assert_eq(qr_matrix_pack(&source, QR_PRECISION_INT8, "avx2", &m, NULL), QR_BAD_OPTION);
    }
    cr_assert_null(m);
}

Test(matrix, refuses_rows_whose_sum_could_overflow) {
    const char *isa = qr_isa_available(QR_ISA_AVX512VNNI) ? "avx512vnni" : "avx2vnni";
    if (!qr_isa_available(QR_ISA_AVX512VNNI) && !qr_isa_available(QR_ISA_AVX2VNNI))
        cr_skip_test("no int8 kernel on this machine");
    const float w = 1;
    qr_matrix_source source = {
        .weights = &w, .in = 100000, .out = 1}; /* refused before a weight is read */
    qr_matrix *m = NULL;
    qr_error error = {0};
    cr_assert_eq(qr_matrix_pack(&source, QR_PRECISION_INT8, isa, &m, &error), QR_BAD_OPTION);
    cr_assert_not_null(strstr(error.message, "overflow"));
}

Test(matrix, memory_grows_and_is_aligned) {
    qr_memory_huge *memory;
    cr_assert_eq(qr_memory_huge_create(&memory, NULL), QR_OK);
    size_t used = 0;
    for (size_t bytes = 1; bytes < (size_t)48 << 20; bytes = bytes * 5 + 3) {
        char *p = qr_memory_huge_alloc(memory, bytes);
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % 64, 0);
        cr_assert_eq(p[0], 0);
        cr_assert_eq(p[bytes - 1], 0);
        p[0] = p[bytes - 1] = 1;
        used += qr_round_up(bytes, 64);
    }
    cr_assert_eq(qr_memory_huge_used(memory), used);
    cr_assert_null(qr_memory_huge_alloc(memory, SIZE_MAX));
    qr_memory_huge_destroy(memory);
}

/* x through an identity matrix of one column: the epilogue alone. */
Test(matrix, gelu_keeps_its_error) {
    const char *isas[] = {"avx2", "avx512f"};
    const qr_isa needs[] = {QR_ISA_AVX2, QR_ISA_AVX512F};
    const float one = 1;
    qr_matrix_source source = {.weights = &one, .in = 1, .out = 1};
    enum { ROWS = 200001 };
    float *x = malloc(ROWS * sizeof *x), *y = malloc(ROWS * sizeof *y);
    for (size_t i = 0; i < ROWS; i++)
        x[i] = ((float)i - 100000) / 12500; /* -8..8 */
    x[0] = -1e30f;
    x[1] = 1e30f;
    x[2] = INFINITY;
    x[3] = NAN;
    for (size_t i = 0; i < 2; i++) {
        if (!qr_isa_available(needs[i]))
            continue;
        qr_matrix *m = NULL;
        cr_assert_eq(qr_matrix_pack(&source, QR_PRECISION_F32, isas[i], &m, NULL), QR_OK);
        void *operand = aligned_alloc(64, qr_matrix_operand_bytes(m, ROWS));
        qr_matrix_operand(m, x, 1, 0, ROWS, operand);
        for (int tanh_form = 0; tanh_form < 2; tanh_form++) {
            qr_matrix_multiply(m, operand, ROWS,
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
            cr_assert_leq(worst, 2.5e-7, "%s: %g", isas[i], worst);
            cr_assert_float_eq(y[0], 0, 2.5e-7);
            cr_assert_eq(y[1], 1e30f);
            cr_assert(isinf(y[2]));
            cr_assert(isnan(y[3]));
        }
        free(operand);
        qr_matrix_destroy(m);
    }
    free(x);
    free(y);
}
