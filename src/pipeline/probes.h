/* pipeline/probes.h: the built-in texts that a load works on (docs/PIPELINE.md, accuracy gate):
 * some on which a plan is held against f32, and others from which int8 takes the ranges of
 * activations. */
#ifndef QR_PIPELINE_PROBES_H
#define QR_PIPELINE_PROBES_H

#include "pipeline/pipeline.h"

#define QR__PROBE_MAX_TEXTS 256u

typedef enum qr__probe_use { QR_PROBES_GATE, QR_PROBES_CALIBRATION, QR_PROBE_SETS } qr__probe_use;

/** Tokenizes as many of the set's texts for `kind` as fit into QR_LIMIT_PROBE_TOKENS, each cut to
 * `max_tokens`. `pair_types`: the model tells first from second texts. QR_NO_MEMORY, QR_TOO_LONG
 * (max_tokens below 3): there is nothing to deinit then. */
QR_MUST_USE qr_status qr__probes_init(const qr_tokenizer *tokenizer, qr__probe_use use,
                                      qr_kind kind, size_t max_tokens, bool pair_types,
                                      qr_ragged *out);

/** Vectors [len][embedding] of all sets' texts; free() what `vectors` points to. */
typedef struct qr__samples {
    float *vectors;
    size_t len;
} qr__samples;

/** Of an embedding model. Statuses as the engine's; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__samples_make(const qr_engine *engine, const qr_tokenizer *tokenizer,
                                       size_t max_tokens, qr__samples *out);

#endif
