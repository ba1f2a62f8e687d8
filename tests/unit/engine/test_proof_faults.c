/* The proof can fail: mistakes put between recognition and proof, each that moves a probe's output
 * beyond what is allowed (as the scalar reference says, which the proof does not ask), are refused,
 * and the stage that is named is the one that was damaged. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "graph_maker.h"
#include "model_maker.h"
#include "proof_faults.h"
#include "proof_fixture.h"

#define GOLDENS QR_SOURCE_DIR "/tests/golden/onnx"

TestSuite(proof_faults, .timeout = 900);

/* A model and its graph, whoever found the one in the other. */
struct subject {
    const char *name;
    const qr_import *import;
    qr_bert *bert;
    struct reference right; /* of the bert as it is */
};

struct tally {
    size_t put, moved, refused, named;
};

/* 1000 by default; QR_PROOF_FAULTS=20000 for the long run. */
static size_t faults(void) {
    const char *asked = getenv("QR_PROOF_FAULTS");
    uint64_t number = 1000;
    if (asked != NULL)
        cr_assert(qr_text_to_u64(qr_text_of(asked), 1000000, &number));
    return (size_t)number;
}

static bool has_stage(const qr_import *import, const struct fault *fault) {
    const qr__recognised *found = qr_import_recognised(import);
    for (size_t i = 0; i < found->stage_count; i++)
        if (found->stages[i].kind == fault->stage && found->stages[i].layer == fault->layer)
            return found->stages[i].value != QR_ONNX_NONE;
    return false;
}

/* What a refusal calls the damaged place. */
static void place_text(const struct fault *fault, char out[64]) {
    static const char *const names[] = {[QR__STAGE_QUERY] = "query",
                                        [QR__STAGE_KEY] = "key",
                                        [QR__STAGE_VALUE] = "value",
                                        [QR__STAGE_ATTENDED] = "attention",
                                        [QR__STAGE_ATTENTION_NORM] = "attention norm",
                                        [QR__STAGE_INTERMEDIATE] = "intermediate",
                                        [QR__STAGE_OUTPUT_NORM] = "output norm"};
    if (!fault->in_layers)
        snprintf(out, 64, "behind the layers, which agree");
    else if (fault->stage == QR__STAGE_EMBEDDINGS)
        snprintf(out, 64, "that differs: the embeddings, ");
    else
        snprintf(out, 64, "that differs: layer %zu's %s, ", fault->layer, names[fault->stage]);
}

/* Whether the damaged place is told apart by its own numbers, on whatever probe fails first. */
static bool shows(const struct subject *s, const qr_bert *right, const struct fault *fault,
                  double allowed) {
    if (!fault->in_layers)
        return true;
    return has_stage(s->import, fault) &&
           stage_apart(s->import, right, s->bert, fault->stage, fault->layer) > 1.05 * allowed;
}

/* One fault, put and judged. `right`: the same model, never damaged. */
static void inject(struct subject *s, const qr_bert *right, enum fault_kind kind, unsigned *seed,
                   struct tally *tally) {
    struct fault fault;
    struct reference wrong;
    qr_proof proof;
    qr_error error = {0};
    if (!fault_put(s->bert, kind, seed, &fault))
        return;
    reference_make(s->import, s->bert, &wrong);
    const double apart = reference_apart(s->bert, &s->right, &wrong);
    reference_free(&wrong);
    const qr_status status = prove(s->import, s->bert, NULL, &proof, &error);
    tally->put++;
    if (apart > 1.05 * proof.allowed) {
        tally->moved++;
        cr_assert_eq(status, QR_BAD_MODEL, "%s, %s: moves an output by %g, and passed", s->name,
                     fault_names[kind], apart);
    } else if (apart < 0.9 * proof.allowed) {
        cr_assert_eq(status, QR_OK, "%s, %s: moves no output by more than %g: %s", s->name,
                     fault_names[kind], apart, error.message);
    }
    if (status != QR_OK)
        tally->refused++;
    if (status != QR_OK && shows(s, right, &fault, proof.allowed)) {
        char place[64];
        place_text(&fault, place);
        tally->named++;
        cr_assert_not_null(strstr(error.message, place), "%s, %s: `%s` is not in: %s", s->name,
                           fault_names[kind], place, error.message);
    }
    fault_take(s->bert, &fault);
}

static struct tally inject_all(struct subject *s, const qr_bert *right, size_t count,
                               unsigned *seed) {
    struct tally tally = {0};
    qr_proof proof;
    qr_error error = {0};
    reference_make(s->import, s->bert, &s->right);
    for (size_t tries = 0; tally.moved < count && tries < 8 * count + FAULT_KINDS; tries++)
        inject(s, right, (enum fault_kind)((tries + *seed) % FAULT_KINDS), seed, &tally);
    cr_assert_eq(prove(s->import, s->bert, NULL, &proof, &error), QR_OK, "%s: mended: %s", s->name,
                 error.message);
    reference_free(&s->right);
    return tally;
}

static void add(struct tally *sum, struct tally more) {
    sum->put += more.put;
    sum->moved += more.moved;
    sum->refused += more.refused;
    sum->named += more.named;
}

static const struct made {
    const char *name;
    struct model_options model;
    struct graph_options graph;
} made[] = {
    {"hidden", {.layers = 3, .hidden = 32, .heads = 4, .feed_forward = 48}, {0}},
    {"pooled",
     {.layers = 2, .hidden = 24, .heads = 3, .feed_forward = 40, .pooling = "mean", .eps = 1e-5},
     {.output = QR_OUTPUT_POOLED, .no_hidden = true}},
    {"first token",
     {.layers = 2, .hidden = 32, .heads = 2, .feed_forward = 32, .pooling = "cls"},
     {.output = QR_OUTPUT_POOLED}},
    {"span",
     {.layers = 2, .hidden = 32, .heads = 4, .feed_forward = 64, .head = "span"},
     {.output = QR_OUTPUT_SPAN, .no_hidden = true}},
    {"labels",
     {.layers = 2, .hidden = 32, .heads = 4, .feed_forward = 64, .head = "labels", .labels = 3},
     {.output = QR_OUTPUT_LABELS, .no_hidden = true, .fixed_tokens = 12}},
    {"tokens, without a mask",
     {.layers = 2, .hidden = 32, .heads = 4, .feed_forward = 64, .head = "tokens", .labels = 4},
     {.output = QR_OUTPUT_TOKEN_LABELS, .no_mask = true}},
    {"electra, quantized",
     {.layers = 2, .hidden = 32, .heads = 4, .feed_forward = 64, .electra = true, .embedding = 16},
     {.quantized = true}},
};
#define MADE (sizeof made / sizeof made[0])

/* How many faults beyond what is allowed each subject gets. */
static size_t share(size_t subjects) {
    return (faults() + subjects - 1) / subjects;
}

/* Two berts of one model: one to damage, one to compare with. */
static void two_berts(const struct model_options *options, qr_bert **a, qr_bert **b) {
    char dir[64];
    struct model_options model = *options;
    model.vocab = 60, model.positions = 40, model.seed = 3;
    temp_dir_create(dir);
    make_model(dir, &model);
    cr_assert_eq(read_model(dir, a, NULL), QR_OK);
    cr_assert_eq(read_model(dir, b, NULL), QR_OK);
    temp_dir_remove(dir);
}

/* Not all kinds fit all models; those that do are seen often. */
Test(proof_faults, none_escapes) {
    struct tally all = {0};
    unsigned seed = 1;
    for (size_t i = 0; i < MADE; i++) {
        qr_bert *bert, *right;
        two_berts(&made[i].model, &bert, &right);
        struct made_graph *graph = graph_make(bert, &made[i].graph);
        struct subject subject = {.name = made[i].name, .import = &graph->import, .bert = bert};
        add(&all, inject_all(&subject, right, share(MADE), &seed));
        graph_free(graph);
        qr_bert_destroy(bert);
        qr_bert_destroy(right);
    }
    cr_log_info("%zu faults, %zu beyond what is allowed, %zu refused, %zu named", all.put,
                all.moved, all.refused, all.named);
    cr_assert(all.moved >= faults() && all.named > all.moved / 2);
}

/* The same over what exporters made, as it was recognised. */
static struct tally inject_golden(const char *name, size_t count, unsigned *seed) {
    char path[512];
    qr_model *model = NULL;
    qr_bert *bert = NULL, *right = NULL;
    qr_error error = {0};
    snprintf(path, sizeof path, "%s/%s", GOLDENS, name);
    cr_assert_eq(qr_model_open(path, &model, &error), QR_OK, "%s", error.message);
    cr_assert_eq(qr_bert_read(model, &bert, &error), QR_OK, "%s", error.message);
    cr_assert_eq(qr_bert_read(model, &right, &error), QR_OK, "%s", error.message);
    struct subject subject = {.name = name, .import = qr_model_import(model), .bert = bert};
    struct tally tally = inject_all(&subject, right, count, seed);
    qr_bert_destroy(bert);
    qr_bert_destroy(right);
    qr_model_close(model);
    return tally;
}

Test(proof_faults, none_escapes_in_exports) {
    struct tally all = {0};
    unsigned seed = 2;
    struct dirent **names;
    int len = scandir(GOLDENS, &names, NULL, alphasort);
    cr_assert(len > 50, "%d: are the goldens there?", len);
    for (int i = 0; i < len; i++) {
        if (names[i]->d_name[0] != '.')
            add(&all, inject_golden(names[i]->d_name, share((size_t)len - 2), &seed));
        free(names[i]);
    }
    free(names);
    cr_log_info("%zu faults, %zu beyond what is allowed, %zu refused, %zu named", all.put,
                all.moved, all.refused, all.named);
    cr_assert(all.moved >= faults() && all.named > all.moved / 2);
}

/* Not a mistake about weights: padding that is seen. */
Test(proof_faults, a_mask_that_is_ignored_is_refused) {
    qr_bert *bert, *right;
    qr_proof proof;
    qr_error error = {0};
    two_berts(&made[0].model, &bert, &right);
    struct made_graph *graph = graph_make(bert, &(struct graph_options){.ignores_mask = true});
    cr_assert_eq(prove(&graph->import, bert, NULL, &proof, &error), QR_BAD_MODEL);
    cr_assert_not_null(strstr(error.message, "layer 0's attention, "), "%s", error.message);
    graph_free(graph);
    qr_bert_destroy(bert);
    qr_bert_destroy(right);
}
