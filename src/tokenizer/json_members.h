/* tokenizer/json_members.h: JSON files of a tokenizer, read with faults that say where.
 *
 *     const qr__json_reader reader = {path, error};
 *     json_t *root;
 *     status = qr__json_read(&reader, false, &root);
 *     status = qr__json_get_text(&reader, root, "top level", "unk_token", &unknown);
 *     json_decref(root);
 *
 * Every fault is QR_BAD_MODEL with "path: where: reason (hint)". jansson's type is only named here;
 * its header stays in the readers. Threads: pure.
 */
#ifndef QR_TOKENIZER_JSON_MEMBERS_H
#define QR_TOKENIZER_JSON_MEMBERS_H

#include "tokenizer/added.h"

struct json_t;

/** Which file is read, and where its faults go. Both borrowed. */
typedef struct qr__json_reader {
    const char *path;
    qr_error *error;
} qr__json_reader;

/** Parses `text` as if bytes [from, to) were not there; faults give places of the whole. `reals`:
 * numbers are all read as reals, for files with integers beyond 64 bits. *out: returns owned
 * (json_decref), an object. QR_BAD_MODEL with line and column, QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__json_parse(const qr__json_reader *reader, qr_text text, size_t from,
                                     size_t to, bool reals, struct json_t **out);

/** Reads and parses the whole file, as qr__json_parse; also the errors of qr_file_read. */
QR_MUST_USE qr_status qr__json_read(const qr__json_reader *reader, bool reals, struct json_t **out);

/** Line and column, from 1, of byte `at`. */
void qr__text_line(qr_text text, size_t at, size_t *line, size_t *column);

/** Writes the fault "path: where: reason (hint)"; returns QR_BAD_MODEL. */
qr_status qr__json_fault(const qr__json_reader *reader, const char *where, const char *reason,
                         const char *hint);

/* Members of `object`, which stands at `where` in the file; a missing or wrong one is a fault. */

/** true or false. */
QR_MUST_USE qr_status qr__json_get_bool(const qr__json_reader *reader, const struct json_t *object,
                                        const char *where, const char *key, bool *out);

/** A whole number in 0..max. */
QR_MUST_USE qr_status qr__json_get_size(const qr__json_reader *reader, const struct json_t *object,
                                        const char *where, const char *key, size_t max,
                                        size_t *out);

/** A string, borrowed from the object. */
QR_MUST_USE qr_status qr__json_get_text(const qr__json_reader *reader, const struct json_t *object,
                                        const char *where, const char *key, qr_text *out);

/** An added token: content (borrowed, 1 to QR__TOKEN_BYTES bytes) and flags. */
QR_MUST_USE qr_status qr__json_added_token(const qr__json_reader *reader,
                                           const struct json_t *object, const char *where,
                                           qr__added_token *out);

#endif
