/* server/joins.h: requests that wait for the results of another one that asks the same.
 *
 *     qr__joins_lead(joins, &x->joint, &x->ticket, &x->key);      // it was submitted
 *
 *     qr__joint *leader = qr__joins_find(joins, &y->ticket, &y->key);
 *     if (leader != NULL)
 *         qr__joins_join(leader, &y->joint);                      // y is not computed
 *
 *     while ((mate = qr__joins_first(&x->joint)) != NULL)         // x is back, with its results
 *         qr__joins_leave(mate), ...
 *     qr__joins_leave(&x->joint);
 *
 * A leader is in the table from its submit until it is back or given up. Of what a leader asks only
 * the ids and segments of its jobs are looked at, which nobody writes after the submit. Threads:
 * the loop's only.
 */
#ifndef QR_SERVER_JOINS_H
#define QR_SERVER_JOINS_H

#include "server/key.h"

typedef struct qr__joins qr__joins;

/** Most mates of one leader: all of them are answered in one step of the loop. Who comes then leads
 * anew. */
#define QR__MATES_MOST 16u

/** Embedded in its exchange, zeroed; the fields are joins.c's. */
typedef struct qr__joint {
    qr_link link;             /* a leader's in the table, a mate's among its leader's mates */
    struct qr__joint *leader; /* of a mate */
    qr_link mates;            /* of a leader, the oldest first */
    size_t mates_len;
    const qr_ticket *ticket; /* of a leader, as its key */
    const qr__key *key;
} qr__joint;

/** QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__joins_create(qr__joins **out);

/** Nobody leads any more. NULL is allowed. */
void qr__joins_destroy(qr__joins *joins);

/** Makes the joint, which is in use for nothing else, a leader. Borrows ticket and key until it
 * leaves. */
void qr__joins_lead(qr__joins *joins, qr__joint *joint, const qr_ticket *ticket,
                    const qr__key *key);

/** A leader with this key and room for a mate; NULL: none. */
qr__joint *qr__joins_find(const qr__joins *joins, const qr_ticket *ticket, const qr__key *key);

/** Makes the joint, which is in use for nothing else, a mate of the leader. */
void qr__joins_join(qr__joint *leader, qr__joint *joint);

/** The oldest mate; NULL: none, or the joint leads nobody. */
qr__joint *qr__joins_first(const qr__joint *leader);

/** A mate leaves its leader, or a leader without mates the table. Neither: nothing happens. */
void qr__joins_leave(qr__joint *joint);

#endif
