/* pipeline/prompts.h: private to pipeline/: the prompts of a model directory.
 *
 *     status = qr__prompts_load(dir, &prompts, &error);
 *     status = qr__prompts_count(&prompts, tokenizer, max_tokens);     // their skip
 *     qr__prompts_deinit(&prompts);
 */
#ifndef QR_PIPELINE_PROMPTS_H
#define QR_PIPELINE_PROMPTS_H

#include "pipeline/pipeline.h"

typedef struct qr__prompts {
    qr_prompt *items; /* owned, as their texts are */
    size_t len;
} qr__prompts;

/** Reads config_sentence_transformers.json where it is. QR_BAD_MODEL: it is not what
 * sentence-transformers writes; QR_IO, QR_NO_MEMORY. To be deinitialised also when this fails. */
QR_MUST_USE qr_status qr__prompts_load(const char *dir, qr__prompts *out, qr_error *error);

/** Sets each one's skip to the tokens that it is alone, [CLS] included and [SEP] not.
 * QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__prompts_count(qr__prompts *prompts, const qr_tokenizer *tokenizer,
                                        size_t max_tokens);

/** A zeroed one is allowed. */
void qr__prompts_deinit(qr__prompts *prompts);

#endif
