/* server/api/json_in.h: request bodies as typed values, with every bound checked at this door.
 *
 *     qr__value *body;
 *     qr__value_room room = {.quota = &quota};
 *     status = qr__value_parse(text, &room, &body, &fault);     // BAD_JSON: fault says where
 *     const qr__value *inputs = qr__value_get(body, "inputs");  // NULL: absent or null
 *     qr__value_free(body, &room);
 *
 * The parser is jansson; it recurses up to a depth that would overflow a small stack, so a scan
 * that needs no stack runs first. What it refuses is looked at again by json_fault.h, to say where
 * and why. Texts are borrowed from the body's tree and may hold NUL.
 * Threads: a tree belongs to one thread.
 */
#ifndef QR_SERVER_API_JSON_IN_H
#define QR_SERVER_API_JSON_IN_H

#include "server/fault.h"

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

/** What the tree of a long text is taken from: its values are many times as long as it. Those of a
 * text of up to QR_QUOTA_SMALL_BYTES are not worth counting. */
typedef struct qr__value_room {
    qr_quota *quota;   /* borrowed; NULL: none */
    size_t held_bytes; /* by the tree, at most */
} qr__value_room;

/** Seeds the hashing of keys; once, before requests and before the process gives up the right to
 * read random bytes. */
void qr__value_seed(void);

/** The whole text must be one JSON value, of at most QR_LIMIT_JSON_DEPTH levels and
 * QR_LIMIT_JSON_VALUES values, without duplicate keys. *out: returns owned, with what it takes from
 * the room. BAD_JSON: the fault's line, column and expected are set; NO_MEMORY. */
QR_MUST_USE qr_status qr__value_parse(qr_text text, qr__value_room *room, qr__value **out,
                                      qr_fault *fault);

/** Frees the whole tree, and gives back what it took. NULL is allowed. */
void qr__value_free(qr__value *value, qr__value_room *room);

/** The check before jansson: false when the text nests too deeply or holds too many values. Says
 * nothing about validity. *bytes: how many the tree of a text that passes takes at most, by its
 * brackets, commas and quotes. */
bool qr__value_scan(qr_text text, size_t *bytes);

/** QR__VALUE_NULL for a NULL pointer too: absent and null mean the same to every route. */
qr__value_kind qr__value_kind_of(const qr__value *value);

/** The member, or NULL when `object` is no object, or has none, or has null there. */
const qr__value *qr__value_get(const qr__value *object, const char *key);

/** The number of an array's items; 0 for others. */
size_t qr__value_len(const qr__value *array);

/** The item, or NULL beyond the end. */
const qr__value *qr__value_at(const qr__value *array, size_t index);

/** The text of a TEXT value; data is NULL for others. Borrowed. */
qr_text qr__value_text(const qr__value *value);

/** False when the value is not a whole number within the bounds; 1.0 is none. */
QR_MUST_USE bool qr__value_number(const qr__value *value, size_t least, size_t most, size_t *out);

/** False when the value is not a boolean. */
QR_MUST_USE bool qr__value_flag(const qr__value *value, bool *out);

#endif
