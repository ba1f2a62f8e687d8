/* server/flow_internal.h: the flow's state, and its three files:
 *
 *     flow.c    http's callbacks, the pool of exchanges, the flow's own life
 *     turns.c   answers, hand-overs to workers and back, deadlines that pass, clients that leave
 *     sharing.c requests that are answered with others' results
 *
 * Threads: the loop's only, but for what turns.c says of workers.
 */
#ifndef QR_SERVER_FLOW_INTERNAL_H
#define QR_SERVER_FLOW_INTERNAL_H

#include <stdatomic.h>

#include "server/activation.h"
#include "server/deadlines.h"
#include "server/decision.h"
#include "server/exchange.h"
#include "server/flow.h"

#define QR__RETRY_MS      1000 /* after a 503: a server that starts, drains, or has no memory */

#define QR__LISTENERS_MAX (QR__PASSED_MAX + 1) /* those passed to us, or TCP and UNIX; and ops */

/** A listener, as its callbacks know it. */
typedef struct qr__listener {
    qr__flow *flow;
    qr__rules rules;
    qr_http *http;
} qr__listener;

struct qr__flow {
    qr__flow_options options;
    qr_watch *returned_watch;
    _Atomic(qr_exchange *) returned; /* by workers, last first */
    qr__deadlines *deadlines;
    qr__joins *joins; /* NULL without a cache: nothing is shared */
    uint64_t key_seed;
    double shared; /* share of requests that others' results answered, of late */
    unsigned outlooks;
    qr__listener listeners[QR__LISTENERS_MAX];
    size_t listeners_len;
    qr_serving *serving; /* the current generation; NULL while models are loading */
    qr_exchange *free;
    size_t free_len;
    size_t at_work; /* exchanges that a worker holds */
    size_t joined;  /* and that wait for another one */
};

/* flow.c */

/** Back into the pool: its request is done and no worker holds it. */
void qr__exchange_release(qr__flow *flow, qr_exchange *exchange);

/** Lets all listeners send what was answered. */
void qr__flow_pump(qr__flow *flow);

/* turns.c */

/** Changes the phase, and counts what is at work. */
void qr__exchange_turn(qr_exchange *exchange, qr_exchange_phase phase);

/** Gives the request its answer, encoded here if it is not yet. The loop has the turn. */
void qr__exchange_answer(qr__flow *flow, qr_exchange *exchange);

/** The body of a request to a model is complete: decode it, here or on a worker, if it is still
 * worth it. */
void qr__exchange_admit(qr__flow *flow, qr_exchange *exchange);

/** The body is a command: it is carried out, and answered then. */
void qr__exchange_command(qr__flow *flow, qr_exchange *exchange);

/** The body has become jobs, or an answer. */
void qr__exchange_decoded(qr__flow *flow, qr_exchange *exchange);

/** The client left while a worker had the turn: counted, and what has not begun is not computed. */
void qr__exchange_gone(qr__flow *flow, qr_exchange *exchange);

/** Metrics and log of a request that ends. */
void qr__exchange_report(const qr__flow *flow, const qr_exchange *exchange);

/** Takes what workers gave back, the oldest first. */
qr_exchange *qr__flow_returned(qr__flow *flow);

/** Workers gave exchanges back; a watch's callback. */
void qr__flow_on_returned(void *flow);

/** A deadline passed before the answer was there; the deadlines' callback. */
void qr__flow_on_late(void *flow, qr_deadline *late);

/* sharing.c */

/** Whether a request that there is no room for is worth decoding, because its answer may be there.
 */
bool qr__exchange_may_share(qr__flow *flow, const qr_exchange *exchange);

/** Answers the request with results that are there, or has it wait for those of another one. False:
 * it is to be computed. The loop has the turn. */
bool qr__exchange_share(qr__flow *flow, qr_exchange *exchange);

/** It was submitted: from now on others may join it. */
void qr__exchange_lead(qr__flow *flow, qr_exchange *exchange);

/** On a worker, its results there: keeps them in the cache. */
void qr__exchange_keep(const qr__flow *flow, const qr_exchange *exchange);

/** It is back from the schedule: its mates get its results, and nobody can join it any more. */
void qr__exchange_share_results(qr__flow *flow, qr_exchange *leader);

/** Its request needs the work no more. True: nobody does, and the work is the loop's again, its
 * phase LOOP. False: a worker holds it, or mates wait for it. */
bool qr__exchange_take_back(qr_exchange *exchange, qr_status status);

/** A mate waits no more, phase LOOP. A leader that nobody waits for any more is given up. */
void qr__exchange_part(qr__flow *flow, qr_exchange *mate);

#endif
