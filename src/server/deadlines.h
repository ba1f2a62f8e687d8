/* server/deadlines.h: deadlines on the loop: a heap of them and the one timer that serves it.
 *
 *     qr__deadlines_create(loop, max, on_late, state, &deadlines);
 *     qr__deadlines_add(deadlines, &exchange->deadline);
 *     qr__deadlines_remove(deadlines, &exchange->deadline);    // answered in time
 *
 * on_late is called on the loop within 2 ms of the deadline (never before it), with the deadline
 * already taken out. The timer is armed for the earliest deadline and not touched when that one is
 * removed: with equal budgets it fires about once a budget, not once a request. Threads: the loop's
 * only.
 */
#ifndef QR_SERVER_DEADLINES_H
#define QR_SERVER_DEADLINES_H

#include "server/deadline_heap.h"
#include "server/loop.h"

typedef struct qr__deadlines qr__deadlines;

/** Room for `max` deadlines. QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__deadlines_create(qr_loop *loop, size_t max,
                                           void (*on_late)(void *state, qr_deadline *late),
                                           void *state, qr__deadlines **out);

/** NULL is allowed. */
void qr__deadlines_destroy(qr__deadlines *deadlines);

/** Borrows the deadline until it is removed or late. Callers never have more than `max` at once. */
void qr__deadlines_add(qr__deadlines *deadlines, qr_deadline *deadline);

/** Nothing happens to one that is not in it. */
void qr__deadlines_remove(qr__deadlines *deadlines, qr_deadline *deadline);

#endif
