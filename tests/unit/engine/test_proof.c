/* The proof of models from ONNX: a graph's own bert passes, in every arrangement of outputs and
 * sizes; what differs is refused, and the first place where it does is named. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "forward_fixture.h"
#include "graph_maker.h"
#include "proof_fixture.h"

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(proof, .init = set_up, .fini = tear_down, .timeout = 300);

static const struct model_options small = {.layers = 2,
                                           .hidden = 32,
                                           .heads = 2,
                                           .feed_forward = 64,
                                           .vocab = 100,
                                           .positions = 70,
                                           .seed = 7};

static qr_bert *bert_of(const struct model_options *options) {
    qr_bert *bert = NULL;
    make_model(dir, options);
    cr_assert_eq(read_model(dir, &bert, NULL), QR_OK);
    return bert;
}

/* The graph of a model, and the model itself held against it. */
static qr_proof passes(const struct model_options *model, struct graph_options options) {
    qr_bert *bert = bert_of(model);
    struct made_graph *made = graph_make(bert, &options);
    qr_proof proof;
    for (const char *const *isa = forward_isas(); *isa != NULL; isa++) {
        qr_error error = {0};
        cr_assert_eq(prove(&made->import, bert, *isa, &proof, &error), QR_OK, "%s: %s", *isa,
                     error.message);
        cr_assert(proof.error > 0 && proof.error < 5e-5, "%s: %g", *isa, proof.error);
        cr_assert_eq(proof.allowed, QR_PROOF_ALLOWED);
    }
    graph_free(made);
    qr_bert_destroy(bert);
    return proof;
}

Test(proof, every_output_passes) {
    struct model_options model = small;
    passes(&model, (struct graph_options){.output = QR_OUTPUT_HIDDEN});
    model.pooling = "mean";
    passes(&model, (struct graph_options){.output = QR_OUTPUT_POOLED});
    passes(&model, (struct graph_options){.output = QR_OUTPUT_POOLED, .no_hidden = true});
    model.pooling = "cls";
    passes(&model, (struct graph_options){.output = QR_OUTPUT_POOLED});
    model.pooling = NULL, model.head = "span";
    passes(&model, (struct graph_options){.output = QR_OUTPUT_SPAN, .no_hidden = true});
    model.head = "labels", model.labels = 3;
    passes(&model, (struct graph_options){.output = QR_OUTPUT_LABELS, .no_hidden = true});
    model.head = "tokens", model.labels = 5;
    passes(&model, (struct graph_options){.output = QR_OUTPUT_TOKEN_LABELS, .no_hidden = true});
}

Test(proof, every_size_passes) {
    struct model_options model = small;
    passes(&model, (struct graph_options){.no_mask = true});
    passes(&model, (struct graph_options){.fixed_tokens = 9});
    passes(&model, (struct graph_options){.fixed_tokens = 9, .fixed_batch = 1});
    passes(&model, (struct graph_options){.fixed_tokens = 8, .fixed_batch = 3, .no_mask = true});
    passes(&model, (struct graph_options){.fixed_batch = 2});
    passes(&model, (struct graph_options){.no_types = true});
    model.positions = 5;
    passes(&model, (struct graph_options){0});
    model.positions = 1;
    passes(&model, (struct graph_options){0});
    model.positions = 300;
    passes(&model, (struct graph_options){0});
    model.activation = "gelu_new";
    passes(&model, (struct graph_options){0});
    model.activation = "relu";
    passes(&model, (struct graph_options){0});
    model.electra = true, model.embedding = 20;
    passes(&model, (struct graph_options){0});
}

/* A graph that quantizes activations is another's measure twice. */
Test(proof, quantized_activations_are_bypassed_and_compared) {
    qr_proof proof = passes(&small, (struct graph_options){.quantized = true});
    cr_assert(proof.cosine > QR_PROOF_COSINE && proof.cosine < 1, "%.12f", proof.cosine);
}

/* One sentence, in which each measure has its bound beside it. */
Test(proof, what_is_told) {
    char text[192];
    qr_proof proof = {.error = 4.9e-6, .allowed = 1e-3, .cosine = 1};
    qr_proof_text(&proof, text, sizeof text);
    cr_expect_str_eq(text, "gives what the graph gives: largest difference 4.9e-06 (1e-03 is "
                           "allowed)");
    proof.cosine = 0.98904;
    qr_proof_text(&proof, text, sizeof text);
    cr_expect_str_eq(text,
                     "gives what the graph gives: largest difference 4.9e-06 (1e-03 is "
                     "allowed) with activations not quantized; cosine 0.9890 (0.98 is enough) "
                     "with the graph as it is");
}

static void refused(const qr_import *import, const qr_bert *bert, const char *const *texts) {
    qr_proof proof;
    qr_error error = {0};
    cr_assert_eq(prove(import, bert, NULL, &proof, &error), QR_BAD_MODEL);
    for (size_t i = 0; texts[i] != NULL; i++)
        cr_assert_not_null(strstr(error.message, texts[i]), "`%s` is not in: %s", texts[i],
                           error.message);
}

/* What is where, in one message. */
Test(proof, a_refusal_says_where) {
    struct model_options model = small;
    model.head = "labels", model.labels = 3;
    qr_bert *bert = bert_of(&model);
    struct made_graph *made =
        graph_make(bert, &(struct graph_options){.output = QR_OUTPUT_LABELS, .no_hidden = true});
    float *up = (float *)bert->layers[1].intermediate.bias, kept = up[3];
    up[3] += 1;
    refused(&made->import, bert,
            (const char *const[]){"made.onnx: ", "the last layer's states differ",
                                  "layer 1's intermediate", "node `layer.1/activation` (Gelu)",
                                  "allowed: 1e-03", NULL});
    up[3] = NAN;
    refused(&made->import, bert, (const char *const[]){"layer 1's intermediate", "by inf", NULL});
    up[3] = kept;
    float *word = (float *)bert->embedding_norm.beta, before = word[0];
    word[0] += 1;
    refused(&made->import, bert,
            (const char *const[]){"the embeddings, node `embeddings/LayerNorm`", NULL});
    word[0] = before;
    ((float *)bert->classifier.bias)[2] += 0.01f;
    refused(&made->import, bert,
            (const char *const[]){"output `classifier` differs",
                                  "behind the layers, which agree: node `classifier` (Add)", NULL});
    graph_free(made);
    qr_bert_destroy(bert);
}
