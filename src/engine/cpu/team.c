/* engine/cpu/team.c: a team's door and its barrier.
 *
 * The door. Who comes gets a ticket (0, 1, 2...) and waits until `admitted` exceeds it. The
 * leader counts who has come, writes their number of ranks and their stage, meets the present
 * members at a barrier, so that all go on with the same number, and opens the door up to that
 * count; ticket t becomes rank t + 1. Who is not let in by the end is sent home.
 *
 * Leaving. When wake-ups wait in the pool, the leader writes a smaller number of ranks instead and
 * closes the door for good; behind the barrier the highest ranks find that they are not among
 * them. A leaver may read the number late, when the leader has written a next one: with the door
 * closed that is smaller still, so it leaves in any case.
 *
 * The barrier. The last to arrive resets the count and moves `round` on; the others watch
 * `round`, first by spinning, then in the kernel. One counter serves all rounds: nobody can
 * arrive for the next round before `round` has moved, and the reset comes before that. A waiter
 * that goes to sleep says so in `sleepers` before it looks at `round` once more, and the last to
 * arrive writes `round` before it reads `sleepers` (both sequentially consistent): one of them
 * sees the other. */
#include "engine/cpu/team.h"

#include <limits.h>

#define BARRIER_SPIN_NS 50000u
#define CLOSED          (-1)

/* On who was called. */
static void come(void *argument, int ticket) {
    qr__team *team = argument;
    int admitted;
    unsigned turn = 0;
    while ((admitted = atomic_load_explicit(&team->admitted, memory_order_acquire)) != CLOSED &&
           admitted <= ticket)
        qr_wait_turn(&turn);
    if (admitted == CLOSED)
        return;
    QR_CHAOS_DELAY();
    qr__rank me = {.rank = ticket + 1,
                   .ranks = atomic_load_explicit(&team->ranks_next, memory_order_relaxed),
                   .stage = team->stage_next};
    team->work(team->argument, team, me);
}

/* The order at the end matters: the door is closed first, so that who still stands before it
 * goes home, and only then are those who never came called off. */
void qr__team_run(qr__team *team, qr_pool *pool, int most, bool late, qr__team_work *work,
                  void *argument) {
    team->work = work;
    team->argument = argument;
    team->late_most = late ? most : 0;
    atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&team->admitted, 0, memory_order_relaxed);
    qr_pool_call(pool, most - 1, come, team, &team->calls);
    work(argument, team, (qr__rank){.rank = 0, .ranks = 1, .stage = 0});
    QR_CHAOS_DELAY();
    atomic_store_explicit(&team->admitted, CLOSED, memory_order_release);
    qr_pool_close(&team->calls);
}

/* See the head of this file. A lone member passes without a word to anybody. */
void qr__team_barrier(qr__team *team, const qr__rank *me) {
    if (me->ranks == 1)
        return;
    QR_CHAOS_DELAY();
    unsigned round = atomic_load_explicit(&team->round, memory_order_acquire);
    if (atomic_fetch_add(&team->arrived, 1) + 1 == (unsigned)me->ranks) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        QR_CHAOS_DELAY();
        atomic_store(&team->round, round + 1);
        QR_CHAOS_DELAY();
        if (atomic_load(&team->sleepers) > 0)
            qr_wait_wake(&team->round, INT_MAX);
        return;
    }
    QR_CHAOS_DELAY();
    if (qr_wait_spin(&team->round, round, BARRIER_SPIN_NS) != round)
        return;
    atomic_fetch_add(&team->sleepers, 1);
    while (atomic_load(&team->round) == round)
        qr_wait_sleep(&team->round, round);
    atomic_fetch_sub(&team->sleepers, 1);
}

/* The leader's: how many go on. Sets *closed when the door is to stay shut. */
static int ranks_from_here(qr__team *team, const qr__rank *me, bool *closed) {
    int wanted = qr_pool_pending(team->calls.pool);
    *closed = atomic_load_explicit(&team->admitted, memory_order_relaxed) == CLOSED;
    if (me->ranks > 1 && (wanted > 0 || QR_CHAOS_REFUSE())) {
        *closed = true;
        return wanted > 0 && wanted < me->ranks ? me->ranks - wanted : 1;
    }
    if (*closed)
        return me->ranks;
    if (wanted == 0)
        qr_pool_call_more(&team->calls, team->late_most - 1);
    return 1 + qr_calls_came(&team->calls);
}

/* The two words for the newcomers are written before the barrier and the door is opened behind
 * it: they read them through `admitted`, and everybody else through the barrier. */
bool qr__team_admit(qr__team *team, qr__rank *me, size_t stage) {
    bool closed = false;
    if (me->rank == 0) {
        int ranks = ranks_from_here(team, me, &closed);
        atomic_store_explicit(&team->ranks_next, ranks, memory_order_relaxed);
        team->stage_next = stage;
    }
    qr__team_barrier(team, me);
    me->ranks = atomic_load_explicit(&team->ranks_next, memory_order_relaxed);
    me->stage = stage;
    QR_CHAOS_DELAY();
    if (me->rank == 0)
        atomic_store_explicit(&team->admitted, closed ? CLOSED : me->ranks - 1,
                              memory_order_release);
    return me->rank < me->ranks;
}
