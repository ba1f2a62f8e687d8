/* server/schedule/order.h: what waits, in the order in which it is to be served, and whether all
 * of it can be served in time.
 *
 *     status = qr_order_init(&order, 4096);
 *     turn->key = ..., turn->deadline_ns = ..., turn->cost_ns = ...;
 *     qr_order_add(&order, turn);
 *     if (now + qr_order_before(turn) + turn->cost_ns > turn->deadline_ns)
 *         ...                                           // it would come too late
 *     if (qr_order_latest_behind(turn) < now)
 *         ...                                           // somebody behind it would
 *     qr_order_remove(&order, turn);
 *
 * Served by rising key; of equal keys who came first. Costs are times of whatever serves them, one
 * after the other, so a turn ends at the sum of the costs up to it: the demand test of earliest
 * deadline first (Baruah, Rosier and Howell, "Algorithms and complexity concerning the preemptive
 * scheduling of periodic, real-time tasks on one processor", 1990). Turns have marks, and the next
 * one of some marks is found as fast as the next of all. All calls are O(log n), whatever the keys:
 * it is a B+ tree. The init allocates its nodes, so no other call can fail; turns live in their
 * owners. Threads: the callers' business.
 */
#ifndef QR_SERVER_SCHEDULE_ORDER_H
#define QR_SERVER_SCHEDULE_ORDER_H

#include "base/base.h"

struct qr_order_node;

typedef struct qr_turn {
    uint64_t key;         /* not to be changed while it is in an order */
    uint64_t deadline_ns; /* nor this */
    uint64_t marks;       /* nor these: bits, one at least */
    uint64_t cost_ns;     /* but by qr_order_change */

    struct qr_order_node *listed; /* order.c's own: where it stands; NULL: in no order */
} qr_turn;

typedef struct qr_order {
    size_t len; /* turns in it */

    /* order.c's own. */
    struct qr_order_node *root;   /* NULL: no turns */
    struct qr_order_node *nodes;  /* owned; all that there are */
    size_t nodes_len, used;       /* the first `used` of them were in the tree once */
    struct qr_order_node *unused; /* a list of those that no longer are */
} qr_order;

/** An empty order for at most so many turns at a time. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_order_init(qr_order *order, size_t most);

/** Frees what it has; turns that are in it are not to be used again. Zeroed is allowed. */
void qr_order_deinit(qr_order *order);

/** Adds a turn that is in none. */
void qr_order_add(qr_order *order, qr_turn *turn);

/** Takes the turn out; in no order, nothing happens. */
void qr_order_remove(qr_order *order, qr_turn *turn);

/** Changes what a turn costs. */
void qr_order_change(qr_turn *turn, uint64_t cost_ns);

#define QR_ORDER_ANY UINT64_MAX /* all marks */

/** The next one to be served of those that have one of the marks, or NULL. */
qr_turn *qr_order_first(const qr_order *order, uint64_t marks);

/** The next one of these behind the turn, or NULL. */
qr_turn *qr_order_next(const qr_turn *turn, uint64_t marks);

/** The costs of all. */
uint64_t qr_order_sum(const qr_order *order);

/** The costs of all that is served before the turn. */
uint64_t qr_order_before(const qr_turn *turn);

/** The costs of all whose key is at most this. */
uint64_t qr_order_before_key(const qr_order *order, uint64_t key);

/** The latest moment at which the whole order may be begun, so that all behind the turn are in
 * time; UINT64_MAX: there are none; 0: they cannot be. */
uint64_t qr_order_latest_behind(const qr_turn *turn);

#endif
