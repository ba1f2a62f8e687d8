/* tests/cuda/device/device_pass.c: whole passes on the GPU that the driver has, against the scalar
 * reference: every head, every precision, lengths from 1 to 300, the same bits twice, and from two
 * threads at once. Says the device's name, and what failed by how much.
 *
 *     device_pass [short]                  // 0: all passed; short: a few of them */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "device_model.h"
#include "engine/cpu/ref/ref.h"
#include "engine/cuda/module/driver.h"

#define COSINE 0.9999

/* Of a number of order 1. bf16 has 8 bits and f16 11: 2e-3 is f16's promise. */
static const double allowed[QR_PRECISIONS] = {
    [QR_PRECISION_F32] = 1e-4, [QR_PRECISION_F16] = 2e-3, [QR_PRECISION_BF16] = 3e-2};

static int failures;

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

typedef struct lane {
    const qr_packed *packed;
    const qr_bert *bert;
    unsigned seed;
    qr_precision precision;
    bool is_short;
    char which[96];
    double worst, cosine; /* of all batches */
    pthread_t thread;
} lane;

/* The same batch twice has the same bits; and they are near what the reference computes. */
static void check(lane *l, qr_context *context, const device_batch *b, qr_output wanted) {
    const qr_bert *bert = l->bert;
    const char *which = l->which;
    const size_t len = qr_ref_output_floats(bert, &b->batch, wanted);
    float *expected = malloc(len * sizeof *expected), *first = malloc(len * sizeof *first);
    const float *out = NULL;
    double worst = 0, product = 0, squares[2] = {0, 0};
    bool ran = expected != NULL && first != NULL &&
               qr_ref_forward(bert, &b->batch, wanted, expected, NULL) == QR_OK &&
               qr_context_forward(context, &b->batch, wanted, &out) == QR_OK;
    expect(ran, "a pass does not run", which, 0);
    for (size_t i = 0; ran && i < len; i++) {
        const double x = (double)out[i], y = (double)expected[i];
        worst = fmax(worst, isfinite(x) ? fabs(x - y) / fmax(1, fabs(y)) : INFINITY);
        product += x * y;
        squares[0] += x * x;
        squares[1] += y * y;
        first[i] = out[i];
    }
    if (ran) {
        const double cosine = product / sqrt(squares[0] * squares[1]);
        l->worst = fmax(l->worst, worst);
        l->cosine = fmin(l->cosine, cosine);
        expect(worst <= allowed[l->precision], "differs from the reference", which, worst);
        expect(cosine > COSINE, "cosine", which, cosine);
        ran = qr_context_forward(context, &b->batch, wanted, &out) == QR_OK;
        expect(ran && memcmp(first, out, len * sizeof *out) == 0, "other bits at the second run",
               which, 0);
    }
    free(expected);
    free(first);
}

static void *run_lane(void *state) {
    lane *l = state;
    static const uint32_t lengths[] = {1, 16, 7, 63, 64, 65, 128, 129, 300, 3, 2, 31};
    const size_t all = l->is_short ? 3 : sizeof lengths / sizeof lengths[0];
    const qr_context_options sizes = {.tokens_max = 1024, .sequences_max = 64};
    qr_context *context;
    qr_error error = {0};
    if (qr_packed_context(l->packed, &sizes, &context, &error) != QR_OK) {
        expect(false, error.message, l->which, 0);
        return NULL;
    }
    for (size_t len = 1; len <= all; len += l->is_short ? 2 : 1) { /* 1 sequence, 2, ... all */
        device_batch b = device_batch_create(l->bert, lengths + all - len, len, l->seed);
        check(l, context, &b, output_of(l->bert));
        if (len % 4 == 1)
            check(l, context, &b, QR_OUTPUT_HIDDEN);
        device_batch_destroy(&b);
    }
    qr_context_destroy(context);
    return NULL;
}

static void run_shape(const device_shape *shape, qr_precision precision, bool is_short) {
    qr_bert *bert = device_model_create(shape, 7);
    qr_device *device;
    qr_packed *packed;
    qr_error error = {0};
    int before = failures;
    if (device_pack(bert, precision, &device, &packed, &error) != QR_OK) {
        expect(false, error.message, shape->name, 0);
        device_model_destroy(bert);
        return;
    }
    lane lanes[2];
    for (unsigned i = 0; i < 2; i++) {
        lanes[i] = (lane){packed, bert, i + 1, precision, is_short, "", 0, 1, 0};
        snprintf(lanes[i].which, sizeof lanes[i].which, "%s, %s, thread %u", shape->name,
                 qr_precision_name(precision), i);
        if (pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) != 0)
            exit(1);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(lanes[i].thread, NULL);
    printf("%s %s, %s: worst %.2g, 1 - cosine %.2g\n", failures == before ? "passed" : "FAILED",
           shape->name, qr_precision_name(precision), fmax(lanes[0].worst, lanes[1].worst),
           1 - fmin(lanes[0].cosine, lanes[1].cosine));
    device->backend->packed_destroy(packed);
    device->backend->close(device);
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
        for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_BF16; p++)
            run_shape(&shapes[s], p, is_short);
    printf(failures == 0 ? "all passed\n" : "%d FAILED\n", failures);
    return failures > 0;
}
