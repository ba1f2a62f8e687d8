/* server/api/openapi.h: the table of routes as an OpenAPI 3.1 document.
 *
 *     qr__openapi_write(QR_LISTENER_MAIN, options->keyed, &document);
 *
 * openapi.c has the document and its paths, openapi_body.c what a request holds, openapi_replies.c
 * what answers it. Nothing is said twice: fields, bounds and defaults are read off the rows,
 * sentences off the table of statuses. Threads: pure but for the buffer.
 */
#ifndef QR_SERVER_API_OPENAPI_H
#define QR_SERVER_API_OPENAPI_H

#include "server/api/routes.h"

/** The routes that these listeners have. `keyed`: some ask for an API key. */
void qr__openapi_write(unsigned listeners, bool keyed, qr_buf *out);

/* Parts of it */

/** The row's requestBody. */
void qr__openapi_body(const qr_route *row, qr_buf *out);

/** The row's responses. */
void qr__openapi_replies(const qr_route *row, bool keyed, qr_buf *out);

/** What the listeners' rows refer to: "schemas" and "responses", members of components. */
void qr__openapi_shared(unsigned listeners, bool keyed, qr_buf *out);

/** Appends a comma unless *first, which turns false. */
void qr__openapi_comma(bool *first, qr_buf *out);

/** The shape of the bodies that a fail function writes. */
typedef struct qr__fault_shape {
    void (*fail)(qr_status status, const qr_fault *fault, qr_buf *out);
    const char *name;   /* of the component; several functions may write one shape */
    const char *schema; /* JSON Schema */
} qr__fault_shape;

/** The row's; NULL: its fail function is missing in the table of openapi_replies.c, which a test
 * does not let pass. */
const qr__fault_shape *qr__fault_shape_of(const qr_route *row);

#endif
