/* engine/cpu/team.h: how a forward pass uses a team (engine.h has what others see).
 *
 *     qr_gang gang;
 *     qr_gang_open(&gang, team, 2, work, argument);       // calls for help; does not wait for it
 *     work(argument, &gang, (qr_seat){.rank = 0, .ranks = 1, .stage = 0});
 *     qr_gang_close(&gang);                                // nobody is in `work` any more
 *
 * The work is a sequence of stages (layers). A recruit may be asleep, so the leader starts alone
 * and lets it in at the end of a stage; it then runs the same function from the next stage on.
 * Inside a stage the members meet at barriers. Invariants: a gang never waits for a recruit that
 * has not come; a member that came always leaves, at the latest when the gang closes; ranks change
 * only in qr_gang_admit.
 */
#ifndef QR_ENGINE_CPU_TEAM_H
#define QR_ENGINE_CPU_TEAM_H

#include "engine/engine.h"

#include <stdatomic.h>

typedef struct qr_gang qr_gang;

/** A member's place in a gang: 0 leads. `stage`: where it begins. */
typedef struct qr_seat {
    int rank, ranks;
    size_t stage;
} qr_seat;

typedef void qr_gang_work(void *argument, qr_gang *gang, qr_seat seat);

/** Visible only to live in a context; all fields are team.c's. */
struct qr_gang {
    qr_team *team;
    qr_gang_work *work;
    void *argument;
    int recruits; /* called for: slots recruited[0..recruits) */
    uint8_t recruited[QR_LIMIT_THREADS];
    int ranks_next; /* written by the leader before the last barrier of a stage */
    size_t stage_next;
    _Alignas(64) atomic_uint arrived; /* at the barrier */
    atomic_uint round;                /* barriers passed; waiters watch it */
    atomic_uint sleepers;             /* in futex wait for `round` */
    _Alignas(64) atomic_int came;     /* recruits that have come, admitted or not */
    atomic_int admitted;              /* recruits with a ticket below it may work; -1: closed */
    atomic_int left;
};

/** `wanted` members at most, the caller included. team may be NULL. */
void qr_gang_open(qr_gang *gang, qr_team *team, int wanted, qr_gang_work *work, void *argument);
void qr_gang_close(qr_gang *gang);

/** Returns once all of the stage's members came. */
void qr_gang_barrier(qr_gang *gang, const qr_seat *seat);

/** A barrier before `stage`: recruits that came meanwhile are let in and begin there; seat gets the
 * new number of members. There must be another barrier before the next call and before the gang
 * closes. */
void qr_gang_admit(qr_gang *gang, qr_seat *seat, size_t stage);

/** Members that a team has; 1 for NULL. */
int qr__team_members(const qr_team *team);

#endif
