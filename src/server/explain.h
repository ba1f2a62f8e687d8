/* server/explain.h: the header fields by which an answer explains itself: where its time went, what
 * the schedule did with it, and whether to try again. Threads: the loop's only.
 */
#ifndef QR_SERVER_EXPLAIN_H
#define QR_SERVER_EXPLAIN_H

#include "server/exchange.h"
#include "server/http/http.h"

/** x-should-retry, where the status has it; where that is true, Retry-After and retry-after-ms. */
void qr__explain_retry(qr_http_request *request, qr_status status, uint32_t wait_ms);

/** Server-Timing and X-Querent-Trace of an answer that a model made, whose work the loop has; and
 * text-embeddings-inference's fields, where clients of the route expect these. */
void qr__explain_answer(qr_http_request *request, const qr_exchange *exchange, uint64_t now_ns);

#endif
