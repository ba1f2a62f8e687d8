/* Poolings and Dense modules: a vector has the same bits alone and in any batch, whatever its mates
 * leave out; what is not right about a Dense module is refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "forward_fixture.h"
#include "model_patch.h"

#define TEXTS 9
#define WIDTH 512 /* floats of a vector at most */

static const size_t lengths[TEXTS + 1] = {9, 2, 33, 1, 17, 64, 3, 100, 12, 0};
static const uint32_t skips[TEXTS] = {3, 1, 0, 0, 16, 5, 2, 31, 0};

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(modules, .init = set_up, .fini = tear_down, .timeout = 300);

static const struct model_options plain = {.layers = 2,
                                           .hidden = 64,
                                           .heads = 2,
                                           .feed_forward = 256,
                                           .vocab = 200,
                                           .positions = 128,
                                           .seed = 7};

static void run(qr_context *context, const qr_batch *batch, size_t width, float *out) {
    const float *made;
    cr_assert_eq(qr_context_forward(context, batch, QR_OUTPUT_POOLED, &made), QR_OK);
    memcpy(out, made, batch->sequences * width * sizeof *out);
}

/* All texts alone, then together in two orders of what they leave out. */
static void check_plan(qr_precision precision, const char *isa) {
    static float alone[TEXTS * WIDTH], together[TEXTS * WIDTH];
    struct forward_batch all;
    qr_engine *engine = forward_load(dir, precision, isa);
    const size_t width = qr_engine_model(engine)->embedding;
    cr_assert_leq(width, WIDTH);
    forward_draw(&all, qr_engine_model(engine), lengths, 5);
    qr_context *context = forward_context(engine, NULL);
    for (size_t i = 0; i < TEXTS; i++) {
        const uint32_t starts[] = {0, (uint32_t)lengths[i]}, at = all.starts[i];
        const qr_batch one = {all.ids + at, all.types + at, starts, 1, &skips[i]};
        run(context, &one, width, alone + i * width);
    }
    all.batch.skip = skips;
    run(context, &all.batch, width, together);
    cr_assert(memcmp(alone, together, TEXTS * width * sizeof *alone) == 0, "%s on %s",
              qr_precision_name(precision), isa);
    all.batch.skip = NULL; /* what is left out is seen, where anything is */
    run(context, &all.batch, width, together);
    for (size_t i = 0; i < TEXTS; i++)
        cr_assert_eq(memcmp(alone + i * width, together + i * width, width * sizeof *alone) == 0,
                     skips[i] == 0, "text %zu", i);
    qr_context_destroy(context);
    qr_engine_destroy(engine);
}

static void check_model(const char *pooling, const char *dense) {
    struct model_options options = plain;
    options.pooling = pooling;
    options.dense = dense;
    make_model(dir, &options);
    for (const char *const *isa = forward_isas(); *isa != NULL; isa++)
        for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_INT8; p++)
            if (forward_has(*isa, p) && !(strcmp(*isa, "ref") == 0 && p == QR_PRECISION_F32))
                check_plan(p, *isa);
}

Test(modules, every_pooling_has_the_same_bits_in_any_batch) {
    check_model("cls+max+mean+mean_sqrt_len_tokens+weightedmean", NULL);
}

/* With this pooling alone the last layer computes one token of each sequence. */
Test(modules, cls_has_the_same_bits_in_any_batch) {
    check_model("cls", NULL);
}

Test(modules, dense_has_the_same_bits_in_any_batch) {
    check_model("weightedmean+max", "96:Tanh:residual,96:GELU:residual,50:Sigmoid,77:ReLU:nobias");
}

/* The last token is left out by no prompt. */
Test(modules, a_sequence_keeps_a_token) {
    struct forward_batch batch;
    const float *out;
    const uint32_t all[] = {3, 0}, most[] = {2, 0};
    make_model(dir, &plain);
    qr_engine *engine = forward_load(dir, QR_PRECISION_F32, NULL);
    qr_context *context = forward_context(engine, NULL);
    forward_draw(&batch, qr_engine_model(engine), (size_t[]){3, 5, 0}, 5);
    batch.batch.skip = all;
    cr_assert_eq(qr_context_forward(context, &batch.batch, QR_OUTPUT_POOLED, &out), QR_BAD_REQUEST);
    batch.batch.skip = most;
    cr_assert_eq(qr_context_forward(context, &batch.batch, QR_OUTPUT_POOLED, &out), QR_OK);
    qr_context_destroy(context);
    qr_engine_destroy(engine);
}

static void make_dense(void) {
    struct model_options options = plain;
    options.pooling = "mean";
    options.dense = "40:Tanh,30:ReLU:residual";
    make_model(dir, &options);
}

Test(modules, dense_is_what_its_files_say) {
    make_dense();
    patch_file(dir, "2_Dense/config.json", "\"torch.nn.modules.activation.Tanh\"", "null");
    qr_bert *bert = load_good(dir);
    cr_assert_eq(bert->info.denses, 2);
    cr_assert_eq(bert->info.embedding, 30);
    cr_assert_eq(bert->info.dense[0].activation, QR_DENSE_TANH); /* absent */
    cr_assert_eq(bert->info.dense[0].residual, QR_RESIDUAL_NONE);
    cr_assert_eq(bert->info.dense[1].activation, QR_DENSE_RELU);
    cr_assert_eq(bert->info.dense[1].residual, QR_RESIDUAL_MATRIX);
    cr_assert(bert->info.dense[0].bias && bert->info.dense[1].bias);
    qr_bert_destroy(bert);
}

Test(modules, dense_is_refused_by_name) {
    static const struct {
        const char *file, *from, *to, *words[2];
    } rows[] = {
        {"2_Dense/config.json", "activation.Tanh", "activation.SiLU", {"SiLU", "GELU and Sigmoid"}},
        {"2_Dense/config.json", "torch.nn.modules.activation.Tanh", "mine.Tanh", {"mine.Tanh"}},
        {"2_Dense/config.json",
         "\"in_features\":64",
         "\"in_features\":65",
         {"`in_features` is 65"}},
        {"3_Dense/config.json", "\"in_features\":40", "\"in_features\":64", {"has 40 numbers"}},
        {"3_Dense/config.json", "\"out_features\":30", "\"out_features\":0", {"out_features"}},
        {"3_Dense/config.json", "\"bias\":true", "\"bias\":7", {"`bias`"}},
        {"3_Dense/config.json", "\"use_residual\":true", "\"use_residual\":3", {"`use_residual`"}},
        {"3_Dense/config.json",
         "\"bias\"",
         "\"module_input_name\":\"token_embeddings\",\"bias\"",
         {"token_embeddings"}},
        {"3_Dense/config.json",
         "\"bias\"",
         "\"module_output_name\":\"scores\",\"bias\"",
         {"scores"}},
        {"3_Dense/config.json", "\"out_features\":30", "\"out_features\":31", {"[30, 40]"}},
        {"3_Dense/model.safetensors", "residual", "residuum", {"`residual.weight`", "missing"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        make_dense();
        patch_file(dir, rows[i].file, rows[i].from, rows[i].to);
        load_refused(dir, (const char *const[3]){"_Dense/", rows[i].words[0], rows[i].words[1]});
    }
}

Test(modules, dense_without_safetensors_has_a_hint) {
    char path[128];
    make_dense();
    snprintf(path, sizeof path, "%s/2_Dense/model.safetensors", dir);
    remove(path);
    write_text(dir, "2_Dense/pytorch_model.bin", "x");
    load_refused(dir, (const char *const[3]){"2_Dense/model.safetensors", "pytorch_model.bin"});
}
