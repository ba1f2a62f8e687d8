/* What the schedule tells its observer: each ticket's beginning once, each batch with what was
 * expected of it, and all time that workers work; never with the lock held. */
#include <criterion/criterion.h>

#include "server/schedule_fixture.h"

#define SEEN_MOST 16

static fake_machine machine;
static fake_queue queue;

static struct seen {
    uint64_t slack_ns[SEEN_MOST], worked_ns[SEEN_MOST];
    qr_batch_report batches[SEEN_MOST];
    size_t begun, ended, worked;
} seen;

static void expect_unlocked(void) {
    cr_assert_eq(pthread_mutex_trylock(&machine.schedule->lock), 0, "the lock is held");
    pthread_mutex_unlock(&machine.schedule->lock);
}

static void on_begun(void *state, uint64_t slack_ns) {
    struct seen *s = state;
    expect_unlocked();
    cr_assert_lt(s->begun, SEEN_MOST);
    s->slack_ns[s->begun++] = slack_ns;
}

static void on_ended(void *state, const qr_batch_report *batch) {
    struct seen *s = state;
    expect_unlocked();
    cr_assert_lt(s->ended, SEEN_MOST);
    s->batches[s->ended++] = *batch;
}

static void on_worked(void *state, uint64_t ns) {
    struct seen *s = state;
    expect_unlocked();
    cr_assert_lt(s->worked, SEEN_MOST);
    s->worked_ns[s->worked++] = ns;
}

static void watch(int workers) {
    fake_open(&machine, &queue, workers, 64, 100);
    machine.schedule->options.observer =
        (qr_schedule_observer){on_begun, on_ended, on_worked, &seen};
}

/* A ticket of two jobs of 40 tokens, cut by batches of 64 at most, and one of 10 that goes first;
 * batches take 1.5 times what they should, which the second one's price has learned. */
Test(observer, is_told_of_batches) {
    watch(1);
    queue.token_ns = 3 * TOKEN_NS / 2;
    queue.queue.cost.fixed_ns = 2000;
    work *two = work_create(&queue, 2, 40, 1, fake_time(&machine) + 500000),
         *one = work_create(&queue, 1, 10, 3, fake_time(&machine) + 600000);
    cr_assert_eq(work_submit(&machine, two), QR_OK);
    cr_assert_eq(work_submit(&machine, one), QR_OK);
    atomic_fetch_add(&machine.now_ns, 1000);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "3+1 2 ");
    cr_expect_eq(seen.begun, 2, "once a ticket, not once a batch");
    cr_expect_eq(seen.slack_ns[0], 599000);
    cr_expect_eq(seen.slack_ns[1], 499000);
    cr_expect_eq(seen.ended, 2);
    cr_expect_eq(seen.batches[0].expected_ns, 52000);
    cr_expect_eq(seen.batches[0].took_ns, 75000);
    cr_expect(seen.batches[0].alone);
    cr_expect_eq(seen.batches[1].expected_ns, 42060);
    cr_expect_eq(seen.batches[1].took_ns, 60000);
    cr_expect_eq(seen.worked, 2);
    cr_expect_eq(seen.worked_ns[0] + seen.worked_ns[1], 135000);
    work_destroy(two), work_destroy(one);
    fake_stop(&machine);
}

Test(observer, learns_who_may_have_had_help) {
    watch(2);
    work *w = work_create(&queue, 1, 10, 1, LATER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    fake_run(&machine);
    cr_assert_eq(seen.ended, 1);
    cr_expect_not(seen.batches[0].alone);
    work_destroy(w);
    fake_stop(&machine);
}

static void finish_slowly(qr_ticket *ticket) {
    (void)ticket;
    atomic_fetch_add(&machine.now_ns, 300);
}

static void work_on_task(qr_task *task) {
    (void)task;
    atomic_fetch_add(&machine.now_ns, 7000);
}

/* What follows on a batch, such as making the answer, is work; and so are tasks. */
Test(observer, is_told_of_all_work) {
    watch(1);
    work *w = work_create(&queue, 1, 10, 1, LATER);
    qr_task task = {.run = work_on_task};
    w->ticket.finished = finish_slowly;
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    qr_schedule_call(machine.schedule, &task);
    fake_run(&machine);
    cr_assert_eq(seen.worked, 2);
    cr_expect_eq(seen.worked_ns[0], 7000);
    cr_expect_eq(seen.worked_ns[1], 10300);
    cr_expect_eq(seen.batches[0].took_ns, 10000);
    work_destroy(w);
    fake_stop(&machine);
}

/* A ticket that is late at its turn is never begun. */
Test(observer, is_not_told_of_what_is_not_run) {
    watch(1);
    work *late = work_create(&queue, 1, 10, 1, fake_time(&machine) + 1000);
    cr_assert_eq(work_submit(&machine, late), QR_OK);
    atomic_fetch_add(&machine.now_ns, 2000);
    fake_run(&machine);
    cr_expect_eq(late->ticket.status, QR_LATE);
    cr_expect_eq(seen.begun + seen.ended + seen.worked, 0);
    work_destroy(late);
    fake_stop(&machine);
}
