/* library/arguments.h: private to library/: what a caller passes is checked, and what went wrong is
 * told.
 *
 *     qr_lib_embed_options own;
 *     qr_lib_status status =
 *         qr__lib_options_read(options, &own, sizeof own, QR__LIB_FIRST_EMBED_OPTIONS,
 *                              "qr_lib_embed_options", error);
 *     if (status == QR_LIB_OK)
 *         status = qr__lib_texts_check("texts", texts, count, error);
 *
 * Threads: any.
 */
#ifndef QR_LIBRARY_ARGUMENTS_H
#define QR_LIBRARY_ARGUMENTS_H

#include <querent.h>

#include "base/base.h"

/** Writes a printf-style message into `error` (NULL is allowed) and returns `status`. */
qr_lib_status qr__lib_fault(qr_lib_error *error, qr_lib_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** The public status of an internal one. */
qr_lib_status qr__lib_status_of(qr_status status);

/** Empties the message and says whether `pointer`, the argument called `name`, is there. */
QR_MUST_USE qr_lib_status qr__lib_begin(const void *pointer, const char *name, qr_lib_error *error);

/** The size that a caller's struct says it has: not below `first_size`, that of the struct's first
 * version. `name` is the struct's, for messages. */
QR_MUST_USE qr_lib_status qr__lib_size_check(const char *name, size_t size, size_t first_size,
                                             qr_lib_error *error);

/** Copies a caller's struct, whose first member is its size, into `own`, which has `own_size`
 * bytes: members that the caller's version lacks become 0. `given` NULL: all 0. What
 * qr__lib_size_check refuses is refused, and so are members that are not 0 and that this version
 * does not know. */
QR_MUST_USE qr_lib_status qr__lib_options_read(const void *given, void *own, size_t own_size,
                                               size_t first_size, const char *name,
                                               qr_lib_error *error);

/* Today's structs are their first versions. A member that is added goes behind the last one, and
 * its row here stays as it is. */
#define QR__LIB_FIRST_LOAD_OPTIONS     48u
#define QR__LIB_FIRST_INFO             104u
#define QR__LIB_FIRST_EMBED_OPTIONS    24u
#define QR__LIB_FIRST_SPAN_OPTIONS     48u
#define QR__LIB_FIRST_SCORE_OPTIONS    16u
#define QR__LIB_FIRST_TOKENIZE_OPTIONS 16u

/** An array of texts of any count: QR_LIB_BAD_ARGUMENT when it or the data of one is missing,
 * QR_LIB_TOO_LONG for one above QR_LIMIT_BODY_BYTES. */
QR_MUST_USE qr_lib_status qr__lib_texts_check(const char *name, const qr_lib_text *texts,
                                              size_t count, qr_lib_error *error);

/** One text, as qr__lib_texts_check. */
QR_MUST_USE qr_lib_status qr__lib_text_check(const char *name, qr_lib_text text,
                                             qr_lib_error *error);

/** The array `name` at `out` must have room for count * each items. */
QR_MUST_USE qr_lib_status qr__lib_room_check(const char *name, const void *out, size_t room,
                                             size_t count, size_t each, qr_lib_error *error);

/** A number that must be 0 to `most`. */
QR_MUST_USE qr_lib_status qr__lib_number_check(const char *name, size_t number, size_t most,
                                               qr_lib_error *error);

/** An int that must be 0 to `most`: choices and switches. */
QR_MUST_USE qr_lib_status qr__lib_choice_check(const char *name, int choice, int most,
                                               qr_lib_error *error);

/** The text, for the rooms below. */
static inline qr_text qr__lib_text(qr_lib_text text) {
    return (qr_text){text.data, text.size};
}

#endif
