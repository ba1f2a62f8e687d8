/* base/json_parse.h: jansson's parser where memory ends. 2.14 by itself drops bytes of texts then
 * and goes on with what is left, writes behind its buffers, or ends the process by an assertion.
 *
 *     qr_json_guard_memory();                                  // the process; once
 *     json_t *root;
 *     json_error_t fault;
 *     status = qr_json_parse(text, JSON_REJECT_DUPLICATES, &root, &fault);
 *     json_decref(root);
 *
 * With the guard jansson never sees an allocation fail: its parse is left, by longjmp, with all
 * that it had taken given back. The guard takes jansson's allocation for the whole process, so a
 * library in somebody else's has none: there a fault is believed when it is found twice, and what
 * 2.14 does where a token outgrows its buffer is not mended.
 * Threads: each parses for itself.
 */
#ifndef QR_BASE_JSON_PARSE_H
#define QR_BASE_JSON_PARSE_H

#include "base/status.h"
#include "base/text.h"

struct json_t; /* jansson's */
struct json_error_t;

/** Before the first thread and jansson's first value. */
void qr_json_guard_memory(void);

/** json_loadb. *out: returns owned (json_decref); NULL on a fault. QR_BAD_JSON: *error says where;
 * QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_json_parse(qr_text text, size_t flags, struct json_t **out,
                                    struct json_error_t *error);

#endif
