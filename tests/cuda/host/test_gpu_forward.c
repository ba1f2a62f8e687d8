/* The whole forward pass through the module, against the scalar oracle: every precision, head and
 * pooling, odd sizes and lengths. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/cuda/cuda.h"
#include "forward_fixture.h"
#include "gpu_fixture.h"

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(gpu_forward, .init = set_up, .fini = tear_down, .timeout = 300);

static const size_t odd[] = {5, 1, 37, 16, 3, 0};
static const size_t one_long[] = {130, 17, 2, 0};
static const size_t single[] = {300, 0};

/* A batch of each list of lengths in every precision, for the model's own output and the hidden
 * states. */
static void check_model(const struct model_options *options, qr_output wanted,
                        const size_t *const *lengths, bool skipping) {
    make_model(dir, options);
    for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_BF16; p++) {
        qr_engine *engine = gpu_engine(dir, p);
        qr_context *context = gpu_context(engine, 300, 16);
        for (size_t i = 0; lengths[i] != NULL; i++) {
            struct gpu_batch drawn;
            gpu_draw(&drawn, qr_engine_model(engine), lengths[i], 7 + (unsigned)i, skipping);
            gpu_check(dir, context, &drawn, wanted, p);
            if (i == 0)
                gpu_check(dir, context, &drawn, QR_OUTPUT_HIDDEN, p);
            gpu_batch_free(&drawn);
        }
        qr_context_destroy(context);
        qr_engine_destroy(engine);
    }
    cr_assert_eq(gpu_live(), 0);
}

#define LENGTHS(...) ((const size_t *const[]){__VA_ARGS__, NULL})

/* D = 32, F not 4C. */
static const struct model_options small = {.layers = 2,
                                           .hidden = 64,
                                           .heads = 2,
                                           .feed_forward = 160,
                                           .vocab = 200,
                                           .positions = 300,
                                           .pooling = "mean",
                                           .seed = 3};

Test(gpu_forward, heads_of_32_give_the_oracles_numbers) {
    check_model(&small, QR_OUTPUT_POOLED, LENGTHS(odd, one_long, single), false);
}

Test(gpu_forward, heads_of_64_and_a_span_head_give_the_oracles_numbers) {
    struct model_options options = small;
    options.hidden = 128;
    options.feed_forward = 200;
    options.head = "span";
    options.prefix = "bert.";
    options.pooling = NULL;
    check_model(&options, QR_OUTPUT_SPAN, LENGTHS(odd, one_long), false);
}

/* D = 24 in kernels for 32, C = 72 in rows of 128; rows of heads are padded inside. */
Test(gpu_forward, odd_heads_and_labels_give_the_oracles_numbers) {
    struct model_options options = small;
    options.hidden = 72;
    options.heads = 3;
    options.feed_forward = 100;
    options.head = "labels";
    options.prefix = "bert.";
    options.labels = 5;
    options.activation = "gelu_new";
    options.pooling = NULL;
    check_model(&options, QR_OUTPUT_LABELS, LENGTHS(odd, one_long), true);
}

/* D = 80 in kernels for 128; E = 40 in rows of 64, projected. */
Test(gpu_forward, electra_with_a_projection_and_labels_of_tokens) {
    struct model_options options = small;
    options.electra = true;
    options.hidden = 160;
    options.embedding = 40;
    options.head = "tokens";
    options.prefix = "electra.";
    options.labels = 9;
    options.activation = "relu";
    options.pooling = NULL;
    check_model(&options, QR_OUTPUT_TOKEN_LABELS, LENGTHS(odd, one_long), false);
}

/* D = 10 in kernels for 16; a pooler with ReLU. */
Test(gpu_forward, distilbert_has_no_types) {
    struct model_options options = small;
    options.distilbert = true;
    options.hidden = 40;
    options.heads = 4;
    options.head = "labels";
    options.prefix = "distilbert.";
    options.labels = 3;
    options.pooling = NULL;
    check_model(&options, QR_OUTPUT_LABELS, LENGTHS(odd), false);
}

Test(gpu_forward, every_pooling_with_what_it_leaves_out) {
    struct model_options options = small;
    options.layers = 1;
    options.pooling = "cls+max+mean+mean_sqrt_len_tokens+weightedmean";
    check_model(&options, QR_OUTPUT_POOLED, LENGTHS(odd, one_long), true);
    options.pooling = "lasttoken";
    check_model(&options, QR_OUTPUT_POOLED, LENGTHS(odd), true);
}

Test(gpu_forward, dense_modules_with_and_without_residuals) {
    struct model_options options = small;
    options.layers = 1;
    options.pooling = "mean+cls";
    options.dense = "40:Tanh,24:ReLU:nobias:residual,24:GELU:residual,30:Sigmoid";
    check_model(&options, QR_OUTPUT_POOLED, LENGTHS(odd), true);
    options.pooling = "mean";
    options.dense = "64:Identity:residual";
    check_model(&options, QR_OUTPUT_POOLED, LENGTHS(odd), false);
}

/* An A100: no programmatic launches, which its driver refuses, and fewer multiprocessors. */
Test(gpu_forward, an_older_card_gives_the_oracles_numbers) {
    struct model_options options = small;
    options.layers = 1;
    setenv("QR_FAKE_CUDA_CAPABILITY", "80", 1);
    check_model(&options, QR_OUTPUT_POOLED, LENGTHS(odd), false);
}

/* A newer one that is told to start none early, as when a race is looked for. */
Test(gpu_forward, without_early_starts_the_numbers_are_the_oracles) {
    struct model_options options = small;
    options.layers = 1;
    setenv("QUERENT_CUDA_EARLY", "0", 1);
    setenv("QR_FAKE_CUDA_EARLY", "0", 1);
    check_model(&options, QR_OUTPUT_POOLED, LENGTHS(odd), false);
}

/* Large enough that products are cut in tiles and K in parts on 132 multiprocessors. */
Test(gpu_forward, a_wide_model_with_many_tiles) {
    struct model_options options = small;
    options.layers = 1;
    options.hidden = 384;
    options.heads = 12;
    options.feed_forward = 1536;
    static const size_t full[] = {64, 65, 63, 1, 100, 7, 0};
    check_model(&options, QR_OUTPUT_POOLED, LENGTHS(full), false);
}

static void run(qr_context *context, const qr_batch *batch, float *out, size_t floats) {
    const float *made = NULL;
    cr_assert_eq(qr_context_forward(context, batch, QR_OUTPUT_POOLED, &made), QR_OK);
    memcpy(out, made, floats * sizeof *out);
}

/* Also from another context, and with other batches between: what rows held before is not seen. */
Test(gpu_forward, the_same_batch_gives_the_same_bits) {
    make_model(dir, &small);
    qr_engine *engine = gpu_engine(dir, QR_PRECISION_F16);
    qr_context *a = gpu_context(engine, 300, 16), *b = gpu_context(engine, 300, 16);
    struct gpu_batch first, second;
    float before[5 * 64], after[5 * 64];
    gpu_draw(&first, qr_engine_model(engine), odd, 5, false);
    gpu_draw(&second, qr_engine_model(engine), single, 6, false);
    run(a, &first.batch, before, 5 * 64);
    run(a, &second.batch, after, 64);
    run(a, &first.batch, after, 5 * 64);
    cr_assert(memcmp(before, after, sizeof before) == 0);
    run(b, &second.batch, after, 64);
    run(b, &first.batch, after, 5 * 64);
    cr_assert(memcmp(before, after, sizeof before) == 0);
    gpu_batch_free(&first);
    gpu_batch_free(&second);
    qr_context_destroy(a);
    qr_context_destroy(b);
    qr_engine_destroy(engine);
}

/* What --verify-ppm goes by: other tiles and splits, the same numbers within 2e-3. Each text of a
 * batch is computed again by itself. */
Test(gpu_forward, a_text_alone_and_in_a_batch_agree) {
    struct model_options options = small;
    options.hidden = 384;
    options.heads = 12;
    options.feed_forward = 1536;
    make_model(dir, &options);
    for (qr_precision p = QR_PRECISION_F16; p <= QR_PRECISION_BF16; p++) {
        qr_engine *engine = gpu_engine(dir, p);
        qr_context *context = gpu_context(engine, 300, 16);
        struct gpu_batch drawn;
        float together[6 * 384], alone[384];
        gpu_draw(&drawn, qr_engine_model(engine), (size_t[]){64, 9, 65, 1, 100, 7, 0}, 5, false);
        run(context, &drawn.batch, together, 6 * 384);
        for (size_t b = 0; b < 6; b++) {
            const uint32_t begin = drawn.starts[b];
            const qr_batch one = {.ids = drawn.ids + begin,
                                  .types = drawn.types + begin,
                                  .starts = (uint32_t[]){0, drawn.starts[b + 1] - begin},
                                  .sequences = 1};
            run(context, &one, alone, 384);
            for (size_t i = 0; i < 384; i++) {
                const float was = together[b * 384 + i];
                cr_assert_leq(fabsf(alone[i] - was), 2e-3F * fmaxf(1, fabsf(was)), "%s, text %zu",
                              qr_precision_name(p), b);
            }
        }
        gpu_batch_free(&drawn);
        qr_context_destroy(context);
        qr_engine_destroy(engine);
    }
}

/* The buckets' edges, and every context size around them. */
Test(gpu_forward, every_number_of_tokens_finds_its_bucket) {
    make_model(dir, &small);
    qr_engine *engine = gpu_engine(dir, QR_PRECISION_F16);
    static const size_t counts[] = {1, 2, 15, 16, 17, 31, 32, 33, 64, 65};
    for (size_t most = 0; most < sizeof counts / sizeof counts[0]; most++) {
        qr_context *context = gpu_context(engine, counts[most], 3);
        for (size_t i = 0; i <= most; i++) {
            struct gpu_batch drawn;
            gpu_draw(&drawn, qr_engine_model(engine), (size_t[]){counts[i], 0}, 5, false);
            if (most + 3 >= i && (i == most || i == 0))
                gpu_check(dir, context, &drawn, QR_OUTPUT_POOLED, QR_PRECISION_F16);
            gpu_batch_free(&drawn);
        }
        qr_context_destroy(context);
    }
    qr_engine_destroy(engine);
}

/* With events around its launch, behind another pass: the same numbers, and a time; what else is
 * wrong is still said. */
Test(gpu_forward, a_timed_pass_gives_the_same_bits) {
    make_model(dir, &small);
    qr_engine *engine = gpu_engine(dir, QR_PRECISION_F16);
    qr_engine *cpu = forward_load(dir, QR_PRECISION_F32, "ref");
    qr_context *context = gpu_context(engine, 300, 16), *other = gpu_context(cpu, 300, 16);
    struct gpu_batch drawn;
    float plain[5 * 64], us = -1;
    const float *made = NULL;
    gpu_draw(&drawn, qr_engine_model(engine), odd, 5, false);
    run(context, &drawn.batch, plain, 5 * 64);
    for (int i = 0; i < 2; i++) {
        const unsigned launches = gpu_fake()->calls("cuGraphLaunch");
        cr_assert_eq(qr_cuda_forward_timed(context, &drawn.batch, QR_OUTPUT_POOLED, &made, &us),
                     QR_OK);
        cr_assert(us >= 0 && memcmp(made, plain, sizeof plain) == 0);
        cr_assert_eq(gpu_fake()->calls("cuGraphLaunch") - launches, 2);
    }
    cr_assert_eq(qr_cuda_forward_timed(other, &drawn.batch, QR_OUTPUT_POOLED, &made, &us),
                 QR_BAD_OPTION);
    drawn.ids[0] = -1;
    cr_assert_eq(qr_cuda_forward_timed(context, &drawn.batch, QR_OUTPUT_POOLED, &made, &us),
                 QR_BAD_REQUEST);
    gpu_batch_free(&drawn);
    qr_context_destroy(context);
    qr_context_destroy(other);
    qr_engine_destroy(engine);
    qr_engine_destroy(cpu);
    cr_assert_eq(gpu_live(), 0);
}

/* Sizes that nobody chose. GPU_SEED: other ones. */
Test(gpu_forward, random_models_and_batches_give_the_oracles_numbers) {
    static const char *const activations[] = {"gelu", "gelu_new", "relu"};
    const char *wanted = getenv("GPU_SEED");
    unsigned seed = wanted == NULL ? 1 : (unsigned)strtoul(wanted, NULL, 10);
    for (int i = 0; i < 5; i++) {
        struct model_options options = small;
        size_t lengths[9] = {0}, left = 300;
        options.layers = 1 + forward_random(&seed, 2);
        options.heads = 1 + forward_random(&seed, 4);
        options.hidden = options.heads * (4 + forward_random(&seed, 50));
        options.feed_forward = 20 + forward_random(&seed, 300);
        options.vocab = 30 + forward_random(&seed, 300);
        options.types = 1 + forward_random(&seed, 3);
        options.activation = activations[forward_random(&seed, 3)];
        options.seed = forward_random(&seed, 1000);
        for (size_t b = 0; b < 1 + forward_random(&seed, 8); b++) {
            lengths[b] = 1 + forward_random(&seed, (unsigned)left / 3);
            left -= lengths[b];
        }
        check_model(&options, QR_OUTPUT_POOLED, LENGTHS(lengths), true);
    }
}
