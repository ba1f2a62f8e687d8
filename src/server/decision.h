/* server/decision.h: what is decided when a request's head is there: the one place where a request
 * is admitted or refused before its body is read.
 *
 *     status = qr__decide(&rules, path, &facts, x);        // route, key, method, type, budget
 *     if (status != QR_OK)
 *         ...                                              // x->status and x->fault say why
 *
 * Pure but for the exchange. Threads: the loop's.
 */
#ifndef QR_SERVER_DECISION_H
#define QR_SERVER_DECISION_H

#include "server/access.h"
#include "server/exchange.h"
#include "server/http/http.h"
#include "server/proxy.h"

/** What a listener admits. */
typedef struct qr__rules {
    unsigned listener;          /* QR_LISTENER_MAIN, QR_LISTENER_OPS, or both in one */
    uint64_t default_budget_ns; /* without X-Request-Budget-Ms */
    uint64_t max_budget_ns;
    const qr__network *proxies; /* whose X-Request-Start is believed; borrowed */
    size_t proxies_len;
    uint64_t (*wall_ns)(void); /* since 1970 */
    const qr__access *access;  /* borrowed; NULL: open to all */
    const qr__access *admin;   /* the same of routes that load and unload models */
} qr__rules;

/** Sets the exchange's route, deadline and status (and its fault), and returns the status. The
 * exchange has its generation (or none) and received_ns already. UNAUTHORIZED, which comes before
 * all that would tell what is served; NO_ROUTE, NO_MODEL (its name in the path is none),
 * BAD_METHOD, BAD_TYPE, BAD_CODING, BAD_HEADER; NOT_READY: the route needs a model and none is
 * loaded. */
qr_status qr__decide(const qr__rules *rules, qr_text path, const qr_http_facts *facts,
                     qr_exchange *x);

/** Sets the deadline again, now that the body has said that the request is for this model: one that
 * brings no budget has the model's own, or the server's where it has none. */
void qr__decide_budget(qr_exchange *x, const qr_served *model);

#endif
