/* engine/cpu/team.c: a team's door and its barrier.
 *
 * The door. Who comes gets a ticket (0, 1, 2...) and waits until `admitted` exceeds it. The
 * leader counts who has come, writes the number of ranks from here on, meets the present members at
 * a barrier, so that all go on with the same number, writes the newcomers' stage and opens the door
 * up to that count; ticket t becomes rank t + 1, of as many as the door says. Who is not let in by
 * the end is sent home. A newcomer reads stage and count before it comes to its first barrier, and
 * the leader writes both behind its next one, which waits for the newcomer.
 *
 * Two numbers of ranks are kept, of even and of odd rounds of the barrier. Where two stages have no
 * barrier between them, a slow member may still read the number of one while the leader, who is
 * ahead, writes that of the next; but a third the leader writes only behind a barrier that the slow
 * one has come to.
 *
 * Leaving. When wake-ups wait in the pool, who stands before the door is sent home, the leader
 * writes a smaller number of ranks where that was not enough, and closes the door for good; behind
 * the barrier the highest ranks find that they are not among them. A leaver may read the number
 * late, when the leader has written another one in its place: with the door closed that is no
 * larger, so it leaves in any case.
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
    qr__rank me = {.rank = ticket + 1, .ranks = admitted + 1, .stage = team->stage_next};
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

/* The leader's: how many go on. Sets *closed when the door is to stay shut: who stands before it
 * goes first where work of their own waits for members. */
static int ranks_from_here(qr__team *team, const qr__rank *me, bool *closed) {
    int wanted = qr_pool_pending(team->calls.pool), came = qr_calls_came(&team->calls);
    *closed = atomic_load_explicit(&team->admitted, memory_order_relaxed) == CLOSED;
    int all = *closed ? me->ranks : 1 + came;
    if (all > 1 && (wanted > 0 || (me->ranks > 1 && QR_CHAOS_REFUSE()))) {
        *closed = true;
        int stay = wanted > 0 && wanted < all ? all - wanted : 1;
        return stay < me->ranks ? stay : me->ranks;
    }
    if (!*closed && wanted == 0)
        qr_pool_call_more(&team->calls, team->late_most - 1);
    return all;
}

/* See the head of this file. `round` does not move before we have come to the barrier, so that all
 * members choose the same number. */
bool qr__team_admit(qr__team *team, qr__rank *me, size_t stage) {
    bool closed = false;
    unsigned round = atomic_load_explicit(&team->round, memory_order_relaxed);
    atomic_int *ranks_next = &team->ranks_next[round % 2];
    if (me->rank == 0)
        atomic_store_explicit(ranks_next, ranks_from_here(team, me, &closed), memory_order_relaxed);
    qr__team_barrier(team, me);
    me->ranks = atomic_load_explicit(ranks_next, memory_order_relaxed);
    me->stage = stage;
    QR_CHAOS_DELAY();
    if (me->rank == 0) {
        team->stage_next = stage;
        atomic_store_explicit(&team->admitted, closed ? CLOSED : me->ranks - 1,
                              memory_order_release);
    }
    return me->rank < me->ranks;
}
