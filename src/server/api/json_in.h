/* server/api/json_in.h: request bodies as typed values, with every bound checked at this door.
 *
 *     qr__value *body;
 *     status = qr__value_parse(text, &body, &fault_byte);      // BAD_JSON
 *     const qr__value *inputs = qr__value_get(body, "inputs");  // NULL: absent or null
 *     qr__value_free(body);
 *
 * The parser is jansson; it recurses up to a depth that would overflow a small stack, so a scan
 * that needs no stack runs first. Texts are borrowed from the body's tree and may hold NUL.
 * Threads: a tree belongs to one thread.
 */
#ifndef QR_SERVER_API_JSON_IN_H
#define QR_SERVER_API_JSON_IN_H

#include "base/base.h"

typedef struct qr__value qr__value;

typedef enum qr__value_kind {
    QR__VALUE_NULL,
    QR__VALUE_BOOL,
    QR__VALUE_INTEGER,
    QR__VALUE_REAL,
    QR__VALUE_TEXT,
    QR__VALUE_ARRAY,
    QR__VALUE_OBJECT
} qr__value_kind;

/* Every number that a request may hold: (ID, "name", least, most). Nothing else reads numbers. */
#define QR__NUMBER_LIST(X)                                                                         \
    X(DIMENSIONS, "dimensions", 1, QR_LIMIT_HIDDEN)                                                \
    X(TOP_K, "top_k", 1, QR_LIMIT_TOP_K)                                                           \
    X(MAX_ANSWER_LEN, "max_answer_len", 1, QR_LIMIT_POSITIONS)                                     \
    X(MAX_SEQ_LEN, "max_seq_len", 1, QR_LIMIT_POSITIONS)                                           \
    X(MAX_QUESTION_LEN, "max_question_len", 1, QR_LIMIT_POSITIONS)                                 \
    X(DOC_STRIDE, "doc_stride", 1, QR_LIMIT_POSITIONS)                                             \
    X(TOKEN_ID, "token id", 0, QR_LIMIT_VOCAB)

typedef enum qr__number {
#define QR_X(id, ...) QR__NUMBER_##id,
    QR__NUMBER_LIST(QR_X)
#undef QR_X
} qr__number;

/** Seeds the hashing of keys; once, before requests and before the process gives up the right to
 * read random bytes. */
void qr__value_seed(void);

/** The whole text must be one JSON value, of at most QR_LIMIT_JSON_DEPTH levels and
 * QR_LIMIT_JSON_VALUES values, without duplicate keys. *out: returns owned. QR_BAD_JSON:
 * *fault_byte says near which byte; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__value_parse(qr_text text, qr__value **out, size_t *fault_byte);
void qr__value_free(qr__value *value);

/** The check before jansson: false (and the byte) when the text nests too deeply or holds too many
 * values. Says nothing about validity. */
bool qr__value_scan(qr_text text, size_t *fault_byte);

/** QR__VALUE_NULL for a NULL pointer too: absent and null mean the same to every route. */
qr__value_kind qr__value_kind_of(const qr__value *value);

/** The member, or NULL when `object` is no object, or has none, or has null there. */
const qr__value *qr__value_get(const qr__value *object, const char *key);

size_t qr__value_len(const qr__value *array);
const qr__value *qr__value_at(const qr__value *array, size_t index);

/** The text of a TEXT value; an empty one for others. Borrowed. */
qr_text qr__value_text(const qr__value *value);

const char *qr__number_name(qr__number number);

/** False when the value is not an integer within the number's bounds. */
QR_MUST_USE bool qr__value_number(const qr__value *value, qr__number number, size_t *out);

/** False when the value is not a boolean. */
QR_MUST_USE bool qr__value_flag(const qr__value *value, bool *out);

#endif
