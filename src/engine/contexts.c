/* engine/contexts.c: the door of a forward pass: what a backend is given is legal for its model
 * and fits its workspace. */
#include "engine/backend.h"

qr_status qr_packed_context(const qr_packed *packed, const qr_context_options *options,
                            qr_context **out, qr_error *error) {
    const size_t most = QR_LIMIT_TEXT_TOKENS;
    size_t tokens = options->tokens_max, sequences = options->sequences_max;
    *out = NULL;
    if (tokens == 0 || tokens > most || sequences == 0 || sequences > most)
        return qr_error_set(error, QR_BAD_OPTION,
                            "a context for %zu tokens and %zu sequences: 1 to %zu are possible",
                            tokens, sequences, most);
    qr_context_options fitting = *options;
    fitting.sequences_max = qr_min(sequences, tokens); /* each has a token */
    qr_status status = packed->device->backend->context_create(packed, &fitting, out, error);
    if (status == QR_OK) {
        (*out)->packed = packed;
        (*out)->tokens_max = fitting.tokens_max;
        (*out)->sequences_max = fitting.sequences_max;
    }
    return status;
}

void qr_context_destroy(qr_context *context) {
    if (context != NULL)
        context->packed->device->backend->context_destroy(context);
}

/* Ids index the word embeddings and types the segment embeddings: this is what keeps a request
 * from reading elsewhere. */
static qr_status check_sequence(const qr_model_info *info, const qr_batch *batch, size_t b) {
    size_t begin = batch->starts[b], end = batch->starts[b + 1];
    if (end <= begin)
        return QR_BAD_REQUEST;
    if (end - begin > info->positions)
        return QR_TOO_LONG;
    if (batch->skip != NULL && batch->skip[b] >= end - begin)
        return QR_BAD_REQUEST;
    for (size_t t = begin; t < end; t++) {
        if (batch->ids[t] < 0 || (size_t)batch->ids[t] >= info->vocab)
            return QR_BAD_REQUEST;
        if (batch->types != NULL && info->types > 0 && batch->types[t] >= info->types)
            return QR_BAD_REQUEST;
    }
    return QR_OK;
}

/* `starts` is checked as it is walked, so a falling or overlong entry is met before anything
 * that it points to. */
qr_status qr_context_check(const qr_context *c, const qr_batch *batch, qr_output wanted) {
    const qr_model_info *info = &c->packed->bert->info;
    if ((wanted == QR_OUTPUT_SPAN && info->head != QR_HEAD_SPAN) ||
        (wanted == QR_OUTPUT_LABELS && info->head != QR_HEAD_LABELS) ||
        (wanted == QR_OUTPUT_TOKEN_LABELS && info->head != QR_HEAD_TOKENS))
        return QR_BAD_REQUEST;
    if (batch->sequences == 0 || batch->starts[0] != 0)
        return QR_BAD_REQUEST;
    if (batch->sequences > c->sequences_max)
        return QR_TOO_LONG;
    for (size_t b = 0; b < batch->sequences; b++) {
        if (batch->starts[b + 1] > c->tokens_max)
            return QR_TOO_LONG;
        qr_status status = check_sequence(info, batch, b);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

qr_status qr_context_calibrate(qr_context *context, const qr_batch *batch, float *ranges) {
    qr_status status = qr_context_check(context, batch, QR_OUTPUT_HIDDEN);
    return status == QR_OK ? context->packed->device->backend->calibrate(context, batch, ranges)
                           : status;
}

qr_status qr_context_forward(qr_context *context, const qr_batch *batch, qr_output wanted,
                             const float **out) {
    qr_status status = qr_context_check(context, batch, wanted);
    return status == QR_OK ? context->packed->device->backend->forward(context, batch, wanted, out)
                           : status;
}
