/* engine/batch.h: a ragged batch: sequences of different lengths laid end to end, never padded.
 *
 *     qr_ragged ragged;
 *     if (!qr_ragged_init(&ragged, 512, 32)) ...           // room for 512 tokens in 32 sequences
 *     qr_ragged_add(&ragged, ids, NULL, len);
 *     qr_context_forward(context, &ragged.batch, QR_OUTPUT_POOLED, &vectors);
 *     qr_ragged_clear(&ragged);                            // for the next one
 *     qr_ragged_deinit(&ragged);
 */
#ifndef QR_ENGINE_BATCH_H
#define QR_ENGINE_BATCH_H

#include "base/base.h"

/** B sequences of T tokens in all. All pointers are borrowed for the call that takes it. */
typedef struct qr_batch {
    const int32_t *ids;     /* [T] in [0, V) */
    const uint8_t *types;   /* [T] segment ids below info.types; NULL: all 0 */
    const uint32_t *starts; /* [B + 1] rising from 0 to T; each sequence has 1..P tokens */
    size_t sequences;       /* B */
    const uint32_t *skip; /* [B] leading tokens that pooling leaves out (a prompt's), fewer than the
                             sequence has; other outputs do not look at it. NULL: none */
} qr_batch;

/** A batch under construction, with the memory for it. */
typedef struct qr_ragged {
    qr_batch batch; /* what was added so far */
    size_t tokens;  /* T */
    int32_t *ids;   /* [tokens_max], owned, as are the next three */
    uint8_t *types;
    uint32_t *starts; /* [sequences_max + 1] */
    uint32_t *skip;   /* [sequences_max] */
    size_t tokens_max, sequences_max;
} qr_ragged;

/** False: no memory (there is nothing to deinit then). */
QR_MUST_USE bool qr_ragged_init(qr_ragged *ragged, size_t tokens_max, size_t sequences_max);

/** A zeroed one is allowed. */
void qr_ragged_deinit(qr_ragged *ragged);

/** Forgets what was added; the memory stays. */
void qr_ragged_clear(qr_ragged *ragged);

/** Appends a copy of one sequence of `tokens` tokens; `types` NULL: all 0. False: it does not
 * fit. */
bool qr_ragged_add(qr_ragged *ragged, const int32_t *ids, const uint8_t *types, size_t tokens);

/** The same for a sequence whose first `skip` tokens pooling leaves out. */
bool qr_ragged_add_skipping(qr_ragged *ragged, const int32_t *ids, const uint8_t *types,
                            size_t tokens, size_t skip);

#endif
