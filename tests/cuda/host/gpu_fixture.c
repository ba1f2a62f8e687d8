/* tests: see gpu_fixture.h. */
#include "gpu_fixture.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/cpu/ref/ref.h"
#include "forward_fixture.h"

static void find(void *library, const char *name, void *out) {
    void *found = dlsym(library, name);
    cr_assert_not_null(found, "%s", name);
    memcpy(out, &found, sizeof found);
}

const struct gpu_fake *gpu_fake(void) {
    static struct gpu_fake fake;
    if (fake.fail != NULL)
        return &fake;
    setenv("QUERENT_CUDA_GEMM", "own", 0); /* the system's cuBLASLt would look for a real device */
    void *library = dlopen(QR_FAKE_DRIVER, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(library, "%s", library == NULL ? dlerror() : "");
    find(library, "qr_fake_cuda_fail", &fake.fail);
    find(library, "qr_fake_cuda_calls", &fake.calls);
    find(library, "qr_fake_cuda_count_live", &fake.count_live);
    return &fake;
}

void gpu_fake_lt(void) {
    cr_assert_not_null(dlopen(QR_FAKE_LT, RTLD_NOW | RTLD_LOCAL), "%s", QR_FAKE_LT);
    setenv("QUERENT_CUDA_GEMM", "cublaslt", 1);
    gpu_fake();
}

unsigned gpu_live(void) {
    qr_fake_cuda_live l;
    gpu_fake()->count_live(&l);
    return l.contexts + l.modules + l.streams + l.events + l.graphs + l.execs + l.allocations +
           l.host_allocations;
}

qr_engine *gpu_engine(const char *dir, qr_precision precision) {
    qr_engine *engine = NULL;
    qr_error error = {0};
    const qr_engine_options options = {.precision = precision, .device = "cuda"};
    gpu_fake();
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_OK, "%s", error.message);
    cr_assert_str_eq(qr_engine_plan(engine)->device, "cuda");
    return engine;
}

qr_context *gpu_context(const qr_engine *engine, size_t tokens, size_t sequences) {
    qr_context *context = NULL;
    qr_error error = {0};
    const qr_context_options options = {.tokens_max = tokens, .sequences_max = sequences};
    cr_assert_eq(qr_context_create(engine, &options, &context, &error), QR_OK, "%s", error.message);
    return context;
}

void gpu_draw(struct gpu_batch *out, const qr_model_info *model, const size_t *lengths,
              unsigned seed, bool skipping) {
    size_t B = 0, T = 0;
    while (lengths[B] > 0)
        T += lengths[B++];
    out->ids = calloc(T, sizeof *out->ids);
    out->types = calloc(T, sizeof *out->types);
    out->starts = calloc(B + 1, sizeof *out->starts);
    out->skip = calloc(B, sizeof *out->skip);
    for (size_t t = 0; t < T; t++) {
        out->ids[t] = (int32_t)forward_random(&seed, (unsigned)model->vocab);
        out->types[t] =
            model->types == 0 ? 1 : (uint8_t)forward_random(&seed, (unsigned)model->types);
    }
    for (size_t b = 0; b < B; b++) {
        out->starts[b + 1] = out->starts[b] + (uint32_t)lengths[b];
        out->skip[b] = forward_random(&seed, (unsigned)lengths[b]);
    }
    out->batch = (qr_batch){out->ids, out->types, out->starts, B, skipping ? out->skip : NULL};
}

void gpu_batch_free(struct gpu_batch *batch) {
    free(batch->ids);
    free(batch->types);
    free(batch->starts);
    free(batch->skip);
}

float *gpu_expected(const char *dir, const qr_batch *batch, qr_output wanted, size_t *floats) {
    qr_bert *bert = NULL;
    qr_error error = {0};
    cr_assert_eq(read_model(dir, &bert, &error), QR_OK, "%s", error.message);
    *floats = qr_ref_output_floats(bert, batch, wanted);
    float *out = calloc(*floats, sizeof *out);
    cr_assert_eq(qr_ref_forward(bert, batch, wanted, out, &error), QR_OK, "%s", error.message);
    qr_bert_destroy(bert);
    return out;
}

struct gpu_distance gpu_compare(const float *expected, const float *actual, size_t n) {
    double largest = 0, worst = 0, dot = 0, ee = 0, aa = 0;
    for (size_t i = 0; i < n; i++) {
        double e = expected[i], a = actual[i];
        if (!isfinite(a))
            return (struct gpu_distance){INFINITY, -1};
        largest = fmax(largest, fabs(e));
        worst = fmax(worst, fabs(a - e));
        dot += e * a;
        ee += e * e;
        aa += a * a;
    }
    return (struct gpu_distance){worst / largest, dot / sqrt(ee * aa)};
}

/* By the largest number of the result, and as a cosine. Rounding to f16 is 2^-11 of each number, to
 * bf16 2^-8; a pass rounds some ten times a layer, with random signs. */
static const struct gpu_distance limits[QR_PRECISIONS] = {
    [QR_PRECISION_F32] = {2e-6, 1 - 1e-11},
    [QR_PRECISION_F16] = {1e-3, 1 - 5e-7},
    [QR_PRECISION_BF16] = {8e-3, 1 - 3e-5},
};

void gpu_check(const char *dir, qr_context *context, const struct gpu_batch *drawn,
               qr_output wanted, qr_precision precision) {
    const char *name = qr_precision_name(precision);
    const struct gpu_distance *limit = &limits[precision];
    size_t floats;
    const float *actual = NULL;
    float *expected = gpu_expected(dir, &drawn->batch, wanted, &floats);
    cr_assert_eq(qr_context_forward(context, &drawn->batch, wanted, &actual), QR_OK);
    struct gpu_distance d = gpu_compare(expected, actual, floats);
    if (getenv("GPU_SHOW") != NULL)
        printf("%s output %d: worst %.2e, 1 - cosine %.2e\n", name, (int)wanted, d.worst,
               1 - d.cosine);
    cr_assert_leq(d.worst, limit->worst, "%s, output %d: %g", name, (int)wanted, d.worst);
    cr_assert_geq(d.cosine, limit->cosine, "%s, output %d: cosine %.9f", name, (int)wanted,
                  d.cosine);
    free(expected);
}
