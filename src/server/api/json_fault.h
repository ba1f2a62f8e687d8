/* server/api/json_fault.h: where a text is no JSON, and what should have stood there.
 *
 *     qr__json_fault fault;
 *     if (qr__json_fault_find(text, &fault))
 *         ...                     // line 3, column 14: expected a value
 *
 * A strict scanner beside the parser: it runs only over texts that the parser refused, so it costs
 * good requests nothing, and it agrees with the parser on what is valid (a test compares the two),
 * but for members of one name, which it does not look for. No recursion. Threads: pure.
 */
#ifndef QR_SERVER_API_JSON_FAULT_H
#define QR_SERVER_API_JSON_FAULT_H

#include "base/base.h"

typedef struct qr__json_fault {
    size_t byte;          /* of the first fault; the text's length when it ends too early */
    size_t line, column;  /* 1-based; lines end in LF, columns are characters (code points) */
    const char *expected; /* static text: "expected a value" */
} qr__json_fault;

/** The first fault. False: the text is valid JSON within our limits, *out is not set. */
bool qr__json_fault_find(qr_text text, qr__json_fault *out);

/** The fault of a member whose name the object has already, when the parser stopped at `byte`,
 * behind that name. */
void qr__json_fault_duplicate(qr_text text, size_t byte, qr__json_fault *out);

#endif
