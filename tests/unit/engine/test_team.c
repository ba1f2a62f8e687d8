/* Teams: barriers hold, members are let in between stages, and who is called by one team stays
 * that team's. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/cpu/team.h"
#include "semaphores.h"

TestSuite(team, .timeout = 120);

/* Work whose sums come out right only if barriers hold, whoever comes in at which stage. */
#define STAGES 7
#define PIECES 12

typedef struct relay {
    qr__team team;
    atomic_int inside;
    int sums[STAGES]; /* what each stage's members wrote together */
    int shares[STAGES][PIECES];
    int most_ranks;
} relay;

static void run_relay(void *argument, qr__team *team, qr__rank me) {
    relay *r = argument;
    atomic_fetch_add(&r->inside, 1);
    for (size_t stage = me.stage; stage < STAGES; stage++) {
        for (int i = me.rank; i < PIECES; i += me.ranks)
            r->shares[stage][i] = (int)stage + 1;
        qr__team_barrier(team, &me);
        if (me.rank == 0) {
            r->most_ranks = me.ranks > r->most_ranks ? me.ranks : r->most_ranks;
            for (int i = 0; i < PIECES; i++)
                r->sums[stage] += r->shares[stage][i];
        }
        if (stage + 1 < STAGES && !qr__team_admit(team, &me, stage + 1))
            break;
    }
    atomic_fetch_sub(&r->inside, 1);
}

static relay *relay_create(void) {
    relay *r = aligned_alloc(64, qr_round_up(sizeof *r, 64));
    memset(r, 0, sizeof *r);
    return r;
}

static void lead(qr_pool *pool, relay *r, int most) {
    memset(r->sums, 0, sizeof r->sums);
    memset(r->shares, 0, sizeof r->shares);
    qr__team_run(&r->team, pool, most, most % 2 == 0, run_relay, r);
    cr_assert_eq(atomic_load(&r->inside), 0);
    for (int stage = 0; stage < STAGES; stage++)
        cr_assert_eq(r->sums[stage], PIECES * (stage + 1), "stage %d: %d", stage, r->sums[stage]);
}

Test(team, members_meet_at_their_barriers) {
    for (int members = 1; members <= 5; members += 2) {
        qr_pool *pool = NULL;
        relay *r = relay_create();
        cr_assert_eq(qr_pool_create(members, &pool), QR_OK);
        cr_assert_eq(qr_pool_start_helpers(pool), QR_OK);
        /* On a busy machine the helpers may get no core for long: go on until one came. */
        for (int i = 0; i < 3000 || (members > 1 && r->most_ranks < 2); i++) {
            lead(pool, r, 1 + i % members);
            if (i % 100 == 0)
                usleep(100); /* the next one finds them asleep */
        }
        free(r);
        qr_pool_destroy(pool);
    }
}

/* Stages that follow each other without a barrier: whoever comes or goes, each piece of each stage
 * is done once. */
#define SHORT_STAGES 40

typedef struct tally {
    qr__team team;
    atomic_int done[SHORT_STAGES][PIECES];
    atomic_int came, gone;
    size_t wake_at; /* the stage in which work comes for a member that helps */
} tally;

static void run_tally(void *argument, qr__team *team, qr__rank me) {
    tally *t = argument;
    atomic_fetch_add(&t->came, me.rank > 0);
    for (size_t stage = me.stage; stage < SHORT_STAGES; stage++) {
        for (int i = me.rank; i < PIECES; i += me.ranks)
            atomic_fetch_add(&t->done[stage][i], 1);
        if (me.rank == 0 && me.ranks > 1 && stage >= t->wake_at) {
            qr_pool_wake(team->calls.pool);
            t->wake_at = SHORT_STAGES;
        }
        if (stage + 1 == SHORT_STAGES) {
            qr__team_barrier(team, &me);
        } else if (!qr__team_admit(team, &me, stage + 1)) {
            atomic_fetch_add(&t->gone, 1);
            return;
        }
    }
}

static void check_tally(tally *t, const char *what, int run) {
    for (int stage = 0; stage < SHORT_STAGES; stage++)
        for (int i = 0; i < PIECES; i++)
            cr_assert_eq(t->done[stage][i], 1, "%s, run %d: stage %d, piece %d: %d times", what,
                         run, stage, i, t->done[stage][i]);
}

Test(team, stages_need_no_barrier_of_their_own) {
    for (int members = 2; members <= 3; members++) {
        qr_pool *pool = NULL;
        tally *t = aligned_alloc(64, qr_round_up(sizeof *t, 64));
        memset(t, 0, sizeof *t);
        cr_assert_eq(qr_pool_create(members, &pool), QR_OK);
        cr_assert_eq(qr_pool_start_helpers(pool), QR_OK);
        /* On a busy machine helpers may get no core for long: go on until some came and went. */
        for (int i = 0; i < 2000 || atomic_load(&t->came) == 0 || atomic_load(&t->gone) == 0; i++) {
            memset(t->done, 0, sizeof t->done);
            t->wake_at = (size_t)(i % (2 * SHORT_STAGES));
            qr__team_run(&t->team, pool, members, true, run_tally, t);
            check_tally(t, members == 2 ? "two" : "three", i);
        }
        qr_pool_destroy(pool);
        free(t);
    }
}

typedef struct leader {
    qr_pool *pool;
    pthread_t thread;
} leader;

static void *lead_often(void *argument) {
    leader *l = argument;
    relay *r = relay_create();
    for (int i = 0; i < 1500; i++)
        lead(l->pool, r, 3);
    free(r);
    return NULL;
}

/* More leaders than helpers, and more threads than this machine may have cores. */
Test(team, leaders_compete) {
    qr_pool *pool = NULL;
    leader leaders[3];
    cr_assert_eq(qr_pool_create(4, &pool), QR_OK);
    cr_assert_eq(qr_pool_start_helpers(pool), QR_OK);
    for (int i = 0; i < 3; i++) {
        leaders[i] = (leader){.pool = pool};
        cr_assert_eq(pthread_create(&leaders[i].thread, NULL, lead_often, &leaders[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(leaders[i].thread, NULL);
    qr_pool_destroy(pool);
}

/* One helper, held at will by a signal handler that waits: "preempted" for as long as the test
 * likes. */
static sem_t stalled, go_on;
static atomic_bool ending;
static pthread_t helper;

static void stall_here(int number) {
    (void)number;
    sem_post(&stalled);
    wait_for(&go_on);
}

static void *help_on(void *pool) {
    while (!atomic_load(&ending))
        qr_pool_park(pool, 0);
    return NULL;
}

/* A team of two: the leader waits until its helper is in, and both meet once. */
typedef struct pair {
    qr__team team;
    qr_pool *pool;
    struct pair *other; /* to be started when the helper has left this one and is stalled */
    pthread_t thread;
    sem_t called; /* posted by the leader that has called the helper */
    atomic_int helped;
} pair;

static void *run_pair(void *argument);

static void work_in_pair(void *argument, qr__team *team, qr__rank me) {
    pair *p = argument;
    if (team->calls.len == 0)
        return; /* the helper was not parked: our leader tries again */
    if (me.rank == 0)
        sem_post(&p->called);
    while (me.ranks < 2)
        cr_assert(qr__team_admit(team, &me, 1));
    qr__team_barrier(team, &me);
    atomic_fetch_add(&p->helped, me.rank);
    if (me.rank > 0 || p->other == NULL)
        return;
    while (atomic_load(&team->calls.left) == 0)
        usleep(100);
    cr_assert_eq(pthread_kill(helper, SIGUSR1), 0);
    wait_for(&stalled);
    cr_assert_eq(pthread_create(&p->other->thread, NULL, run_pair, p->other), 0);
    wait_for(
        &p->other
             ->called); /* the other team has called our helper, and we come to our end only now */
}

static void *run_pair(void *argument) {
    pair *p = argument;
    while (atomic_load(&p->helped) == 0)
        qr__team_run(&p->team, p->pool, 2, false, work_in_pair, p);
    return NULL;
}

static pair *pair_create(qr_pool *pool, pair *other) {
    pair *p = aligned_alloc(64, qr_round_up(sizeof *p, 64));
    memset(p, 0, sizeof *p);
    p->pool = pool;
    p->other = other;
    sem_init(&p->called, 0, 0);
    return p;
}

/* The race that hung three workers and more: a leader that ends late, when its helper has been
 * and gone and another team has called it, must not call that one off: the other leader would
 * wait for ever for a helper that does not come. */
Test(team, a_team_that_ends_late_does_not_rob_another) {
    qr_pool *pool = NULL;
    struct sigaction action = {.sa_handler = stall_here};
    sem_init(&stalled, 0, 0);
    sem_init(&go_on, 0, 0);
    sigaction(SIGUSR1, &action, NULL);
    cr_assert_eq(qr_pool_create(1, &pool), QR_OK);
    cr_assert_eq(pthread_create(&helper, NULL, help_on, pool), 0);
    pair *second = pair_create(pool, NULL), *first = pair_create(pool, second);
    run_pair(first);
    sem_post(&go_on);
    pthread_join(second->thread, NULL); /* or the test times out */
    cr_assert_eq(atomic_load(&second->helped), 1);
    atomic_store(&ending, true);
    qr_pool_wake(pool);
    pthread_join(helper, NULL);
    qr_pool_destroy(pool);
    free(first);
    free(second);
}

/* Chaos refuses calls and sends helpers away at random: then this would be something else. */
#ifndef QR_CHAOS
#define HELPERS 2

typedef struct spared {
    qr__team team;
    qr_pool *pool;
    atomic_int returned, ranks[4]; /* what the leader saw, stage by stage */
    bool done;
} spared;

typedef struct spared_helper {
    spared *of;
    int member;
    pthread_t thread;
} spared_helper;

static void *help_and_count(void *argument) {
    spared_helper *h = argument;
    while (!atomic_load(&ending)) {
        qr_pool_park(h->of->pool, h->member);
        atomic_fetch_add(&h->of->returned, 1);
    }
    return NULL;
}

static void work_until_wanted(void *argument, qr__team *team, qr__rank me) {
    spared *s = argument;
    bool stays = true;
    if (team->calls.len < HELPERS)
        return; /* not all were parked: our leader tries again */
    if (me.rank > 0)
        qr__team_barrier(team, &me);
    while (me.ranks < 1 + HELPERS) {
        cr_assert(qr__team_admit(team, &me, 1));
        qr__team_barrier(team, &me);
    }
    for (size_t stage = 1; stays && stage < 4; stage++) {
        if (me.rank == 0)
            atomic_store(&s->ranks[stage], me.ranks);
        if (me.rank == 0 && stage == 1)
            qr_pool_wake(s->pool); /* nobody is parked */
        stays = qr__team_admit(team, &me, stage + 1);
        if (me.rank == 0 && stage == 1)
            while (atomic_load(&s->returned) == 0) /* long before the team's end */
                usleep(100);
        if (stays)
            qr__team_barrier(team, &me);
    }
    if (me.rank == 0)
        s->done = true;
    cr_assert(stays || me.rank == HELPERS, "rank %d left", me.rank);
}

Test(team, a_helper_leaves_when_work_of_its_own_waits) {
    spared *s = aligned_alloc(64, qr_round_up(sizeof *s, 64));
    spared_helper helpers[HELPERS];
    memset(s, 0, sizeof *s);
    cr_assert_eq(qr_pool_create(HELPERS, &s->pool), QR_OK);
    for (int i = 0; i < HELPERS; i++) {
        helpers[i] = (spared_helper){.of = s, .member = i};
        cr_assert_eq(pthread_create(&helpers[i].thread, NULL, help_and_count, &helpers[i]), 0);
    }
    while (!s->done)
        qr__team_run(&s->team, s->pool, 1 + HELPERS, false, work_until_wanted, s);
    cr_assert_eq(s->ranks[1], 1 + HELPERS);
    cr_assert_eq(s->ranks[2], HELPERS, "one was wanted");
    cr_assert_eq(s->ranks[3], HELPERS, "nobody is let in again");
    cr_assert_eq(s->returned, 1);
    atomic_store(&ending, true);
    for (int i = 0; i < HELPERS; i++)
        qr_pool_wake(s->pool);
    for (int i = 0; i < HELPERS; i++)
        pthread_join(helpers[i].thread, NULL);
    qr_pool_destroy(s->pool);
    free(s);
}

/* The helper parks only when the team is at work already. */
static void work_until_joined(void *argument, qr__team *team, qr__rank me) {
    spared_helper *h = argument;
    if (me.rank > 0) {
        qr__team_barrier(team, &me);
        return;
    }
    cr_assert_eq(team->calls.len, 0);
    cr_assert_eq(pthread_create(&h->thread, NULL, help_and_count, h), 0);
    while (me.ranks < 2) { /* or the test times out */
        cr_assert(qr__team_admit(team, &me, 1));
        qr__team_barrier(team, &me);
    }
}

Test(team, who_parks_late_is_called_late) {
    spared *s = aligned_alloc(64, qr_round_up(sizeof *s, 64));
    spared_helper h = {.of = s};
    memset(s, 0, sizeof *s);
    cr_assert_eq(qr_pool_create(1, &s->pool), QR_OK);
    qr__team_run(&s->team, s->pool, 2, true, work_until_joined, &h);
    cr_expect_eq(s->team.calls.len, 1);
    atomic_store(&ending, true);
    qr_pool_wake(s->pool);
    pthread_join(h.thread, NULL);
    qr_pool_destroy(s->pool);
    free(s);
}

/* Work comes for the helper while it stands before the door, which is not open yet. */
static void work_until_it_came(void *argument, qr__team *team, qr__rank me) {
    spared *s = argument;
    if (team->calls.len == 0)
        return; /* the helper was not parked: our leader tries again */
    cr_assert_eq(me.rank, 0, "it was let in");
    while (qr_calls_came(&team->calls) == 0)
        usleep(100);
    qr_pool_wake(s->pool);
    cr_assert(qr__team_admit(team, &me, 1));
    cr_expect_eq(me.ranks, 1);
    while (atomic_load(&s->returned) == 0) /* long before the team's end, or the test times out */
        usleep(100);
    s->done = true;
}

Test(team, who_stands_before_the_door_goes_when_work_of_its_own_waits) {
    spared *s = aligned_alloc(64, qr_round_up(sizeof *s, 64));
    spared_helper h = {.of = s};
    memset(s, 0, sizeof *s);
    cr_assert_eq(qr_pool_create(1, &s->pool), QR_OK);
    cr_assert_eq(pthread_create(&h.thread, NULL, help_and_count, &h), 0);
    while (!s->done)
        qr__team_run(&s->team, s->pool, 2, false, work_until_it_came, s);
    atomic_store(&ending, true);
    qr_pool_wake(s->pool);
    pthread_join(h.thread, NULL);
    qr_pool_destroy(s->pool);
    free(s);
}
#endif
