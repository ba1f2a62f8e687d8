/* pipeline/finish.c: the last arithmetic on pooled vectors and label logits. Sums run in double, in
 * index order, so that a vector's bits depend on nothing but the vector. */
#include <math.h>

#include "pipeline/pipeline.h"

static double norm(const float *vector, size_t len) {
    double sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += (double)vector[i] * (double)vector[i];
    return sqrt(sum);
}

size_t qr_embed_finish(const float *vector, size_t width, size_t dimensions, bool normalize,
                       float *out) {
    size_t len = dimensions == 0 ? width : qr_min(dimensions, width);
    double length = normalize ? norm(vector, len) : 0;
    float scale = (float)(1.0 / length);
    if (!(length > 0)) {
        memcpy(out, vector, len * sizeof *out);
    } else if (isfinite(scale)) {
        for (size_t i = 0; i < len; i++)
            out[i] = vector[i] * scale;
    } else { /* a norm below 1e-38: the scale has no float, the quotients do */
        for (size_t i = 0; i < len; i++)
            out[i] = (float)((double)vector[i] / length);
    }
    return len;
}

static void sigmoid(const float *logits, size_t labels, float *out) {
    for (size_t i = 0; i < labels; i++)
        out[i] = (float)(1.0 / (1.0 + exp(-(double)logits[i])));
}

/* Less the true maximum: nothing overflows. */
static void softmax(const float *logits, size_t labels, float *out) {
    double max = -HUGE_VAL, sum = 0;
    for (size_t i = 0; i < labels; i++) /* with fmax gcc 12.2 fails over this loop on aarch64 */
        if ((double)logits[i] > max)
            max = (double)logits[i];
    for (size_t i = 0; i < labels; i++)
        sum += exp((double)logits[i] - max);
    for (size_t i = 0; i < labels; i++)
        out[i] = (float)(exp((double)logits[i] - max) / sum);
}

void qr_labels_finish(const qr_model_info *model, const float *logits, float *out) {
    if (model->labels == 1 || model->problem == QR_PROBLEM_MULTI_LABEL)
        sigmoid(logits, model->labels, out);
    else
        softmax(logits, model->labels, out);
}

void qr_labels_score(const qr_model_info *model, const float *logits, qr_scores how, float *out) {
    switch (how == QR_SCORES_DEFAULT ? qr_model_scores(model) : how) {
    case QR_SCORES_SOFTMAX:
        softmax(logits, model->labels, out);
        break;
    case QR_SCORES_SIGMOID:
        sigmoid(logits, model->labels, out);
        break;
    case QR_SCORES_NONE:
    case QR_SCORES_DEFAULT:
        memcpy(out, logits, model->labels * sizeof *out);
        break;
    }
}
