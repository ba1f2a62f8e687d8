/* server/deadlines.h: open exchanges by deadline: a binary heap and the one timer that serves it.
 *
 *     qr_deadlines_create(loop, max, on_late, state, &deadlines);
 *     qr_deadlines_add(deadlines, exchange);       // at exchange->deadline_ns
 *     qr_deadlines_remove(deadlines, exchange);    // answered in time; or not in it at all
 *
 * on_late is called on the loop, at most 2 ms after the deadline, with the exchange already
 * removed. The timer is armed for the earliest deadline and not touched when that one is removed:
 * with equal budgets it fires about once a budget, not once a request. Threads: the loop's only.
 */
#ifndef QR_SERVER_DEADLINES_H
#define QR_SERVER_DEADLINES_H

#include "server/exchange.h"
#include "server/loop.h"

typedef struct qr_deadlines qr_deadlines;

QR_MUST_USE qr_status qr_deadlines_create(qr_loop *loop, size_t max,
                                          void (*on_late)(void *state, qr_exchange *exchange),
                                          void *state, qr_deadlines **out);
void qr_deadlines_destroy(qr_deadlines *deadlines);

/** At most `max` may be in it; callers know that they are. */
void qr_deadlines_add(qr_deadlines *deadlines, qr_exchange *exchange);
void qr_deadlines_remove(qr_deadlines *deadlines, qr_exchange *exchange);

#endif
