/* Warm requests of a model that is loaded while the schedule has no room for them. */
#include <criterion/criterion.h>
#include <time.h>

#include "server/loader.h"
#include "server/schedule_fixture.h"

static fake_machine machine;
static fake_queue queue;
static sem_t begun, go;

static void hold_batch(fake_queue *q) {
    q->during = NULL; /* the first one only */
    sem_post(&begun);
    wait_for(&go);
}

static work *busy; /* all that the schedule takes: one job, whose batch is held */

static void setup(void) {
    sem_init(&begun, 0, 0);
    sem_init(&go, 0, 0);
    fake_start(&machine, 1, 1);
    fake_queue_init(&queue, &machine, 0, 64, 64);
    queue.during = hold_batch;
    busy = work_create(&queue, 1, 3, 1, NEVER);
    cr_assert_eq(work_submit(&machine, busy), QR_OK);
    wait_for(&begun);
}

static void teardown(void) {
    work_wait(busy);
    fake_stop(&machine);
    work_destroy(busy);
    sem_destroy(&begun);
    sem_destroy(&go);
}

TestSuite(loader, .init = setup, .fini = teardown, .timeout = 20);

static void *let_go(void *state) {
    const struct timespec wait = {.tv_nsec = 50000000};
    (void)state;
    nanosleep(&wait, NULL);
    sem_post(&go);
    return NULL;
}

Test(loader, waits_while_the_schedule_is_overloaded) {
    pthread_t thread;
    work *warm = work_create(&queue, 1, 3, 7, qr_clock_ns() + 15 * QR_NS_PER_S);
    cr_assert_eq(work_submit(&machine, warm), QR_OVERLOADED);
    cr_assert_eq(pthread_create(&thread, NULL, let_go, NULL), 0);
    cr_assert_eq(qr__loader_submit(machine.schedule, &warm->ticket), QR_OK);
    work_wait(warm);
    cr_assert_eq(work_computed(warm), 1);
    pthread_join(thread, NULL);
    work_destroy(warm);
}

Test(loader, waits_no_longer_than_its_ticket) {
    work *warm = work_create(&queue, 1, 3, 7, qr_clock_ns() + 500 * QR_NS_PER_MS);
    cr_assert_eq(qr__loader_submit(machine.schedule, &warm->ticket), QR_OVERLOADED);
    cr_assert(qr_clock_ns() >= warm->ticket.deadline_ns);
    sem_post(&go);
    work_destroy(warm);
}

/* What waiting does not help with is said at once. */
Test(loader, does_not_wait_for_other_refusals) {
    work *warm = work_create(&queue, 1, 65, 7, NEVER);
    cr_assert_eq(qr__loader_submit(machine.schedule, &warm->ticket), QR_TOO_LONG);
    sem_post(&go);
    work_destroy(warm);
}
