/* pipeline/samples.c: vectors of the built-in texts, of both sets: what int8 vectors take their
 * ranges from. */
#include <stdlib.h>

#include "pipeline/probes.h"

/* The vectors of one set, appended. */
static qr_status add_set(const qr_engine *engine, const qr_tokenizer *tokenizer, qr__probe_use use,
                         size_t max_tokens, qr__samples *samples) {
    const qr_model_info *model = qr_engine_model(engine);
    const qr_context_options sizes = {.tokens_max = QR_LIMIT_PROBE_TOKENS,
                                      .sequences_max = QR__PROBE_MAX_TEXTS};
    qr_ragged texts;
    qr_context *context = NULL;
    const float *vectors;
    qr_status status =
        qr__probes_init(tokenizer, use, QR_KIND_EMBEDDING, max_tokens, model->types > 1, &texts);
    if (status != QR_OK)
        return status;
    size_t room = samples->len + texts.batch.sequences;
    float *grown = realloc(samples->vectors, room * model->embedding * sizeof *grown);
    if (grown != NULL)
        samples->vectors = grown;
    status = grown == NULL ? QR_NO_MEMORY : qr_context_create(engine, &sizes, &context, NULL);
    if (status == QR_OK)
        status = qr_context_forward(context, &texts.batch, QR_OUTPUT_POOLED, &vectors);
    if (status == QR_OK) {
        memcpy(samples->vectors + samples->len * model->embedding, vectors,
               texts.batch.sequences * model->embedding * sizeof *vectors);
        samples->len = room;
    }
    qr_context_destroy(context);
    qr_ragged_deinit(&texts);
    return status;
}

qr_status qr__samples_make(const qr_engine *engine, const qr_tokenizer *tokenizer,
                           size_t max_tokens, qr__samples *out) {
    qr_status status = QR_OK;
    *out = (qr__samples){0};
    for (qr__probe_use use = 0; use < QR_PROBE_SETS && status == QR_OK; use++)
        status = add_set(engine, tokenizer, use, max_tokens, out);
    if (status != QR_OK) {
        free(out->vectors);
        *out = (qr__samples){0};
    }
    return status;
}
