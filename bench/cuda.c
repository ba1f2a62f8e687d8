/* bench/cuda.c: passes on the GPU that the driver has, timed: by the GPU's own clock from the end
 * of one pass to that of the next, and on the host from the call to the result. Prints one JSON
 * object; docs/CUDA.md says how to read it.
 *
 *     cuda [--runs N] [--tiny]                    // 200 runs of each; tiny: a try of the program
 *
 * Needs no model and no files: weights are random, and lengths are those of
 * tests/golden/queries.txt. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "device/device_model.h"
#include "engine/cuda/cuda.h"
#include "engine/cuda/module/gpu_device.h"

#define WARM_RUNS  20
#define WARM_NS    (500 * QR_NS_PER_MS) /* a card that was idle raises its clocks by steps */
#define RUNS_MOST  100000
#define TOKENS_MAX 4096

typedef struct bench_case {
    device_shape shape;
    uint32_t length; /* of each sequence; 0: of queries */
    size_t sequences;
    qr_precision precision;
} bench_case;

#define SHAPE(label, L, C)                                                                         \
    {.name = label,                                                                                \
     .layers = L,                                                                                  \
     .hidden = C,                                                                                  \
     .heads = C / 64,                                                                              \
     .feed_forward = 4 * C,                                                                        \
     .vocab = 30522}
#define SMALL(label, L, C)                                                                         \
    {.name = label,                                                                                \
     .layers = L,                                                                                  \
     .hidden = C,                                                                                  \
     .heads = C / 32,                                                                              \
     .feed_forward = 4 * C,                                                                        \
     .vocab = 30522}
static const bench_case cases[] = {
    {SHAPE("3x768", 3, 768), 16, 1, QR_PRECISION_F16},
    {SHAPE("3x768", 3, 768), 0, 28, QR_PRECISION_F16}, /* about 256 tokens */
    {SHAPE("3x768", 3, 768), 16, 1, QR_PRECISION_BF16},
    {SHAPE("12x768", 12, 768), 128, 1, QR_PRECISION_F16},
    {SMALL("3x384", 3, 384), 16, 1, QR_PRECISION_F16},
    {SMALL("6x384", 6, 384), 0, 28, QR_PRECISION_F16},
    {SHAPE("3x768", 3, 768), 0, 240, QR_PRECISION_F16},
};
static const bench_case tiny[] = {{SMALL("1x64", 1, 64), 5, 1, QR_PRECISION_F16},
                                  {SMALL("1x64", 1, 64), 0, 4, QR_PRECISION_BF16}};

/* Tokens of the 240 queries in tests/golden, by MiniLM's tokenizer: so many of each length. Their
 * order is drawn; the first 28 have about 7.9 tokens each, as all have. */
static const uint32_t query_counts[] = {[4] = 1,  [5] = 10,  [6] = 40,  [7] = 52, [8] = 63,
                                        [9] = 30, [10] = 26, [11] = 11, [12] = 5, [13] = 2};
#define QUERIES 240u

static void query_lengths(uint32_t out[QUERIES]) {
    size_t len = 0;
    unsigned state = 1;
    for (uint32_t tokens = 0; tokens < sizeof query_counts / sizeof query_counts[0]; tokens++)
        for (uint32_t i = 0; i < query_counts[tokens]; i++)
            out[len++] = tokens;
    for (size_t i = QUERIES - 1; i > 0; i--) {
        state = state * 1664525u + 1013904223u;
        const size_t with = (state >> 8) % (i + 1);
        const uint32_t kept = out[i];
        out[i] = out[with];
        out[with] = kept;
    }
}

typedef struct card {
    char name[128];
    int release, capability, multiprocessors;
    double read_bytes; /* a second, by clock and width of its memory; 0: it does not tell */
    bool is_fake;
} card;

static int attribute(const qr__driver *driver, int which, qr__cu_device device) {
    int value = 0;
    return driver->device_attribute(&value, which, device) == QR__CU_OK ? value : 0;
}

static qr_status look(card *out, qr_error *error) {
    qr__driver driver;
    qr__cu_device device;
    *out = (card){.is_fake = false};
    qr_status status = qr__driver_open(&driver, error);
    if (status != QR_OK)
        return status;
    if (driver.device_get(&device, 0) != QR__CU_OK ||
        driver.device_name(out->name, sizeof out->name, device) != QR__CU_OK)
        return qr_error_set(error, QR_BAD_OPTION, "the driver has no device 0");
    out->release = driver.release;
    out->capability = 10 * attribute(&driver, QR__CU_CAPABILITY_MAJOR, device) +
                      attribute(&driver, QR__CU_CAPABILITY_MINOR, device);
    out->multiprocessors = attribute(&driver, QR__CU_MULTIPROCESSORS, device);
    out->read_bytes = 2e3 * attribute(&driver, QR__CU_MEMORY_CLOCK_KHZ, device) / 8 *
                      attribute(&driver, QR__CU_MEMORY_BUS_BITS, device);
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    out->is_fake = library != NULL && dlsym(library, "qr_fake_cuda_fail") != NULL;
    return QR_OK;
}

typedef struct timed {
    double gpu_us[RUNS_MOST], host_us[RUNS_MOST];
    size_t runs;
    uint64_t warm_ns;
} timed;

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t len, double q) {
    return sorted[(size_t)(q * (double)(len - 1) + 0.5)];
}

static qr_status warm(qr_context *context, const qr_batch *batch, uint64_t ns) {
    const uint64_t begin = qr_clock_ns();
    const float *floats;
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && (i < WARM_RUNS || qr_clock_ns() - begin < ns); i++)
        status = qr_context_forward(context, batch, QR_OUTPUT_POOLED, &floats);
    return status;
}

/* The GPU's clock needs events around the launch, which the host's time is not to pay for: so these
 * are runs of their own. */
static qr_status run(qr_context *context, const qr_batch *batch, timed *out) {
    const float *floats;
    float gpu_us = 0;
    qr_status status = warm(context, batch, out->warm_ns);
    for (size_t i = 0; status == QR_OK && i < out->runs; i++) {
        status = qr_cuda_forward_timed(context, batch, QR_OUTPUT_POOLED, &floats, &gpu_us);
        out->gpu_us[i] = (double)gpu_us;
    }
    for (size_t i = 0; status == QR_OK && i < out->runs; i++) {
        const uint64_t begin = qr_clock_ns();
        status = qr_context_forward(context, batch, QR_OUTPUT_POOLED, &floats);
        out->host_us[i] = (double)(qr_clock_ns() - begin) / 1e3;
    }
    qsort(out->gpu_us, out->runs, sizeof(double), by_size);
    qsort(out->host_us, out->runs, sizeof(double), by_size);
    return status;
}

/* Bytes of the matrices that a pass reads: each once, however many tokens there are. */
static double weight_bytes(const device_shape *shape, qr_precision precision) {
    const double C = (double)shape->hidden, F = (double)shape->feed_forward;
    return (double)shape->layers * (4 * C * C + 2 * C * F) *
           (precision == QR_PRECISION_F32 ? 4 : 2);
}

/* Whether the module found it: then products of 256 tokens and more are cuBLASLt's, unless it
 * refused them. */
static bool has_cublaslt(void) {
    return dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_NOLOAD) != NULL ||
           dlopen("libcublasLt.so.12", RTLD_NOW | RTLD_NOLOAD) != NULL;
}

static void print_case(const bench_case *c, const device_batch *b, const timed *t,
                       const card *gpu) {
    const double bytes = weight_bytes(&c->shape, c->precision);
    const double floor_us = gpu->read_bytes > 0 ? bytes / gpu->read_bytes * 1e6 : 0;
    const double p50 = quantile(t->gpu_us, t->runs, .5), host = quantile(t->host_us, t->runs, .5);
    printf("{\"model\":\"%s\",\"precision\":\"%s\",\"tokens\":%zu,\"sequences\":%zu,"
           "\"gpu_us\":{\"p50\":%.2f,\"p90\":%.2f},\"host_us\":{\"p50\":%.2f,\"p90\":%.2f},"
           "\"weight_bytes\":%.0f,\"floor_us\":%.2f,\"floor_share\":%.3f,"
           "\"sequences_a_second\":%.0f,\"cublaslt\":%s}",
           c->shape.name, qr_precision_name(c->precision), b->tokens, b->batch.sequences, p50,
           quantile(t->gpu_us, t->runs, .9), host, quantile(t->host_us, t->runs, .9), bytes,
           floor_us, p50 > 0 ? floor_us / p50 : 0, host > 0 ? (double)c->sequences * 1e6 / host : 0,
           has_cublaslt() ? "true" : "false");
}

static qr_status run_case(const bench_case *c, const card *gpu, timed *t, qr_error *error) {
    const qr_context_options sizes = {.tokens_max = TOKENS_MAX, .sequences_max = QUERIES};
    uint32_t lengths[QUERIES] = {0};
    qr_device *device;
    qr_packed *packed;
    qr_context *context;
    query_lengths(lengths);
    for (size_t i = 0; c->length > 0 && i < c->sequences; i++)
        lengths[i] = c->length;
    qr_bert *bert = device_model_create(&c->shape, 1);
    qr_status status = device_pack(bert, c->precision, &device, &packed, error);
    if (status != QR_OK) {
        device_model_destroy(bert);
        return status;
    }
    status = qr_packed_context(packed, &sizes, &context, error);
    if (status == QR_OK) {
        device_batch b = device_batch_create(bert, lengths, c->sequences, 1);
        status = run(context, &b.batch, t);
        if (status == QR_OK)
            print_case(c, &b, t, gpu);
        else
            qr_error_set(error, status, "a pass failed: %s", qr_status_sentence(status));
        device_batch_destroy(&b);
        qr_context_destroy(context);
    }
    device->backend->packed_destroy(packed);
    device->backend->close(device);
    device_model_destroy(bert);
    return status;
}

static void print_head(const card *gpu, size_t runs) {
    printf("{\"device\":\"%s\",\"name\":\"%s\",\"driver_cuda\":\"%d.%d\",\"capability\":\"%d.%d\","
           "\"multiprocessors\":%d,\"memory_gb_a_second\":%.0f,\"persistent\":%s,\"runs\":%zu,"
           "\"cases\":[",
           gpu->is_fake ? "fake" : "gpu", gpu->name, gpu->release / 1000, gpu->release % 1000 / 10,
           gpu->capability / 10, gpu->capability % 10, gpu->multiprocessors, gpu->read_bytes / 1e9,
           qr__gpu_wants_persistent() ? "true" : "false", runs);
}

int main(int argc, char **argv) {
    static timed t;
    const bench_case *list = cases;
    size_t len = sizeof cases / sizeof cases[0];
    card gpu;
    uint64_t runs;
    qr_error error = {0};
    t.runs = 200;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--tiny") == 0) {
            list = tiny;
            len = sizeof tiny / sizeof tiny[0];
        } else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc &&
                   qr_text_to_u64(qr_text_of(argv[i + 1]), RUNS_MOST, &runs) && runs > 0) {
            t.runs = runs;
            i++;
        } else {
            fprintf(stderr, "usage: cuda [--runs N] [--tiny]\n");
            return 2;
        }
    }
    qr_status status = look(&gpu, &error);
    t.warm_ns = gpu.is_fake ? 0 : WARM_NS;
    if (status == QR_OK)
        print_head(&gpu, t.runs);
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        printf(i > 0 ? ",\n" : "\n");
        status = run_case(&list[i], &gpu, &t, &error);
        fflush(stdout);
    }
    if (status != QR_OK) {
        fprintf(stderr, "cuda: %s\n", error.message);
        return 1;
    }
    printf("]}\n");
    return 0;
}
