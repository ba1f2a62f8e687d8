/* engine/model_info.c: names and sizes that follow from a model's facts alone. */
#include "engine/plan_info.h"

#include <stdio.h>

static const char *const precision_names[QR_PRECISIONS] = {"auto", "f32", "f16", "bf16", "int8"};

const char *qr_plan_place(const qr_plan_info *plan, char out[QR_PLAN_PLACE_BYTES]) {
    const bool cpu = strcmp(plan->device, "cpu") == 0;
    snprintf(out, QR_PLAN_PLACE_BYTES, "%s%s%s", cpu ? "" : plan->device, cpu ? "" : " ",
             plan->target);
    return out;
}

const char *qr_precision_name(qr_precision precision) {
    return precision_names[precision];
}

const char *qr_activation_name(qr_activation activation) {
    static const char *const names[] = {
        [QR_GELU] = "gelu", [QR_GELU_NEW] = "gelu_new", [QR_RELU] = "relu"};
    return names[activation];
}

const char *qr_pooling_name(qr_pooling pooling) {
    static const char *const names[QR_POOLINGS] = {
        "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"};
    return names[pooling];
}

const char *qr_model_pooling_text(const qr_model_info *model, char out[QR_POOLING_TEXT_BYTES]) {
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < model->poolings && at < QR_POOLING_TEXT_BYTES; i++)
        at += (size_t)snprintf(out + at, QR_POOLING_TEXT_BYTES - at, "%s%s", i == 0 ? "" : "+",
                               qr_pooling_name(model->pooling[i]));
    return out;
}

qr_scores qr_model_scores(const qr_model_info *model) {
    if (model->problem == QR_PROBLEM_REGRESSION)
        return QR_SCORES_NONE;
    if (model->problem == QR_PROBLEM_MULTI_LABEL || model->labels == 1)
        return QR_SCORES_SIGMOID;
    return QR_SCORES_SOFTMAX;
}

double qr_model_operations(const qr_model_info *model, const uint32_t *starts, size_t sequences) {
    double C = (double)model->hidden, F = (double)model->feed_forward, T = starts[sequences],
           squares = 0;
    for (size_t b = 0; b < sequences; b++)
        squares += (double)(starts[b + 1] - starts[b]) * (double)(starts[b + 1] - starts[b]);
    return (double)model->layers * ((8 * C * C + 4 * C * F) * T + 4 * C * squares);
}
