/* The forward pass: against transformers' numbers, at its door, and without allocating. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/cpu/context.h"
#include "engine/cpu/kernels/isa.h"
#include "engine/cpu/ref/ref.h"
#include "forward_fixture.h"
#include "golden.h"
#include "malloc_trap.h"

static char dir[64];

static const struct model_options embedder = {.layers = 3,
                                              .hidden = 64,
                                              .heads = 2,
                                              .feed_forward = 256,
                                              .vocab = 200,
                                              .positions = 128,
                                              .seed = 5};

static void set_up(void) {
    temp_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(forward, .init = set_up, .fini = tear_down, .timeout = 300);

static void compare(const struct golden_model *model, const char *path, const char *isa,
                    int members) {
    struct golden golden;
    golden_load(model->name, &golden);
    qr_engine *engine = forward_load(path, QR_PRECISION_F32, isa);
    qr_pool *pool = forward_pool(members);
    qr_context *context = NULL;
    const qr_context_options options = {
        .tokens_max = golden.tokens, .sequences_max = golden.batch.sequences, .pool = pool};
    cr_assert_eq(qr_context_create(engine, &options, &context, NULL), QR_OK);
    for (int i = 0; i < GOLDEN_OUTPUTS; i++) {
        const float *out = NULL;
        if (golden.outputs[i].numbers == NULL)
            continue;
        cr_assert_eq(qr_context_forward(context, &golden.batch, (qr_output)i, &out), QR_OK);
        double difference = max_difference(out, golden.outputs[i].numbers, golden.outputs[i].count);
        cr_assert_leq(difference, 1e-4, "%s output %d on %s with %d: %g", model->name, i, isa,
                      members, difference);
    }
    qr_context_destroy(context);
    qr_pool_destroy(pool);
    qr_engine_destroy(engine);
    golden_deinit(&golden);
}

Test(forward, f32_is_transformers_on_every_isa) {
    for (const struct golden_model *model = golden_models; model->name != NULL; model++) {
        char temp[64], path[512];
        temp_dir_create(temp);
        const char *where = golden_model_dir(model, temp, path);
        for (const char *const *isa = forward_isas(); where != NULL && *isa != NULL; isa++)
            compare(model, where, *isa, 1);
        if (where != NULL)
            compare(model, where, NULL, 3);
        temp_dir_remove(temp);
    }
}

static double cosine(const float *a, const float *b, size_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

/* Random models are kind to int8 (no outliers), so the bounds are tight. */
Test(forward, bf16_and_int8_are_near_the_reference) {
    static const double least[] = {[QR_PRECISION_BF16] = 0.9999, [QR_PRECISION_INT8] = 0.999};
    make_model(dir, &embedder);
    qr_bert *bert = NULL;
    cr_assert_eq(read_model(dir, &bert, NULL), QR_OK);
    struct forward_batch batch;
    forward_draw(&batch, &bert->info, (size_t[]){9, 1, 33, 128, 2, 0}, 3);
    float expected[5 * 64];
    cr_assert_eq(qr_ref_forward(bert, &batch.batch, QR_OUTPUT_POOLED, expected, NULL), QR_OK);
    for (qr_precision p = QR_PRECISION_BF16; p <= QR_PRECISION_INT8; p++) {
        for (const char *const *isa = forward_isas(); *isa != NULL; isa++) {
            if (!forward_has(*isa, p))
                continue;
            qr_engine *engine = forward_load(dir, p, *isa);
            cr_assert_eq(qr_engine_plan(engine)->precision, p);
            qr_context *context = forward_context(engine, NULL);
            const float *out = NULL;
            cr_assert_eq(qr_context_forward(context, &batch.batch, QR_OUTPUT_POOLED, &out), QR_OK);
            for (size_t b = 0; b < 5; b++)
                cr_assert_geq(cosine(out + b * 64, expected + b * 64, 64), least[p],
                              "%s on %s, sequence %zu: %f", qr_precision_name(p), *isa, b,
                              cosine(out + b * 64, expected + b * 64, 64));
            qr_context_destroy(context);
            qr_engine_destroy(engine);
        }
    }
    qr_bert_destroy(bert);
}

/* Where only [CLS] is wanted, the last layer computes nothing else; the numbers are those of the
 * whole pass, to the bit. */
Test(forward, the_cls_shortcut_changes_no_bit) {
    struct model_options options = embedder;
    options.pooling = "cls";
    make_model(dir, &options);
    for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_INT8; p++) {
        for (const char *const *isa = forward_isas(); *isa != NULL; isa++) {
            if (!forward_has(*isa, p) || strcmp(*isa, "ref") == 0)
                continue;
            for (int members = 1; members <= 2; members++) {
                qr_engine *engine = forward_load(dir, p, *isa);
                qr_pool *pool = forward_pool(members);
                qr_context *context = forward_context(engine, pool);
                struct forward_batch batch;
                forward_draw(&batch, qr_engine_model(engine), (size_t[]){7, 1, 40, 16, 0}, 4);
                const float *out = NULL;
                float first[4 * 64];
                cr_assert_eq(qr_context_forward(context, &batch.batch, QR_OUTPUT_HIDDEN, &out),
                             QR_OK);
                for (size_t b = 0; b < 4; b++)
                    memcpy(first + b * 64, out + batch.starts[b] * 64, 64 * sizeof(float));
                cr_assert_eq(qr_context_forward(context, &batch.batch, QR_OUTPUT_POOLED, &out),
                             QR_OK);
                cr_assert(memcmp(first, out, sizeof first) == 0, "%s on %s", qr_precision_name(p),
                          *isa);
                qr_context_destroy(context);
                qr_pool_destroy(pool);
                qr_engine_destroy(engine);
            }
        }
    }
}

Test(forward, allocates_nothing) {
    if (!malloc_trap_works())
        cr_skip_test("a sanitizer has its own allocator");
    make_model(dir, &embedder);
    for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_INT8; p++) {
        if (!forward_has(NULL, p))
            continue;
        qr_engine *engine = forward_load(dir, p, NULL);
        qr_pool *pool = forward_pool(3);
        qr_context *context = forward_context(engine, pool);
        struct forward_batch batch;
        const float *out = NULL;
        malloc_trap_start();
        void *volatile one = malloc(1); /* volatile: compilers may drop the pair */
        free(one);
        cr_assert_eq(malloc_trap_stop(), 1, "the trap sees malloc");
        for (size_t S = 1; S <= 128; S += 9) {
            forward_draw(&batch, qr_engine_model(engine), (size_t[]){S, 128 - S + 1, S, 0}, 5);
            malloc_trap_start();
            cr_assert_eq(qr_context_forward(context, &batch.batch, QR_OUTPUT_POOLED, &out), QR_OK);
            cr_assert_eq(malloc_trap_stop(), 0, "%s, %zu tokens", qr_precision_name(p), S);
        }
        qr_context_destroy(context);
        qr_pool_destroy(pool);
        qr_engine_destroy(engine);
    }
}

Test(forward, refuses_what_it_cannot_run) {
    make_model(dir, &embedder);
    qr_engine *engine = forward_load(dir, QR_PRECISION_F32, NULL);
    qr_context *context = NULL;
    qr_context_options options = {.sequences_max = 1};
    cr_assert_eq(qr_context_create(engine, &options, &context, NULL), QR_BAD_OPTION);
    options = (qr_context_options){.tokens_max = 1};
    cr_assert_eq(qr_context_create(engine, &options, &context, NULL), QR_BAD_OPTION);
    options = (qr_context_options){.tokens_max = 200, .sequences_max = 2};
    cr_assert_eq(qr_context_create(engine, &options, &context, NULL), QR_OK);
    const float *out = NULL;
    int32_t ids[256] = {0};
    uint8_t types[256] = {0};
    uint32_t fine[] = {0, 3, 5}, empty[] = {0, 3, 3}, falling[] = {0, 5, 3}, late[] = {1, 3, 5},
             three[] = {0, 1, 2, 3};
    uint32_t long_one[] = {0, 129}, many[] = {0, 128, 201};
    qr_batch batch = {ids, types, fine, 2, NULL};
    cr_assert_eq(qr_context_forward(context, &batch, QR_OUTPUT_POOLED, &out), QR_OK);
    cr_assert_eq(qr_context_forward(context, &batch, QR_OUTPUT_SPAN, &out), QR_BAD_REQUEST);
    cr_assert_eq(qr_context_forward(context, &batch, QR_OUTPUT_LABELS, &out), QR_BAD_REQUEST);
    cr_assert_eq(
        qr_context_forward(context, &(qr_batch){ids, types, fine, 0, NULL}, QR_OUTPUT_POOLED, &out),
        QR_BAD_REQUEST);
    cr_assert_eq(qr_context_forward(context, &(qr_batch){ids, types, empty, 2, NULL},
                                    QR_OUTPUT_POOLED, &out),
                 QR_BAD_REQUEST);
    cr_assert_eq(qr_context_forward(context, &(qr_batch){ids, types, falling, 2, NULL},
                                    QR_OUTPUT_POOLED, &out),
                 QR_BAD_REQUEST);
    cr_assert_eq(
        qr_context_forward(context, &(qr_batch){ids, types, late, 2, NULL}, QR_OUTPUT_POOLED, &out),
        QR_BAD_REQUEST);
    cr_assert_eq(qr_context_forward(context, &(qr_batch){ids, types, three, 3, NULL},
                                    QR_OUTPUT_POOLED, &out),
                 QR_TOO_LONG);
    cr_assert_eq(qr_context_forward(context, &(qr_batch){ids, types, long_one, 1, NULL},
                                    QR_OUTPUT_POOLED, &out),
                 QR_TOO_LONG);
    cr_assert_eq(
        qr_context_forward(context, &(qr_batch){ids, types, many, 2, NULL}, QR_OUTPUT_POOLED, &out),
        QR_TOO_LONG);
    ids[4] = 200;
    cr_assert_eq(qr_context_forward(context, &batch, QR_OUTPUT_POOLED, &out), QR_BAD_REQUEST);
    ids[4] = -1;
    cr_assert_eq(qr_context_forward(context, &batch, QR_OUTPUT_POOLED, &out), QR_BAD_REQUEST);
    ids[4] = 199;
    types[4] = 2;
    cr_assert_eq(qr_context_forward(context, &batch, QR_OUTPUT_POOLED, &out), QR_BAD_REQUEST);
    types[4] = 1;
    cr_assert_eq(qr_context_forward(context, &batch, QR_OUTPUT_POOLED, &out), QR_OK);
    qr_context_destroy(context);
    qr_engine_destroy(engine);
}

/* How much of its workspace a batch of these lengths reaches. */
static size_t reach(const qr_engine *engine, size_t tokens_max, const size_t *lengths) {
    struct forward_batch drawn;
    forward_draw(&drawn, qr_engine_model(engine), lengths, 3);
    qr_context *context = NULL;
    const float *out = NULL;
    const qr_context_options options = {.tokens_max = tokens_max, .sequences_max = 64};
    cr_assert_eq(qr_context_create(engine, &options, &context, NULL), QR_OK);
    cr_assert_eq(qr_context_forward(context, &drawn.batch, QR_OUTPUT_POOLED, &out), QR_OK);
    const qr__context *c = (const qr__context *)context;
    const size_t used = (size_t)((const char *)c->scratch[0] - (const char *)c->block);
    qr_context_destroy(context);
    return used;
}

Test(forward, a_batch_lies_together_whatever_the_workspace_is_for) {
    make_model(dir, &embedder);
    qr_engine *engine = forward_load(dir, QR_PRECISION_F32, NULL);
    static const size_t nine[] = {5, 4, 0}, more[] = {60, 0};
    const size_t used = reach(engine, 9, nine);
    cr_assert_eq(reach(engine, 60, nine), used);
    cr_assert_eq(reach(engine, 65536, nine), used);
    cr_assert_gt(reach(engine, 65536, more), used);
    qr_engine_destroy(engine);
}

Test(forward, an_isa_by_name) {
    make_model(dir, &embedder);
    qr_engine *engine = NULL;
    qr_error error = {0};
    qr_engine_options options = {.precision = QR_PRECISION_F32, .device = "cpu:sse9"};
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_BAD_OPTION);
    cr_assert(strstr(error.message, "sse9") != NULL);
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++) { /* named if one can ask for it */
        char name[32], device[32];
        snprintf(name, sizeof name, " %s", qr__isa_name(isa));
        cr_assert_eq(strstr(error.message, name) != NULL, qr__isa_native(isa), "%s: %s", name,
                     error.message);
        if (qr__isa_available(isa))
            continue;
        qr_error refused = {0};
        snprintf(device, sizeof device, "cpu:%s", qr__isa_name(isa));
        options.device = device;
        cr_assert_eq(forward_create(dir, &options, &engine, &refused), QR_BAD_OPTION);
        cr_assert_eq(strstr(refused.message, "not of this machine") != NULL, !qr__isa_native(isa),
                     "%s", refused.message);
    }
    options.device = "cpu";
    cr_assert_eq(setenv("QUERENT_ISA", "ref", 1), 0);
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_OK);
    cr_assert_str_eq(qr_engine_plan(engine)->device, "cpu");
    cr_assert_str_eq(qr_engine_plan(engine)->target, "ref");
    qr_engine_destroy(engine);
    options.precision = QR_PRECISION_INT8;
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_BAD_OPTION);
    cr_assert(strstr(error.message, "int8") != NULL, "%s", error.message);
    options.precision = QR_PRECISION_F16; /* a GPU's */
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_BAD_OPTION);
    cr_assert(strstr(error.message, "precision f16: no kernel for it on cpu:ref, which has f32") !=
                  NULL,
              "%s", error.message);
}

Test(forward, devices_by_name) {
    static const char *const good[] = {"auto", "cpu", "cpu:ref"};
    static const struct {
        const char *name, *part; /* of the message */
    } bad[] = {{"", "no such device"},      {"gpu", "no such device"}, {"cpu:", "no such device"},
               {"cpu:sse9", "cpu:sse9"},    {"cuda", "no GPU part"},   {"cuda:0", "no GPU part"},
               {"cudax", "no such device"}, {"CPU", "no such device"}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect_eq(qr_device_check(good[i], NULL), QR_OK, "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        qr_error error = {0};
        cr_expect_eq(qr_device_check(bad[i].name, &error), QR_BAD_OPTION, "%s", bad[i].name);
        cr_expect(strstr(error.message, bad[i].part) != NULL, "%s: %s", bad[i].name, error.message);
    }
}

Test(forward, operations_are_counted) {
    qr_model_info info = {.layers = 6, .hidden = 384, .feed_forward = 1536};
    cr_assert_eq(qr_model_operations(&info, (uint32_t[]){0, 9, 13}, 2),
                 6 * (24.0 * 384 * 384 * 13 + 4.0 * 384 * (81 + 16)));
}
