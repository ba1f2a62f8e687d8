/* Tickets that more than one waits for, step by step, on a machine of ours (schedule_fixture.h):
 * where they stand, when they are given up, and what a join must not do to others. */
#include <criterion/criterion.h>

#include "server/schedule_fixture.h"

static fake_machine machine;
static fake_queue queue;

static bool join(work *w, uint64_t deadline_ns, bool yields) {
    return qr_schedule_join(machine.schedule, &w->ticket, deadline_ns, yields);
}

static work *submitted(int32_t id, uint64_t deadline_ns) {
    work *w = work_create(&queue, 1, 40, id, deadline_ns);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    return w;
}

/* Runs everything and takes it down; `order` is what ran, batch by batch. */
static void expect_order(const char *order, work *works[], size_t len) {
    fake_run(&machine);
    cr_expect_str_eq(queue.history, order);
    for (size_t i = 0; i < len; i++) {
        cr_expect_eq(atomic_load(&works[i]->finished), 1);
        work_destroy(works[i]);
    }
    fake_stop(&machine);
}

Test(join, takes_the_nearest_deadline) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *works[] = {submitted(0, LATER + 10), submitted(1, LATER + 20), submitted(2, LATER + 30)};
    cr_expect(join(works[2], LATER + 40, false));
    cr_expect_eq(works[2]->ticket.deadline_ns, LATER + 30, "a later one moves nothing");
    cr_expect(join(works[2], LATER + 15, false));
    cr_expect_eq(works[2]->ticket.deadline_ns, LATER + 15);
    cr_expect_eq(works[2]->ticket.last_deadline_ns, LATER + 40);
    expect_order("0 2 1 ", works, 3);
}

Test(join, takes_the_highest_class) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *patient = work_create(&queue, 1, 40, 0, LATER);
    patient->ticket.yields = true;
    cr_assert_eq(work_submit(&machine, patient), QR_OK);
    work *works[] = {patient, submitted(1, LATER + 1)};
    cr_expect(join(patient, LATER + 2, true));
    cr_expect(patient->ticket.yields);
    cr_expect(join(patient, LATER + 2, false));
    cr_expect_not(patient->ticket.yields);
    expect_order("0 1 ", works, 2);
}

/* One worker, 40 us a ticket and half as much again: the second is in time at 120 us. */
Test(join, does_not_make_others_late) {
    fake_open(&machine, &queue, 1, 64, 100);
    uint64_t now = fake_time(&machine);
    work *works[] = {submitted(0, now + 119 * TOKEN_NS), submitted(1, now + 500 * TOKEN_NS)};
    cr_expect_not(join(works[1], now + 90 * TOKEN_NS, false), "the first would be late");
    cr_expect_not(join(works[1], now + 59 * TOKEN_NS, false), "it would be late itself");
    cr_expect_eq(works[1]->ticket.deadline_ns, now + 500 * TOKEN_NS);
    cr_expect_eq(works[1]->ticket.last_deadline_ns, now + 500 * TOKEN_NS);
    cr_expect(join(works[1], now + 121 * TOKEN_NS, false));
    expect_order("0 1 ", works, 2);
}

Test(join, is_given_up_at_the_last_deadline) {
    fake_open(&machine, &queue, 1, 64, 100);
    uint64_t now = fake_time(&machine);
    work *works[] = {submitted(0, now + 100 * TOKEN_NS), submitted(1, now + 130 * TOKEN_NS)};
    cr_expect(join(works[0], now + 1000 * TOKEN_NS, false));
    atomic_fetch_add(&machine.now_ns, 200 * TOKEN_NS);
    fake_run(&machine);
    cr_expect_eq(works[0]->ticket.status, QR_OK, "somebody still waits");
    cr_expect_eq(works[1]->ticket.status, QR_LATE);
    expect_order("0 ", works, 2);
}

Test(join, late_for_all_is_late) {
    fake_open(&machine, &queue, 1, 64, 100);
    uint64_t now = fake_time(&machine);
    work *works[] = {submitted(0, now + 100 * TOKEN_NS)};
    cr_expect(join(works[0], now + 300 * TOKEN_NS, false));
    atomic_fetch_add(&machine.now_ns, 300 * TOKEN_NS);
    fake_run(&machine);
    cr_expect_eq(works[0]->ticket.status, QR_LATE);
    expect_order("", works, 1);
}

static work *running;

static void join_it(fake_queue *q) {
    q->during = NULL;
    cr_expect(join(running, 1, false), "it is being run: sooner it cannot be");
    cr_expect_eq(running->ticket.deadline_ns, LATER);
}

Test(join, one_that_runs_or_has_run) {
    fake_open(&machine, &queue, 1, 64, 100);
    running = submitted(0, LATER);
    queue.during = join_it;
    fake_run(&machine);
    cr_expect(join(running, LATER, false), "its results are on their way");
    work *works[] = {running};
    expect_order("0 ", works, 1);
}

Test(join, not_one_that_failed_or_was_given_up) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *works[] = {submitted(BAD_ID, LATER), submitted(1, fake_time(&machine) + 100 * TOKEN_NS)};
    atomic_fetch_add(&machine.now_ns, 100 * TOKEN_NS);
    fake_run(&machine);
    cr_expect_eq(works[0]->ticket.status, QR_INTERNAL);
    cr_expect_eq(works[1]->ticket.status, QR_LATE);
    cr_expect_not(join(works[0], LATER, false));
    cr_expect_not(join(works[1], LATER, false));
    expect_order("-1 ", works, 2);
}
