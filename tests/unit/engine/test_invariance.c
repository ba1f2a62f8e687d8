/* "Same text, same bits": for one plan and one ISA a sequence's numbers do not depend on its batch
 * mates, on its place or on the number of threads. (ref in f32 goes through OpenBLAS, which is
 * exempt.) */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "forward_fixture.h"

#define TEXTS 12

/* Batches a plan and number of members, members at most, and tokens a batch. AddressSanitizer looks
 * at memory, ThreadSanitizer at order: both see a fault without being hit by it, so that fewer
 * batches show the same. An emulator takes a hundred times as long. */
#if defined(QR_EMULATED)
#define ROUNDS  1
#define MEMBERS 2
#define TOKENS  160
#else
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#define ROUNDS    5
#else
#define SANITIZED false
#define ROUNDS    25
#endif
#define MEMBERS 4
#define TOKENS  512
#endif

static const size_t lengths[TEXTS] = {9, 1, 2, 7, 16, 17, 33, 12, 64, 5, 100, 3};

struct texts {
    struct forward_batch all;
    size_t C;
    float *alone[TEXTS]; /* [S][C] */
};

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(invariance, .init = set_up, .fini = tear_down, .timeout = 600);

static const float *hidden(qr_context *context, const qr_batch *batch) {
    const float *out = NULL;
    cr_assert_eq(qr_context_forward(context, batch, QR_OUTPUT_HIDDEN, &out), QR_OK);
    return out;
}

/* Every text by itself, by one thread. */
static void run_alone(const qr_engine *engine, struct texts *texts) {
    qr_context *context = forward_context(engine, NULL);
    size_t all[TEXTS + 1] = {0};
    memcpy(all, lengths, sizeof lengths);
    forward_draw(&texts->all, qr_engine_model(engine), all, 77);
    texts->C = qr_engine_model(engine)->hidden;
    for (size_t i = 0; i < TEXTS; i++) {
        uint32_t starts[] = {0, (uint32_t)lengths[i]}, at = texts->all.starts[i];
        qr_batch batch = {texts->all.ids + at, texts->all.types + at, starts, 1, NULL};
        size_t bytes = lengths[i] * texts->C * sizeof(float);
        texts->alone[i] = malloc(bytes);
        memcpy(texts->alone[i], hidden(context, &batch), bytes);
    }
    qr_context_destroy(context);
}

/* Some of the texts, any number of times, in any order. */
static void run_mixed(qr_context *context, const struct texts *texts, unsigned *state,
                      const char *what) {
    struct forward_batch mixed;
    size_t chosen[40], B = 0, wanted = 1 + forward_random(state, 40);
    mixed.starts[0] = 0;
    while (B < wanted) {
        size_t i = forward_random(state, TEXTS);
        if (mixed.starts[B] + lengths[i] > TOKENS)
            break;
        memcpy(mixed.ids + mixed.starts[B], texts->all.ids + texts->all.starts[i],
               lengths[i] * sizeof(int32_t));
        memcpy(mixed.types + mixed.starts[B], texts->all.types + texts->all.starts[i], lengths[i]);
        mixed.starts[B + 1] = mixed.starts[B] + (uint32_t)lengths[i];
        chosen[B++] = i;
    }
    const float *out = hidden(context, &(qr_batch){mixed.ids, mixed.types, mixed.starts, B, NULL});
    for (size_t b = 0; b < B; b++)
        cr_assert(memcmp(out + mixed.starts[b] * texts->C, texts->alone[chosen[b]],
                         lengths[chosen[b]] * texts->C * sizeof(float)) == 0,
                  "%s: the text of %zu tokens differs at place %zu of %zu", what,
                  lengths[chosen[b]], b, B);
}

static void check_plan(qr_precision precision, const char *isa, unsigned *state) {
    char what[64];
    qr_engine *engine = forward_load(dir, precision, isa);
    struct texts texts;
    run_alone(engine, &texts);
    for (int members = 1; members <= MEMBERS; members++) {
        snprintf(what, sizeof what, "%s on %s by %d", qr_precision_name(precision), isa, members);
        qr_pool *pool = forward_pool(members);
        qr_context *context = forward_context(engine, pool);
        for (int round = 0; round < ROUNDS; round++)
            run_mixed(context, &texts, state, what);
        qr_context_destroy(context);
        qr_pool_destroy(pool);
    }
    for (size_t i = 0; i < TEXTS; i++)
        free(texts.alone[i]);
    qr_engine_destroy(engine);
}

static void check_model(const struct model_options *options) {
    unsigned state = 1;
    make_model(dir, options);
    for (const char *const *isa = forward_isas(); *isa != NULL; isa++)
        for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_INT8; p++)
            if (forward_has(*isa, p) && !(strcmp(*isa, "ref") == 0 && p == QR_PRECISION_F32))
                check_plan(p, *isa, &state);
}

Test(invariance, heads_of_32) {
    check_model(&(struct model_options){.layers = 2,
                                        .hidden = 128,
                                        .heads = 4,
                                        .feed_forward = 512,
                                        .vocab = 300,
                                        .positions = 128,
                                        .seed = 21});
}

Test(invariance, heads_of_64) {
    check_model(&(struct model_options){.layers = 2,
                                        .hidden = 128,
                                        .heads = 2,
                                        .feed_forward = 384,
                                        .vocab = 300,
                                        .positions = 128,
                                        .seed = 22});
}

Test(invariance, odd_sizes) {
    check_model(&(struct model_options){.layers = 2,
                                        .hidden = 75,
                                        .heads = 5,
                                        .feed_forward = 131,
                                        .vocab = 97,
                                        .positions = 128,
                                        .seed = 23});
}

/* Layers that are many stages (engine/cpu/pass_stages.h), and members that come and go between
 * them. An emulator would take minutes; sanitizers get one plan, which has all hand-overs. */
#if !defined(QR_EMULATED)
static const size_t long_lengths[] = {400, 100, 12, 0};

/* Wakes the pool now and then: nobody is parked while all help, so one of them leaves, and is
 * parked soon enough to be called by the next batch. */
typedef struct disturber {
    qr_pool *pool;
    pthread_t thread;
    atomic_bool ending;
} disturber;

static void *disturb(void *argument) {
    disturber *d = argument;
    unsigned state = 5;
    while (!atomic_load(&d->ending)) {
        usleep(forward_random(&state, 3000));
        qr_pool_wake(d->pool);
    }
    return NULL;
}

static const float *outcome(qr_context *context, const qr_batch *batch, qr_output wanted) {
    const float *out = NULL;
    cr_assert_eq(qr_context_forward(context, batch, wanted, &out), QR_OK);
    return out;
}

/* Every text by itself, by one thread: [T][C] or [B][C] into `alone`. */
static void run_long_alone(const qr_engine *engine, const struct forward_batch *all,
                           qr_output wanted, float *alone) {
    const size_t C = qr_engine_model(engine)->hidden;
    qr_context *context = forward_context(engine, NULL);
    for (size_t b = 0; long_lengths[b] > 0; b++) {
        uint32_t starts[] = {0, (uint32_t)long_lengths[b]}, at = all->starts[b];
        qr_batch batch = {all->ids + at, all->types + at, starts, 1, NULL};
        bool rows = wanted == QR_OUTPUT_HIDDEN;
        memcpy(alone + (rows ? at : b) * C, outcome(context, &batch, wanted),
               (rows ? long_lengths[b] : 1) * C * sizeof *alone);
    }
    qr_context_destroy(context);
}

static void check_disturbed(const qr_engine *engine, int members, qr_output wanted,
                            const char *what) {
    struct forward_batch all;
    disturber d = {.pool = forward_pool(members)};
    qr_context *context = forward_context(engine, d.pool);
    forward_draw(&all, qr_engine_model(engine), long_lengths, 78);
    size_t rows =
        wanted == QR_OUTPUT_HIDDEN ? all.starts[all.batch.sequences] : all.batch.sequences;
    size_t bytes = rows * qr_engine_model(engine)->hidden * sizeof(float);
    float *alone = malloc(bytes);
    run_long_alone(engine, &all, wanted, alone);
    cr_assert_eq(pthread_create(&d.thread, NULL, disturb, &d), 0);
    for (int round = 0; round < 1 + ROUNDS / 5; round++)
        cr_assert(memcmp(outcome(context, &all.batch, wanted), alone, bytes) == 0, "%s by %d", what,
                  members);
    atomic_store(&d.ending, true);
    pthread_join(d.thread, NULL);
    free(alone);
    qr_context_destroy(context);
    qr_pool_destroy(d.pool);
}

static void check_long_plan(qr_precision precision, const char *isa) {
    char what[64];
    snprintf(what, sizeof what, "%s on %s", qr_precision_name(precision), isa);
    qr_engine *engine = forward_load(dir, precision, isa);
    for (int members = 2; members <= 3; members++) { /* whole shards, and columns */
        check_disturbed(engine, members, QR_OUTPUT_HIDDEN, what);
        check_disturbed(engine, members, QR_OUTPUT_POOLED, what);
    }
    qr_engine_destroy(engine);
}

Test(invariance, members_come_and_go_within_a_layer) {
    make_model(dir, &(struct model_options){.layers = 2,
                                            .hidden = 384,
                                            .heads = 6,
                                            .feed_forward = 512,
                                            .vocab = 100,
                                            .positions = 512,
                                            .pooling = "cls",
                                            .seed = 24});
    const char *const *isas = forward_isas();
    for (size_t i = 0; isas[i] != NULL; i++)
        for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_INT8; p++)
            if (forward_has(isas[i], p) &&
                !(strcmp(isas[i], "ref") == 0 && p == QR_PRECISION_F32) &&
                (!SANITIZED || (isas[i + 1] == NULL && p == QR_PRECISION_INT8)))
                check_long_plan(p, isas[i]);
}
#endif
