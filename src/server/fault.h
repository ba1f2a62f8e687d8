/* server/fault.h: what an answer may say about a request's fault beyond its status: names and
 * numbers of our own, never anything that the client sent.
 *
 *     x->fault = (qr_fault){.place = {.field = "inputs", .index = {3}, .depth = 1},
 *                           .must = "a text"};
 *     return QR_BAD_REQUEST;                     // "`inputs[3]` must be a text"
 *
 * All texts are static. Which members a status uses is said beside them; the rest stay zero.
 */
#ifndef QR_SERVER_FAULT_H
#define QR_SERVER_FAULT_H

#include "base/base.h"

/** A place within a body: `inputs`, `inputs[0][2]`, `parameters.top_k`. */
typedef struct qr_place {
    const char *parent; /* the object that holds the field; NULL: the body itself */
    const char *field;  /* NULL: the body as a whole */
    size_t index[2];
    size_t depth; /* of the indices, how many */
} qr_place;

typedef struct qr_fault {
    /* BAD_REQUEST, BAD_HEADER: where, and what must be there. EMPTY_INPUT, TOO_LONG: where; without
     * a field it is TEI's `inputs`. */
    qr_place place;
    const char *must; /* "a whole number"; NULL: it is missing */
    bool bounded;     /* ... "from 1 to 1024" */
    size_t least, most;
    const char *why; /* what is wrong with the value ("it is negative"), or a hint */

    /* TOO_LONG (of `inputs`, or of what the place says), TOO_MANY. A limit alone is of an answer's
     * numbers. */
    size_t limit, given;

    /* BAD_JSON: the first place that no JSON can have. */
    size_t line, column;  /* 1-based; the column counts characters */
    const char *expected; /* "expected a value" */
} qr_fault;

#endif
