/* cuBLASLt in place of our own products: the same numbers, and ours where it does not serve. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/cuda/module/lt.h"
#include "gpu_fixture.h"

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
    make_model(dir, &(struct model_options){.layers = 2,
                                            .hidden = 72,
                                            .heads = 3,
                                            .feed_forward = 100,
                                            .vocab = 100,
                                            .positions = 64,
                                            .pooling = "mean",
                                            .seed = 3});
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(gpu_lt, .init = set_up, .fini = tear_down, .timeout = 120);

/* A pass against the oracle; how many of our own products its graphs have. */
static void check_pass(qr_precision precision, double limit) {
    static const size_t lengths[] = {3, 20, 1, 9, 0};
    qr_engine *engine = gpu_engine(dir, precision);
    qr_context *context = gpu_context(engine, 40, 4);
    struct gpu_batch drawn;
    const float *actual = NULL;
    size_t floats;
    gpu_draw(&drawn, qr_engine_model(engine), lengths, 1, false);
    float *expected = gpu_expected(dir, &drawn.batch, QR_OUTPUT_POOLED, &floats);
    cr_assert_eq(qr_context_forward(context, &drawn.batch, QR_OUTPUT_POOLED, &actual), QR_OK);
    struct gpu_distance d = gpu_compare(expected, actual, floats);
    cr_assert_leq(d.worst, limit, "%s: %g", qr_precision_name(precision), d.worst);
    free(expected);
    gpu_batch_free(&drawn);
    qr_context_destroy(context);
    qr_engine_destroy(engine);
    cr_assert_eq(gpu_live(), 0);
}

/* Launches of three graphs (16, 32 and 48 tokens) of two layers: 12 kernels of our own each
 * and the pooling, or 4 products fewer a layer and one activation more. */
#define OWN     (3 * (2 + 2 * 7))
#define WITH_LT (3 * (2 + 2 * 4))

static unsigned launches(void) {
    return gpu_fake()->calls("cuLaunchKernelEx");
}

Test(gpu_lt, its_products_give_the_oracles_numbers) {
    gpu_fake_lt();
    check_pass(QR_PRECISION_F16, 2e-3);
    cr_assert_eq(launches(), WITH_LT, "%u", launches());
    check_pass(QR_PRECISION_BF16, 1.6e-2);
    cr_assert_eq(launches(), 2 * WITH_LT, "%u", launches());
    check_pass(QR_PRECISION_F32, 2e-6); /* always our own */
    cr_assert_eq(launches(), 2 * WITH_LT + OWN, "%u", launches());
}

/* Whatever it refuses, before or while it is tried. */
Test(gpu_lt, ours_serve_where_it_does_not) {
    static const char *const faults[] = {"none",
                                         "capture",
                                         "cublasLtCreate",
                                         "cublasLtMatmul",
                                         "cublasLtMatmulAlgoGetHeuristic",
                                         "cublasLtMatmulDescCreate",
                                         "cublasLtMatmulDescSetAttribute",
                                         "cublasLtMatrixLayoutCreate",
                                         "cublasLtMatmulPreferenceCreate",
                                         "cublasLtMatmulPreferenceSetAttribute"};
    gpu_fake_lt();
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        unsigned before = launches();
        setenv("QR_FAKE_LT_FAIL", faults[i], 1);
        check_pass(QR_PRECISION_F16, 2e-3);
        cr_assert_eq(launches() - before, OWN, "%s: %u", faults[i], launches() - before);
    }
}

Test(gpu_lt, small_batches_are_our_own_by_default) {
    gpu_fake_lt();
    unsetenv("QUERENT_CUDA_GEMM");
    cr_assert_eq(qr__lt_tokens(), QR__LT_TOKENS);
    check_pass(QR_PRECISION_F16, 2e-3);
    cr_assert_eq(launches(), OWN, "%u", launches());
    setenv("QUERENT_CUDA_GEMM", "own", 1);
    cr_assert_eq(qr__lt_tokens(), SIZE_MAX);
}

/* From 256 tokens on, in the same context as smaller ones. */
Test(gpu_lt, large_batches_are_cublaslts_by_default) {
    static const size_t lengths[] = {64, 64, 64, 64, 17, 0}, few[] = {64, 5, 0};
    const float *actual = NULL;
    struct gpu_batch large, small;
    size_t floats;
    gpu_fake_lt();
    unsetenv("QUERENT_CUDA_GEMM");
    qr_engine *engine = gpu_engine(dir, QR_PRECISION_F16);
    qr_context *context = gpu_context(engine, 300, 5);
    cr_assert_eq(launches(), 2 * WITH_LT / 3 + 4 * OWN / 3, "%u", launches());
    gpu_draw(&large, qr_engine_model(engine), lengths, 1, false);
    gpu_draw(&small, qr_engine_model(engine), few, 2, false);
    const struct gpu_batch *const batches[] = {&large, &small, &large};
    for (size_t i = 0; i < 3; i++) {
        float *expected = gpu_expected(dir, &batches[i]->batch, QR_OUTPUT_POOLED, &floats);
        cr_assert_eq(qr_context_forward(context, &batches[i]->batch, QR_OUTPUT_POOLED, &actual),
                     QR_OK);
        cr_assert_leq(gpu_compare(expected, actual, floats).worst, 2e-3);
        free(expected);
    }
    gpu_batch_free(&large);
    gpu_batch_free(&small);
    qr_context_destroy(context);
    qr_engine_destroy(engine);
}
