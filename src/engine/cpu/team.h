/* engine/cpu/team.h: the threads that work on one batch together, and how they keep step.
 *
 *     qr__team_run(&team, pool, 2, false, work, argument);    // on the leader; until all are done
 *
 *     static void work(void *argument, qr__team *team, qr__rank me) {     // on every member
 *         for (size_t stage = me.stage; stage < STAGES; stage++) {
 *             ... share me.rank of me.ranks ...
 *             qr__team_barrier(team, &me);
 *             ...
 *             if (!qr__team_admit(team, &me, stage + 1))
 *                 return;
 *         }
 *     }
 *
 * The work is a sequence of stages (pass_stages.h). Whoever is called from the pool may be asleep,
 * so the leader, rank 0, starts alone and lets the others in at the end of a stage; they run the
 * same function from the next stage on. Inside a stage the members may meet at barriers. When work
 * of their own waits for members (somebody woke the pool and nobody was parked), as many leave at
 * the end of a stage, and from then on nobody is let in.
 *
 * Invariants: a team never waits for a member that has not come; one that came leaves, at the
 * latest when the team ends; ranks change only in qr__team_admit, for all members at once.
 * Threads: a team belongs to its leader; pool.h has the protocol by which members come and go.
 */
#ifndef QR_ENGINE_CPU_TEAM_H
#define QR_ENGINE_CPU_TEAM_H

#include "base/base.h"

/** A member's place: 0 <= rank < ranks. `stage`: where it begins. */
typedef struct qr__rank {
    int rank, ranks;
    size_t stage;
} qr__rank;

typedef struct qr__team qr__team;
typedef void qr__team_work(void *argument, qr__team *team, qr__rank me);

/** Visible only to live in a context, zeroed; all fields are team.c's. */
struct qr__team {
    qr_calls calls;
    qr__team_work *work;
    void *argument;
    int late_most;            /* members in all, when members may be called late; else 0 */
    atomic_int ranks_next[2]; /* by `round`: of the members, once they meet in qr__team_admit */
    size_t stage_next;        /* of who is let in */
    _Alignas(64) atomic_uint arrived; /* at the barrier */
    atomic_uint round;                /* barriers passed; who waits watches it */
    atomic_uint sleepers;             /* in the kernel, waiting for `round` */
    _Alignas(64) atomic_int
        admitted; /* those who came with a lower ticket may work; CLOSED: nobody any more */
};

/** Runs `work` on the caller, as rank 0 from stage 0 on, with up to `most` members in all. `late`:
 * who parks meanwhile is called at the end of a stage, which pays where a stage is long beside a
 * wake-up. `pool` may be NULL. */
void qr__team_run(qr__team *team, qr_pool *pool, int most, bool late, qr__team_work *work,
                  void *argument);

/** Returns once every member of the stage is here: what they wrote before it is seen by all
 * behind it. */
void qr__team_barrier(qr__team *team, const qr__rank *me);

/** A barrier before `stage` that also lets in who has come meanwhile, to begin there, or lets go
 * who is wanted elsewhere; *me gets the new number of ranks. False: the caller is to leave, that is
 * to return from the work at once. There must be a barrier of those who stay before the work
 * returns: newcomers read what the leader wrote for them up to that one. */
QR_MUST_USE bool qr__team_admit(qr__team *team, qr__rank *me, size_t stage);

#endif
