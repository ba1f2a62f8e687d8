/* Threads with a context each, on one device, while another makes and drops contexts. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "gpu_fixture.h"

#define THREADS 3
#define PASSES  8
#define FLOATS  (4 * 64)

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
    make_model(dir, &(struct model_options){.layers = 1,
                                            .hidden = 64,
                                            .heads = 2,
                                            .feed_forward = 128,
                                            .vocab = 100,
                                            .positions = 64,
                                            .pooling = "mean",
                                            .seed = 3});
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(gpu_threads, .init = set_up, .fini = tear_down, .timeout = 120);

struct worker {
    pthread_t thread;
    const qr_engine *engine;
    qr_context *given; /* of another thread, which has used the device; NULL: makes its own */
    struct gpu_batch drawn;
    float expected[FLOATS];
    bool fresh; /* a context for each pass */
    const char *fault;
};

static const char *run(qr_context *context, const struct worker *w) {
    const float *made = NULL;
    if (qr_context_forward(context, &w->drawn.batch, QR_OUTPUT_POOLED, &made) != QR_OK)
        return "a batch failed";
    return memcmp(made, w->expected, sizeof w->expected) == 0 ? NULL : "other bits";
}

static void *work(void *user) {
    struct worker *w = user;
    const qr_context_options sizes = {.tokens_max = 64, .sequences_max = 4};
    qr_context *context = w->given;
    for (int i = 0; i < PASSES && w->fault == NULL; i++) {
        if (context == NULL && qr_context_create(w->engine, &sizes, &context, NULL) != QR_OK) {
            w->fault = "no context";
            break;
        }
        w->fault = run(context, w);
        if (w->fresh) {
            qr_context_destroy(context);
            context = NULL;
        }
    }
    qr_context_destroy(context);
    return NULL;
}

Test(gpu_threads, each_gets_its_own_answers) {
    static const size_t lengths[THREADS][5] = {
        {3, 20, 1, 9, 0}, {16, 16, 16, 16, 0}, {1, 1, 1, 1, 0}};
    static struct worker workers[THREADS];
    qr_engine *engine = gpu_engine(dir, QR_PRECISION_F16);
    qr_context *alone = gpu_context(engine, 64, 4);
    for (size_t i = 0; i < THREADS; i++) {
        const float *made = NULL;
        struct worker *w = &workers[i];
        w->engine = engine;
        w->fresh = i == 2;
        w->given = i == 0 ? gpu_context(engine, 64, 4) : NULL;
        gpu_draw(&w->drawn, qr_engine_model(engine), lengths[i], (unsigned)i, false);
        cr_assert_eq(qr_context_forward(alone, &w->drawn.batch, QR_OUTPUT_POOLED, &made), QR_OK);
        memcpy(w->expected, made, sizeof w->expected);
    }
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(workers[i].thread, NULL), 0);
        cr_assert_null(workers[i].fault, "thread %zu: %s", i, workers[i].fault);
        gpu_batch_free(&workers[i].drawn);
    }
    qr_context_destroy(alone);
    qr_engine_destroy(engine);
    cr_assert_eq(gpu_live(), 0);
}

/* Two models, one of them on the CPU, in one process. */
Test(gpu_threads, a_gpu_and_a_cpu_serve_side_by_side) {
    qr_engine *gpu = gpu_engine(dir, QR_PRECISION_F32), *cpu = NULL;
    qr_model *model = NULL;
    cr_assert_eq(qr_model_open(dir, &model, NULL), QR_OK);
    const qr_engine_options options = {.precision = QR_PRECISION_F32, .device = "cpu"};
    cr_assert_eq(qr_engine_create(model, &options, &cpu, NULL), QR_OK);
    qr_model_close(model);
    qr_context *a = gpu_context(gpu, 64, 4), *b = gpu_context(cpu, 64, 4);
    struct gpu_batch drawn;
    const float *made[2];
    gpu_draw(&drawn, qr_engine_model(gpu), (size_t[]){9, 3, 20, 0}, 1, false);
    cr_assert_eq(qr_context_forward(a, &drawn.batch, QR_OUTPUT_POOLED, &made[0]), QR_OK);
    cr_assert_eq(qr_context_forward(b, &drawn.batch, QR_OUTPUT_POOLED, &made[1]), QR_OK);
    struct gpu_distance d = gpu_compare(made[1], made[0], 3 * 64);
    cr_assert_leq(d.worst, 1e-5, "%g", d.worst);
    gpu_batch_free(&drawn);
    qr_context_destroy(a);
    qr_context_destroy(b);
    qr_engine_destroy(gpu);
    qr_engine_destroy(cpu);
}
