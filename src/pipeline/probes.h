/* pipeline/probes.h: the built-in texts on which a plan is held against f32 at load
 * (docs/PIPELINE.md, accuracy gate). */
#ifndef QR_PIPELINE_PROBES_H
#define QR_PIPELINE_PROBES_H

#include "pipeline/pipeline.h"

#define QR__PROBE_MAX_TOKENS 1000u

/** A batch that owns its arrays. Zero-initialise. */
typedef struct qr__probes {
    qr_batch batch;
    int32_t *ids;
    uint8_t *types;
    uint32_t *starts;
} qr__probes;

/** Tokenizes as many of the texts for `kind` as fit into QR__PROBE_MAX_TOKENS, each cut to
 * `max_tokens`. `pair_types`: the model tells first from second texts. QR_NO_MEMORY, QR_TOO_LONG
 * (max_tokens below 3). */
QR_MUST_USE qr_status qr__probes_init(const qr_tokenizer *tokenizer, qr_kind kind,
                                      size_t max_tokens, bool pair_types, qr__probes *out);

/** Frees the arrays; of zeroed probes too. */
void qr__probes_deinit(qr__probes *probes);

#endif
