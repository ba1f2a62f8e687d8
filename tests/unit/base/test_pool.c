/* The pool: no lost wake-ups, calls that reach whom they were made for, and sleep that is sleep.
 *
 * Where a test needs a member at one place of the protocol, the member is held there: by a
 * signal handler that waits (the member is then "preempted" for as long as the test likes) or
 * inside its help. Nothing here depends on speed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "semaphores.h"

TestSuite(pool, .timeout = 120);

/* A member that parks again and again until it is woken while `closing`. */
typedef struct member {
    qr_pool *pool;
    int number;
    pthread_t thread;
    atomic_bool closing;
    atomic_int returns;
} member;

static void *park_on(void *argument) {
    member *m = argument;
    while (!atomic_load(&m->closing)) {
        qr_pool_park(m->pool, m->number);
        atomic_fetch_add(&m->returns, 1);
    }
    return NULL;
}

static void start(member *m, qr_pool *pool, int number) {
    *m = (member){.pool = pool, .number = number};
    cr_assert_eq(pthread_create(&m->thread, NULL, park_on, m), 0);
}

static void stop(member *m) {
    atomic_store(&m->closing, true);
    qr_pool_wake(m->pool);
    pthread_join(m->thread, NULL);
}

/* Preemption at will: a thread that gets SIGUSR1 waits in the handler until it is let go. */
static sem_t stalled, go_on;

static void stall_here(int number) {
    (void)number;
    int error = errno;
    sem_post(&stalled);
    wait_for(&go_on);
    errno = error;
}

static void stall(const member *m) {
    struct sigaction action = {.sa_handler = stall_here};
    sem_init(&stalled, 0, 0);
    sem_init(&go_on, 0, 0);
    sigaction(SIGUSR1, &action, NULL);
    cr_assert_eq(pthread_kill(m->thread, SIGUSR1), 0);
    wait_for(&stalled);
}

static void let_go(void) {
    sem_post(&go_on);
}

/* Help that counts, and may be held. */
typedef struct task {
    qr_calls calls;
    atomic_int done;
    bool held;
    sem_t inside, leave;
} task;

static void help(void *argument, int ticket) {
    task *t = argument;
    (void)ticket;
    if (t->held) {
        sem_post(&t->inside);
        wait_for(&t->leave);
    }
    atomic_fetch_add(&t->done, 1);
}

static task *task_create(bool held) {
    task *t = aligned_alloc(64, qr_round_up(sizeof *t, 64));
    memset(t, 0, sizeof *t);
    t->held = held;
    sem_init(&t->inside, 0, 0);
    sem_init(&t->leave, 0, 0);
    return t;
}

/* Calls one member, again and again until one is parked. */
static void call_one(qr_pool *pool, task *t) {
    do
        qr_pool_call(pool, 1, help, t, &t->calls);
    while (t->calls.len == 0);
}

static void wait_done(task *t, int done) {
    while (atomic_load(&t->done) < done)
        usleep(100);
}

Test(pool, a_call_is_heard_or_called_off) {
    qr_pool *pool = NULL;
    member m;
    task *t = task_create(false);
    cr_assert_eq(qr_pool_create(1, &pool), QR_OK);
    qr_pool_call(pool, 5, help, t, &t->calls);
    cr_assert_eq(t->calls.len, 0, "nobody is parked");
    qr_pool_close(&t->calls);
    start(&m, pool, 0);
    call_one(pool, t);
    wait_done(t, 1);
    qr_pool_close(&t->calls);
    cr_assert_eq(qr_calls_came(&t->calls), 1);
    stall(&m); /* parked, and will hear nothing for a while */
    call_one(pool, t);
    qr_pool_close(&t->calls); /* does not wait for it */
    let_go();
    stop(&m);
    cr_assert_eq(atomic_load(&t->done), 1);
    qr_pool_destroy(pool);
    free(t);
}

/* The race that hung three workers and more: a leader that looks at its call late, when its
 * member has been and gone and another leader has called it, must leave the other's call alone. */
Test(pool, a_late_leader_calls_off_nobody_elses_member) {
    qr_pool *pool = NULL;
    member m;
    task *first = task_create(false), *second = task_create(false);
    cr_assert_eq(qr_pool_create(1, &pool), QR_OK);
    start(&m, pool, 0);
    call_one(pool, first);
    wait_done(first, 1); /* it came, worked, left */
    while (!atomic_load(&first->calls.left))
        usleep(100);
    stall(&m);                    /* parked again, and preempted */
    call_one(pool, second);       /* the second leader takes it; it cannot hear that yet */
    qr_pool_close(&first->calls); /* the first leader comes to its close only now */
    let_go();
    wait_done(second, 1); /* else it would be waited for in vain: the test would time out */
    qr_pool_close(&second->calls);
    cr_assert_eq(qr_calls_came(&second->calls), 1);
    stop(&m);
    qr_pool_destroy(pool);
    free(first);
    free(second);
}

typedef struct closer {
    task *task;
    pthread_t thread;
    atomic_bool closed;
} closer;

static void *close_calls(void *argument) {
    closer *c = argument;
    qr_pool_close(&c->task->calls);
    atomic_store(&c->closed, true);
    return NULL;
}

Test(pool, close_waits_for_those_who_came) {
    qr_pool *pool = NULL;
    member m;
    task *t = task_create(true);
    closer c = {.task = t};
    cr_assert_eq(qr_pool_create(1, &pool), QR_OK);
    start(&m, pool, 0);
    call_one(pool, t);
    wait_for(&t->inside);
    cr_assert_eq(pthread_create(&c.thread, NULL, close_calls, &c), 0);
    usleep(20000); /* a wrong close is over by now; a right one may be as slow as it likes */
    cr_assert_not(atomic_load(&c.closed));
    cr_assert_eq(atomic_load(&t->done), 0);
    sem_post(&t->leave);
    pthread_join(c.thread, NULL);
    cr_assert_eq(atomic_load(&t->done), 1);
    stop(&m);
    qr_pool_destroy(pool);
    free(t);
}

/* A wake-up that passes a member over because it is called, and the call is then taken back: it
 * is owed to that member. */
Test(pool, a_wake_up_during_a_call_that_is_taken_back_is_kept) {
    qr_pool *pool = NULL;
    member m;
    task *t = task_create(false);
    cr_assert_eq(qr_pool_create(1, &pool), QR_OK);
    start(&m, pool, 0);
    call_one(pool, t); /* it is there */
    wait_done(t, 1);
    qr_pool_close(&t->calls);
    stall(&m);
    call_one(pool, t);
    int before = atomic_load(&m.returns);
    qr_pool_wake(pool); /* finds nobody parked */
    qr_pool_close(&t->calls);
    let_go();
    while (atomic_load(&m.returns) == before) /* the test would time out */
        usleep(100);
    stop(&m);
    qr_pool_destroy(pool);
    free(t);
}

Test(pool, a_wake_up_before_parking_is_kept) {
    qr_pool *pool = NULL;
    cr_assert_eq(qr_pool_create(2, &pool), QR_OK);
    qr_pool_wake(pool);
    qr_pool_park(pool, 1); /* returns at once, or the test times out */
    qr_pool_wake(pool);
    qr_pool_wake(pool);
    qr_pool_park(pool, 0);
    qr_pool_park(pool, 1);
    qr_pool_destroy(pool);
}

/* 200,000 wake-ups for nobody are worth one return a member, not 200,000. */
Test(pool, wake_ups_for_nobody_are_not_hoarded) {
    qr_pool *pool = NULL;
    member m[2];
    cr_assert_eq(qr_pool_create(2, &pool), QR_OK);
    for (int i = 0; i < 200000; i++)
        qr_pool_wake(pool);
    start(&m[0], pool, 0);
    task *t = task_create(false);
    while (atomic_load(&m[0].returns) < 2)
        usleep(100);
    call_one(pool, t); /* it is parked for good now: it can be called */
    wait_done(t, 1);
    qr_pool_close(&t->calls);
    cr_assert_eq(atomic_load(&m[0].returns), 2);
    start(&m[1], pool, 1);
    for (int i = 0; i < 2; i++)
        stop(&m[i]);
    qr_pool_destroy(pool);
    free(t);
}

Test(pool, sizes) {
    qr_pool *pool = NULL;
    cr_assert_eq(qr_pool_create(0, &pool), QR_BAD_OPTION);
    cr_assert_null(pool);
    cr_assert_eq(qr_pool_create(QR_LIMIT_THREADS + 1, &pool), QR_BAD_OPTION);
    cr_assert_eq(qr_pool_create(1, &pool), QR_OK);
    cr_assert_eq(qr_pool_members(pool), 1);
    cr_assert_eq(qr_pool_members(NULL), 1);
    cr_assert_eq(qr_pool_start_helpers(pool), QR_OK);
    qr_pool_destroy(pool);
    qr_pool_destroy(NULL);
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Helpers that nobody needs end in the kernel and stay there: sooner or later a fifth of a
 * second passes without any CPU time but this thread's own. */
Test(pool, an_idle_pool_sleeps) {
    qr_pool *pool = NULL;
    double used;
    cr_assert_eq(qr_pool_create(4, &pool), QR_OK);
    cr_assert_eq(qr_pool_start_helpers(pool), QR_OK);
    do { /* or the test times out */
        double before = cpu_seconds();
        usleep(200000);
        used = cpu_seconds() - before;
    } while (used > 0.001);
    qr_pool_destroy(pool);
}

/* Workers that take jobs as they come and park when there is none. */
typedef struct shop {
    qr_pool *pool;
    atomic_int jobs, done;
    atomic_bool closing;
} shop;

typedef struct worker {
    shop *shop;
    int number;
    pthread_t thread;
} worker;

static void *work(void *argument) {
    worker *w = argument;
    for (;;) {
        int jobs = atomic_load(&w->shop->jobs);
        if (jobs > 0) {
            if (atomic_compare_exchange_strong(&w->shop->jobs, &jobs, jobs - 1))
                atomic_fetch_add(&w->shop->done, 1);
        } else if (atomic_load(&w->shop->closing)) {
            return NULL;
        } else {
            qr_pool_park(w->shop->pool, w->number);
        }
    }
}

static void open_shop(shop *s, worker *workers, int count) {
    *s = (shop){0};
    cr_assert_eq(qr_pool_create(count, &s->pool), QR_OK);
    for (int i = 0; i < count; i++) {
        workers[i] = (worker){.shop = s, .number = i};
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
}

static void close_shop(shop *s, worker *workers, int count) {
    atomic_store(&s->closing, true);
    for (int i = 0; i < count; i++)
        qr_pool_wake(s->pool);
    for (int i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
    qr_pool_destroy(s->pool);
}

static void add_job(shop *s) {
    atomic_fetch_add(&s->jobs, 1);
    qr_pool_wake(s->pool);
}

/* Every job is done by somebody who was woken for it, or the test times out. */
static void wait_jobs(shop *s, int jobs) {
    while (atomic_load(&s->done) < jobs)
        usleep(100);
}

Test(pool, no_wake_up_is_lost) {
    shop s;
    worker workers[4];
    open_shop(&s, workers, 4);
    for (int i = 1; i <= 20000; i++) {
        add_job(&s);
        for (volatile int spin = 0; i % 3 == 0 && spin < i % 2000; spin++)
            ; /* let them go to sleep, or not quite */
        if (i % 1000 == 0) {
            usleep(200);
            wait_jobs(&s, i);
        }
    }
    wait_jobs(&s, 20000);
    close_shop(&s, workers, 4);
}

/* Several leaders call the same members all the time while wake-ups come: who is called helps,
 * who is woken returns, nothing is lost, and no help() runs after its close. */
typedef struct leader {
    qr_pool *pool;
    pthread_t thread;
    task *task;
} leader;

static void *lead_often(void *argument) {
    leader *l = argument;
    for (int i = 0; i < 3000; i++) {
        int before = atomic_load(&l->task->done);
        qr_pool_call(l->pool, 1 + i % 3, help, l->task, &l->task->calls);
        for (volatile int spin = 0; spin < i % 500; spin++)
            ;
        qr_pool_close(&l->task->calls);
        cr_assert_eq(atomic_load(&l->task->done) - before, qr_calls_came(&l->task->calls));
    }
    return NULL;
}

Test(pool, leaders_compete_and_wake_ups_survive) {
    shop s;
    worker workers[3];
    leader leaders[3];
    open_shop(&s, workers, 3);
    for (int i = 0; i < 3; i++) {
        leaders[i] = (leader){.pool = s.pool, .task = task_create(false)};
        cr_assert_eq(pthread_create(&leaders[i].thread, NULL, lead_often, &leaders[i]), 0);
    }
    for (int i = 1; i <= 2000; i++) {
        add_job(&s);
        if (i % 50 == 0)
            wait_jobs(&s, i);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(leaders[i].thread, NULL);
        free(leaders[i].task);
    }
    close_shop(&s, workers, 3);
}
