/* engine/plan/proof_locate.c: the reference's stages beside the graph's. */
#include "engine/plan/proof_locate.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/cpu/ref/ref.h"
#include "engine/plan/proof_compare.h"

/* The reference's stages are recognise.h's, which its room may not know. */
_Static_assert((int)QR__STAGE_EMBEDDINGS == (int)QR__REF_EMBEDDINGS, "the stages' order");
_Static_assert((int)QR__STAGE_QUERY == (int)QR__REF_QUERY, "the stages' order");
_Static_assert((int)QR__STAGE_ATTENDED == (int)QR__REF_ATTENDED, "the stages' order");
_Static_assert((int)QR__STAGE_OUTPUT_NORM == (int)QR__REF_OUTPUT_NORM, "the stages' order");

typedef struct search {
    const qr__proof_where *where;
    const qr__recognised *found;
    const qr__graph_stage *first; /* that differs; NULL: none so far */
    double error;                 /* its */
} search;

static const qr__graph_stage *find_stage(const qr__recognised *found, qr__ref_stage kind,
                                         size_t layer) {
    for (size_t i = 0; i < found->stage_count; i++)
        if ((int)found->stages[i].kind == (int)kind && found->stages[i].layer == layer &&
            found->stages[i].value != QR_ONNX_NONE)
            return &found->stages[i];
    return NULL;
}

/* qr__ref_observer.see */
static void see(void *user, qr__ref_stage kind, size_t layer, const double *numbers) {
    search *s = user;
    const qr__proof_where *where = s->where;
    const qr_model_info *info = &where->bert->info;
    const qr__graph_stage *stage = s->first == NULL ? find_stage(s->found, kind, layer) : NULL;
    const float *graphs = stage == NULL ? NULL : qr_import_stage(where->run, stage);
    if (graphs == NULL)
        return;
    size_t width = kind == QR__REF_INTERMEDIATE ? info->feed_forward : info->hidden;
    size_t tokens = where->batch->starts[where->batch->sequences];
    s->error = qr__proof_difference_ref(numbers, graphs, tokens * width);
    if (s->error > where->allowed)
        s->first = stage;
}

static void tell_stage(const search *s, qr__proof_place *place) {
    static const char *const names[] = {[QR__STAGE_QUERY] = "query",
                                        [QR__STAGE_KEY] = "key",
                                        [QR__STAGE_VALUE] = "value",
                                        [QR__STAGE_ATTENDED] = "attention",
                                        [QR__STAGE_ATTENTION_NORM] = "attention norm",
                                        [QR__STAGE_INTERMEDIATE] = "intermediate",
                                        [QR__STAGE_OUTPUT_NORM] = "output norm"};
    char what[64] = "the embeddings", node[256];
    *place = (qr__proof_place){.part = QR__PROOF_LAYERS,
                               .kind = s->first->kind,
                               .layer = s->first->layer,
                               .error = s->error};
    if (place->kind != QR__STAGE_EMBEDDINGS)
        snprintf(what, sizeof what, "layer %zu's %s", place->layer, names[place->kind]);
    qr__proof_node_text(s->found->graph, s->first->value, node);
    snprintf(place->text, sizeof place->text, "%s, %s, by %.2g", what, node, place->error);
}

/* Every stage agrees: it is the output's own way, or the kernels. */
static void tell_output(const search *s, float *made, size_t floats, qr__proof_place *place) {
    const qr__proof_where *where = s->where;
    const qr_model_info *info = &where->bert->info;
    const float *graphs = qr_import_output(where->run, where->output);
    const qr__graph_output *output = qr__proof_output(s->found, where->output);
    char node[256] = "no node";
    if (where->output == QR_OUTPUT_POOLED && info->normalize)
        qr__proof_normalise(made, where->batch->sequences, info->embedding);
    bool agrees =
        graphs == NULL || qr__proof_difference(made, graphs, floats, NULL) <= s->where->allowed;
    if (output != NULL)
        qr__proof_node_text(s->found->graph, output->value, node);
    *place = (qr__proof_place){.part = agrees ? QR__PROOF_KERNELS : QR__PROOF_BEHIND};
    if (agrees)
        snprintf(place->text, sizeof place->text,
                 "none, for the scalar reference agrees: a kernel of this program is at fault");
    else
        snprintf(place->text, sizeof place->text, "behind the layers, which agree: %s", node);
}

qr_status qr__proof_locate(const qr__proof_where *where, qr__proof_place *out, qr_error *error) {
    const qr__recognised *found = qr_import_recognised(where->import);
    const size_t floats = qr_ref_output_floats(where->bert, where->batch, where->output);
    search s = {.where = where, .found = found};
    const qr__ref_observer observer = {see, &s};
    float *made = calloc(floats, sizeof *made);
    *out = (qr__proof_place){0};
    if (made == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a proof");
    qr_status status =
        qr_ref_forward_observed(where->bert, where->batch, where->output, &observer, made, error);
    if (status == QR_OK && s.first != NULL)
        tell_stage(&s, out);
    else if (status == QR_OK)
        tell_output(&s, made, floats, out);
    free(made);
    return status;
}
