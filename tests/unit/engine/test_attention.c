/* What attention owes whatever its arithmetic: every row of the kernels' table for it, at the
 * places where low precision could go wrong. (test_kernels.c holds all against plain C.) */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "engine/cpu/kernels/kernels.h"

enum { D = 32 };

/* One head, filled with zeros. */
typedef struct head {
    float *q, *k, *v, *out;
    void *scratch;
    qr__attention a;
} head;

static head make_head(size_t queries, size_t keys) {
    head h = {.q = calloc(queries * D, sizeof(float)),
              .k = calloc(keys * D, sizeof(float)),
              .v = calloc(keys * D, sizeof(float)),
              .out = calloc(queries * D, sizeof(float)),
              .scratch = aligned_alloc(64, qr_round_up(qr__attention_scratch_bytes(keys, D), 64))};
    h.a = (qr__attention){.out = h.out,
                          .q = h.q,
                          .k = h.k,
                          .v = h.v,
                          .ld_out = D,
                          .ld_q = D,
                          .ld_kv = D,
                          .queries = queries,
                          .keys = keys,
                          .D = D,
                          .scratch = h.scratch};
    return h;
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
