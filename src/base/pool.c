/* base/pool.c: each member has a slot with one word: its state, and above it a count of takings.
 *
 *                        +----------------- back from help() ------------------+
 *                        v                                                     |
 *     AWAY --park--> SPINNING --claim--> CLAIMED --call--> CALLED --came--> HELPING
 *      ^                 | ^                |  ^              |
 *      |               50 us +-- called off ---|--------------+
 *      |                 v                     |
 *      |             SLEEPING --claim----------+
 *      |                 |
 *      |     both are "parked", and may be woken instead of claimed
 *      +---- WOKEN <-----+
 *
 * Whoever takes a parked member (a leader claims it, a wake-up chooses it) does so by
 * compare-and-swap on the whole word, and counts the takings up in the same step. So a member
 * has one reason to leave its sleep at a time, and a word names one taking: a leader that comes
 * back late to call off its member finds another word if that member has been and gone, even if
 * somebody else has called it meanwhile. (Before words had counts, a late leader called off
 * another leader's call. That leader then waited for ever for a member that would not come, or
 * the late one returned while its own member was still writing.) The count has 29 bits: to meet
 * its word again a leader would have to stay between qr_pool_call and qr_pool_close for half a
 * thousand million takings of one member.
 *
 * A wake-up that finds nobody parked is counted in `pending`. Parking and waking each write
 * their word before they read the other's, sequentially consistent, so at least one of the two
 * sees the other.
 *
 * tests/model/pool.pml is this file as a model; it and the chaos build (base/chaos.h) must
 * follow every change. */
#include "base/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/chaos.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/cores.h"
#include "base/wait.h"

#define PARK_SPIN_NS      50000u
#define CLOSE_CPU_NS_MOST (10 * QR_NS_PER_S) /* of waiting: more is a hang, not a slow machine */

typedef enum { AWAY, SPINNING, SLEEPING, CLAIMED, CALLED, HELPING, WOKEN } slot_state;

#define STATE_MASK 7u
#define ONE_TAKING 8u

typedef struct slot {
    _Alignas(64) atomic_uint word;
    qr_calls *calls; /* the leader writes it while CLAIMED, the member reads it once CALLED */
    int member;
    qr_pool *pool;
    pthread_t thread; /* of a helper */
} slot;

struct qr_pool {
    int members;
    int helpers;        /* threads of our own, in slots 1..helpers */
    bool spin;          /* not under a quota below the mask, which would be spent on it */
    atomic_int pending; /* wake-ups that found nobody, at most one a member */
    atomic_bool ending;
    slot slots[];
};

static slot_state state_of(unsigned word) {
    return (slot_state)(word & STATE_MASK);
}

/* The same taking in another state. */
static unsigned with(unsigned word, slot_state state) {
    return (word & ~STATE_MASK) | (unsigned)state;
}

static bool is_parked(unsigned word) {
    return state_of(word) == SPINNING || state_of(word) == SLEEPING;
}

static bool change(slot *s, unsigned from, unsigned to) {
    QR_CHAOS_DELAY();
    bool changed = atomic_compare_exchange_strong(&s->word, &from, to);
    QR_CHAOS_DELAY();
    return changed;
}

/* Takes a parked member: *word becomes its new word. *slept: it has to be woken from the kernel. */
static bool take(slot *s, slot_state state, unsigned *word, bool *slept) {
    for (unsigned seen = atomic_load(&s->word); is_parked(seen); seen = atomic_load(&s->word)) {
        *word = with(seen + ONE_TAKING, state);
        *slept = state_of(seen) == SLEEPING;
        if (change(s, seen, *word))
            return true; /* else it has just gone to sleep, or somebody was faster */
    }
    return false;
}

qr_status qr_pool_create(int members, qr_pool **out) {
    *out = NULL;
    if (members < 1 || members > QR_LIMIT_THREADS)
        return QR_BAD_OPTION;
    size_t bytes = qr_round_up(sizeof(qr_pool) + (size_t)members * sizeof(slot), 64);
    qr_pool *pool = aligned_alloc(64, bytes);
    if (pool == NULL)
        return QR_NO_MEMORY;
    memset(pool, 0, bytes);
    pool->members = members;
    pool->spin = !qr_cores_find().throttled;
    for (int m = 0; m < members; m++) {
        pool->slots[m].member = m;
        pool->slots[m].pool = pool;
    }
    *out = pool;
    return QR_OK;
}

int qr_pool_members(const qr_pool *pool) {
    return pool == NULL ? 1 : pool->members;
}

/* Takes one pending wake-up. */
static bool take_pending(qr_pool *pool) {
    int pending = atomic_load(&pool->pending);
    while (pending > 0)
        if (atomic_compare_exchange_weak(&pool->pending, &pending, pending - 1))
            return true;
    return false;
}

/* More than one a member would only be empty returns: see qr_pool_wake. */
static void add_pending(qr_pool *pool) {
    int pending = atomic_load(&pool->pending);
    while (pending < pool->members)
        if (atomic_compare_exchange_weak(&pool->pending, &pending, pending + 1))
            return;
}

/* On the member that came. It is parked again, for the next leader to find, before it says that
 * it left: after that the calls, and the leader's memory around them, may be gone. */
static void help(slot *s, unsigned word) {
    qr_calls *calls = s->calls;
    QR_CHAOS_DELAY();
    int ticket = atomic_fetch_add(&calls->came, 1);
    calls->help(calls->argument, ticket);
    QR_CHAOS_DELAY();
    atomic_store(&s->word, with(word, SPINNING));
    QR_CHAOS_DELAY();
    atomic_fetch_add_explicit(&calls->left, 1, memory_order_release);
}

/* A wake-up that was counted before we were seen parked is ours. True: return to the caller,
 * AWAY. */
static bool take_earlier_wake(slot *s, unsigned word) {
    if (!change(s, word, with(word, AWAY)))
        return false; /* taken meanwhile */
    if (take_pending(s->pool))
        return true;
    atomic_store(&s->word, word); /* another member took it; only we change a word that is AWAY */
    return false;
}

void qr_pool_park(qr_pool *pool, int member) {
    slot *s = &pool->slots[member];
    unsigned word = atomic_load(&s->word), turn = 0;
    QR_ASSERT(state_of(word) == AWAY);
    atomic_store(&s->word, with(word, SPINNING));
    for (;;) {
        QR_CHAOS_DELAY();
        word = atomic_load(&s->word);
        switch (state_of(word)) {
        case SPINNING:
            if (atomic_load(&pool->pending) > 0) {
                if (take_earlier_wake(s, word))
                    return;
                break; /* and look again: while we were AWAY, more may have been counted */
            }
            if (qr_wait_spin(&s->word, word, pool->spin ? PARK_SPIN_NS : 0) == word)
                change(s, word, with(word, SLEEPING));
            break;
        case SLEEPING:
            qr_wait_sleep(&s->word, word);
            break;
        case CLAIMED: /* a leader is between two of its instructions, or preempted there */
            qr_wait_turn(&turn);
            break;
        case CALLED:
            if (change(s, word, with(word, HELPING)))
                help(s, with(word, HELPING));
            break;
        case WOKEN:
            atomic_store(&s->word, with(word, AWAY));
            return;
        case AWAY:
        case HELPING:
            QR_ASSERT(false); /* only the member itself makes its word one of these */
            break;
        }
    }
}

static bool wake_parked(qr_pool *pool) {
    for (int m = 0; m < pool->members; m++) {
        slot *s = &pool->slots[m];
        unsigned word;
        bool slept;
        if (!take(s, WOKEN, &word, &slept))
            continue;
        if (slept)
            qr_wait_wake(&s->word, 1);
        return true;
    }
    return false;
}

static bool anyone_parked(qr_pool *pool) {
    for (int m = 0; m < pool->members; m++)
        if (is_parked(atomic_load(&pool->slots[m].word)))
            return true;
    return false;
}

void qr_pool_wake(qr_pool *pool) {
    while (!wake_parked(pool)) {
        add_pending(pool);
        QR_CHAOS_DELAY();
        /* Somebody may have parked between the look and the count, and have seen neither. */
        if (!anyone_parked(pool) || !take_pending(pool))
            return;
    }
}

int qr_pool_pending(const qr_pool *pool) {
    return pool == NULL ? 0 : atomic_load(&pool->pending);
}

static void *run_helper(void *argument) {
    slot *s = argument;
    while (!atomic_load(&s->pool->ending))
        qr_pool_park(s->pool, s->member);
    return NULL;
}

qr_status qr_pool_start_helpers(qr_pool *pool) {
    while (pool->helpers < pool->members - 1) {
        slot *s = &pool->slots[pool->helpers + 1];
        if (pthread_create(&s->thread, NULL, run_helper, s) != 0)
            return QR_NO_MEMORY;
        pool->helpers++;
    }
    return QR_OK;
}

void qr_pool_destroy(qr_pool *pool) {
    if (pool == NULL)
        return;
    atomic_store(&pool->ending, true);
    for (int h = 0; h < pool->helpers; h++)
        qr_pool_wake(pool); /* one each: a helper that returned does not park again */
    for (int h = 0; h < pool->helpers; h++)
        pthread_join(pool->slots[h + 1].thread, NULL);
    free(pool);
}

void qr_pool_call_more(qr_calls *calls, int wanted) {
    qr_pool *pool = calls->pool;
    wanted = wanted < QR_LIMIT_THREADS ? wanted : QR_LIMIT_THREADS;
    for (int m = 0; pool != NULL && m < pool->members && calls->len < wanted; m++) {
        slot *s = &pool->slots[m];
        struct qr_call *call = &calls->made[calls->len];
        bool slept;
        if (QR_CHAOS_REFUSE() || !take(s, CLAIMED, &call->word, &slept))
            continue;
        s->calls = calls;
        call->member = m;
        call->word = with(call->word, CALLED);
        calls->len++;
        QR_CHAOS_DELAY();
        atomic_store(&s->word, call->word); /* releases s->calls to the member */
        QR_CHAOS_DELAY();
        if (slept)
            qr_wait_wake(&s->word, 1);
    }
}

void qr_pool_call(qr_pool *pool, int wanted, qr_pool_help *work, void *argument, qr_calls *calls) {
    calls->pool = pool;
    calls->help = work;
    calls->argument = argument;
    calls->len = 0;
    atomic_store_explicit(&calls->came, 0, memory_order_relaxed);
    atomic_store_explicit(&calls->left, 0, memory_order_relaxed);
    qr_pool_call_more(calls, wanted);
}

/* False once the caller has spent CLOSE_CPU_NS_MOST of its CPU time on waiting. */
__attribute__((unused)) static bool has_patience(unsigned turn, uint64_t *cpu_end_ns) {
    if (turn % 4096 != 0)
        return true;
    uint64_t now = qr_clock_thread_cpu_ns();
    if (*cpu_end_ns == 0)
        *cpu_end_ns = now + CLOSE_CPU_NS_MOST;
    return now < *cpu_end_ns;
}

void qr_pool_close(qr_calls *calls) {
    int coming = calls->len;
    for (int c = 0; c < calls->len; c++) {
        const struct qr_call *call = &calls->made[c];
        slot *s = &calls->pool->slots[call->member];
        /* Only our own call, and only if it was not heard. The member sees that it is parked again,
         * and looks at `pending`: a wake-up may have passed it over while it was called. */
        if (change(s, call->word, with(call->word, SPINNING)))
            coming--;
    }
    unsigned turn = 0;
    uint64_t cpu_end_ns = 0;
    while (atomic_load_explicit(&calls->left, memory_order_acquire) < coming) {
        qr_wait_turn(&turn);
        QR_ASSERT(has_patience(turn, &cpu_end_ns));
    }
    QR_ASSERT(atomic_load(&calls->came) == coming && atomic_load(&calls->left) == coming);
}
