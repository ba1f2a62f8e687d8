/* Every kernel of the table against the plain C of its operation, at sizes with and without tails.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/cpu/kernels/kernels.h"
#include "forward_fixture.h"

static unsigned state = 9;

static float draw_one(float scale) {
    return ((float)forward_random(&state, 20001) / 10000.0f - 1) * scale;
}

static float *draw_many(size_t count, float scale) {
    float *x = malloc((count + 1) * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = draw_one(scale);
    return x;
}

static double difference(const float *a, const float *b, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most)) /* a NaN too */
            most = d;
    }
    return most;
}

static const size_t widths[] = {1, 7, 8, 15, 16, 17, 31, 48, 64, 75, 96, 128, 129, 384, 768, 1021};
#define WIDTHS (sizeof widths / sizeof widths[0])

static double try_layer_norm(const qr__kernel *row, const qr__kernel *ref) {
    double most = 0;
    for (size_t w = 0; w < 4 * WIDTHS; w++) {
        size_t C = widths[w / 4];
        float *x = draw_many(5 * C, 1), *gamma = draw_many(C, 1), *beta = draw_many(C, 1);
        float *more = draw_many(5 * C, 1), *residual = draw_many(5 * C, 1);
        float *fast = malloc(5 * C * sizeof *fast), *slow = malloc(5 * C * sizeof *slow);
        for (size_t c = 0; c < C; c++) /* a large mean must not cancel */
            x[c] += 100;
        qr__layer_norm n = {
            .y = fast, .x = x, .gamma = gamma, .beta = beta, .eps = 1e-5f, .rows = 5, .C = C};
        n.more = w % 2 == 0 ? NULL : more;
        n.residual = w % 4 < 2 ? NULL : residual;
        ((qr__layer_norm_kernel *)row->function)(&n);
        n.y = slow;
        ((qr__layer_norm_kernel *)ref->function)(&n);
        /* The first row's inputs are 100 times as large, and so are its roundings. */
        most = fmax(most, C == 1 ? 0 : difference(fast + C, slow + C, 4 * C));
        most = fmax(most, C == 1 ? 0 : difference(fast, slow, C) / 100);
        n.y = w % 4 < 2 ? x : residual;
        ((qr__layer_norm_kernel *)row->function)(&n);
        cr_assert(memcmp(n.y, fast, 5 * C * sizeof *x) == 0, "%s in place", row->name);
        free(x), free(gamma), free(beta), free(more), free(residual), free(fast), free(slow);
    }
    return most;
}

static double try_activation(const qr__kernel *row, const qr__kernel *ref) {
    double most = 0;
    for (size_t w = 0; w < WIDTHS; w++) {
        float *fast = draw_many(widths[w], 1), *slow = malloc(widths[w] * sizeof *slow);
        for (size_t i = 0; i < widths[w]; i++) /* from -12 to 12, and some far out */
            slow[i] = fast[i] *= i % 50 == 49 ? 1e4f : 12;
        ((qr__activation_kernel *)row->function)(fast, widths[w]);
        ((qr__activation_kernel *)ref->function)(slow, widths[w]);
        for (size_t i = 0; i < widths[w]; i++)
            most = fmax(most,
                        fabs((double)fast[i] - (double)slow[i]) / fmax(1, fabs((double)slow[i])));
        free(fast), free(slow);
    }
    return most;
}

static double try_attention_of(const qr__kernel *row, const qr__kernel *ref, size_t keys,
                               size_t queries, size_t D) {
    size_t ld = 3 * D + 5;
    float *qkv = draw_many(keys * ld, 1), *fast = calloc(keys * (D + 3), 4),
          *slow = calloc(keys * (D + 3), 4);
    for (size_t i = 0; i < keys; i++) /* scores of order 10: peaked, as in real models */
        for (size_t d = 0; d < D; d++)
            qkv[i * ld + d] *= 10 / sqrtf((float)D);
    void *scratch = aligned_alloc(64, qr_round_up(qr__attention_scratch_bytes(keys, D), 64));
    qr__attention a = {.out = fast,
                       .q = qkv,
                       .k = qkv + D,
                       .v = qkv + 2 * D,
                       .ld_out = D + 3,
                       .ld_q = ld,
                       .ld_kv = ld,
                       .queries = queries,
                       .keys = keys,
                       .D = D,
                       .scratch = scratch};
    ((qr__attention_kernel *)row->function)(&a);
    a.out = slow;
    ((qr__attention_kernel *)ref->function)(&a);
    double most = difference(fast, slow, keys * (D + 3)); /* between the rows, zeros stay zeros */
    free(qkv), free(fast), free(slow), free(scratch);
    return most;
}

static double try_attention(const qr__kernel *row, const qr__kernel *ref) {
    static const size_t keys[] = {1, 2, 3, 8, 9, 12, 13, 15, 16, 17, 32, 33, 47, 64, 128, 257, 384};
    static const size_t heads[] = {1, 3, 15, 16, 24, 32, 40, 64, 80, 128};
    double most = 0;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        for (size_t d = 0; d < sizeof heads / sizeof heads[0]; d++) {
            most = fmax(most, try_attention_of(row, ref, keys[k], keys[k], heads[d]));
            most = fmax(most, try_attention_of(row, ref, keys[k], 1, heads[d]));
        }
    }
    return most;
}

static double try_pool(const qr__kernel *row, const qr__kernel *ref) {
    double most = 0;
    for (size_t w = 0; w < WIDTHS; w++) {
        for (size_t S = 1; S < 40; S += 6) {
            float *x = draw_many(S * widths[w], 1), fast[1024], slow[1024];
            ((qr__pool_kernel *)row->function)(fast, x, S, widths[w]);
            ((qr__pool_kernel *)ref->function)(slow, x, S, widths[w]);
            most = fmax(most, difference(fast, slow, widths[w]));
            free(x);
        }
    }
    return most;
}

static double try_embed(const qr__kernel *row, const qr__kernel *ref) {
    double most = 0;
    for (size_t w = 0; w < 4 * WIDTHS; w++) {
        size_t C = widths[w / 4];
        float *word = draw_many(C, 1), *position = draw_many(C, 1),
              *type = w % 2 == 0 ? draw_many(C, 1) : NULL;
        float fast[1024], slow[1024];
        uint16_t half[1024];
        for (size_t c = 0; c < C; c++)
            half[c] = (uint16_t)(forward_random(&state, 0x4000) |
                                 (c % 2) << 15); /* up to 1.99, subnormals too */
        const void *row_data = w % 4 < 2 ? (const void *)word : half;
        ((qr__embed_kernel *)row->function)(fast, row_data, w % 4 >= 2, position, type, C);
        ((qr__embed_kernel *)ref->function)(slow, row_data, w % 4 >= 2, position, type, C);
        most = fmax(most, difference(fast, slow, C));
        free(word), free(position), free(type);
    }
    return most;
}

/* In f16's last places: 0 means the same bits. */
static double try_halve(const qr__kernel *row, const qr__kernel *ref) {
    double most = 0;
    for (size_t round = 0; round < 200; round++) {
        float x[37];
        uint16_t fast[37], slow[37];
        for (size_t i = 0; i < 37; i++)
            x[i] = ldexpf(draw_one(1), (int)forward_random(&state, 48) - 28);
        x[0] = 0, x[1] = -0.0f, x[2] = 65504, x[3] = 65519, x[4] = -65520, x[5] = 1e9f,
        x[6] = 0x1p-24f, x[7] = 0x1p-25f;
        x[8] = 0x1.ffcp-15f, x[9] = 0x1.ffep-15f, x[10] = 0x1.002p0f, x[11] = 0x1.006p0f;
        ((qr__halve_kernel *)row->function)(fast, x, 37);
        ((qr__halve_kernel *)ref->function)(slow, x, 37);
        for (size_t i = 0; i < 37; i++)
            most = fmax(most, abs(fast[i] - slow[i]));
    }
    return most;
}

Test(kernels, every_row_is_near_plain_c, .timeout = 300) {
    static double (*const tries[QR_OPERATION_COUNT])(const qr__kernel *, const qr__kernel *) = {
        [QR_OPERATION_LAYER_NORM] = try_layer_norm,
        [QR_OPERATION_GELU] = try_activation,
        [QR_OPERATION_GELU_NEW] = try_activation,
        [QR_OPERATION_RELU] = try_activation,
        [QR_OPERATION_TANH] = try_activation,
        [QR_OPERATION_ATTENTION] = try_attention,
        [QR_OPERATION_POOL] = try_pool,
        [QR_OPERATION_EMBED] = try_embed,
        [QR_OPERATION_HALVE] = try_halve,
    };
    for (size_t i = 0; i < qr__kernel_table_len; i++) {
        const qr__kernel *row = &qr__kernel_table[i];
        if (!qr__isa_available(row->isa))
            continue;
        const qr__kernel *ref = qr__kernel_find(row->operation, QR_PRECISION_F32, QR_ISA_REF);
        double most = tries[row->operation](row, ref);
        cr_assert_leq(most, row->tolerance, "%s: %g, allowed %g", row->name, most, row->tolerance);
    }
}

/* A later precision goes before a higher ISA, but int8 plans on AVX-512 without VNNI must not take
 * AVX2's attention for it. */
Test(kernels, attention_of_int8_plans_is_the_plans_instruction_sets) {
#if defined(__x86_64__)
    static const qr__isa isas[] = {QR_ISA_AVX2,       QR_ISA_AVX2VNNI,   QR_ISA_AVX512F,
                                   QR_ISA_AVX512VNNI, QR_ISA_AVX512BF16, QR_ISA_AMX};
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
        const qr__kernel *row = qr__kernel_find(QR_OPERATION_ATTENTION, QR_PRECISION_INT8, isas[i]);
        cr_assert_eq(row->isa, isas[i], "%s takes %s", qr__isa_name(isas[i]), row->name);
    }
#elif defined(__aarch64__)
    static const qr__isa isas[] = {QR_ISA_NEONDOT, QR_ISA_NEONI8MM}; /* SDOT serves both */
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
        const qr__kernel *row = qr__kernel_find(QR_OPERATION_ATTENTION, QR_PRECISION_INT8, isas[i]);
        cr_assert_eq(row->isa, QR_ISA_NEONDOT, "%s takes %s", qr__isa_name(isas[i]), row->name);
        cr_assert_eq(row->precision, QR_PRECISION_INT8);
    }
#else
    cr_skip_test("rows of x86-64 and aarch64");
#endif
}

/* Scores 128 apart, rising (the first group of keys is no reference for the last) and falling:
 * all the weight is on one key, and nothing overflows. */
Test(kernels, attention_bears_any_scores) {
    enum { D = 32, MOST = 200 };
    float *q = calloc(MOST * D, 4), *k = calloc(MOST * D, 4), *v = draw_many(MOST * D, 1);
    float *out = calloc(MOST * D, 4);
    void *scratch = aligned_alloc(64, qr_round_up(qr__attention_scratch_bytes(MOST, D), 64));
    for (size_t i = 0; i < qr__kernel_table_len; i++) {
        const qr__kernel *row = &qr__kernel_table[i];
        if (row->operation != QR_OPERATION_ATTENTION || !qr__isa_available(row->isa))
            continue;
        for (size_t keys = 2; keys <= MOST; keys += 11) {
            for (int falling = 0; falling < 2; falling++) {
                for (size_t j = 0; j < keys; j++) {
                    q[j * D] = 8;
                    k[j * D] = (float)(falling ? keys - j : j) * 16; /* exact in bf16 */
                }
                qr__attention a = {.out = out, .q = q, .k = k, .v = v, .ld_out = D, .ld_q = D};
                a.ld_kv = D;
                a.queries = a.keys = keys;
                a.D = D;
                a.scratch = scratch;
                ((qr__attention_kernel *)row->function)(&a);
                const float *winner = v + (falling ? 0 : keys - 1) * D;
                for (size_t j = 0; j < keys; j++)
                    cr_assert_leq(difference(out + j * D, winner, D), 4e-3,
                                  "%s, %zu keys, query %zu", row->name, keys, j);
            }
        }
    }
    free(q), free(k), free(v), free(out), free(scratch);
}

/* The plain C is right by itself: known values, and softmax's sum. */
Test(kernels, plain_c_knows_some_values) {
    qr__kernels k;
    qr__kernels_choose(QR_ISA_REF, QR_PRECISION_F32, &k);
    float x[] = {-1, 0, 1, 2};
    k.gelu(x, 4);
    cr_assert_float_eq(x[0], -0.158655254, 1e-7);
    cr_assert_float_eq(x[2], 0.841344746, 1e-7);
    float row[] = {1, 2, 3, 4}, gamma[] = {1, 1, 2, 1}, beta[] = {0, 0, 0, 5}, y[4];
    k.layer_norm(
        &(qr__layer_norm){.y = y, .x = row, .gamma = gamma, .beta = beta, .rows = 1, .C = 4});
    cr_assert_float_eq(y[0], -1.34164079, 1e-6);
    cr_assert_float_eq(y[2], 0.89442719, 1e-6);
    cr_assert_float_eq(y[3], 6.34164079, 1e-6);
    /* Two keys whose scores differ by 1: weights 1/3 and 2/3. */
    float q[] = {1}, keys[] = {0, 1}, values[] = {3, 6}, out;
    float scratch[64];
    k.attention(&(qr__attention){.out = &out,
                                 .q = q,
                                 .k = keys,
                                 .v = values,
                                 .ld_out = 1,
                                 .ld_q = 1,
                                 .ld_kv = 1,
                                 .queries = 1,
                                 .keys = 2,
                                 .D = 1,
                                 .scratch = scratch});
    cr_assert_float_eq(out, 5, 1e-6);
}

/* A plan takes the best row of its ISA and never one above it. */
Test(kernels, dispatch_stays_within_the_isa) {
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++) {
        for (qr__operation o = 0; o < QR_OPERATION_COUNT; o++) {
            for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_INT8; p++) {
                const qr__kernel *row = qr__kernel_find(o, p, isa);
                cr_assert(row != NULL && row->operation == o && qr__isa_includes(isa, row->isa));
                cr_assert_leq(row->precision, p);
                if (isa != QR_ISA_REF && qr__isa_native(isa))
                    cr_assert_neq(row->isa, QR_ISA_REF, "%s on %s", row->name, qr__isa_name(isa));
            }
        }
    }
}
