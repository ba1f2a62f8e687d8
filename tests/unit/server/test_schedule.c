/* What the schedule decides, step by step, on a machine of ours (schedule_fixture.h): order,
 * batches, turns, admission at its exact borders, deadlines, cancels, wake-ups. No thread and no
 * real time. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "server/schedule_fixture.h"

static fake_machine machine;
static fake_queue queue;

/* A worker that is measured: one token takes 1,000 ns. */
#define TOKEN_NS 1000u

static void open_with(int workers, size_t batch_tokens, size_t queue_items) {
    fake_create(&machine, workers, queue_items);
    fake_queue_init(&queue, &machine, TOKEN_NS, batch_tokens, 128);
}

/* Lets the schedule learn how long a token takes, and forgets the batch. */
static void measure(void) {
    work *w = work_create(&queue, 1, 10, 1, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    cr_assert_eq(fake_run(&machine), 1);
    work_destroy(w);
    queue.history[0] = '\0';
    atomic_store(&machine.wakes, 0);
}

static uint64_t now(void) {
    return atomic_load(&machine.now_ns);
}

Test(schedule, a_ticket_runs_and_says_when) {
    open_with(1, 64, 100);
    work *w = work_create(&queue, 3, 4, 7, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    cr_expect_eq(qr_schedule_depth(machine.schedule), 3);
    atomic_fetch_add(&machine.now_ns, 500);
    cr_expect_eq(fake_run(&machine), 1);
    cr_expect_eq(w->ticket.status, QR_OK);
    cr_expect_eq(atomic_load(&w->finished), 1);
    cr_expect_eq(work_computed(w), 3);
    cr_expect_eq(w->ticket.submitted_ns, FAKE_START_NS);
    cr_expect_eq(w->ticket.started_ns, FAKE_START_NS + 500);
    cr_expect_eq(w->ticket.done_ns, FAKE_START_NS + 500 + 12 * TOKEN_NS);
    cr_expect_eq(qr_schedule_depth(machine.schedule), 0);
    work_destroy(w);
    fake_stop(&machine);
}

Test(schedule, first_come_first_served_in_batches_of_tokens) {
    open_with(1, 64, 100);
    work *works[6];
    for (int i = 0; i < 6; i++) {
        works[i] = work_create(&queue, 1, 20, i, NEVER);
        cr_assert_eq(work_submit(&machine, works[i]), QR_OK);
    }
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "0+1+2 3+4+5 ");
    for (int i = 1; i < 6; i++)
        cr_expect_eq(works[i]->order, works[i - 1]->order + 1);
    for (int i = 0; i < 6; i++)
        work_destroy(works[i]);
    fake_stop(&machine);
}

Test(schedule, a_job_longer_than_the_budget_runs_alone) {
    open_with(1, 64, 100);
    work *a = work_create(&queue, 1, 20, 1, NEVER), *b = work_create(&queue, 1, 128, 2, NEVER),
         *c = work_create(&queue, 1, 20, 3, NEVER);
    cr_assert_eq(work_submit(&machine, a), QR_OK);
    cr_assert_eq(work_submit(&machine, b), QR_OK);
    cr_assert_eq(work_submit(&machine, c), QR_OK);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "1 2 3 ");
    work_destroy(a), work_destroy(b), work_destroy(c);
    fake_stop(&machine);
}

Test(schedule, a_batch_has_at_most_256_jobs) {
    open_with(1, 4096, 1000);
    work *w = work_create(&queue, 300, 1, 0, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    cr_expect_eq(fake_run(&machine), 2);
    cr_expect_eq(queue.most_jobs, QR_BATCH_JOBS);
    cr_expect_eq(work_computed(w), 300);
    work_destroy(w);
    fake_stop(&machine);
}

/* 64 tokens a turn while others wait; what is left of the batch goes to whoever is left. */
Test(schedule, tickets_take_turns) {
    open_with(1, 128, 100);
    work *large = work_create(&queue, 6, 32, 10, NEVER), *a = work_create(&queue, 1, 16, 1, NEVER),
         *b = work_create(&queue, 1, 16, 2, NEVER);
    cr_assert_eq(work_submit(&machine, large), QR_OK);
    cr_assert_eq(work_submit(&machine, a), QR_OK);
    cr_assert_eq(work_submit(&machine, b), QR_OK);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "10+11+1+2+12 13+14+15 ");
    cr_expect(a->order < large->order && b->order < large->order);
    work_destroy(large), work_destroy(a), work_destroy(b);
    fake_stop(&machine);
}

/* A ticket of 400 jobs before one of a single job: the single one is in the first batch. */
Test(schedule, a_large_ticket_does_not_starve_small_ones) {
    open_with(1, 128, 1000);
    work *large = work_create(&queue, 400, 32, 1000, NEVER);
    cr_assert_eq(work_submit(&machine, large), QR_OK);
    for (int i = 0; i < 20; i++) {
        work *small = work_create(&queue, 1, 12, i, NEVER);
        cr_assert_eq(work_submit(&machine, small), QR_OK);
        cr_assert(fake_round(&machine, 0));
        cr_expect_eq(atomic_load(&small->finished), 1, "waited behind the large one");
        work_destroy(small);
    }
    cr_expect_eq(atomic_load(&large->finished), 0);
    fake_run(&machine);
    cr_expect_eq(work_computed(large), 400);
    cr_expect_leq(queue.most_tokens, 128);
    work_destroy(large);
    fake_stop(&machine);
}

/* On four workers a queue of 512 tokens is four batches, one of 100 is two: not below 64 each. */
Test(schedule, a_queue_is_shared_by_all_workers) {
    open_with(4, 512, 1000);
    work *w = work_create(&queue, 64, 8, 0, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(queue.most_tokens, 128);
    fake_run(&machine);
    work_destroy(w);
    queue.most_tokens = 0;
    atomic_store(&queue.batches, 0);
    w = work_create(&queue, 25, 4, 0, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    fake_run(&machine);
    cr_expect_eq(queue.most_tokens, 64);
    cr_expect_eq(atomic_load(&queue.batches), 2);
    work_destroy(w);
    fake_stop(&machine);
}

Test(schedule, queues_take_turns) {
    static char order[64];
    static fake_queue queues[3];
    open_with(1, 32, 1000);
    work *works[3];
    for (int i = 0; i < 3; i++) {
        fake_queue_init(&queues[i], &machine, TOKEN_NS, 32, 128);
        works[i] = work_create(&queues[i], i == 1 ? 2 : 3, 32, 10 * i, NEVER);
        cr_assert_eq(work_submit(&machine, works[i]), QR_OK);
    }
    for (size_t batches[3] = {0}; fake_round(&machine, 0);)
        for (int i = 0; i < 3; i++)
            if (atomic_load(&queues[i].batches) > batches[i]) {
                batches[i]++;
                snprintf(order + strlen(order), sizeof order - strlen(order), "%d", i);
            }
    cr_expect_str_eq(order, "01201202"); /* the second one leaves the ring when it is empty */
    for (int i = 0; i < 3; i++)
        work_destroy(works[i]);
    fake_stop(&machine);
}

/* Admission */

Test(schedule, a_full_queue_refuses_whole_tickets) {
    open_with(1, 64, 10);
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

Test(schedule, lengths) {
    open_with(1, 16, 100);
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
Test(schedule, overload_is_refused_at_its_border) {
    open_with(2, 64, 100);
    measure();
    work *ahead = work_create(&queue, 9, 10, 0, NEVER);
    work *late = work_create(&queue, 1, 10, 1, now() + 74999),
         *good = work_create(&queue, 1, 10, 2, now() + 75000);
    cr_assert_eq(work_submit(&machine, ahead), QR_OK);
    cr_expect_eq(work_submit(&machine, late), QR_OVERLOADED);
    cr_expect_eq(work_submit(&machine, good), QR_OK);
    cr_expect(qr_schedule_cancel(machine.schedule, &good->ticket, QR_GONE));
    /* The outlook counts what is ahead alone: 45 us, and half as much again. */
    cr_expect_eq(qr_schedule_outlook(machine.schedule, now() + 67499), QR_OVERLOADED);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, now() + 67500), QR_OK);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, now()), QR_LATE);
    fake_run(&machine);
    work_destroy(ahead), work_destroy(late), work_destroy(good);
    fake_stop(&machine);
}

Test(schedule, an_idle_server_tries_what_it_is_asked) {
    open_with(1, 64, 100);
    measure();
    work *hopeless = work_create(&queue, 10, 10, 0, now() + 1),
         *second = work_create(&queue, 1, 1, 1, now() + 1);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, now() + 1), QR_OK);
    cr_expect_eq(work_submit(&machine, hopeless), QR_OK);
    cr_expect_eq(work_submit(&machine, second), QR_OVERLOADED);
    fake_run(&machine);
    cr_expect_eq(hopeless->ticket.status, QR_LATE, "its second batch would have begun too late");
    cr_expect_eq(work_computed(hopeless), 6);
    work_destroy(hopeless), work_destroy(second);
    fake_stop(&machine);
}

/* Before the first batch nothing is known, and nothing is refused for being slow. */
Test(schedule, an_unmeasured_server_refuses_nothing_for_time) {
    open_with(1, 64, 100);
    work *a = work_create(&queue, 50, 64, 0, NEVER), *b = work_create(&queue, 1, 64, 0, now() + 1);
    cr_expect_eq(work_submit(&machine, a), QR_OK);
    cr_expect_eq(work_submit(&machine, b), QR_OK);
    fake_run(&machine);
    work_destroy(a), work_destroy(b);
    fake_stop(&machine);
}

/* The measure moves an eighth of the way with each batch: from 1,000 ns to 1,875 after one batch at
 * 8,000. */
Test(schedule, the_measure_is_smoothed) {
    open_with(1, 64, 1000);
    measure();
    queue.token_ns = 8 * TOKEN_NS;
    work *slow = work_create(&queue, 1, 10, 0, NEVER),
         *ahead = work_create(&queue, 16, 40, 0, NEVER);
    cr_assert_eq(work_submit(&machine, slow), QR_OK);
    fake_run(&machine);
    cr_assert_eq(work_submit(&machine, ahead), QR_OK);
    uint64_t busy = 640 * (TOKEN_NS - TOKEN_NS / 8 + TOKEN_NS);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, now() + busy * 3 / 2), QR_OK);
    cr_expect_eq(qr_schedule_outlook(machine.schedule, now() + busy * 3 / 2 - 1), QR_OVERLOADED);
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 1); /* 1.2 ms */
    fake_run(&machine);
    work_destroy(slow), work_destroy(ahead);
    fake_stop(&machine);
}

Test(schedule, retry_says_how_long_the_work_ahead_takes) {
    open_with(2, 64, 20000);
    queue.token_ns = 1000 * TOKEN_NS;
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 1);
    measure();
    work *ahead = work_create(&queue, 50, 40, 0, NEVER),
         *more = work_create(&queue, 4000, 50, 0, NEVER);
    cr_assert_eq(work_submit(&machine, ahead), QR_OK);
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 1000); /* 2,000 tokens of 1 ms on two */
    cr_assert_eq(work_submit(&machine, more), QR_OK);
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 60000, "at most a minute");
    cr_expect(qr_schedule_cancel(machine.schedule, &ahead->ticket, QR_GONE));
    cr_expect(qr_schedule_cancel(machine.schedule, &more->ticket, QR_GONE));
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 1);
    work_destroy(ahead), work_destroy(more);
    fake_stop(&machine);
}

/* Deadlines and cancels */

Test(schedule, late_work_is_never_run) {
    open_with(1, 64, 100);
    work *never = work_create(&queue, 1, 4, 1, now()),
         *late = work_create(&queue, 3, 4, 2, now() + 1),
         *good = work_create(&queue, 3, 4, 10, now() + 2);
    cr_expect_eq(work_submit(&machine, never), QR_LATE);
    cr_expect_eq(work_submit(&machine, late), QR_OK);
    cr_expect_eq(work_submit(&machine, good), QR_OK);
    atomic_fetch_add(&machine.now_ns, 1);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "10+11+12 ");
    cr_expect_eq(late->ticket.status, QR_LATE);
    cr_expect_eq(work_computed(late), 0);
    cr_expect_eq(good->ticket.status, QR_OK);
    cr_expect_eq(atomic_load(&never->finished), 0);
    cr_expect_eq(qr_schedule_depth(machine.schedule), 0);
    work_destroy(late), work_destroy(good), work_destroy(never);
    fake_stop(&machine);
}

/* Batches take 64 us each; the third one would begin behind the deadline. */
Test(schedule, what_is_late_halfway_stops_halfway) {
    open_with(1, 64, 100);
    work *w = work_create(&queue, 16, 16, 0, now() + 100 * TOKEN_NS);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    fake_run(&machine);
    cr_expect_eq(w->ticket.status, QR_LATE);
    cr_expect_eq(work_computed(w), 8);
    cr_expect_eq(atomic_load(&w->finished), 1);
    work_destroy(w);
    fake_stop(&machine);
}

Test(schedule, a_round_that_only_finds_late_work_ends_it) {
    open_with(1, 64, 100);
    work *w = work_create(&queue, 2, 4, 0, now() + 1);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    atomic_fetch_add(&machine.now_ns, 5);
    cr_expect(fake_round(&machine, 0));
    cr_expect_eq(w->ticket.status, QR_LATE);
    cr_expect_eq(atomic_load(&w->finished), 1);
    cr_expect_not(fake_round(&machine, 0));
    work_destroy(w);
    fake_stop(&machine);
}

Test(schedule, cancelled_in_the_queue) {
    open_with(1, 64, 100);
    work *a = work_create(&queue, 3, 4, 1, NEVER), *b = work_create(&queue, 3, 4, 10, NEVER),
         *c = work_create(&queue, 3, 4, 20, NEVER), *d = work_create(&queue, 1, 4, 30, NEVER);
    cr_assert_eq(work_submit(&machine, a), QR_OK);
    cr_assert_eq(work_submit(&machine, b), QR_OK);
    cr_assert_eq(work_submit(&machine, c), QR_OK);
    cr_assert_eq(work_submit(&machine, d), QR_OK);
    cr_expect(qr_schedule_cancel(machine.schedule, &b->ticket, QR_GONE));
    cr_expect_eq(b->ticket.status, QR_GONE);
    cr_expect(qr_schedule_cancel(machine.schedule, &d->ticket, QR_LATE));
    cr_expect(qr_schedule_cancel(machine.schedule, &a->ticket, QR_LATE));
    cr_expect_eq(qr_schedule_depth(machine.schedule), 3);
    work_destroy(a), work_destroy(b), work_destroy(d); /* the sanitizers would see a touch */
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "20+21+22 ");
    cr_expect_not(qr_schedule_cancel(machine.schedule, &c->ticket, QR_GONE), "it has ended");
    cr_expect_eq(c->ticket.status, QR_OK);
    work_destroy(c);
    fake_stop(&machine);
}

static work *running;
static qr_status cancel_with;
static bool cancelled_here;

static void cancel_running(fake_queue *q) {
    q->during = NULL;
    cancelled_here = qr_schedule_cancel(machine.schedule, &running->ticket, cancel_with);
}

/* The loop cancels while a worker has the first of two batches: the second is never run, and
 * finished() comes from the worker. */
Test(schedule, cancelled_while_running) {
    open_with(1, 64, 100);
    running = work_create(&queue, 8, 16, 0, NEVER);
    cancel_with = QR_GONE;
    queue.during = cancel_running;
    cr_assert_eq(work_submit(&machine, running), QR_OK);
    cr_expect_eq(fake_run(&machine), 1);
    cr_expect_not(cancelled_here, "a worker has it");
    cr_expect_eq(running->ticket.status, QR_GONE);
    cr_expect_eq(atomic_load(&running->finished), 1);
    cr_expect_eq(work_computed(running), 4);
    cr_expect_eq(qr_schedule_depth(machine.schedule), 0);
    work_destroy(running);
    fake_stop(&machine);
}

/* Late while its only batch runs: the answer stands, but the ticket says that it is late. */
Test(schedule, late_while_its_last_batch_runs) {
    open_with(1, 64, 100);
    running = work_create(&queue, 1, 16, 0, NEVER);
    cancel_with = QR_LATE;
    queue.during = cancel_running;
    cr_assert_eq(work_submit(&machine, running), QR_OK);
    fake_run(&machine);
    cr_expect_not(cancelled_here);
    cr_expect_eq(running->ticket.status, QR_LATE);
    cr_expect_eq(atomic_load(&running->finished), 1);
    work_destroy(running);
    fake_stop(&machine);
}

static int second_worker_rounds;

static void round_of_the_other(fake_queue *q) {
    q->during = NULL;
    second_worker_rounds += fake_round(&machine, 1);
}

/* Two workers with batches of one ticket: it ends once, with the second one's. */
Test(schedule, a_ticket_in_two_batches_ends_once) {
    open_with(2, 64, 100);
    work *w = work_create(&queue, 8, 16, 0, NEVER);
    queue.during = round_of_the_other;
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(second_worker_rounds, 1);
    cr_expect_eq(atomic_load(&w->finished), 1);
    cr_expect_eq(work_computed(w), 8);
    cr_expect_not(fake_round(&machine, 0));
    work_destroy(w);
    fake_stop(&machine);
}

Test(schedule, a_bad_job_fails_its_own_ticket_only) {
    open_with(1, 512, 100);
    work *good = work_create(&queue, 2, 4, 1, NEVER),
         *bad = work_create(&queue, 2, 4, BAD_ID - 1, NEVER),
         *more = work_create(&queue, 2, 4, 5, NEVER),
         *alone = work_create(&queue, 1, 4, BAD_ID, NEVER);
    cr_assert_eq(work_submit(&machine, good), QR_OK);
    cr_assert_eq(work_submit(&machine, bad), QR_OK);
    cr_assert_eq(work_submit(&machine, more), QR_OK);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "1+2+-2+-1+5+6 1 2 -2 -1 5 6 ");
    cr_expect_eq(good->ticket.status, QR_OK);
    cr_expect_eq(bad->ticket.status, QR_INTERNAL);
    cr_expect_eq(more->ticket.status, QR_OK);
    cr_expect_eq(work_computed(good) + work_computed(more), 4);
    cr_assert_eq(work_submit(&machine, alone), QR_OK);
    fake_run(&machine);
    cr_expect_eq(alone->ticket.status, QR_INTERNAL);
    cr_expect_eq(atomic_load(&queue.batches), 8, "a job alone is not tried twice");
    cr_expect_eq(qr_schedule_depth(machine.schedule), 0);
    work_destroy(good), work_destroy(bad), work_destroy(more), work_destroy(alone);
    fake_stop(&machine);
}

/* The rest of a ticket whose job was refused is not run. */
Test(schedule, a_failed_ticket_is_given_up) {
    open_with(1, 64, 100);
    work *w = work_create(&queue, 8, 32, BAD_ID, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    fake_run(&machine);
    cr_expect_eq(w->ticket.status, QR_INTERNAL);
    cr_expect_str_eq(queue.history, "-1+0 -1 0 ");
    cr_expect_eq(qr_schedule_depth(machine.schedule), 0);
    work_destroy(w);
    fake_stop(&machine);
}

/* Wake-ups: one for what comes; whoever takes work and sees more wakes the next. */
Test(schedule, wakes_no_more_and_no_fewer_workers_than_there_is_work) {
    open_with(4, 64, 100);
    measure();
    work *one = work_create(&queue, 1, 8, 0, NEVER), *much = work_create(&queue, 12, 16, 0, NEVER);
    cr_assert_eq(work_submit(&machine, one), QR_OK);
    cr_expect_eq(atomic_exchange(&machine.wakes, 0), 1);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(atomic_exchange(&machine.wakes, 0), 0, "nothing is left for another");
    cr_assert_eq(work_submit(&machine, much), QR_OK);
    cr_expect_eq(atomic_exchange(&machine.wakes, 0), 1);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(atomic_exchange(&machine.wakes, 0), 1);
    cr_assert(fake_round(&machine, 1));
    cr_expect_eq(atomic_exchange(&machine.wakes, 0), 1);
    cr_assert(fake_round(&machine, 2));
    cr_expect_eq(atomic_exchange(&machine.wakes, 0), 0);
    cr_expect_not(fake_round(&machine, 3));
    work *refused = work_create(&queue, 1, 129, 0, NEVER);
    cr_expect_neq(work_submit(&machine, refused), QR_OK);
    cr_expect_eq(atomic_load(&machine.wakes), 0);
    work_destroy(one), work_destroy(much), work_destroy(refused);
    fake_stop(&machine);
}

static char tasks_done[16];

static void on_task(qr_task *task) {
    size_t at = strlen(tasks_done);
    tasks_done[at] = *(const char *)task->owner;
}

Test(schedule, tasks_come_before_batches_and_in_order) {
    open_with(1, 64, 100);
    static char names[] = "abc";
    qr_task tasks[3];
    work *w = work_create(&queue, 1, 8, 0, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    atomic_store(&machine.wakes, 0);
    for (int i = 0; i < 3; i++) {
        tasks[i] = (qr_task){.run = on_task, .owner = &names[i]};
        qr_schedule_call(machine.schedule, &tasks[i]);
    }
    cr_expect_eq(atomic_load(&machine.wakes), 3);
    cr_assert(fake_round(&machine, 0) && fake_round(&machine, 0) && fake_round(&machine, 0));
    cr_expect_str_eq(tasks_done, "abc");
    cr_expect_eq(atomic_load(&w->finished), 0);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(atomic_load(&w->finished), 1);
    work_destroy(w);
    fake_stop(&machine);
}

static int idle_calls, idle_left;

static bool on_idle(void *state, int worker) {
    cr_expect_eq(state, &machine);
    cr_expect_eq(worker, 1);
    idle_calls++;
    return idle_left-- > 0;
}

/* idle() is asked only when nothing is admitted and unfinished, by anyone. */
Test(schedule, idle_work_waits_for_an_idle_server) {
    open_with(2, 64, 100);
    machine.schedule->options.idle = on_idle;
    machine.schedule->options.idle_state = &machine;
    qr__worker *workers = machine.schedule->workers;
    idle_left = 2;
    work *w = work_create(&queue, 1, 8, 0, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    cr_expect_eq(qr__worker_round(&workers[1]), QR__ROUND_WORKED);
    cr_expect_eq(idle_calls, 0);
    cr_expect_eq(qr__worker_round(&workers[1]), QR__ROUND_WORKED);
    cr_expect_eq(qr__worker_round(&workers[1]), QR__ROUND_WORKED);
    cr_expect_eq(qr__worker_round(&workers[1]), QR__ROUND_NOTHING);
    cr_expect_eq(idle_calls, 3);
    atomic_store(&machine.schedule->depth, 1); /* as if the other had a batch */
    cr_expect_eq(qr__worker_round(&workers[1]), QR__ROUND_NOTHING);
    cr_expect_eq(idle_calls, 3);
    atomic_store(&machine.schedule->depth, 0);
    machine.schedule->stopping = true;
    cr_expect_eq(qr__worker_round(&workers[1]), QR__ROUND_OVER);
    cr_expect_eq(idle_calls, 3);
    work_destroy(w);
    qr_schedule_destroy(machine.schedule);
}

Test(schedule, a_stopping_schedule_finishes_and_takes_nothing) {
    open_with(1, 64, 100);
    work *w = work_create(&queue, 8, 16, 0, NEVER), *more = work_create(&queue, 1, 8, 0, NEVER);
    qr__worker *worker = machine.schedule->workers;
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    machine.schedule->stopping = true;
    cr_expect_eq(work_submit(&machine, more), QR_DRAINING);
    cr_expect_eq(qr__worker_round(worker), QR__ROUND_WORKED);
    cr_expect_eq(qr__worker_round(worker), QR__ROUND_WORKED);
    cr_expect_eq(qr__worker_round(worker), QR__ROUND_OVER);
    cr_expect_eq(work_computed(w), 8);
    qr_schedule_stop(machine.schedule);
    qr_schedule_stop(machine.schedule);
    static char name[] = "t";
    qr_task task = {.run = on_task, .owner = name};
    qr_schedule_call(machine.schedule, &task);
    cr_expect_str_eq(tasks_done, "t", "no worker is left to run it later");
    cr_expect_eq(work_submit(&machine, more), QR_DRAINING);
    work_destroy(w), work_destroy(more);
    qr_schedule_destroy(machine.schedule);
    qr_schedule_destroy(NULL);
    qr_schedule_stop(NULL);
}
