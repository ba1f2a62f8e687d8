/* server/note.h: fields of an answer's head that api/ writes, on whichever thread it encodes.
 *
 *     qr_exchange_note(x, "X-Embedding-Shape", "2,384");      // exchange.h
 */
#ifndef QR_SERVER_NOTE_H
#define QR_SERVER_NOTE_H

/** A field; `name` is a static text. */
typedef struct qr_note {
    const char *name;
    const char *text; /* its value, when that is a static text too; NULL: `value` */
    char value[64];
} qr_note;

#define QR_NOTES_MAX 5 /* more are not written, which an assertion does not let pass */

#endif
