/* server/http/guard.h: what a request's head must be before anything of it is believed.
 *
 *     const qr__http_head head = {.method = ..., .target = ..., .version = ...,
 *                                 .fields = fields, .fields_len = n};
 *     qr_status status = qr__guard_check(&head, max_body_bytes, &facts);
 *     if (status != QR_OK)
 *         ...                                                // answer it and close
 *
 * Pure functions over a parsed head, so that every rule can be tested alone. docs/HTTP.md lists the
 * rules and why each is there: libmicrohttpd lets through heads that two parsers read differently,
 * which is how requests are smuggled.
 */
#ifndef QR_SERVER_HTTP_GUARD_H
#define QR_SERVER_HTTP_GUARD_H

#include "server/http/http.h"

typedef struct qr__http_field {
    qr_text name, value;
} qr__http_field;

typedef struct qr__http_head {
    qr_text method, target, version; /* target as sent, before any decoding */
    const qr__http_field *fields;
    size_t fields_len;
} qr__http_head;

/** Fills *facts when the head may be believed. BAD_HTTP, HEAD_TOO_LARGE, URI_TOO_LONG, TOO_LARGE,
 * LENGTH_REQUIRED, NOT_IMPLEMENTED: it may not, nor may what follows on its connection. */
QR_MUST_USE qr_status qr__guard_check(const qr__http_head *head, size_t max_body_bytes,
                                      qr_http_facts *facts);

/** Whether the text is a token as RFC 9110 has it. For tests, a part of the check. */
bool qr__guard_token(qr_text text);

/** OK, BAD_HTTP or URI_TOO_LONG. *authority: what an absolute target names, data NULL for others;
 * *path: what routes see of it. For tests, a part of the check. */
qr_status qr__guard_target(qr_text target, qr_text *authority, qr_text *path);

#endif
