/* pipeline/probes.c: a set's texts become one ragged batch. */
#include "pipeline/probe_texts.h"

/* Short queries for models that read one text, then passages; pairs for models that read two. */
static qr_status encode_all(const qr_tokenizer *tokenizer, const qr__probe_set *set, qr_kind kind,
                            size_t max_tokens, qr_encoding *encoding, qr_ragged *out) {
    bool pairs = kind == QR_KIND_SPAN || kind == QR_KIND_RERANKER;
    const qr_encode_options options = {.special = true, .max_tokens = max_tokens};
    qr_status status = QR_OK;
    for (size_t i = 0; !pairs && i < set->queries_len; i++) {
        qr_text query = qr_text_of(set->queries[i]);
        status = qr_tokenizer_encode(tokenizer, query, NULL, &options, encoding);
        if (status != QR_OK || !qr_ragged_add(out, encoding->ids, encoding->types, encoding->len))
            return status;
    }
    for (size_t i = 0; i < set->pairs_len; i++) {
        qr_text question = qr_text_of(set->pairs[i].question);
        qr_text passage = qr_text_of(set->pairs[i].passage);
        if (pairs)
            status = qr_tokenizer_encode(tokenizer, question, &passage, &options, encoding);
        else
            status = qr_tokenizer_encode(tokenizer, passage, NULL, &options, encoding);
        if (status != QR_OK || !qr_ragged_add(out, encoding->ids, encoding->types, encoding->len))
            return status;
    }
    return QR_OK;
}

qr_status qr__probes_init(const qr_tokenizer *tokenizer, qr__probe_use use, qr_kind kind,
                          size_t max_tokens, bool pair_types, qr_ragged *out) {
    if (!qr_ragged_init(out, QR_LIMIT_PROBE_TOKENS, QR__PROBE_MAX_TEXTS))
        return QR_NO_MEMORY;
    qr_encoding encoding = {0};
    qr_status status =
        encode_all(tokenizer, &qr__probe_sets[use], kind, max_tokens, &encoding, out);
    qr_encoding_deinit(&encoding);
    if (status != QR_OK)
        qr_ragged_deinit(out);
    else if (!pair_types)
        out->batch.types = NULL;
    return status;
}
