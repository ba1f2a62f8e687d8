/* The team: no lost wake-ups, recruits come back, an idle team burns nothing. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/cpu/team.h"

TestSuite(team, .timeout = 120);

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct shop {
    qr_team *team;
    atomic_int jobs, done;
    atomic_bool closing;
};

struct worker {
    struct shop *shop;
    int member;
    pthread_t thread;
};

/* Takes jobs as they come and parks when there is none. */
static void *work(void *argument) {
    struct worker *w = argument;
    for (;;) {
        int jobs = atomic_load(&w->shop->jobs);
        if (jobs > 0) {
            if (atomic_compare_exchange_strong(&w->shop->jobs, &jobs, jobs - 1))
                atomic_fetch_add(&w->shop->done, 1);
        } else if (atomic_load(&w->shop->closing)) {
            return NULL;
        } else {
            qr_team_park(w->shop->team, w->member);
        }
    }
}

static void open_shop(struct shop *shop, struct worker *workers, int count) {
    *shop = (struct shop){0};
    cr_assert_eq(qr_team_create(count, &shop->team), QR_OK);
    for (int m = 0; m < count; m++) {
        workers[m] = (struct worker){.shop = shop, .member = m};
        cr_assert_eq(pthread_create(&workers[m].thread, NULL, work, &workers[m]), 0);
    }
}

static void close_shop(struct shop *shop, struct worker *workers, int count) {
    atomic_store(&shop->closing, true);
    for (int m = 0; m < count; m++)
        qr_team_wake(shop->team);
    for (int m = 0; m < count; m++)
        pthread_join(workers[m].thread, NULL);
    qr_team_destroy(shop->team);
}

Test(team, every_job_is_done_by_somebody_who_was_woken) {
    struct shop shop;
    struct worker workers[4];
    open_shop(&shop, workers, 4);
    for (int i = 1; i <= 20000; i++) {
        atomic_fetch_add(&shop.jobs, 1);
        qr_team_wake(shop.team);
        if (i % 3 == 0) /* let them go to sleep, or not quite */
            for (volatile int spin = 0; spin < i % 2000; spin++)
                ;
        if (i % 1000 == 0) {
            usleep(200);
            for (int wait = 0; atomic_load(&shop.done) < i; wait++) {
                cr_assert_lt(wait, 20000, "%d of %d jobs done: a wake-up was lost",
                             atomic_load(&shop.done), i);
                usleep(100);
            }
        }
    }
    close_shop(&shop, workers, 4);
    cr_assert_eq(atomic_load(&shop.done), 20000);
}

Test(team, a_wake_up_before_parking_is_kept) {
    qr_team *team = NULL;
    cr_assert_eq(qr_team_create(2, &team), QR_OK);
    qr_team_wake(team);
    qr_team_park(team, 1); /* returns at once, or the test times out */
    qr_team_wake(team);
    qr_team_wake(team);
    qr_team_park(team, 0);
    qr_team_park(team, 1);
    qr_team_destroy(team);
}

Test(team, an_idle_team_sleeps) {
    qr_team *team = NULL;
    cr_assert_eq(qr_team_create(4, &team), QR_OK);
    cr_assert_eq(qr_team_start_helpers(team), QR_OK);
    double least = 1;
    for (int window = 0; window < 10 && least > 0.001;
         window++) { /* on a busy machine a helper may start late */
        double before = cpu_seconds();
        usleep(200000);
        if (cpu_seconds() - before < least)
            least = cpu_seconds() - before;
    }
    cr_assert_lt(least, 0.001);
    qr_team_destroy(team);
}

Test(team, sizes) {
    qr_team *team = NULL;
    cr_assert_eq(qr_team_create(0, &team), QR_BAD_OPTION);
    cr_assert_eq(qr_team_create(QR_LIMIT_THREADS + 1, &team), QR_BAD_OPTION);
    cr_assert_eq(qr_team_create(1, &team), QR_OK);
    cr_assert_eq(qr_team_start_helpers(team), QR_OK);
    qr_team_destroy(team);
    qr_team_destroy(NULL);
}

/* Work whose sums come out right only if barriers hold, whoever comes in at which stage. */
#define STAGES 7
struct relay {
    qr_gang gang;
    atomic_int inside;
    int parts[STAGES + 1]; /* what each stage's members wrote together */
    int shares[STAGES + 1][QR_LIMIT_THREADS];
    int most_ranks;
};

static void run_relay(void *argument, qr_gang *gang, qr_seat seat) {
    struct relay *r = argument;
    atomic_fetch_add(&r->inside, 1);
    for (size_t stage = seat.stage; stage < STAGES; stage++) {
        if (stage == 0 && seat.rank == 0)
            qr_gang_admit(gang, &seat, 0);
        for (int i = seat.rank; i < 12; i += seat.ranks) /* twelve pieces of work */
            r->shares[stage][i] = (int)stage + 1;
        qr_gang_barrier(gang, &seat);
        if (seat.rank == 0) {
            if (seat.ranks > r->most_ranks)
                r->most_ranks = seat.ranks;
            for (int i = 0; i < 12; i++)
                r->parts[stage] += r->shares[stage][i];
        }
        if (stage + 1 < STAGES)
            qr_gang_admit(gang, &seat, stage + 1);
    }
    atomic_fetch_sub(&r->inside, 1);
}

static void lead(qr_team *team, struct relay *r, int wanted) {
    memset(r->parts, 0, sizeof r->parts);
    memset(r->shares, 0, sizeof r->shares);
    qr_gang_open(&r->gang, team, wanted, run_relay, r);
    run_relay(r, &r->gang, (qr_seat){.rank = 0, .ranks = 1, .stage = 0});
    qr_gang_close(&r->gang);
    cr_assert_eq(atomic_load(&r->inside), 0);
    for (int stage = 0; stage < STAGES; stage++)
        cr_assert_eq(r->parts[stage], 12 * (stage + 1), "stage %d: %d", stage, r->parts[stage]);
}

Test(team, gangs_meet_at_their_barriers) {
    for (int members = 1; members <= 5; members += 2) {
        qr_team *team = NULL;
        cr_assert_eq(qr_team_create(members, &team), QR_OK);
        cr_assert_eq(qr_team_start_helpers(team), QR_OK);
        struct relay *r = aligned_alloc(64, qr_round_up(sizeof *r, 64));
        memset(r, 0, sizeof *r);
        /* On a busy machine the helpers may get no core for long: go on until one came. */
        for (int i = 0; i < 3000 || (members > 1 && r->most_ranks < 2 && i < 300000); i++) {
            lead(team, r, 1 + i % members);
            if (i % 100 == 0)
                usleep(100); /* the next one finds them asleep */
        }
        cr_assert(members == 1 || r->most_ranks > 1, "nobody ever helped");
        free(r);
        qr_team_destroy(team);
    }
}

/* Two leaders at once compete for the same helpers, while a third thread wakes members that only
 * help. */
struct leader {
    qr_team *team;
    struct shop *shop;
    pthread_t thread;
};

static void *lead_often(void *argument) {
    struct leader *l = argument;
    struct relay *r = aligned_alloc(64, qr_round_up(sizeof *r, 64));
    memset(r, 0, sizeof *r);
    for (int i = 0; i < 1500; i++)
        lead(l->team, r, 3);
    free(r);
    return NULL;
}

Test(team, leaders_compete_and_wake_ups_survive) {
    struct shop shop;
    struct worker workers[3];
    struct leader leaders[2];
    open_shop(&shop, workers, 3);
    for (int i = 0; i < 2; i++) {
        leaders[i] = (struct leader){.team = shop.team};
        cr_assert_eq(pthread_create(&leaders[i].thread, NULL, lead_often, &leaders[i]), 0);
    }
    for (int i = 1; i <= 2000; i++) {
        atomic_fetch_add(&shop.jobs, 1);
        qr_team_wake(shop.team);
        if (i % 50 == 0)
            for (int wait = 0; atomic_load(&shop.done) < i; wait++) {
                cr_assert_lt(wait, 200000, "%d of %d jobs done: a wake-up was lost",
                             atomic_load(&shop.done), i);
                usleep(100);
            }
    }
    for (int i = 0; i < 2; i++)
        pthread_join(leaders[i].thread, NULL);
    close_shop(&shop, workers, 3);
    cr_assert_eq(atomic_load(&shop.done), 2000);
}
