/* server/deadline_heap.h: what has a deadline, the earliest first.
 *
 *     typedef struct order { qr_deadline deadline; ... } order;
 *
 *     qr__deadline_heap_create(1024, &heap);
 *     order->deadline.at_ns = now_ns + budget_ns;
 *     qr__deadline_heap_add(heap, &order->deadline);
 *     qr__deadline_heap_remove(heap, &order->deadline);        // done in time
 *     while ((late = qr__deadline_heap_take(heap, now_ns)) != NULL)
 *         ...                                                 // QR_OWNER(late, order, deadline)
 *
 * A binary heap that never asks for the time: its callers say what time it is. Threads: one at a
 * time.
 */
#ifndef QR_SERVER_DEADLINE_HEAP_H
#define QR_SERVER_DEADLINE_HEAP_H

#include "base/base.h"

/** Embedded in what has the deadline. */
typedef struct qr_deadline {
    uint64_t at_ns; /* not changed while it is in a heap */
    size_t place;   /* the heap's own; 0: in none */
} qr_deadline;

typedef struct qr__deadline_heap qr__deadline_heap;

/** Room for `max` deadlines. QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__deadline_heap_create(size_t max, qr__deadline_heap **out);

/** Whatever is in it stays its owner's. NULL is allowed. */
void qr__deadline_heap_destroy(qr__deadline_heap *heap);

/** Borrows the deadline until it is removed or taken. False: the heap is full. */
QR_MUST_USE bool qr__deadline_heap_add(qr__deadline_heap *heap, qr_deadline *deadline);

/** Nothing happens to one that is in no heap. */
void qr__deadline_heap_remove(qr__deadline_heap *heap, qr_deadline *deadline);

/** The earliest, still in the heap; NULL when it is empty. */
const qr_deadline *qr__deadline_heap_earliest(const qr__deadline_heap *heap);

/** Takes out the earliest if it has come; else NULL. */
qr_deadline *qr__deadline_heap_take(qr__deadline_heap *heap, uint64_t now_ns);

#endif
