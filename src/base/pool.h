/* base/pool.h: a pool of threads that sleep until there is work of their own, and help with
 * others' meanwhile.
 *
 *     qr_pool_create(3, &pool);                          // members 0, 1, 2
 *
 *     while (!done)                                      // each member
 *         if (!take_work())
 *             qr_pool_park(pool, me);                    // sleeps, helps, returns when woken
 *
 *     queue_work();                                      // whoever makes work
 *     qr_pool_wake(pool);
 *
 *     qr_calls calls;                                // whoever has work that others could share
 *     qr_pool_call(pool, 2, help, argument, &calls); // up to 2 parked members; waits for none
 *     ... do it, with help or without ...
 *     qr_pool_close(&calls);                         // nobody is in help() any more, nor will be
 *
 * A server's idle workers park in their pool, so a lonely request gets all cores and a stream of
 * them gets one core a request, without a second set of threads. docs/POOL.md has the protocol,
 * its invariants, and the model that checks it. Threads: any may wake, call and close; a member
 * is one thread.
 */
#ifndef QR_BASE_POOL_H
#define QR_BASE_POOL_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/status.h"

typedef struct qr_pool qr_pool;

/** QR_BAD_OPTION: not 1 to QR_LIMIT_THREADS members; QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_pool_create(int members, qr_pool **out);

/** Ends the pool's own helpers and frees it; nobody else may be parked. NULL is allowed. */
void qr_pool_destroy(qr_pool *pool);

/** 1 for NULL. */
int qr_pool_members(const qr_pool *pool);

/** Starts threads of the pool's own as members 1 and up, that help and do nothing else (for
 * tools; a server brings its workers). QR_NO_MEMORY: the system gives no more; those that
 * started stay. */
QR_MUST_USE qr_status qr_pool_start_helpers(qr_pool *pool);

/** Parks the calling member: it spins for at most 50 us (not under a CPU quota below its affinity
 * mask), sleeps, helps whoever calls, and returns once qr_pool_wake() chose it, or at once when a
 * wake-up is pending. May return for nothing: members look for work in a loop. */
void qr_pool_park(qr_pool *pool, int member);

/** Makes one parked member that does not help return from qr_pool_park. When there is none, the
 * next one to park returns at once; as many such wake-ups as there are members are kept, which
 * is enough: whoever is not parked looks for work before it parks. */
void qr_pool_wake(qr_pool *pool);

/** How many wake-ups found nobody parked and wait for somebody who parks. While members help, that
 * much work waits for them: a leader that can spare some sends them to it. 0 for NULL. */
int qr_pool_pending(const qr_pool *pool);

/** What a called member does. `ticket` counts those that came, from 0. */
typedef void qr_pool_help(void *argument, int ticket);

/** The members that one leader called. Visible only to live in its owner; all fields are
 * pool.c's. */
typedef struct qr_calls {
    qr_pool *pool;
    qr_pool_help *help;
    void *argument;
    int len; /* members called */
    struct qr_call {
        int member;
        unsigned word; /* the member's word as this call left it */
    } made[QR_LIMIT_THREADS];
    _Alignas(64) atomic_int came; /* apart from what stays as it is: members write these */
    atomic_int left;
} qr_calls;

/** Calls up to `wanted` parked members to run help(argument, ticket), and returns at once: a
 * member may be asleep, so who is called comes later or never. `pool` NULL: nobody is called.
 * `calls` stays in place until qr_pool_close. */
void qr_pool_call(qr_pool *pool, int wanted, qr_pool_help *help, void *argument, qr_calls *calls);

/** Calls parked members until `wanted` were called in all, those included that came and left. For
 * the leader, between qr_pool_call and qr_pool_close: members that had work when they could have
 * been called may be parked now. */
void qr_pool_call_more(qr_calls *calls, int wanted);

/** How many have come so far. */
static inline int qr_calls_came(const qr_calls *calls) {
    return atomic_load_explicit(&calls->came, memory_order_acquire);
}

/** Calls off the members that have not come, and returns when all that came have left help(). */
void qr_pool_close(qr_calls *calls);

#endif
