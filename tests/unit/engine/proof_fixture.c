/* tests: see proof_fixture.h. */
#include "proof_fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/cpu/cpu.h"
#include "engine/cpu/ref/ref.h"
#include "engine/plan/proof_compare.h"

qr_status prove(const qr_import *import, const qr_bert *bert, const char *isa, qr_proof *out,
                qr_error *error) {
    qr_device *device = NULL;
    qr_packed *packed = NULL;
    const qr_plan plan = {.precision = QR_PRECISION_F32};
    cr_assert_eq(qr_backend_cpu.open(isa, &device, error), QR_OK);
    cr_assert_eq(qr_backend_cpu.pack(device, bert, &plan, NULL, &packed, error), QR_OK);
    const qr_proof_options options = {.import = import, .packed = packed, .threads = 1};
    qr_status status = qr_prove(&options, out, error);
    qr_backend_cpu.packed_destroy(packed);
    qr_backend_cpu.close(device);
    return status;
}

/* What of the graph's outputs the proof looks at: hidden states also where they are none. */
static bool is_compared(const qr_import *import, const qr_bert *bert, qr_output output) {
    const qr__recognised *found = qr_import_recognised(import);
    return qr__proof_serves(bert->info.head, output) &&
           (qr__proof_output(found, output) != NULL ||
            (output == QR_OUTPUT_HIDDEN && !found->half));
}

void reference_make(const qr_import *import, const qr_bert *bert, struct reference *out) {
    const qr_model_info *info = &bert->info;
    *out = (struct reference){0};
    cr_assert_eq(qr__proof_probes_init(qr_import_recognised(import), info, &out->probes, NULL),
                 QR_OK);
    for (size_t i = 0; i < out->probes.len; i++) {
        const qr_batch *batch = &out->probes.batches[i].batch;
        for (qr_output o = 0; o <= QR_OUTPUT_TOKEN_LABELS; o++) {
            if (!is_compared(import, bert, o))
                continue;
            float *made = calloc(qr__proof_floats(info, batch, o), sizeof *made);
            cr_assert_not_null(made);
            cr_assert_eq(qr_ref_forward(bert, batch, o, made, NULL), QR_OK);
            if (o == QR_OUTPUT_POOLED && info->normalize)
                qr__proof_normalise(made, batch->sequences, info->embedding);
            out->outputs[i][o] = made;
        }
    }
}

void reference_free(struct reference *reference) {
    for (size_t i = 0; i < QR__PROOF_BATCHES; i++)
        for (qr_output o = 0; o <= QR_OUTPUT_TOKEN_LABELS; o++)
            free(reference->outputs[i][o]);
    qr__proof_probes_deinit(&reference->probes);
}

double reference_apart(const qr_bert *bert, const struct reference *a, const struct reference *b) {
    double worst = 0;
    for (size_t i = 0; i < a->probes.len; i++)
        for (qr_output o = 0; o <= QR_OUTPUT_TOKEN_LABELS; o++)
            if (a->outputs[i][o] != NULL)
                worst =
                    fmax(worst,
                         qr__proof_difference(
                             b->outputs[i][o], a->outputs[i][o],
                             qr__proof_floats(&bert->info, &a->probes.batches[i].batch, o), NULL));
    return worst;
}

struct seen {
    qr__ref_stage kind;
    size_t layer, count;
    float *numbers;
};

/* qr__ref_observer.see */
static void see(void *user, qr__ref_stage kind, size_t layer, const double *numbers) {
    struct seen *seen = user;
    if (kind != seen->kind || layer != seen->layer)
        return;
    for (size_t i = 0; i < seen->count; i++)
        seen->numbers[i] = (float)numbers[i];
}

static float *stage_of(const qr_bert *bert, const qr_batch *batch, qr__stage_kind kind,
                       size_t layer, size_t *count) {
    const qr_model_info *info = &bert->info;
    const size_t tokens = batch->starts[batch->sequences];
    *count = tokens * (kind == QR__STAGE_INTERMEDIATE ? info->feed_forward : info->hidden);
    struct seen seen = {(qr__ref_stage)kind, layer, *count, calloc(*count, sizeof(float))};
    const qr__ref_observer observer = {see, &seen};
    float *hidden = calloc(tokens * info->hidden, sizeof *hidden);
    cr_assert(seen.numbers != NULL && hidden != NULL);
    cr_assert_eq(qr_ref_forward_observed(bert, batch, QR_OUTPUT_HIDDEN, &observer, hidden, NULL),
                 QR_OK);
    free(hidden);
    return seen.numbers;
}

double stage_apart(const qr_import *import, const qr_bert *a, const qr_bert *b, qr__stage_kind kind,
                   size_t layer) {
    qr__proof_probes probes;
    double least = INFINITY;
    cr_assert_eq(qr__proof_probes_init(qr_import_recognised(import), &a->info, &probes, NULL),
                 QR_OK);
    for (size_t i = 0; i < probes.len; i++) {
        size_t count;
        float *right = stage_of(a, &probes.batches[i].batch, kind, layer, &count);
        float *wrong = stage_of(b, &probes.batches[i].batch, kind, layer, &count);
        least = fmin(least, qr__proof_difference(wrong, right, count, NULL));
        free(right);
        free(wrong);
    }
    qr__proof_probes_deinit(&probes);
    return least;
}
