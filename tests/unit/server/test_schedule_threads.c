/* The schedule with its threads: hand-overs, for ThreadSanitizer and the chaos build above all.
 * What has to happen in an order is made to by semaphores; nothing depends on speed. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "server/schedule_fixture.h"

#define WORKERS 3

static fake_machine machine;
static fake_queue queue;

static void open_with(size_t queue_items) {
    fake_start(&machine, WORKERS, queue_items);
    fake_queue_init(&queue, &machine, 1, 64, 128);
}

/* Holds a worker until it is let go. */
typedef struct hold {
    qr_task task;
    sem_t held, go;
} hold;

static void on_hold(qr_task *task) {
    hold *h = task->owner;
    sem_post(&h->held);
    wait_for(&h->go);
}

static void hold_worker(hold *h) {
    h->task = (qr_task){.run = on_hold, .owner = h};
    sem_init(&h->held, 0, 0);
    sem_init(&h->go, 0, 0);
    qr_schedule_call(machine.schedule, &h->task);
    wait_for(&h->held);
}

static hold holds[WORKERS];

static void hold_all(void) {
    for (int i = 0; i < WORKERS; i++)
        hold_worker(&holds[i]);
}

static void let_all_go(void) {
    for (int i = 0; i < WORKERS; i++)
        sem_post(&holds[i].go);
}

/* A lonely batch finds everybody in the waiting room who could help, here the server's own: what
 * comes wakes one worker and no more. */
static qr_pool *pool;
static atomic_int helpers; /* whom the batch called */

static void park_in_pool(void *state, int worker) {
    (void)state;
    qr_pool_park(pool, worker);
}

static void wake_pool(void *state) {
    (void)state;
    qr_pool_wake(pool);
}

static void nothing(void *argument, int ticket) {
    (void)argument;
    (void)ticket;
}

static int call_all(void) {
    static qr_calls calls;
    qr_pool_call(pool, WORKERS, nothing, NULL, &calls);
    int len = calls.len;
    qr_pool_close(&calls);
    return len;
}

static void wait_until_all_are_parked(void) {
    while (call_all() < WORKERS)
        usleep(100); /* the test would time out */
}

static void call_for_help(fake_queue *q) {
    (void)q;
    atomic_store(&helpers, call_all());
}

Test(schedule_threads, a_lonely_batch_finds_helpers, .timeout = 120) {
    qr_error error = {0};
    const qr_schedule_options options = {
        .workers = WORKERS,
        .queue_items = 100,
        .room = {.park = park_in_pool, .wake = wake_pool},
    };
    cr_assert_eq(qr_pool_create(WORKERS, &pool), QR_OK);
    cr_assert_eq(qr_schedule_start(&options, &machine.schedule, &error), QR_OK);
    fake_queue_init(&queue, &machine, 1, 64, 128);
    queue.during = call_for_help;
    for (int round = 0; round < 20; round++) {
        wait_until_all_are_parked();
        work *w = work_create(&queue, 1, 12, 1, NEVER);
        cr_assert_eq(work_submit(&machine, w), QR_OK);
        work_wait(w);
#ifndef QR_CHAOS /* which refuses helpers at random */
        cr_assert_eq(atomic_load(&helpers), WORKERS - 1);
#endif
        work_destroy(w);
    }
    qr_schedule_destroy(machine.schedule);
    qr_pool_destroy(pool);
}

Test(schedule_threads, cancelled_in_the_queue, .timeout = 120) {
    open_with(100);
    hold_all();
    work *a = work_create(&queue, 3, 12, 1, NEVER), *b = work_create(&queue, 3, 12, 1, NEVER),
         *c = work_create(&queue, 3, 12, 1, NEVER);
    cr_assert_eq(work_submit(&machine, a), QR_OK);
    cr_assert_eq(work_submit(&machine, b), QR_OK);
    cr_assert_eq(work_submit(&machine, c), QR_OK);
    cr_expect(qr_schedule_cancel(machine.schedule, &b->ticket, QR_GONE));
    cr_expect(qr_schedule_cancel(machine.schedule, &c->ticket, QR_LATE));
    work_destroy(b), work_destroy(c); /* theirs no more: the sanitizers would see a touch */
    let_all_go();
    work_wait(a);
    cr_expect_eq(a->ticket.status, QR_OK);
    cr_expect_not(qr_schedule_cancel(machine.schedule, &a->ticket, QR_GONE), "it has ended");
    fake_stop(&machine);
    cr_expect_eq(atomic_load(&queue.items), 3);
    work_destroy(a);
}

static sem_t batch_begun, batch_go;

static void hold_batch(fake_queue *q) {
    (void)q;
    sem_post(&batch_begun);
    wait_for(&batch_go);
}

/* A batch is under way while the loop cancels: what is in no batch is not run, and finished() still
 * comes, once. */
Test(schedule_threads, cancelled_while_running, .timeout = 120) {
    sem_init(&batch_begun, 0, 0);
    sem_init(&batch_go, 0, 0);
    fake_start(&machine, 1, 1000);
    fake_queue_init(&queue, &machine, 1, 64, 128);
    queue.during = hold_batch;
    work *w = work_create(&queue, 100, 32, 1, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    wait_for(&batch_begun);
    cr_expect_not(qr_schedule_cancel(machine.schedule, &w->ticket, QR_GONE));
    sem_post(&batch_go);
    work_wait(w);
    cr_expect_eq(w->ticket.status, QR_GONE);
    cr_expect_eq(work_computed(w), 2);
    cr_expect_eq(qr_schedule_depth(machine.schedule), 0);
    fake_stop(&machine);
    cr_expect_eq(atomic_load(&w->finished), 1);
    work_destroy(w);
}

Test(schedule_threads, stop_finishes_what_was_admitted, .timeout = 120) {
    enum { TICKETS = 40 };
    open_with(1000);
    work *works[TICKETS];
    for (size_t i = 0; i < TICKETS; i++) {
        works[i] = work_create(&queue, 5, 12, 1, NEVER);
        cr_assert_eq(work_submit(&machine, works[i]), QR_OK);
    }
    fake_stop(&machine);
    cr_expect_eq(atomic_load(&queue.items), 5 * TICKETS);
    for (size_t i = 0; i < TICKETS; i++) {
        cr_expect_eq(works[i]->ticket.status, QR_OK);
        cr_expect_eq(atomic_load(&works[i]->finished), 1);
        cr_expect_eq(work_computed(works[i]), 5);
        work_destroy(works[i]);
    }
}

/* One client: many tickets of all sorts, cancelled at random. Each ends exactly once. */
static void *submit_many(void *seed_of_client) {
    enum { ROUNDS = 60, EACH = 8 };
    uint64_t seed = *(const uint64_t *)seed_of_client;
    for (int round = 0; round < ROUNDS; round++) {
        work *works[EACH];
        bool mine[EACH];
        for (size_t i = 0; i < EACH; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            uint64_t dice = seed >> 33;
            uint64_t deadline = dice % 7 == 0 ? qr_clock_ns() + dice % 300000 : NEVER;
            works[i] =
                work_create(&queue, 1 + dice % 9, 2 + dice % 20, (int32_t)(dice % 1000), deadline);
            mine[i] = work_submit(&machine, works[i]) != QR_OK;
            if (!mine[i] && dice % 3 == 0)
                mine[i] = qr_schedule_cancel(machine.schedule, &works[i]->ticket,
                                             dice % 2 ? QR_GONE : QR_LATE);
        }
        for (size_t i = 0; i < EACH; i++) {
            if (!mine[i]) {
                work_wait(works[i]);
                qr_status status = works[i]->ticket.status;
                cr_assert(status == QR_OK || status == QR_LATE || status == QR_GONE);
                if (status == QR_OK)
                    cr_assert_eq(work_computed(works[i]), works[i]->ticket.jobs_len);
            }
            cr_assert_eq(atomic_load(&works[i]->finished), mine[i] ? 0 : 1);
            work_destroy(works[i]);
        }
    }
    return NULL;
}

Test(schedule_threads, every_ticket_ends_once, .timeout = 240) {
    enum { CLIENTS = 3 };
    static uint64_t seeds[CLIENTS] = {7, 8, 9};
    pthread_t clients[CLIENTS];
    open_with(200);
    for (int i = 0; i < CLIENTS; i++)
        cr_assert_eq(pthread_create(&clients[i], NULL, submit_many, &seeds[i]), 0);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    cr_expect_eq(qr_schedule_depth(machine.schedule), 0);
    fake_stop(&machine);
}
