/* engine/cpu/word_embeddings.c: the table in 16 bits where that is enough.
 *
 * IEEE's halves, not bf16: embeddings are of order 0.05, where halves keep 11 bits and bf16
 * keeps 8. */
#include "engine/cpu/word_embeddings.h"

#include <stdlib.h>

#include "engine/cpu/kernels/kernels.h"

/* A model stored in f16 loses nothing by it, so even an f32 plan keeps 16 bits then. */
static bool is_half(const qr_model_info *info, bool may_round) {
    return may_round || strcmp(info->dtype, "f16") == 0;
}

static size_t half_bytes(const qr_model_info *info) {
    return info->vocab * info->word_size * sizeof(uint16_t);
}

/* The bert's own rows, or memory for halves in *rows: 2 MB pages, because 4 KB ones take longer to
 * be made than the table to be written. */
static qr_status create(const qr_bert *bert, bool half, qr__word_embeddings **out, uint16_t **rows,
                        qr_error *error) {
    const size_t count = bert->info.vocab * bert->info.word_size;
    qr__word_embeddings *words = calloc(1, sizeof *words);
    qr_status status = words == NULL ? QR_NO_MEMORY : QR_OK;
    if (status == QR_OK) {
        *words =
            (qr__word_embeddings){.rows = bert->word, .bytes = count * sizeof(float), .holders = 1};
        if (half)
            status = qr__memory_huge_create(&words->memory, NULL);
    }
    if (status == QR_OK && half) {
        words->f16 = true;
        words->bytes = half_bytes(&bert->info);
        words->rows = *rows = qr__memory_huge_alloc(words->memory, words->bytes);
        status = *rows == NULL ? QR_NO_MEMORY : QR_OK;
    }
    if (status != QR_OK) {
        qr__word_embeddings_release(words);
        return qr_error_set(error, QR_NO_MEMORY, "no memory for %zu word embeddings",
                            bert->info.vocab);
    }
    *out = words;
    return QR_OK;
}

qr_status qr__word_embeddings_pack(const qr_bert *bert, qr__isa isa, bool may_round,
                                   qr__word_embeddings **out, qr_error *error) {
    uint16_t *rows = NULL;
    qr_status status = create(bert, is_half(&bert->info, may_round), out, &rows, error);
    if (status == QR_OK && rows != NULL) {
        qr__kernels kernels;
        qr__kernels_choose(isa, QR_PRECISION_F32, &kernels);
        kernels.halve(rows, bert->word, bert->info.vocab * bert->info.word_size);
    }
    return status;
}

qr_status qr__word_embeddings_save(const qr__word_embeddings *words, const qr_model_info *info,
                                   const qr_sink *sink) {
    return words->f16 ? qr_sink_write(sink, words->rows, half_bytes(info)) : QR_OK;
}

qr_status qr__word_embeddings_load(const qr_bert *bert, bool may_round, const qr_source *source,
                                   qr__word_embeddings **out, qr_error *error) {
    uint16_t *rows = NULL;
    const bool half = is_half(&bert->info, may_round);
    if (!half && bert->word == NULL)
        return qr_error_set(error, QR_IO, "the word embeddings were not saved");
    qr_status status = create(bert, half, out, &rows, error);
    if (status == QR_OK && half && qr_source_read(source, rows, (*out)->bytes) != QR_OK) {
        qr__word_embeddings_release(*out);
        *out = NULL;
        status = qr_error_set(error, QR_IO, "the word embeddings are not what was saved");
    }
    return status;
}

qr__word_embeddings *qr__word_embeddings_share(qr__word_embeddings *words) {
    words->holders++;
    return words;
}

void qr__word_embeddings_release(qr__word_embeddings *words) {
    if (words == NULL || --words->holders > 0)
        return;
    qr__memory_huge_destroy(words->memory);
    free(words);
}
