/* server/access.h: who may ask: API keys, and the origins of web pages.
 *
 *     qr__access_init(&access, key_file, &error);
 *     qr__access_allow(&access, origins, origins_len, &error);
 *     if (!qr__access_admits(&access, &facts->authorization))
 *         ...                                                // 401
 *     origin = qr__access_origin(&access, &facts->origin);   // for Access-Control-Allow-Origin
 *     qr__access_reload(&access, &error);                    // the keys of the file as it is now
 *     qr__access_deinit(&access);
 *
 * The key file holds one key a line; empty lines and lines that begin with "#" are left out. A key
 * is compared with all of them in a time that depends on their number alone. Threads: the loop's
 * only.
 */
#ifndef QR_SERVER_ACCESS_H
#define QR_SERVER_ACCESS_H

#include "server/http/http.h"

typedef struct qr__key_list qr__key_list;

/** A zeroed one admits everybody, and answers to no page of another origin. */
typedef struct qr__access {
    qr__key_list *keys;         /* NULL: nobody needs one */
    const char *key_file;       /* borrowed; NULL: none */
    const char *const *origins; /* of --cors-allow-origin; borrowed */
    size_t origins_len;
} qr__access;

/** `key_file` NULL: no keys. QR_BAD_OPTION: the file cannot be read, or holds no key or a bad one
 * (the message begins with its path and names the line, never the key); QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__access_init(qr__access *access, const char *key_file, qr_error *error);

/** Lets pages of these origins read answers. QR_BAD_OPTION: one is none; the message begins with
 * it. */
QR_MUST_USE qr_status qr__access_allow(qr__access *access, const char *const *origins,
                                       size_t origins_len, qr_error *error);

/** A zeroed one is allowed. */
void qr__access_deinit(qr__access *access);

/** Reads the keys again. On a fault the keys of before stay. Statuses as qr__access_init's. */
QR_MUST_USE qr_status qr__access_reload(qr__access *access, qr_error *error);

/** Whether the value of Authorization is "Bearer KEY" with one of the keys, or none is needed. */
bool qr__access_admits(const qr__access *access, const qr_http_value *authorization);

/** What Access-Control-Allow-Origin says to a page of this origin: "*", the origin as the option
 * has it, or NULL: nothing. */
const char *qr__access_origin(const qr__access *access, const qr_http_value *origin);

/** Whether the head is a preflight (of the Fetch standard): a browser that asks before it sends. */
bool qr__access_is_preflight(const qr_http_facts *facts);

/** Adds the fields of an answer to a page that `origin` allows: the preflight's too, when it is one
 * for which the path takes `methods` ("GET, POST"). */
void qr__access_add_fields(qr_http_request *request, const char *origin, const char *methods);

#endif
