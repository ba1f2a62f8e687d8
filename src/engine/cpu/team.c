/* engine/cpu/team.c: members that sleep until there is work to lead or to help with.
 *
 * Each member has a slot with one word, its state:
 *
 *     AWAY --park--> SPINNING --50 us--> SLEEPING
 *       ^               |  (both: "parked")  |
 *       |               +---- claimed by ----+
 *       +-- WOKEN <----- wake()         a leader: CLAIMED -> CALLED --came--> HELPING --left-->
 * SPINNING
 *                                                              |
 *                                              leader gave up -+-> SPINNING (still on its way out
 * of sleep)
 *
 * Whoever moves a slot out of "parked" does it by compare-and-swap, so a member has one reason to
 * return at a time. A wake-up that finds nobody parked is counted in `pending`; parking and waking
 * each write their word before they read the other's (sequentially consistent), so one of the two
 * sees the other. */
#include "engine/cpu/team.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PARK_SPIN_NS    50000u
#define BARRIER_SPIN_NS 50000u

typedef enum { AWAY, SPINNING, SLEEPING, CLAIMED, CALLED, HELPING, WOKEN } slot_state;

typedef struct slot {
    _Alignas(64) atomic_uint state;
    qr_gang *gang; /* written by the leader that claimed the slot */
    pthread_t thread;
    int member;
    qr_team *team;
} slot;

struct qr_team {
    int members;
    int helpers;        /* threads of our own, in slots 1..helpers */
    bool spin;          /* not under a quota */
    atomic_int pending; /* wake-ups that found nobody */
    atomic_bool ending;
    slot slots[];
};

static void cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(atomic_uint *word, unsigned expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* Spins until *word is not `value`, for `ns` at most. Returns its last value. */
static unsigned spin_while(atomic_uint *word, unsigned value, uint64_t ns) {
    unsigned now = atomic_load_explicit(word, memory_order_acquire);
    uint64_t end = 0;
    for (unsigned i = 0; now == value; i++) {
        cpu_relax();
        now = atomic_load_explicit(word, memory_order_acquire);
        if (i % 64 != 63)
            continue;
        uint64_t clock = qr_clock_ns();
        if (end == 0)
            end = clock + ns;
        else if (clock >= end)
            break;
    }
    return now;
}

static bool change(slot *s, unsigned from, unsigned to) {
    return atomic_compare_exchange_strong(&s->state, &from, to);
}

/* Takes a parked slot for oneself. */
static bool take_parked(slot *s, unsigned to, bool *slept) {
    *slept = false;
    if (change(s, SPINNING, to))
        return true;
    *slept = change(s, SLEEPING, to);
    return *slept;
}

qr_status qr_team_create(int members, qr_team **out) {
    if (members < 1 || members > QR_LIMIT_THREADS)
        return QR_BAD_OPTION;
    size_t bytes = sizeof(qr_team) + (size_t)members * sizeof(slot);
    qr_team *team = aligned_alloc(64, qr_round_up(bytes, 64));
    if (team == NULL)
        return QR_NO_MEMORY;
    memset(team, 0, bytes);
    team->members = members;
    team->spin = !qr_cores_quota();
    for (int m = 0; m < members; m++) {
        team->slots[m].member = m;
        team->slots[m].team = team;
    }
    *out = team;
    return QR_OK;
}

int qr__team_members(const qr_team *team) {
    return team == NULL ? 1 : team->members;
}

/* A recruit at a gang's door: waits to be let in, works, leaves. */
static void help(slot *s) {
    qr_gang *gang = s->gang;
    int ticket = atomic_fetch_add(&gang->came, 1);
    int admitted;
    for (unsigned i = 0;; i++) {
        admitted = atomic_load_explicit(&gang->admitted, memory_order_acquire);
        if (admitted < 0 || admitted > ticket)
            break;
        if (i % 1024 == 1023)
            sched_yield();
        cpu_relax();
    }
    if (admitted > ticket) {
        qr_seat seat = {.rank = ticket + 1, .ranks = gang->ranks_next, .stage = gang->stage_next};
        gang->work(gang->argument, gang, seat);
    }
    atomic_store(
        &s->state,
        SPINNING); /* before `left`: afterwards the gang may be gone, and the team with it */
    atomic_fetch_add_explicit(&gang->left, 1, memory_order_release);
}

/* Takes one pending wake-up. */
static bool take_pending(qr_team *team) {
    int pending = atomic_load(&team->pending);
    while (pending > 0)
        if (atomic_compare_exchange_weak(&team->pending, &pending, pending - 1))
            return true;
    return false;
}

void qr_team_park(qr_team *team, int member) {
    slot *s = &team->slots[member];
    atomic_store(&s->state, SPINNING);
    for (;;) {
        /* A wake-up that came before we were seen parked. */
        bool parked = atomic_load(&s->state) == SPINNING;
        if (parked && atomic_load(&team->pending) > 0 && change(s, SPINNING, AWAY)) {
            if (take_pending(team))
                return;
            atomic_store(&s->state, SPINNING);
            continue;
        }
        unsigned state = spin_while(&s->state, SPINNING, team->spin ? PARK_SPIN_NS : 0);
        if (state == SPINNING && change(s, SPINNING, SLEEPING))
            state = SLEEPING;
        else
            state = atomic_load(&s->state);
        while (state == SLEEPING || state == CLAIMED) {
            if (state == SLEEPING)
                futex_wait(&s->state, SLEEPING);
            else
                cpu_relax();
            state = atomic_load(&s->state);
        }
        if (state == CALLED && change(s, CALLED, HELPING))
            help(s);
        else if (state == WOKEN)
            break;
    }
    atomic_store(&s->state, AWAY);
}

static bool wake_parked(qr_team *team) {
    for (int m = 0; m < team->members; m++) {
        slot *s = &team->slots[m];
        bool slept;
        if (!take_parked(s, WOKEN, &slept))
            continue;
        if (slept)
            futex_wake(&s->state, 1);
        return true;
    }
    return false;
}

static bool anyone_parked(qr_team *team) {
    for (int m = 0; m < team->members; m++) {
        unsigned state = atomic_load(&team->slots[m].state);
        if (state == SPINNING || state == SLEEPING)
            return true;
    }
    return false;
}

void qr_team_wake(qr_team *team) {
    while (!wake_parked(team)) {
        atomic_fetch_add(&team->pending, 1);
        /* Somebody may have parked between the look and the count, and have seen neither. */
        if (!anyone_parked(team) || !take_pending(team))
            return;
    }
}

static void *helper(void *argument) {
    slot *s = argument;
    while (!atomic_load(&s->team->ending))
        qr_team_park(s->team, s->member);
    return NULL;
}

qr_status qr_team_start_helpers(qr_team *team) {
    while (team->helpers < team->members - 1) {
        slot *s = &team->slots[team->helpers + 1];
        if (pthread_create(&s->thread, NULL, helper, s) != 0)
            return QR_NO_MEMORY;
        team->helpers++;
    }
    return QR_OK;
}

void qr_team_destroy(qr_team *team) {
    if (team == NULL)
        return;
    atomic_store(&team->ending, true);
    for (int h = 0; h < team->helpers; h++)
        qr_team_wake(team); /* one each: a helper that returned does not park again */
    for (int h = 0; h < team->helpers; h++)
        pthread_join(team->slots[h + 1].thread, NULL);
    free(team);
}

void qr_gang_open(qr_gang *gang, qr_team *team, int wanted, qr_gang_work *work, void *argument) {
    gang->team = team;
    gang->work = work;
    gang->argument = argument;
    gang->recruits = 0;
    atomic_store_explicit(&gang->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&gang->came, 0, memory_order_relaxed);
    atomic_store_explicit(&gang->admitted, 0, memory_order_relaxed);
    atomic_store_explicit(&gang->left, 0, memory_order_relaxed);
    for (int m = 0; team != NULL && m < team->members && gang->recruits + 1 < wanted; m++) {
        slot *s = &team->slots[m];
        bool slept;
        if (!take_parked(s, CLAIMED, &slept))
            continue;
        s->gang = gang;
        atomic_store(&s->state, CALLED);
        if (slept)
            futex_wake(&s->state, 1);
        gang->recruited[gang->recruits++] = (uint8_t)m;
    }
}

void qr_gang_close(qr_gang *gang) {
    int expected = gang->recruits;
    atomic_store_explicit(&gang->admitted, -1, memory_order_release);
    for (int r = 0; r < gang->recruits; r++) {
        if (!change(&gang->team->slots[gang->recruited[r]], CALLED, SPINNING))
            continue;
        expected--; /* it never came */
        if (take_pending(gang->team))
            qr_team_wake(gang->team); /* a wake-up that saw it called, not parked */
    }
    for (unsigned i = 1; atomic_load_explicit(&gang->left, memory_order_acquire) < expected; i++) {
        cpu_relax();
        if (i % 1024 == 0)
            sched_yield();
    }
}

void qr_gang_barrier(qr_gang *gang, const qr_seat *seat) {
    if (seat->ranks == 1)
        return;
    unsigned round = atomic_load_explicit(&gang->round, memory_order_acquire);
    if (atomic_fetch_add(&gang->arrived, 1) + 1 == (unsigned)seat->ranks) {
        atomic_store_explicit(&gang->arrived, 0, memory_order_relaxed);
        atomic_store(&gang->round, round + 1);
        if (atomic_load(&gang->sleepers) > 0)
            futex_wake(&gang->round, INT_MAX);
        return;
    }
    if (spin_while(&gang->round, round, BARRIER_SPIN_NS) != round)
        return;
    atomic_fetch_add(&gang->sleepers, 1);
    while (atomic_load(&gang->round) == round)
        futex_wait(&gang->round, round);
    atomic_fetch_sub(&gang->sleepers, 1);
}

void qr_gang_admit(qr_gang *gang, qr_seat *seat, size_t stage) {
    if (seat->rank == 0) {
        gang->ranks_next = 1 + atomic_load_explicit(&gang->came, memory_order_acquire);
        gang->stage_next = stage;
    }
    qr_gang_barrier(gang, seat);
    seat->ranks = gang->ranks_next;
    seat->stage = stage;
    if (seat->rank == 0)
        atomic_store_explicit(&gang->admitted, seat->ranks - 1, memory_order_release);
}
