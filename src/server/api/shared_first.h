/* server/api/shared_first.h: pairs that have their first text in common, which is tokenized once: a
 * query beside each of its passages.
 *
 *     qr__shared_first first = {0};
 *     for (...)
 *         qr__shared_first_encode(&first, tokenizer, query, passage, &options, &encoding);
 *     qr_first_text_deinit(&first.tokens);
 *
 * Threads: one call's.
 */
#ifndef QR_SERVER_API_SHARED_FIRST_H
#define QR_SERVER_API_SHARED_FIRST_H

#include "server/serving.h"

/** The first text of the last pair. */
typedef struct qr__shared_first {
    qr_text text;                  /* known by its place, which no other text of the call has */
    const qr_tokenizer *tokenizer; /* NULL: there was none */
    qr_encode_options options;
    size_t characters; /* of the text, which is valid UTF-8 */
    qr_first_text tokens;
} qr__shared_first;

/** How many characters a text in valid UTF-8 has. */
size_t qr__count_characters(qr_text text);

/** Encodes a pair cut to the longest, as qr_tokenizer_encode does; afterwards `shared` is of its
 * first text. Texts stay where they are as long as `shared` is used. Errors as there. */
QR_MUST_USE qr_status qr__shared_first_encode(qr__shared_first *shared,
                                              const qr_tokenizer *tokenizer, qr_text first,
                                              qr_text second, const qr_encode_options *options,
                                              qr_encoding *out);

#endif
