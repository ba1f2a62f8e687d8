/* engine/cpu/word_embeddings.h: the table of word embeddings, [V][E]: the one that is read by row.
 *
 *     qr__word_embeddings *words;
 *     status = qr__word_embeddings_pack(bert, isa, true, &words, &error);
 *     qr__word_embeddings_release(words);         // each holder once
 *
 * Threads: const after packing; packed, shared and released by the thread that loads.
 */
#ifndef QR_ENGINE_CPU_WORD_EMBEDDINGS_H
#define QR_ENGINE_CPU_WORD_EMBEDDINGS_H

#include "engine/byte_stream.h"
#include "engine/cpu/kernels/isa.h"
#include "engine/cpu/memory_huge.h"
#include "engine/model/model.h"

typedef struct qr__word_embeddings {
    const void *rows;        /* f32: the bert's own; f16: ours */
    qr__memory_huge *memory; /* of ours; NULL: none */
    bool f16;                /* IEEE 754 binary16 */
    size_t bytes;
    unsigned holders;
} qr__word_embeddings;

/** In 16 bits where that loses nothing (a model stored in f16) or where it may be rounded
 * (relative error 2^-11). QR_NO_MEMORY. *out has one holder. */
QR_MUST_USE qr_status qr__word_embeddings_pack(const qr_bert *bert, qr__isa isa, bool may_round,
                                               qr__word_embeddings **out, qr_error *error);

/** Writes the table where it is in 16 bits; else it is the bert's, and nothing is written. A status
 * is the sink's. */
QR_MUST_USE qr_status qr__word_embeddings_save(const qr__word_embeddings *words,
                                               const qr_model_info *info, const qr_sink *sink);

/** As pack, from what was saved of the same model's. QR_IO: the source ends early. */
QR_MUST_USE qr_status qr__word_embeddings_load(const qr_bert *bert, bool may_round,
                                               const qr_source *source, qr__word_embeddings **out,
                                               qr_error *error);

/** One more holder. */
qr__word_embeddings *qr__word_embeddings_share(qr__word_embeddings *words);

/** One holder fewer; the last one frees it. NULL is allowed. */
void qr__word_embeddings_release(qr__word_embeddings *words);

#endif
