/* server/http/guard.h: what a request's head must be before anything of it is believed.
 *
 *     qr_http_head head = {.method = ..., .target = ..., .version = ..., .fields = fields,
 * .fields_len = n}; qr_status status = qr__guard_check(&head, max_body_bytes, &facts);     // not
 * OK: answer it and close
 *
 * Pure functions over a parsed head, so that every rule can be tested alone. docs/HTTP.md lists the
 * rules and why each is there: libmicrohttpd 0.9.75 lets through heads that two parsers read
 * differently, which is how requests are smuggled.
 */
#ifndef QR_SERVER_HTTP_GUARD_H
#define QR_SERVER_HTTP_GUARD_H

#include "base/base.h"

typedef struct qr_http_field {
    qr_text name, value;
} qr_http_field;

typedef struct qr_http_head {
    qr_text method, target, version; /* target as sent, before any decoding */
    const qr_http_field *fields;
    size_t fields_len;
} qr_http_head;

#define QR_NO_BUDGET UINT64_MAX

/** What the server needs of a head that passed. */
typedef struct qr_http_facts {
    size_t body_bytes; /* Content-Length */
    uint64_t
        budget_ms; /* X-Request-Budget-Ms, at most QR_LIMIT_BUDGET_MS; QR_NO_BUDGET when absent */
    qr_text body_type; /* Content-Type; data is NULL when absent */
    qr_text trace;     /* 32 hex digits within traceparent; data is NULL when absent or invalid */
} qr_http_facts;

QR_MUST_USE qr_status qr__guard_check(const qr_http_head *head, size_t max_body_bytes,
                                      qr_http_facts *facts);

/** The parts, for tests. */
bool qr__guard_token(qr_text text);
qr_status qr__guard_target(qr_text target);

#endif
