/* engine/plan/proof.c: the plan's outputs beside the graph's, probe by probe. */
#include "engine/plan/proof.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/plan/proof_compare.h"
#include "engine/plan/proof_locate.h"
#include "engine/plan/proof_probes.h"

#define OUTPUTS (QR_OUTPUT_TOKEN_LABELS + 1u)

typedef struct prover {
    const qr_proof_options *options;
    const qr__recognised *found;
    const qr_model_info *info;
    qr_context *context;
    float *ours; /* of one output and batch */
    double allowed;
    double error;                      /* the largest so far */
    qr__proof_cosine cosines[OUTPUTS]; /* of quantized graphs */
    size_t compared;                   /* numbers */
} prover;

/* The states of the last layer within a graph that does not give them. */
static const float *last_states(const prover *p, const qr_import_run *run) {
    for (size_t i = 0; i < p->found->stage_count; i++) {
        const qr__graph_stage *stage = &p->found->stages[i];
        if (stage->kind == QR__STAGE_OUTPUT_NORM && stage->layer + 1 == p->info->layers &&
            stage->value != QR_ONNX_NONE)
            return qr_import_stage(run, stage);
    }
    return NULL;
}

static bool gives_any(const prover *p, const qr_import_run *run) {
    for (qr_output output = 0; output < OUTPUTS; output++)
        if (qr__proof_serves(p->info->head, output) && qr_import_output(run, output) != NULL)
            return true;
    return false;
}

/* The graph's numbers for an output; NULL: it is not to be compared.
 *
 * Hidden states are compared also where a graph keeps them to itself: of a vector of length 1 a
 * difference of 1e-3 is much, and they see more of it. In half precision they may differ more than
 * what is made of them, so there they only stand in for outputs of which the graph has none (it
 * pools, but not as was asked for). */
static const float *graph_numbers(const prover *p, const qr_import_run *run, qr_output output) {
    if (!qr__proof_serves(p->info->head, output))
        return NULL;
    const float *graphs = qr_import_output(run, output);
    bool hidden = output == QR_OUTPUT_HIDDEN && graphs == NULL;
    return hidden && (!p->found->half || !gives_any(p, run)) ? last_states(p, run) : graphs;
}

/* The plan's numbers, finished as the graph's are. */
static qr_status forward(const prover *p, const qr_batch *batch, qr_output output,
                         qr_error *error) {
    const float *made;
    qr_status status = qr_context_forward(p->context, batch, output, &made);
    if (status != QR_OK)
        return qr_error_set(error, status, "%s: a proof's input does not fit the model: %s",
                            p->found->graph->path, qr_status_sentence(status));
    memcpy(p->ours, made, qr__proof_floats(p->info, batch, output) * sizeof *made);
    if (output == QR_OUTPUT_POOLED && p->info->normalize)
        qr__proof_normalise(p->ours, batch->sequences, p->info->embedding);
    return QR_OK;
}

/* "output `logits` differs" */
static void output_text(const prover *p, qr_output output, char out[160]) {
    const qr__graph_output *about = qr__proof_output(p->found, output);
    if (about == NULL)
        snprintf(out, 160, "the last layer's states differ");
    else
        snprintf(out, 160, "output `%.100s` differs", p->found->graph->values[about->value].name);
}

static qr_status refuse(const prover *p, const qr_import_run *run, const qr_batch *batch,
                        qr_output output, double worst, qr_error *error) {
    const qr__proof_where where = {.import = p->options->import,
                                   .run = run,
                                   .bert = p->options->packed->bert,
                                   .batch = batch,
                                   .output = output,
                                   .allowed = p->allowed};
    char name[160];
    qr__proof_place place;
    output_text(p, output, name);
    qr_status status = qr__proof_locate(&where, &place, error);
    if (status != QR_OK)
        return status;
    return qr_error_set(
        error, QR_BAD_MODEL,
        "%s: what was recognised is not what the graph computes: %s by %.2g (allowed: "
        "%.0e, of numbers above 1 by their size); the first node that differs: %s",
        p->found->graph->path, name, worst, p->allowed, place.text);
}

/* Every output of one run; `literal`: what quantizes activations did so. */
static qr_status compare(prover *p, const qr_import_run *run, const qr_batch *batch, bool literal,
                         qr_error *error) {
    qr_status status = QR_OK;
    for (qr_output i = 0; i < OUTPUTS && status == QR_OK; i++) {
        const qr_output output = OUTPUTS - 1 - i; /* hidden states last: others have names */
        const size_t floats = qr__proof_floats(p->info, batch, output);
        const float *graphs = graph_numbers(p, run, output);
        if (graphs == NULL)
            continue;
        status = forward(p, batch, output, error);
        if (status != QR_OK)
            return status;
        p->compared += floats;
        if (literal) {
            qr__proof_cosine_add(&p->cosines[output], p->ours, graphs, floats);
            continue;
        }
        double worst = qr__proof_difference(p->ours, graphs, floats, NULL);
        p->error = fmax(p->error, worst);
        if (!(worst <= p->allowed))
            status = refuse(p, run, batch, output, worst, error);
    }
    return status;
}

static qr_status run_probe(prover *p, const qr_batch *batch, bool literal, qr_error *error) {
    qr_import_run *run = NULL;
    const bool bypass = p->found->quantized && !literal;
    qr_status status = qr_import_forward(p->options->import, batch, bypass, &run, error);
    if (status == QR_OK)
        status = compare(p, run, batch, literal, error);
    qr_import_run_destroy(run);
    return status;
}

static qr_status judge_cosines(const prover *p, qr_proof *out, qr_error *error) {
    for (qr_output output = 0; output < OUTPUTS; output++) {
        double cosine = qr__proof_cosine_of(&p->cosines[output]);
        char name[160];
        output_text(p, output, name);
        out->cosine = cosine < out->cosine ? cosine : out->cosine;
        if (!(cosine >= QR_PROOF_COSINE))
            return qr_error_set(
                error, QR_BAD_MODEL,
                "%s: %s too much when activations are not quantized, as querent computes it: the "
                "cosine with what the graph gives is %.4f (at least %.2f); export it in f32 or f16",
                p->found->graph->path, name, cosine, QR_PROOF_COSINE);
    }
    return QR_OK;
}

static qr_status run_probes(prover *p, const qr__proof_probes *probes, qr_proof *out,
                            qr_error *error) {
    qr_status status = QR_OK;
    for (size_t i = 0; i < probes->len && status == QR_OK; i++) {
        status = run_probe(p, &probes->batches[i].batch, false, error);
        if (status == QR_OK && p->found->quantized && i < probes->literal)
            status = run_probe(p, &probes->batches[i].batch, true, error);
    }
    out->error = p->error;
    if (status == QR_OK)
        status = judge_cosines(p, out, error);
    if (status == QR_OK && p->compared == 0)
        status = qr_error_set(error, QR_BAD_MODEL,
                              "%s: the graph has no output that could be compared with the plan's",
                              p->found->graph->path);
    return status;
}

/* The pool goes after the context that it helps. */
static qr_status prove_with_pool(prover *p, const qr__proof_probes *probes, qr_pool *pool,
                                 qr_proof *out, qr_error *error) {
    const qr_context_options sizes = {
        .tokens_max = probes->tokens_max, .sequences_max = probes->sequences_max, .pool = pool};
    const qr_model_info *info = p->info;
    const size_t widest = qr_max(qr_max(info->hidden, info->labels), 2);
    const size_t floats =
        qr_max(probes->tokens_max * widest, probes->sequences_max * info->embedding);
    p->ours = calloc(floats, sizeof *p->ours);
    if (p->ours == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a proof");
    qr_status status = qr_packed_context(p->options->packed, &sizes, &p->context, error);
    if (status == QR_OK)
        status = run_probes(p, probes, out, error);
    qr_context_destroy(p->context);
    free(p->ours);
    return status;
}

qr_status qr_prove(const qr_proof_options *options, qr_proof *out, qr_error *error) {
    prover p = {.options = options,
                .found = qr_import_recognised(options->import),
                .info = &options->packed->bert->info};
    qr__proof_probes probes;
    qr_pool *pool = NULL;
    p.allowed = p.found->half ? QR_PROOF_ALLOWED_HALF : QR_PROOF_ALLOWED;
    *out = (qr_proof){.allowed = p.allowed, .cosine = 1};
    qr_status status = qr__proof_probes_init(p.found, p.info, &probes, error);
    if (status != QR_OK)
        return status;
    status = qr_pool_create(options->threads, &pool);
    if (status == QR_OK)
        status = qr_pool_start_helpers(pool);
    if (status == QR_OK)
        status = prove_with_pool(&p, &probes, pool, out, error);
    else
        qr_error_set(error, status, "a proof cannot start %d threads", options->threads);
    qr_pool_destroy(pool);
    qr__proof_probes_deinit(&probes);
    return status;
}

void qr_proof_text(const qr_proof *proven, char *out, size_t out_bytes) {
    int n = snprintf(out, out_bytes,
                     "gives what the graph gives: largest difference %.1e (%.0e is allowed)",
                     proven->error, proven->allowed);
    if (proven->cosine < 1 && n > 0 && (size_t)n < out_bytes)
        snprintf(
            out + n, out_bytes - (size_t)n,
            " with activations not quantized; cosine %.4f (%.2f is enough) with the graph as it is",
            proven->cosine, QR_PROOF_COSINE);
}
