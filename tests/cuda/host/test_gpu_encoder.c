/* The persistent encoder in a pass: asked for by QUERENT_CUDA_PERSISTENT, for the batches, models
 * and devices that it takes, the oracle's numbers; for all others the layers' own kernels. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "forward_fixture.h"
#include "gpu_fixture.h"

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
    setenv("QUERENT_CUDA_PERSISTENT", "1", 1);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(gpu_encoder, .init = set_up, .fini = tear_down, .timeout = 300);

/* Kernels of a layer where it has its own. */
#define LAYER_KERNELS 7u

static const struct model_options small = {.layers = 3,
                                           .hidden = 64,
                                           .heads = 2,
                                           .feed_forward = 160,
                                           .vocab = 200,
                                           .positions = 300,
                                           .pooling = "mean",
                                           .seed = 3};

static void check_batch(qr_context *context, const qr_model_info *model, const size_t *lengths,
                        qr_output wanted, qr_precision precision) {
    struct gpu_batch drawn;
    gpu_draw(&drawn, model, lengths, 7, true);
    for (int i = 0; i < 2; i++) /* the second begins where the first has counted to */
        gpu_check(dir, context, &drawn, wanted, precision);
    gpu_batch_free(&drawn);
}

static void check_model(const struct model_options *options, qr_output wanted) {
    static const size_t few[][5] = {{1}, {9}, {5, 1, 9}, {16}, {17}, {3, 20, 4, 5}};
    make_model(dir, options);
    for (qr_precision p = QR_PRECISION_F16; p <= QR_PRECISION_BF16; p++) {
        qr_engine *engine = gpu_engine(dir, p);
        qr_context *context = gpu_context(engine, 40, 4);
        for (size_t i = 0; i < sizeof few / sizeof few[0]; i++)
            check_batch(context, qr_engine_model(engine), few[i], wanted, p);
        qr_context_destroy(context);
        qr_engine_destroy(engine);
    }
    cr_assert_eq(gpu_live(), 0);
}

/* Kernels that a context for so many tokens captures. */
static unsigned kernels_of(qr_precision precision, size_t tokens) {
    qr_engine *engine = gpu_engine(dir, precision);
    const unsigned before = gpu_fake()->calls("cuLaunchKernelEx");
    qr_context *context = gpu_context(engine, tokens, 1);
    const unsigned made = gpu_fake()->calls("cuLaunchKernelEx") - before;
    qr_context_destroy(context);
    qr_engine_destroy(engine);
    return made;
}

/* How many fewer there are than without it, for each of these layers. */
static void expect_takes(bool takes, unsigned layers, qr_precision precision, size_t tokens) {
    const unsigned with = kernels_of(precision, tokens);
    unsetenv("QUERENT_CUDA_PERSISTENT");
    const unsigned without = kernels_of(precision, tokens);
    setenv("QUERENT_CUDA_PERSISTENT", "1", 1);
    cr_assert_eq(without - with, takes ? layers * LAYER_KERNELS - 1 : 0, "%u and %u kernels", with,
                 without);
}

Test(gpu_encoder, heads_of_32_give_the_oracles_numbers) {
    check_model(&small, QR_OUTPUT_POOLED);
    expect_takes(true, 3, QR_PRECISION_F16, 16);
    expect_takes(true, 3, QR_PRECISION_BF16, 16);
}

/* Heads of 60 in kernels for 64, C = 180 in rows of 192. */
Test(gpu_encoder, padded_heads_of_64_and_a_span_head) {
    struct model_options options = small;
    options.layers = 2;
    options.hidden = 180;
    options.heads = 3;
    options.feed_forward = 700;
    options.activation = "gelu_new";
    options.head = "span";
    options.prefix = "bert.";
    options.pooling = NULL;
    check_model(&options, QR_OUTPUT_SPAN);
    expect_takes(true, 2, QR_PRECISION_F16, 16);
}

Test(gpu_encoder, electra_with_a_projection) {
    struct model_options options = small;
    options.electra = true;
    options.layers = 1;
    options.embedding = 40;
    options.head = "tokens";
    options.prefix = "electra.";
    options.labels = 9;
    options.activation = "relu";
    options.pooling = NULL;
    check_model(&options, QR_OUTPUT_TOKEN_LABELS);
    expect_takes(true, 1, QR_PRECISION_F16, 16);
}

/* K of Wdown in parts of its own for each tile, and more units than multiprocessors. */
Test(gpu_encoder, a_wide_model_in_parts) {
    setenv("QR_FAKE_CUDA_MULTIPROCESSORS", "50", 1);
    struct model_options options = small;
    options.layers = 1;
    options.hidden = 384;
    options.heads = 12;
    options.feed_forward = 2240;
    make_model(dir, &options);
    qr_engine *engine = gpu_engine(dir, QR_PRECISION_F16);
    qr_context *context = gpu_context(engine, 32, 4);
    check_batch(context, qr_engine_model(engine), (size_t[]){9, 0}, QR_OUTPUT_POOLED,
                QR_PRECISION_F16);
    check_batch(context, qr_engine_model(engine), (size_t[]){9, 12, 0}, QR_OUTPUT_POOLED,
                QR_PRECISION_F16);
    qr_context_destroy(context);
    qr_engine_destroy(engine);
}

/* f32 is the gate's measure. */
Test(gpu_encoder, f32_has_the_layers_own_kernels) {
    make_model(dir, &small);
    expect_takes(false, 3, QR_PRECISION_F32, 16);
}

/* 99 KB of shared memory a block: the kernel is not there, and nobody misses it. */
Test(gpu_encoder, a_card_without_room_for_it) {
    setenv("QR_FAKE_CUDA_CAPABILITY", "86", 1);
    check_model(&small, QR_OUTPUT_POOLED);
    expect_takes(false, 3, QR_PRECISION_F16, 16);
}

Test(gpu_encoder, an_older_card_with_room) {
    setenv("QR_FAKE_CUDA_CAPABILITY", "80", 1);
    check_model(&small, QR_OUTPUT_POOLED);
    expect_takes(true, 3, QR_PRECISION_F16, 16);
}

/* Heads of 16, heads that leave a row's end, and rows that are too wide. */
Test(gpu_encoder, models_that_it_does_not_take) {
    const struct {
        size_t hidden, heads;
    } shapes[] = {{64, 4}, {96, 3}, {1088, 17}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct model_options options = small;
        options.layers = 1;
        options.hidden = shapes[i].hidden;
        options.heads = shapes[i].heads;
        make_model(dir, &options);
        expect_takes(false, 1, QR_PRECISION_F16, 16);
    }
}

/* A launch that the device refuses is told of; nothing is left behind. */
Test(gpu_encoder, a_refused_launch_is_an_error) {
    make_model(dir, &small);
    qr_engine *engine = gpu_engine(dir, QR_PRECISION_F16);
    const qr_context_options options = {.tokens_max = 16, .sequences_max = 1};
    qr_context *context = NULL;
    qr_error error = {0};
    gpu_fake()->fail("cuLaunchKernelEx", 2, 720, 0); /* behind `embed` */
    cr_assert_eq(qr_context_create(engine, &options, &context, &error), QR_DEVICE);
    cr_assert_not_null(strstr(error.message, "making graphs"), "%s", error.message);
    qr_engine_destroy(engine);
    cr_assert_eq(gpu_live(), 0);
}
