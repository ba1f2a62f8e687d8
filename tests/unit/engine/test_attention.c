/* What attention owes whatever its arithmetic: every row of the kernels' table for it, at the
 * places where low precision could go wrong. (test_kernels.c holds all against plain C.) */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "attention_plain.h"
#include "base/base.h"
#include "engine/cpu/kernels/kernels.h"

enum { D = 32 };

/* One head, filled with zeros. */
typedef struct head {
    float *q, *k, *v, *out;
    void *scratch;
    qr__attention a;
} head;

static head make_head_of(size_t queries, size_t keys, size_t width) {
    head h = {.q = calloc(queries * width, sizeof(float)),
              .k = calloc(keys * width, sizeof(float)),
              .v = calloc(keys * width, sizeof(float)),
              .out = calloc(queries * width, sizeof(float)),
              .scratch =
                  aligned_alloc(64, qr_round_up(qr__attention_scratch_bytes(keys, width), 64))};
    h.a = (qr__attention){.out = h.out,
                          .q = h.q,
                          .k = h.k,
                          .v = h.v,
                          .ld_out = width,
                          .ld_q = width,
                          .ld_kv = width,
                          .queries = queries,
                          .keys = keys,
                          .D = width,
                          .scratch = h.scratch};
    return h;
}

static head make_head(size_t queries, size_t keys) {
    return make_head_of(queries, keys, D);
}

static void free_head(const head *h) {
    free(h->q), free(h->k), free(h->v), free(h->out), free(h->scratch);
}

/* Calls `check` with every row that this machine runs. */
static void each_row(void (*check)(const qr__kernel *row)) {
    for (size_t i = 0; i < qr__kernel_table_len; i++)
        if (qr__kernel_table[i].operation == QR_OPERATION_ATTENTION &&
            qr__isa_available(qr__kernel_table[i].isa))
            check(&qr__kernel_table[i]);
}

static void attend(const qr__kernel *row, const head *h) {
    ((qr__attention_kernel *)row->function)(&h->a);
}

/* One key of weight 1 and 300 of 2^-9, each less than half of the least that a u8 beside 254 says:
 * together they have 0.37 of the sum. */
static void check_small_weights(const qr__kernel *row) {
    enum { KEYS = 301, WINNER = 77 };
    head h = make_head(1, KEYS);
    h.q[0] = 1;
    for (size_t j = 0; j < KEYS; j++) {
        h.k[j * D] = j == WINNER ? 4.5f : -4.5f;
        h.v[j * D + 5] = j == WINNER ? -1 : 1;
    }
    attend(row, &h);
    const double small = 300.0 / 512, expected = (small - 1) / (small + 1);
    cr_assert_float_eq(h.out[5], expected, 5e-3, "%s: %g, expected %g", row->name, (double)h.out[5],
                       expected);
    free_head(&h);
}

Test(attention, many_small_weights_count) {
    each_row(check_small_weights);
}

/* Equal weights over so many keys that int8's sums come near 2^31 (65,536), and beyond. */
static void check_many_keys(const qr__kernel *row) {
    for (size_t keys = 65535; keys <= 70000; keys += keys < 65537 ? 1 : 4463) {
        head h = make_head(1, keys);
        for (size_t j = 0; j < keys; j++)
            h.v[j * D] = j == 0 ? -1 : 1;
        attend(row, &h);
        cr_assert_float_eq(h.out[0], 1, 2e-3, "%s, %zu keys: %g", row->name, keys,
                           (double)h.out[0]);
        free_head(&h);
    }
}

Test(attention, stands_many_keys) {
    each_row(check_many_keys);
}

/* A NaN shows where it belongs: a query's in its row, a key's in all, a value's in its channel. */
static void check_nan(const qr__kernel *row) {
    enum { TOKENS = 50, AT = 21 };
    for (int place = 0; place < 3; place++) {
        head h = make_head(TOKENS, TOKENS);
        for (size_t i = 0; i < TOKENS * D; i++)
            h.q[i] = h.k[i] = h.v[i] = (float)(i % 7) / 7;
        (place == 0 ? h.q : place == 1 ? h.k : h.v)[AT * D + 3] = NAN;
        attend(row, &h);
        for (size_t i = 0; i < TOKENS * D; i++) {
            bool expected = place == 1 || (place == 0 ? i / D == AT : i % D == 3);
            cr_assert_eq(isnan(h.out[i]) != 0, expected, "%s: NaN in %c, number %zu: %g", row->name,
                         "qkv"[place], i, (double)h.out[i]);
        }
        free_head(&h);
    }
}

Test(attention, keeps_nan_where_it_belongs) {
    each_row(check_nan);
}

/* Channels that no token differs in: keys' change nothing, values' come back whole. */
static void check_constant(const qr__kernel *row) {
    enum { TOKENS = 40 };
    head h = make_head(TOKENS, TOKENS);
    for (size_t i = 0; i < TOKENS * D; i++) {
        h.q[i] = 1;
        h.k[i] = 1000;
        h.v[i] = (float)(i % D) + 0.25f;
    }
    attend(row, &h);
    for (size_t i = 0; i < TOKENS * D; i++)
        cr_assert_float_eq(h.out[i], (float)(i % D) + 0.25f, 1e-4, "%s: number %zu: %g", row->name,
                           i, (double)h.out[i]);
    free_head(&h);
}

Test(attention, keeps_constants) {
    each_row(check_constant);
}

static float noise(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state / 1073741824.0f;
}

/* out[queries][width] of noise; `sharpness` of 1 gives most of the weight to few keys. */
static void attend_noise(qr__attention_kernel *kernel, size_t queries, size_t keys, size_t width,
                         float sharpness, float *out) {
    uint32_t state = 7;
    head h = make_head_of(queries, keys, width);
    for (size_t i = 0; i < queries * width; i++)
        h.q[i] = noise(&state) * sharpness;
    for (size_t i = 0; i < keys * width; i++)
        h.k[i] = noise(&state), h.v[i] = noise(&state);
    memset(h.scratch, 0xff, qr__attention_scratch_bytes(keys, width)); /* whatever was there */
    kernel(&h.a);
    memcpy(out, h.out, queries * width * sizeof *out);
    free_head(&h);
}

/* Whether a row has all eight bits of int8's codes: AVX2 has none to spare for sums of 16 bits, and
 * AVX-512F stays with f32. */
static bool has_whole_codes(const qr__kernel *row) {
    return row->operation == QR_OPERATION_ATTENTION && row->precision == QR_PRECISION_INT8 &&
           row->isa != QR_ISA_AVX2 && row->isa != QR_ISA_AVX512F;
}

enum { QUERIES = 21 };

static void check_bits(size_t keys, size_t width, float sharpness) {
    static float plain[QUERIES * ATTENTION_PLAIN_WIDTH], out[QUERIES * ATTENTION_PLAIN_WIDTH];
    attend_noise(attention_plain_int8, QUERIES, keys, width, sharpness, plain);
    for (size_t i = 0; i < qr__kernel_table_len; i++) {
        const qr__kernel *row = &qr__kernel_table[i];
        if (!has_whole_codes(row) || !qr__isa_available(row->isa))
            continue;
        attend_noise((qr__attention_kernel *)row->function, QUERIES, keys, width, sharpness, out);
        cr_assert_arr_eq(out, plain, QUERIES * width * sizeof *out, "%s: %zu keys of %zu",
                         row->name, keys, width);
    }
}

/* int8's sums are exact, so whoever makes them the bits are those of plain C, on every
 * architecture. (Where keys are too few for int8 each takes what it has, and they are not.) */
Test(attention, int8_has_the_same_bits_on_every_instruction_set) {
    static const size_t keys[] = {32, 33, 47, 63, 64, 65, 100, 128, 200},
                        widths[] = {16, 32, 48, 64, 96, 128};
    for (size_t n = 0; n < sizeof keys / sizeof keys[0]; n++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
            check_bits(keys[n], widths[w], 1);
            check_bits(keys[n], widths[w], 0.05f);
        }
}
