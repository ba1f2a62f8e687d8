/* The gate's texts in pieces, on any number of threads, give what one batch of all of them does. */
#include <criterion/criterion.h>

#include "engine/cpu/cpu.h"
#include "engine/plan/probe_run.h"
#include "forward_fixture.h"

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(probe_run, .init = set_up, .fini = tear_down, .timeout = 300);

/* Texts of all lengths: some fill a piece, one is longer than a piece. */
static const size_t lengths[] = {9, 128, 5, 150, 1, 1, 1, 30, 7, 60, 40, 28, 3, 12, 2, 17, 0};
#define TEXTS (sizeof lengths / sizeof lengths[0] - 1)

/* What the first `sequences` texts give as one batch. */
static size_t whole(const qr_engine *engine, const qr_batch *texts, size_t sequences,
                    const float **out, qr_context **context) {
    static const qr_output of_head[] = {QR_OUTPUT_POOLED, QR_OUTPUT_SPAN, QR_OUTPUT_LABELS,
                                        QR_OUTPUT_TOKEN_LABELS};
    const qr_model_info *info = qr_engine_model(engine);
    qr_batch first = *texts;
    first.sequences = sequences;
    *context = forward_context(engine, NULL);
    cr_assert_eq(qr_context_forward(*context, &first, of_head[info->head], out), QR_OK);
    if (info->head == QR_HEAD_SPAN || info->head == QR_HEAD_TOKENS)
        return (info->head == QR_HEAD_SPAN ? 2 : 3) * texts->starts[sequences];
    return sequences * (info->head == QR_HEAD_LABELS ? 3 : 64);
}

static void compare(const qr_engine *engine, qr_packed *packed, const qr_batch *texts) {
    const qr_model_info *info = qr_engine_model(engine);
    const qr__gate_probes probes = {texts, info->head, info->labels > 0 ? 3 : 64, false};
    for (int threads = 1; threads <= 5; threads++) {
        qr__probe_run *run = NULL;
        cr_assert_eq(qr__probe_run_create(&probes, threads, &run, NULL), QR_OK);
        cr_assert_eq(qr__probe_run_take(run, packed, NULL), QR_OK);
        for (size_t sequences = TEXTS; sequences > 0; sequences -= 5) {
            const float *expected, *actual;
            qr_context *context;
            size_t floats = whole(engine, texts, sequences, &expected, &context);
            cr_assert_eq(qr__probe_run_forward(run, sequences, &actual, NULL), QR_OK);
            cr_assert(memcmp(expected, actual, floats * sizeof *actual) == 0,
                      "%d threads, %zu texts", threads, sequences);
            qr_context_destroy(context);
            if (sequences < 5)
                break;
        }
        qr__probe_run_destroy(run);
    }
}

Test(probe_run, pieces_give_what_the_whole_gives) {
    static const char *const heads[] = {NULL, "span", "labels", "tokens"};
    for (size_t h = 0; h < 4; h++) {
        const struct model_options options = {.layers = 2,
                                              .hidden = 64,
                                              .heads = 2,
                                              .feed_forward = 128,
                                              .vocab = 200,
                                              .positions = 160,
                                              .head = heads[h],
                                              .labels = h >= 2 ? 3 : 0,
                                              .seed = 5};
        tear_down();
        set_up();
        make_model(dir, &options);
        qr_device *device = NULL;
        qr_packed *packed = NULL;
        qr_bert *bert = NULL;
        struct forward_batch texts;
        qr_engine *engine = forward_load(dir, QR_PRECISION_F32, NULL);
        if (strcmp(qr_engine_plan(engine)->target, "ref") == 0) { /* OpenBLAS: bits by the batch */
            qr_engine_destroy(engine);
            cr_skip_test("no kernels of our own here");
        }
        forward_draw(&texts, qr_engine_model(engine), lengths, 9);
        cr_assert_eq(read_model(dir, &bert, NULL), QR_OK);
        cr_assert_eq(qr_backend_cpu.open(NULL, &device, NULL), QR_OK);
        cr_assert_eq(qr_backend_cpu.pack(device, bert, &(qr_plan){.precision = QR_PRECISION_F32},
                                         NULL, &packed, NULL),
                     QR_OK);
        compare(engine, packed, &texts.batch);
        qr_backend_cpu.packed_destroy(packed);
        qr_backend_cpu.close(device);
        qr_bert_destroy(bert);
        qr_engine_destroy(engine);
    }
}
