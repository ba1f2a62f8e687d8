/* engine/plan/proof_compare.c: differences, cosines, and which output is which. */
#include "engine/plan/proof_compare.h"

#include <math.h>
#include <stdio.h>

static double difference(double ours, double graphs) {
    double apart = fabs(ours - graphs) / fmax(1, fabs(graphs));
    return isfinite(apart) ? apart : INFINITY;
}

double qr__proof_difference(const float *ours, const float *graphs, size_t count, size_t *at) {
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double apart = difference(ours[i], graphs[i]);
        if (apart > worst) {
            worst = apart;
            if (at != NULL)
                *at = i;
        }
    }
    return worst;
}

double qr__proof_difference_ref(const double *ours, const float *graphs, size_t count) {
    double worst = 0;
    for (size_t i = 0; i < count; i++) { /* with fmax gcc 12.2 fails over this loop on aarch64 */
        double apart = difference(ours[i], graphs[i]);
        if (apart > worst)
            worst = apart;
    }
    return worst;
}

void qr__proof_cosine_add(qr__proof_cosine *sums, const float *ours, const float *graphs,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        sums->product += (double)ours[i] * graphs[i];
        sums->ours += (double)ours[i] * ours[i];
        sums->graphs += (double)graphs[i] * graphs[i];
    }
}

double qr__proof_cosine_of(const qr__proof_cosine *sums) {
    if (sums->ours == 0 && sums->graphs == 0)
        return 1;
    double cosine = sums->product / sqrt(sums->ours * sums->graphs);
    return isfinite(cosine) ? cosine : 0;
}

void qr__proof_normalise(float *vectors, size_t rows, size_t width) {
    for (size_t r = 0; r < rows; r++) {
        float *row = vectors + r * width;
        double square = 0;
        for (size_t c = 0; c < width; c++)
            square += (double)row[c] * row[c];
        double scale = square > 0 ? 1 / sqrt(square) : 0;
        for (size_t c = 0; c < width; c++)
            row[c] = (float)(row[c] * scale);
    }
}

size_t qr__proof_floats(const qr_model_info *info, const qr_batch *batch, qr_output output) {
    const size_t tokens = batch->starts[batch->sequences];
    const size_t floats[] = {[QR_OUTPUT_HIDDEN] = tokens * info->hidden,
                             [QR_OUTPUT_POOLED] = batch->sequences * info->embedding,
                             [QR_OUTPUT_SPAN] = tokens * 2,
                             [QR_OUTPUT_LABELS] = batch->sequences * info->labels,
                             [QR_OUTPUT_TOKEN_LABELS] = tokens * info->labels};
    return floats[output];
}

bool qr__proof_serves(qr_head head, qr_output output) {
    switch (output) {
    case QR_OUTPUT_SPAN:
        return head == QR_HEAD_SPAN;
    case QR_OUTPUT_LABELS:
        return head == QR_HEAD_LABELS;
    case QR_OUTPUT_TOKEN_LABELS:
        return head == QR_HEAD_TOKENS;
    case QR_OUTPUT_HIDDEN:
    case QR_OUTPUT_POOLED:
        break;
    }
    return true;
}

const qr__graph_output *qr__proof_output(const qr__recognised *found, qr_output output) {
    static const unsigned kinds[] = {[QR_OUTPUT_HIDDEN] = 1u << QR__GRAPH_HIDDEN,
                                     [QR_OUTPUT_POOLED] = 1u << QR__GRAPH_POOLED,
                                     [QR_OUTPUT_SPAN] =
                                         1u << QR__GRAPH_SPAN_START | 1u << QR__GRAPH_SPAN_END,
                                     [QR_OUTPUT_LABELS] = 1u << QR__GRAPH_LABELS,
                                     [QR_OUTPUT_TOKEN_LABELS] = 1u << QR__GRAPH_TOKEN_LABELS};
    for (size_t i = 0; i < found->graph->output_count; i++)
        if ((kinds[output] >> found->outputs[i].kind & 1) != 0)
            return &found->outputs[i];
    return NULL;
}

void qr__proof_node_text(const qr_onnx_graph *graph, size_t value, char out[256]) {
    const qr_onnx_value *about = &graph->values[value];
    if (about->producer != QR_ONNX_NONE)
        qr_onnx_node_text(graph, &graph->nodes[about->producer], out);
    else
        snprintf(out, 256, "`%.200s`, which no node makes", about->name);
}
