/* tests/unit/engine/test_gemm.c: every matrix product of the table that this machine runs, against
 * sums in double of the very values that the kernel was given: over odd sizes, and for the same
 * bits in any company. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "gemm_fixture.h"

#define M_MAX 100 /* rows in company: above what any kernel takes at once */
#define M_FEW 40  /* rows that are held against sums in double */

/* What row t holds at k, as the kernel sees it. */
static double operand_at(const struct gemm_problem *p, size_t t, size_t k) {
    const char *row = (const char *)p->operand + t * p->shape.stride;
    if (p->kernel->precision == QR_PRECISION_INT8) {
        qr__gemm_row constants;
        memcpy(&constants, row + p->shape.row_at, sizeof constants);
        return gemm_code_at(p->kernel, row, k) * (double)constants.scale + (double)constants.offset;
    }
    if (p->kernel->step > 1) {
        uint16_t half;
        memcpy(&half, row + 2 * k, sizeof half);
        return gemm_from_bf16(half);
    }
    float f;
    memcpy(&f, row + 4 * k, sizeof f);
    return f;
}

/* What its terms add up to, signs aside: an int8 value is the sum of a code's and the offset's. */
static double size_at(const struct gemm_problem *p, size_t t, size_t k) {
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
static double worst_error(const struct gemm_problem *p, qr__epilogue epilogue, const float *y,
                          size_t ldy) {
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
                    struct gemm_problem p;
                    gemm_problem_init(&p, kernel, rows, Ks[a], Ns[b]);
                    float *y = malloc(rows * Ns[b] * sizeof *y);
                    const qr__epilogue epilogue = (qr__epilogue)(rows % 4);
                    gemm_problem_run(&p, 0, rows, 0, p.shape.panels, epilogue, y, Ns[b]);
                    const double error = worst_error(&p, epilogue, y, Ns[b]);
                    worst = fmax(worst, error);
                    cr_assert_leq(error, kernel->tolerance,
                                  "%s: M %zu K %zu N %zu epilogue %d: error %g", kernel->name, rows,
                                  Ks[a], Ns[b], epilogue, error);
                    free(y);
                    gemm_problem_deinit(&p);
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
            struct gemm_problem p;
            gemm_problem_init(&p, kernel, M_MAX, Ks[a], N);
            static float alone[M_MAX][128], y[M_MAX * 128];
            for (size_t t = 0; t < M_MAX; t++)
                gemm_problem_run(&p, t, 1, 0, p.shape.panels, QR_EPILOGUE_BIAS_GELU, alone[t], ldy);
            for (size_t rows = 1; rows <= M_MAX; rows += rows < M_FEW ? 1 : 5) {
                const size_t first = (rows * 7) % (M_MAX - rows + 1);
                const size_t cut = rows % (p.shape.panels + 1);
                memset(y, 0x5a, sizeof y);
                gemm_problem_run(&p, first, rows, cut, p.shape.panels, QR_EPILOGUE_BIAS_GELU, y,
                                 ldy);
                gemm_problem_run(&p, first, rows, 0, cut, QR_EPILOGUE_BIAS_GELU, y, ldy);
                for (size_t t = 0; t < rows; t++)
                    cr_assert_arr_eq(y + t * ldy, alone[first + t], N * sizeof(float),
                                     "%s: M %zu row %zu K %zu", kernel->name, rows, t, Ks[a]);
                for (size_t at = 0; at < M_MAX * 128; at++)
                    if (at % ldy >= N || at / ldy >= rows)
                        cr_assert_arr_eq(&y[at], "\x5a\x5a\x5a\x5a", 4, "%s: wrote outside at %zu",
                                         kernel->name, at);
            }
            gemm_problem_deinit(&p);
        }
    }
}

/* Mates of infinities, NaN and values at f32's ends, before a row and behind it. */
Test(gemm, strange_mates_change_no_bit) {
    const float strange[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-42f};
    const size_t N = 40, rows = 7, count = sizeof strange / sizeof strange[0];
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || !kernel->invariant)
            continue;
        for (EACH(a, Ks)) {
            const size_t K = Ks[a];
            struct gemm_problem p;
            gemm_problem_init(&p, kernel, rows, K, N);
            for (size_t t = 0; t < rows; t++) {
                float alone[40], y[7 * 40];
                gemm_problem_run(&p, t, 1, 0, p.shape.panels, QR_EPILOGUE_BIAS, alone, N);
                for (size_t other = 0; other < rows; other++) {
                    float *x = p.x + other * K;
                    for (size_t k = 0; k < K && other != t; k++)
                        x[k] = strange[(k + t + other) % count];
                    kernel->quantize(&p.shape, x, K, 1, (char *)p.operand + other * p.shape.stride);
                }
                gemm_problem_run(&p, 0, rows, 0, p.shape.panels, QR_EPILOGUE_BIAS, y, N);
                cr_assert_arr_eq(y + t * N, alone, N * sizeof(float), "%s: row %zu K %zu",
                                 kernel->name, t, K);
                gemm_problem_deinit(&p);
                gemm_problem_init(&p, kernel, rows, K, N);
            }
            gemm_problem_deinit(&p);
        }
    }
}

/* Rows of bf16: nearest even, halfway cases among them, and zeros up to the last step's end. */
Test(gemm, bf16_rows_are_rounded_to_nearest_even) {
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || kernel->precision != QR_PRECISION_BF16 ||
            kernel->step == 1)
            continue;
        for (EACH(a, Ks)) {
            struct gemm_problem p;
            gemm_problem_init(&p, kernel, 1, Ks[a], 1);
            for (size_t k = 0; k < Ks[a]; k++) {
                const uint32_t bits = 0x3f800000 + (uint32_t)k % 64 * 0x4000; /* quarters */
                if (k % 3 != 0)
                    memcpy(&p.x[k], &bits, sizeof bits);
            }
            kernel->quantize(&p.shape, p.x, Ks[a], 1, p.operand);
            const uint16_t *row = p.operand;
            for (size_t k = 0; k < p.shape.steps * kernel->step; k++)
                cr_assert_eq(row[k], k < Ks[a] ? gemm_to_bf16(p.x[k]) : 0, "%s: K %zu: %a is %x",
                             kernel->name, Ks[a], (double)p.x[qr_min(k, Ks[a] - 1)], row[k]);
            gemm_problem_deinit(&p);
        }
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
        {QR_ISA_NEONI8MM, "gemm_f32__neon", "gemm_bf16__neoni8mm", "gemm_int8__neoni8mm"},
#endif
    };
    const qr__cpu_id cpu = {"GenuineIntel", 6, 106};
    for (EACH(i, want)) {
        const char *names[] = {want[i].f32, want[i].bf16, want[i].int8};
        const qr_precision precisions[] = {QR_PRECISION_F32, QR_PRECISION_BF16, QR_PRECISION_INT8};
        for (size_t j = 0; j < 3; j++) {
            const qr__gemm_kernel *kernel = qr__gemm_find_for(precisions[j], want[i].isa, &cpu);
            if (names[j] == NULL)
                cr_assert_null(kernel);
            else
                cr_assert_str_eq(kernel->name, names[j]);
        }
    }
}

#if defined(__x86_64__)
Test(gemm, a_cpu_with_one_multiplier_has_a_kernel_of_its_own) {
    const struct {
        qr__cpu_id cpu;
        const char *int8;
    } want[] = {
        {{"AuthenticAMD", 23, 1}, "gemm_int8_halves__avx2"},  /* Zen */
        {{"AuthenticAMD", 23, 49}, "gemm_int8_halves__avx2"}, /* Zen 2 */
        {{"HygonGenuine", 24, 1}, "gemm_int8_halves__avx2"},
        {{"AuthenticAMD", 25, 1}, "gemm_int8__avx2"}, /* Zen 3 */
        {{"AuthenticAMD", 24, 1}, "gemm_int8__avx2"},
        {{"GenuineIntel", 23, 1}, "gemm_int8__avx2"},
        {{"", 0, 0}, "gemm_int8__avx2"},
    };
    for (EACH(i, want)) {
        const qr__cpu_id *cpu = &want[i].cpu;
        cr_assert_str_eq(qr__gemm_find_for(QR_PRECISION_INT8, QR_ISA_AVX2, cpu)->name,
                         want[i].int8);
        cr_assert_str_eq(qr__gemm_find_for(QR_PRECISION_INT8, QR_ISA_AVX2VNNI, cpu)->name,
                         "gemm_int8__avx2vnni");
        cr_assert_str_eq(qr__gemm_find_for(QR_PRECISION_F32, QR_ISA_AVX2, cpu)->name,
                         "gemm_f32__avx2");
    }
    const qr__cpu_id here = qr__isa_cpu();
    cr_assert_eq(qr__gemm_find(QR_PRECISION_INT8, QR_ISA_AVX2),
                 qr__gemm_find_for(QR_PRECISION_INT8, QR_ISA_AVX2, &here));
}
#endif
