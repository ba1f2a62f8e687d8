/* engine/cpu/word_embeddings.c: the table in 16 bits where that is enough.
 *
 * IEEE's halves, not bf16: embeddings are of order 0.05, where halves keep 11 bits and bf16
 * keeps 8. */
#include "engine/cpu/word_embeddings.h"

#include <stdlib.h>

#include "engine/cpu/kernels/kernels.h"

/* A model stored in f16 loses nothing by it, so even an f32 plan keeps 16 bits then. */
qr_status qr__word_embeddings_pack(const qr_bert *bert, qr__isa isa, bool may_round,
                                   qr__word_embeddings **out, qr_error *error) {
    size_t count = bert->info.vocab * bert->info.hidden;
    bool f16 = may_round || strcmp(bert->info.dtype, "f16") == 0;
    qr__word_embeddings *words = calloc(1, sizeof *words);
    uint16_t *rows = words != NULL && f16 ? malloc(count * sizeof *rows) : NULL;
    if (words == NULL || (f16 && rows == NULL)) {
        free(words);
        return qr_error_set(error, QR_NO_MEMORY, "no memory for %zu word embeddings",
                            bert->info.vocab);
    }
    *words =
        (qr__word_embeddings){.rows = bert->word, .bytes = count * sizeof(float), .holders = 1};
    if (f16) {
        qr__kernels kernels;
        qr__kernels_choose(isa, QR_PRECISION_F32, &kernels);
        kernels.halve(rows, bert->word, count);
        words->rows = rows;
        words->f16 = true;
        words->bytes = count * sizeof *rows;
    }
    *out = words;
    return QR_OK;
}

qr__word_embeddings *qr__word_embeddings_share(qr__word_embeddings *words) {
    words->holders++;
    return words;
}

void qr__word_embeddings_release(qr__word_embeddings *words) {
    if (words == NULL || --words->holders > 0)
        return;
    if (words->f16)
        free((void *)(uintptr_t)words->rows);
    free(words);
}
