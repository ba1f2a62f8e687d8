/* tests/cuda/device/device_pass.c: whole passes on the GPU that the driver has, against the scalar
 * reference: every head, every precision, lengths from 1 to 300, the same bits twice, and from two
 * threads at once. Says the device's name, and what failed by how much.
 *
 *     device_pass [short]                  // 0: all passed; short: a few of them */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "device_model.h"
#include "engine/cpu/ref/ref.h"
#include "engine/cuda/module/driver.h"

#define COSINE 0.9999

/* Of a number of order 1. bf16 has 8 bits and f16 11: 2e-3 is f16's promise. */
static const double allowed[QR_PRECISIONS] = {
    [QR_PRECISION_F32] = 1e-4, [QR_PRECISION_F16] = 2e-3, [QR_PRECISION_BF16] = 3e-2};

static atomic_int failures;

static void expect(bool holds, const char *what, const char *which, double by) {
    if (holds)
        return;
    failures++;
    printf("FAILED %s: %s (%g)\n", which, what, by);
}

static qr_output output_of(const qr_bert *bert) {
    static const qr_output outputs[] = {[QR_HEAD_NONE] = QR_OUTPUT_POOLED,
                                        [QR_HEAD_SPAN] = QR_OUTPUT_SPAN,
                                        [QR_HEAD_LABELS] = QR_OUTPUT_LABELS,
                                        [QR_HEAD_TOKENS] = QR_OUTPUT_TOKEN_LABELS};
    return outputs[bert->info.head];
}

/* A batch, an output, and what the reference computes for them. */
typedef struct trial {
    device_batch batch;
    qr_output wanted;
    float *expected; /* [len]; NULL: it computed nothing */
    size_t len;
} trial;

#define LANES       2
#define TRIALS_MOST 24

/* Two threads on the device at once, each with batches of its own. */
typedef struct lane {
    const qr_packed *packed;
    const trial *trials;
    size_t count;
    qr_precision precision;
    char which[96];
    double worst, cosine; /* of all batches */
    pthread_t thread;
} lane;

/* A model's batches, for all precisions. */
typedef struct trials {
    const qr_bert *bert;
    trial of[LANES][TRIALS_MOST];
    size_t count; /* of each lane */
    atomic_size_t next;
} trials;

static void add_trial(trials *all, size_t thread, size_t i, qr_output wanted,
                      const uint32_t *lengths, size_t sequences) {
    trial *t = &all->of[thread][i];
    t->batch = device_batch_create(all->bert, lengths, sequences, (unsigned)thread + 1);
    t->wanted = wanted;
    t->len = qr_ref_output_floats(all->bert, &t->batch.batch, wanted);
}

/* Batches of a tile of 16 or 32 tokens. */
static void draw_small_trials(trials *all, size_t thread) {
    static const uint32_t lengths[][4] = {{1}, {9}, {5, 1, 9}, {16}, {17}, {3, 20, 4, 5}};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t len = 0;
        while (len < 4 && lengths[i][len] > 0)
            len++;
        add_trial(all, thread, all->count++, output_of(all->bert), lengths[i], len);
    }
}

/* 1 sequence, 2, ... all of them; then small batches. */
static void draw_trials(trials *all, bool is_short) {
    static const uint32_t lengths[] = {1, 16, 7, 63, 64, 65, 128, 129, 300, 3, 2, 31};
    const size_t most = is_short ? 3 : sizeof lengths / sizeof lengths[0];
    for (size_t thread = 0; thread < LANES; thread++) {
        all->count = 0;
        for (size_t len = 1; len <= most; len += is_short ? 2 : 1) {
            const uint32_t *from = lengths + most - len;
            add_trial(all, thread, all->count++, output_of(all->bert), from, len);
            if (len % 4 == 1)
                add_trial(all, thread, all->count++, QR_OUTPUT_HIDDEN, from, len);
        }
        draw_small_trials(all, thread);
    }
}

/* Largest first, so that no thread is left alone with one. */
static void *compute_expected(void *state) {
    trials *all = state;
    for (size_t i; (i = atomic_fetch_add(&all->next, 1)) < LANES * all->count;) {
        trial *t = &all->of[i % LANES][all->count - 1 - i / LANES];
        float *made = malloc((t->len + 1) * sizeof *made);
        if (made != NULL &&
            qr_ref_forward(all->bert, &t->batch.batch, t->wanted, made, NULL) == QR_OK)
            t->expected = made;
        else
            free(made);
    }
    return NULL;
}

/* The reference is slow on purpose, and a device dear: all of the machine's cores compute it, once
 * for all precisions. */
static trials *create_trials(const qr_bert *bert, bool is_short) {
    pthread_t threads[LANES * TRIALS_MOST];
    size_t count = 0;
    trials *all = calloc(1, sizeof *all);
    if (all == NULL)
        exit(1);
    all->bert = bert;
    draw_trials(all, is_short);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    while (count < qr_min(cores > 0 ? (size_t)cores : 1, LANES * all->count) &&
           pthread_create(&threads[count], NULL, compute_expected, all) == 0)
        count++;
    compute_expected(all); /* whatever nobody else does */
    while (count > 0)
        pthread_join(threads[--count], NULL);
    return all;
}

static void destroy_trials(trials *all) {
    for (size_t i = 0; i < LANES * all->count; i++) {
        trial *t = &all->of[i % LANES][i / LANES];
        device_batch_destroy(&t->batch);
        free(t->expected);
    }
    free(all);
}

/* How far a result is from what is expected. */
static void compare(lane *l, const trial *t, const float *out) {
    double worst = 0, product = 0, squares[2] = {0, 0};
    for (size_t i = 0; i < t->len; i++) {
        const double x = (double)out[i], y = (double)t->expected[i];
        worst = fmax(worst, isfinite(x) ? fabs(x - y) / fmax(1, fabs(y)) : INFINITY);
        product += x * y;
        squares[0] += x * x;
        squares[1] += y * y;
    }
    const double cosine = product / sqrt(squares[0] * squares[1]);
    l->worst = fmax(l->worst, worst);
    l->cosine = fmin(l->cosine, cosine);
    expect(worst <= allowed[l->precision], "differs from the reference", l->which, worst);
    expect(cosine > COSINE, "cosine", l->which, cosine);
}

/* The same batch twice has the same bits; and they are near what the reference computes. */
static void check(lane *l, qr_context *context, const trial *t) {
    const float *out = NULL;
    float *first = malloc((t->len + 1) * sizeof *first);
    bool ran = first != NULL && t->expected != NULL &&
               qr_context_forward(context, &t->batch.batch, t->wanted, &out) == QR_OK;
    expect(ran, "a pass does not run", l->which, 0);
    if (ran) {
        compare(l, t, out);
        memcpy(first, out, t->len * sizeof *first);
        ran = qr_context_forward(context, &t->batch.batch, t->wanted, &out) == QR_OK;
        expect(ran && memcmp(first, out, t->len * sizeof *out) == 0, "other bits at the second run",
               l->which, 0);
    }
    free(first);
}

static void *run_lane(void *state) {
    lane *l = state;
    const qr_context_options sizes = {.tokens_max = 1024, .sequences_max = 64};
    qr_context *context;
    qr_error error = {0};
    if (qr_packed_context(l->packed, &sizes, &context, &error) != QR_OK) {
        expect(false, error.message, l->which, 0);
        return NULL;
    }
    for (size_t i = 0; i < l->count; i++)
        check(l, context, &l->trials[i]);
    qr_context_destroy(context);
    return NULL;
}

static void run_precision(const device_shape *shape, qr_precision precision, const trials *all) {
    qr_device *device;
    qr_packed *packed;
    qr_error error = {0};
    int before = failures;
    if (device_pack(all->bert, precision, &device, &packed, &error) != QR_OK) {
        expect(false, error.message, shape->name, 0);
        return;
    }
    lane lanes[LANES];
    for (unsigned i = 0; i < LANES; i++) {
        lanes[i] = (lane){packed, all->of[i], all->count, precision, "", 0, 1, 0};
        snprintf(lanes[i].which, sizeof lanes[i].which, "%s, %s, thread %u", shape->name,
                 qr_precision_name(precision), i);
        if (pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) != 0)
            exit(1);
    }
    for (unsigned i = 0; i < LANES; i++)
        pthread_join(lanes[i].thread, NULL);
    printf("%s %s, %s: worst %.2g, 1 - cosine %.2g\n", failures == before ? "passed" : "FAILED",
           shape->name, qr_precision_name(precision), fmax(lanes[0].worst, lanes[1].worst),
           1 - fmin(lanes[0].cosine, lanes[1].cosine));
    device->backend->packed_destroy(packed);
    device->backend->close(device);
}

static void run_shape(const device_shape *shape, bool is_short) {
    qr_bert *bert = device_model_create(shape, 7);
    trials *all = create_trials(bert, is_short);
    for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_BF16; p++)
        run_precision(shape, p, all);
    destroy_trials(all);
    device_model_destroy(bert);
}

static const device_shape shapes[] = {
    {"2 x 64, heads of 32, mean", 2, 64, 2, 256, 0, 0, QR_HEAD_NONE, 0, QR_GELU},
    {"2 x 128, heads of 64, F not 4C, span", 2, 128, 2, 320, 0, 0, QR_HEAD_SPAN, 0, QR_GELU_NEW},
    {"1 x 312, heads of 26, labels", 1, 312, 12, 1200, 0, 0, QR_HEAD_LABELS, 3, QR_RELU},
    {"2 x 384, heads of 32, token labels", 2, 384, 12, 1536, 0, 0, QR_HEAD_TOKENS, 5, QR_GELU},
    {"2 x 256, heads of 128, mean", 2, 256, 2, 1024, 0, 0, QR_HEAD_NONE, 0, QR_GELU},
};

int main(int argc, char **argv) {
    const bool is_short = argc > 1 && strcmp(argv[1], "short") == 0;
    qr__driver driver;
    qr_error error = {0};
    qr__cu_device device;
    char name[128] = "";
    setvbuf(stdout, NULL, _IOLBF, 0); /* whoever ends it early has what it found */
    if (qr__driver_open(&driver, &error) != QR_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    if (driver.device_get(&device, 0) != QR__CU_OK ||
        driver.device_name(name, sizeof name, device) != QR__CU_OK) {
        printf("the driver has no device 0\n");
        return 1;
    }
    printf("device: %s, driver for CUDA %d.%d\n", name, driver.release / 1000,
           driver.release % 1000 / 10);
    for (size_t s = 0; s < (is_short ? 2 : sizeof shapes / sizeof shapes[0]); s++)
        run_shape(&shapes[s], is_short);
    printf(failures == 0 ? "all passed\n" : "%d FAILED\n", failures);
    return failures > 0;
}
