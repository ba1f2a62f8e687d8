/* library/batches.c: any number of sequences through the model, laid end to end in batches of at
 * most BATCH_TOKENS (or one longest input). Nothing depends on how they fall together: a text's
 * numbers are the same in every batch. */
#include "library/library_internal.h"

#define BATCH_TOKENS    512u /* as the server's --batch-tokens */
#define BATCH_SEQUENCES 64u

static qr_lib_status make_room(const qr_lib_model *model, qr__seat *seat, qr_lib_error *error) {
    const qr_context_options sizes = {
        .tokens_max = qr_max(qr_pipeline_max_tokens(model->pipeline), BATCH_TOKENS),
        .sequences_max = BATCH_SEQUENCES,
        .pool = model->pool};
    qr_error fault = {0};
    if (seat->batch.ids == NULL &&
        !qr_ragged_init(&seat->batch, sizes.tokens_max, sizes.sequences_max))
        return qr__lib_fault(error, QR_LIB_NO_MEMORY, "out of memory");
    qr_status status =
        qr_context_create(qr_pipeline_engine(model->pipeline), &sizes, &seat->context, &fault);
    if (status != QR_OK)
        return qr__lib_fault(error, qr__lib_status_of(status), "%s", fault.message);
    return QR_LIB_OK;
}

qr_lib_status qr__batches_init(qr__batches *run, const qr_lib_model *model, qr__seat *seat,
                               qr__batches_take *take, void *state, qr_lib_error *error) {
    *run = (qr__batches){.seat = seat, .pipeline = model->pipeline, .take = take, .state = state};
    if (seat->context == NULL) {
        qr_lib_status status = make_room(model, seat, error);
        if (status != QR_LIB_OK)
            return status;
    }
    qr_ragged_clear(&seat->batch);
    return QR_LIB_OK;
}

qr_lib_status qr__batches_finish(qr__batches *run, qr_lib_error *error) {
    const qr_batch *batch = &run->seat->batch.batch;
    const float *floats;
    if (batch->sequences == 0)
        return QR_LIB_OK;
    qr_status status =
        qr_context_forward(run->seat->context, batch, qr_pipeline_output(run->pipeline), &floats);
    if (status != QR_OK) { /* what was added is legal: this is no fault of the caller's */
        bool known = status == QR_NO_MEMORY || status == QR_DEVICE;
        return qr__lib_fault(error, known ? qr__lib_status_of(status) : QR_LIB_INTERNAL,
                             "the model could not be run: %s", qr_status_name(status));
    }
    for (size_t b = 0; b < batch->sequences; b++) {
        size_t tokens = batch->starts[b + 1] - batch->starts[b];
        run->take(run->state, run->done++, floats, tokens);
        floats += qr_pipeline_output_floats(run->pipeline, tokens);
    }
    qr_ragged_clear(&run->seat->batch);
    return QR_LIB_OK;
}

qr_lib_status qr__batches_add(qr__batches *run, const int32_t *ids, const uint8_t *types,
                              size_t tokens, qr_lib_error *error) {
    bool has_types = qr_engine_model(qr_pipeline_engine(run->pipeline))->types > 1;
    const uint8_t *used = has_types ? types : NULL;
    if (qr_ragged_add(&run->seat->batch, ids, used, tokens))
        return QR_LIB_OK;
    qr_lib_status status = qr__batches_finish(run, error);
    if (status != QR_LIB_OK)
        return status;
    return qr_ragged_add(&run->seat->batch, ids, used, tokens)
               ? QR_LIB_OK
               : qr__lib_fault(error, QR_LIB_INTERNAL, "a sequence of %zu tokens", tokens);
}

qr_lib_status qr__batches_add_text(qr__batches *run, qr_text text, const qr_text *pair,
                                   int long_text, size_t index, qr_lib_error *error) {
    size_t longest = qr_pipeline_max_tokens(run->pipeline);
    const qr_encode_options options = {.special = true,
                                       .max_tokens = long_text == QR_LIB_LONG_REFUSE ? 0 : longest,
                                       .truncate_left = long_text == QR_LIB_LONG_CUT_BEGIN};
    qr_encoding *encoding = &run->seat->encoding;
    qr_status status =
        qr_tokenizer_encode(qr_pipeline_tokenizer(run->pipeline), text, pair, &options, encoding);
    if (status != QR_OK)
        return qr__lib_fault(error, qr__lib_status_of(status), "texts[%zu]: %s", index,
                             qr_lib_status_text(qr__lib_status_of(status)));
    if (encoding->len > longest)
        return qr__lib_fault(error, QR_LIB_TOO_LONG,
                             "texts[%zu] has %zu tokens, more than the %zu that the model takes",
                             index, encoding->len, longest);
    if (encoding->len == 0) /* a tokenizer without [CLS] and [SEP], and nothing else */
        return qr__lib_fault(error, QR_LIB_EMPTY_INPUT, "texts[%zu] has no token", index);
    return qr__batches_add(run, encoding->ids, pair == NULL ? NULL : encoding->types, encoding->len,
                           error);
}
