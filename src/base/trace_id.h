/* base/trace_id.h: trace ids of the W3C's trace context: what names one request in all its systems.
 *
 *     qr_trace_id id;
 *     if (!qr_trace_id_parse(traceparent, &id))      // "00-4bf9...4736-00f0...02b7-01"
 *         qr_trace_id_draw(&random, &id);
 */
#ifndef QR_BASE_TRACE_ID_H
#define QR_BASE_TRACE_ID_H

#include "base/random.h"
#include "base/status.h"
#include "base/text.h"

typedef struct qr_trace_id {
    char text[33]; /* 32 lower-case hex digits and a NUL */
} qr_trace_id;

/** The trace id within a `traceparent` header. False: it is not a valid one, which the standard
 * asks to ignore. */
QR_MUST_USE bool qr_trace_id_parse(qr_text traceparent, qr_trace_id *out);

/** A new one. */
void qr_trace_id_draw(qr_random *random, qr_trace_id *out);

#endif
