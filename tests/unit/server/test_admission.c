/* Who is admitted, at the exact borders, and how costs are corrected, on a machine of ours
 * (schedule_fixture.h). No thread and no real time. */
#include <criterion/criterion.h>

#include "server/schedule_fixture.h"

static fake_machine machine;
static fake_queue queue;

Test(admission, a_full_queue_refuses_whole_tickets) {
    fake_open(&machine, &queue, 1, 64, 10);
    work *a = work_create(&queue, 6, 4, 0, NEVER), *b = work_create(&queue, 5, 4, 0, NEVER),
         *c = work_create(&queue, 4, 4, 0, NEVER), *d = work_create(&queue, 1, 4, 0, NEVER);
    cr_expect_eq(work_submit(&machine, a), QR_OK);
    cr_expect_eq(work_submit(&machine, b), QR_OVERLOADED);
    cr_expect_eq(work_submit(&machine, c), QR_OK);
    cr_expect_eq(work_submit(&machine, d), QR_OVERLOADED);
    cr_expect_eq(qr_schedule_depth(machine.schedule), 10);
    fake_run(&machine);
    cr_expect_eq(atomic_load(&queue.items), 10);
    cr_expect_eq(atomic_load(&b->finished) + atomic_load(&d->finished), 0);
    cr_expect_eq(work_submit(&machine, b), QR_OK);
    work_destroy(a), work_destroy(c), work_destroy(d);
    fake_stop(&machine);
    cr_expect_eq(work_computed(b), 5);
    work_destroy(b);
}

Test(admission, lengths) {
    fake_open(&machine, &queue, 1, 16, 100);
    work *longest = work_create(&queue, 1, 128, 1, NEVER),
         *longer = work_create(&queue, 1, 129, 2, NEVER),
         *empty = work_create(&queue, 2, 4, 3, NEVER), *none = work_create(&queue, 1, 4, 4, NEVER);
    empty->jobs[1].tokens = 0;
    none->ticket.jobs_len = 0;
    cr_expect_eq(work_submit(&machine, longest), QR_OK);
    cr_expect_eq(work_submit(&machine, longer), QR_TOO_LONG);
    cr_expect_eq(work_submit(&machine, empty), QR_TOO_LONG);
    cr_expect_eq(work_submit(&machine, none), QR_INTERNAL);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "1 ");
    cr_expect_eq(qr_schedule_depth(machine.schedule), 0);
    work_destroy(longest), work_destroy(longer), work_destroy(empty), work_destroy(none);
    fake_stop(&machine);
}

/* 90 tokens ahead and 10 of its own, at 1,000 ns each on two workers: busy for 50 us, so 75 us of
 * budget are just enough. */
Test(admission, overload_is_refused_at_its_border) {
    fake_open(&machine, &queue, 2, 64, 100);
    work *ahead[9];
    for (int i = 0; i < 9; i++) {
        ahead[i] = work_create(&queue, 1, 10, 0, fake_time(&machine) + 67500);
        cr_assert_eq(work_submit(&machine, ahead[i]), QR_OK);
    }
    work *late = work_create(&queue, 1, 10, 1, fake_time(&machine) + 74999),
         *good = work_create(&queue, 1, 10, 2, fake_time(&machine) + 75000);
    cr_expect_eq(work_submit(&machine, late), QR_OVERLOADED);
    cr_expect_eq(work_submit(&machine, good), QR_OK);
    cr_expect(qr_schedule_cancel(machine.schedule, &good->ticket, QR_GONE));
    /* The outlook counts what is ahead alone: 45 us, and half as much again. */
    uint64_t deadline = fake_time(&machine) + 67500;
    cr_expect_eq(qr_schedule_outlook(machine.schedule, deadline), QR_OK);
    atomic_fetch_add(&machine.now_ns, 1);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, deadline), QR_OVERLOADED);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, deadline - 1), QR_OK, "overtakes all");
    cr_expect_eq(qr_schedule_outlook(machine.schedule, fake_time(&machine)), QR_LATE);
    fake_run(&machine);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, fake_time(&machine) + 1), QR_OK,
                 "nothing is ahead");
    for (int i = 0; i < 9; i++)
        work_destroy(ahead[i]);
    work_destroy(late), work_destroy(good);
    fake_stop(&machine);
}

/* A nearer deadline overtakes, unless somebody who was promised an answer would be late for it:
 * 20 us and 30 us, half as much again each, are 75 us. */
Test(admission, nobody_is_admitted_at_the_cost_of_another) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *promised = work_create(&queue, 1, 30, 1, fake_time(&machine) + 75000),
         *harmful = work_create(&queue, 1, 21, 2, fake_time(&machine) + 60000),
         *harmless = work_create(&queue, 1, 20, 3, fake_time(&machine) + 60000);
    cr_assert_eq(work_submit(&machine, promised), QR_OK);
    cr_expect_eq(work_submit(&machine, harmful), QR_OVERLOADED);
    cr_expect_eq(work_submit(&machine, harmless), QR_OK);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "3+1 ");
    cr_expect_eq(promised->ticket.status, QR_OK);
    work_destroy(promised), work_destroy(harmful), work_destroy(harmless);
    fake_stop(&machine);
}

/* Who will be late anyway stands in nobody's way: not behind, where he could not be made later, */
Test(admission, nobody_is_refused_for_what_is_lost) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *lost = work_create(&queue, 1, 60, 1, fake_time(&machine) + 50000),
         *good = work_create(&queue, 1, 5, 2, fake_time(&machine) + 200000);
    cr_assert_eq(work_submit(&machine, lost), QR_OK, "the server is idle");
    cr_expect_eq(work_submit(&machine, good), QR_OK);
    fake_run(&machine);
    cr_expect_eq(work_computed(good), 1);
    work_destroy(lost), work_destroy(good);
    fake_stop(&machine);
}

/* nor ahead. */
Test(admission, what_cannot_be_in_time_makes_room) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *hopeless = work_create(&queue, 1, 60, 1, fake_time(&machine) + 50000),
         *good = work_create(&queue, 1, 20, 2, fake_time(&machine) + 1100000);
    cr_assert_eq(work_submit(&machine, hopeless), QR_OK, "the server is idle");
    cr_expect_eq(work_submit(&machine, good), QR_OK);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "2 ");
    cr_expect_eq(hopeless->ticket.status, QR_LATE);
    work_destroy(hopeless), work_destroy(good);
    fake_stop(&machine);
}

Test(admission, an_idle_server_tries_what_it_is_asked) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *hopeless = work_create(&queue, 10, 10, 0, fake_time(&machine) + 1),
         *second = work_create(&queue, 1, 1, 1, fake_time(&machine) + 1);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, fake_time(&machine) + 1), QR_OK);
    cr_expect_eq(work_submit(&machine, hopeless), QR_OK);
    cr_expect_eq(work_submit(&machine, second), QR_OVERLOADED);
    fake_run(&machine);
    cr_expect_eq(hopeless->ticket.status, QR_LATE, "its second job would have begun too late");
    cr_expect_eq(work_computed(hopeless), 1);
    work_destroy(hopeless), work_destroy(second);
    fake_stop(&machine);
}

/* However slow the machine: 20 s of work let what is short pass for 320 s. */
Test(admission, very_long_work_lets_pass_for_long) {
    fake_open(&machine, &queue, 1, 64, 100);
    queue.queue.cost.token_ns = (double)QR_NS_PER_S;
    work *large = work_create(&queue, 2, 10, 1, LATER),
         *small = work_create(&queue, 1, 1, 9, LATER + 300 * QR_NS_PER_S);
    cr_assert_eq(work_submit(&machine, large), QR_OK);
    cr_assert_eq(work_submit(&machine, small), QR_OK);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(queue.history[0], '9');
    fake_run(&machine);
    work_destroy(large), work_destroy(small);
    fake_stop(&machine);
}

/* Where nothing is known of costs, nothing is refused for being slow. */
Test(admission, a_queue_without_costs_refuses_nothing_for_time) {
    fake_open(&machine, &queue, 1, 64, 100);
    queue.queue.cost = (qr_cost){0};
    work *a = work_create(&queue, 50, 64, 0, NEVER),
         *b = work_create(&queue, 1, 64, 0, fake_time(&machine) + 1);
    cr_expect_eq(work_submit(&machine, a), QR_OK);
    cr_expect_eq(work_submit(&machine, b), QR_OK);
    fake_run(&machine);
    work_destroy(a), work_destroy(b);
    fake_stop(&machine);
}

static void run_batches(int count) {
    for (int i = 0; i < count; i++) {
        work *w = work_create(&queue, 1, 10, 0, NEVER);
        cr_assert_eq(work_submit(&machine, w), QR_OK);
        cr_assert(fake_round(&machine, 0));
        work_destroy(w);
    }
}

/* What batches take of late is learned: to four times what was fitted, and back. */
Test(admission, costs_are_corrected) {
    fake_open(&machine, &queue, 1, 64, 1000);
    queue.token_ns = 4 * TOKEN_NS;
    run_batches(200);
    double correction = qr_queue_correction(&queue.queue);
    cr_expect(correction > 3.9 && correction < 4.2, "%g", correction);
    work *w = work_create(&queue, 1, 10, 0, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    uint64_t busy = (uint64_t)(correction * 1.5 * 10 * TOKEN_NS);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, NEVER), QR_OK);
    cr_expect_eq(qr_order_sum(&machine.schedule->order), busy, "new prices");
    fake_run(&machine);
    queue.token_ns = TOKEN_NS;
    run_batches(400);
    correction = qr_queue_correction(&queue.queue);
    cr_expect(correction > 0.97 && correction < 1.05, "%g", correction);
    work_destroy(w);
    fake_stop(&machine);
}

/* One batch in five that takes ten times as long is a neighbour's doing. */
Test(admission, single_slow_batches_are_not_the_cost) {
    fake_open(&machine, &queue, 1, 64, 1000);
    for (int i = 0; i < 300; i++) {
        queue.token_ns = i % 5 == 0 ? 10 * TOKEN_NS : TOKEN_NS;
        run_batches(1);
    }
    cr_expect_leq(qr_queue_correction(&queue.queue), 1.1);
    fake_stop(&machine);
}

/* A batch that others may have helped with says nothing. */
Test(admission, costs_are_learned_when_all_workers_are_busy) {
    fake_open(&machine, &queue, 2, 64, 1000);
    queue.token_ns = 4 * TOKEN_NS;
    run_batches(50);
    cr_expect_eq(qr_queue_correction(&queue.queue), 1);
    fake_stop(&machine);
}
