/* pipeline/probes.c: the gate's texts become one ragged batch. */
#include "pipeline/probes.h"

#include <stdlib.h>

#include "pipeline/probe_texts.h"

#define MAX_TEXTS 256u

/* Appends one sequence; false when it does not fit any more. */
static bool append(qr__probes *probes, const qr_encoding *encoding) {
    size_t sequences = probes->batch.sequences, at = probes->starts[sequences];
    if (encoding->len > QR__PROBE_MAX_TOKENS - at || sequences == MAX_TEXTS)
        return false;
    memcpy(probes->ids + at, encoding->ids, encoding->len * sizeof *encoding->ids);
    memcpy(probes->types + at, encoding->types, encoding->len);
    probes->starts[sequences + 1] = (uint32_t)(at + encoding->len);
    probes->batch.sequences = sequences + 1;
    return true;
}

/* Short queries for models that read one text, then passages; pairs for models that read two. */
static qr_status encode_all(const qr_tokenizer *tokenizer, qr_kind kind, size_t max_tokens,
                            qr_encoding *encoding, qr__probes *out) {
    bool pairs = kind == QR_KIND_SPAN || kind == QR_KIND_RERANKER;
    const qr_encode_options options = {.special = true, .max_tokens = max_tokens};
    qr_status status = QR_OK;
    for (size_t i = 0; !pairs && i < qr__probe_queries_len; i++) {
        qr_text query = qr_text_of(qr__probe_queries[i]);
        status = qr_tokenizer_encode(tokenizer, query, NULL, &options, encoding);
        if (status != QR_OK || !append(out, encoding))
            return status;
    }
    for (size_t i = 0; i < qr__probe_pairs_len; i++) {
        qr_text question = qr_text_of(qr__probe_pairs[i].question);
        qr_text passage = qr_text_of(qr__probe_pairs[i].passage);
        if (pairs)
            status = qr_tokenizer_encode(tokenizer, question, &passage, &options, encoding);
        else
            status = qr_tokenizer_encode(tokenizer, passage, NULL, &options, encoding);
        if (status != QR_OK || !append(out, encoding))
            return status;
    }
    return QR_OK;
}

qr_status qr__probes_init(const qr_tokenizer *tokenizer, qr_kind kind, size_t max_tokens,
                          bool pair_types, qr__probes *out) {
    qr_encoding encoding = {0};
    *out = (qr__probes){0};
    out->ids = calloc(QR__PROBE_MAX_TOKENS, sizeof *out->ids);
    out->types = calloc(QR__PROBE_MAX_TOKENS, sizeof *out->types);
    out->starts = calloc(MAX_TEXTS + 1, sizeof *out->starts);
    qr_status status = QR_NO_MEMORY;
    if (out->ids != NULL && out->types != NULL && out->starts != NULL)
        status = encode_all(tokenizer, kind, max_tokens, &encoding, out);
    qr_encoding_deinit(&encoding);
    if (status != QR_OK) {
        qr__probes_deinit(out);
        return status;
    }
    out->batch.ids = out->ids;
    out->batch.types = pair_types ? out->types : NULL;
    out->batch.starts = out->starts;
    return QR_OK;
}

void qr__probes_deinit(qr__probes *probes) {
    free(probes->ids);
    free(probes->types);
    free(probes->starts);
    *probes = (qr__probes){0};
}
