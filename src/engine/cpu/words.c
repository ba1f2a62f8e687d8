/* engine/cpu/words.c: the table of word embeddings, in 16 bits where that is enough.
 *
 * IEEE halves, not bf16: embeddings are of order 0.05, where halves keep 11 bits and bf16 keeps 8.
 */
#include "engine/cpu/weights.h"

#include <stdlib.h>

qr_status qr_words_pack(const qr_bert *bert, qr_isa isa, bool may_round, qr_words **out,
                        qr_error *error) {
    size_t count = bert->info.vocab * bert->info.hidden;
    bool half = may_round || strcmp(bert->info.dtype, "f16") == 0;
    qr_words *words = calloc(1, sizeof *words);
    uint16_t *rows = words != NULL && half ? malloc(count * sizeof *rows) : NULL;
    if (words == NULL || (half && rows == NULL)) {
        free(words);
        return qr_error_set(error, QR_NO_MEMORY, "no memory for %zu word embeddings",
                            bert->info.vocab);
    }
    if (half) {
        qr_kernels kernels;
        qr_kernels_choose(isa, QR_PRECISION_F32, &kernels);
        kernels.halve(rows, bert->word, count);
        *words = (qr_words){.rows = rows, .half = true, .bytes = count * sizeof *rows};
    } else {
        *words = (qr_words){.rows = bert->word, .bytes = count * sizeof(float)};
    }
    *out = words;
    return QR_OK;
}

void qr_words_destroy(qr_words *words) {
    if (words == NULL)
        return;
    if (words->half)
        free((void *)(uintptr_t)words->rows);
    free(words);
}
