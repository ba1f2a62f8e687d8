/* What the schedule decides, step by step, on a machine of ours (schedule_fixture.h): order,
 * batches, deadlines, cancels, wake-ups. No thread and no real time. test_admission.c has what is
 * refused. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "server/schedule_fixture.h"

static fake_machine machine;
static fake_queue queue;

Test(schedule, a_ticket_runs_and_says_when) {
    fake_open(&machine, &queue, 1, 64, 100);
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
    fake_open(&machine, &queue, 1, 64, 100);
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
    fake_open(&machine, &queue, 1, 64, 100);
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
    fake_open(&machine, &queue, 1, 4096, 1000);
    work *w = work_create(&queue, 300, 1, 0, NEVER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    cr_expect_eq(fake_run(&machine), 2);
    cr_expect_eq(queue.most_jobs, QR_BATCH_JOBS);
    cr_expect_eq(work_computed(w), 300);
    work_destroy(w);
    fake_stop(&machine);
}

/* What is short goes before what is long and came earlier, if neither is in a hurry: 400 jobs may
 * wait for 16 times what they take. */
Test(schedule, a_large_ticket_does_not_starve_small_ones) {
    fake_open(&machine, &queue, 1, 128, 1000);
    work *large = work_create(&queue, 400, 32, 1000, LATER);
    cr_assert_eq(work_submit(&machine, large), QR_OK);
    for (int i = 0; i < 20; i++) {
        work *small = work_create(&queue, 1, 12, i, LATER + fake_time(&machine));
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

/* But not for ever: a small one that comes when 16 times the cost has passed goes behind. */
Test(schedule, a_large_ticket_waits_for_16_times_its_cost) {
    fake_open(&machine, &queue, 1, 128, 1000);
    work *large = work_create(&queue, 4, 32, 10, LATER), /* 128 us: 2,048 us behind */
        *before = work_create(&queue, 1, 1, 1, LATER + 2031 * TOKEN_NS),
         *behind = work_create(&queue, 1, 1, 2, LATER + 2032 * TOKEN_NS); /* and 16 of its own */
    cr_assert_eq(work_submit(&machine, large), QR_OK);
    cr_assert_eq(work_submit(&machine, behind), QR_OK);
    cr_assert_eq(work_submit(&machine, before), QR_OK);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "1+10+11+12 13+2 ");
    work_destroy(large), work_destroy(before), work_destroy(behind);
    fake_stop(&machine);
}

/* Order */

Test(schedule, the_nearest_deadline_goes_first) {
    fake_open(&machine, &queue, 1, 64, 100);
    static const int order[] = {3, 1, 4, 0, 2};
    work *works[5];
    for (int i = 0; i < 5; i++) {
        works[i] = work_create(&queue, 1, 40, order[i],
                               fake_time(&machine) + (unsigned)(10 + order[i]) * QR_NS_PER_MS);
        cr_assert_eq(work_submit(&machine, works[i]), QR_OK);
    }
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "0 1 2 3 4 ");
    for (int i = 0; i < 5; i++)
        work_destroy(works[i]);
    fake_stop(&machine);
}

/* Up to 10 s behind: then it is its turn. */
Test(schedule, who_yields_waits_but_does_not_starve) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *yielding = work_create(&queue, 1, 40, 1, LATER),
         *sooner = work_create(&queue, 1, 40, 2, LATER + 9 * QR_NS_PER_S),
         *later = work_create(&queue, 1, 40, 3, LATER + 11 * QR_NS_PER_S);
    yielding->ticket.yields = true;
    cr_assert_eq(work_submit(&machine, yielding), QR_OK);
    cr_assert_eq(work_submit(&machine, sooner), QR_OK);
    cr_assert_eq(work_submit(&machine, later), QR_OK);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "2 1 3 ");
    work_destroy(yielding), work_destroy(sooner), work_destroy(later);
    fake_stop(&machine);
}

/* Together they would take 60 us, and the first has 50. */
Test(schedule, a_batch_ends_before_a_member_would_be_late) {
    fake_open(&machine, &queue, 1, 512, 100);
    work *hurried = work_create(&queue, 1, 40, 1, fake_time(&machine) + 65 * TOKEN_NS),
         *small = work_create(&queue, 1, 10, 2, LATER),
         *other = work_create(&queue, 1, 20, 3, LATER);
    cr_assert_eq(work_submit(&machine, hurried), QR_OK);
    cr_assert_eq(work_submit(&machine, small), QR_OK);
    cr_assert_eq(work_submit(&machine, other), QR_OK);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "1+2 3 ");
    work_destroy(hurried), work_destroy(small), work_destroy(other);
    fake_stop(&machine);
}

static void count_round_of_the_other(fake_queue *q);
static void submit_and_count_round_of_the_other(fake_queue *q);
static int other_found;
static work *submitted_within;

/* While short jobs wait, one worker at a time has a long one, whatever its deadline. */
Test(schedule, long_jobs_leave_a_worker_to_short_ones) {
    fake_create(&machine, 2, 100);
    fake_queue_init(&queue, &machine, TOKEN_NS, 512, 512);
    work *a = work_create(&queue, 1, 384, 1, LATER), *b = work_create(&queue, 1, 384, 2, LATER),
         *query = work_create(&queue, 1, 9, 3, LATER + QR_NS_PER_S);
    cr_assert_eq(work_submit(&machine, a), QR_OK);
    cr_assert_eq(work_submit(&machine, b), QR_OK);
    cr_assert_eq(work_submit(&machine, query), QR_OK);
    queue.during = count_round_of_the_other;
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(other_found, 1);
    cr_expect_str_eq(queue.history, "1 3 ", "the other worker has the query");
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "1 3 2 ");
    work_destroy(a), work_destroy(b), work_destroy(query);
    fake_stop(&machine);
}

/* A short one comes, and so long after it two long ones: how many of two or three workers take
 * one? The one that does not is not woken either. */
static void expect_long_batches(int workers, uint64_t after_ns, int expected) {
    fake_create(&machine, workers, 100);
    fake_queue_init(&queue, &machine, TOKEN_NS, 512, 512);
    uint64_t later = LATER + after_ns;
    work *query = work_create(&queue, 1, 9, 3, LATER), *a = work_create(&queue, 1, 384, 1, later),
         *b = work_create(&queue, 1, 384, 2, later);
    cr_assert_eq(work_submit(&machine, query), QR_OK);
    cr_assert_eq(fake_run(&machine), 1);
    atomic_fetch_add(&machine.now_ns, after_ns - 9 * TOKEN_NS);
    cr_assert_eq(work_submit(&machine, a), QR_OK);
    other_found = 0;
    queue.during = submit_and_count_round_of_the_other;
    submitted_within = b;
    int wakes = atomic_load(&machine.wakes);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(1 + other_found, expected, "%d workers", workers);
    cr_expect_eq(atomic_load(&machine.wakes) - wakes, other_found);
    fake_run(&machine);
    cr_expect_str_eq(queue.history, "3 1 2 ");
    work_destroy(query), work_destroy(a), work_destroy(b);
    fake_stop(&machine);
}

/* While short ones come, one worker only helps with long ones, and is free for the next. */
Test(schedule, long_jobs_leave_a_worker_while_short_ones_come) {
    expect_long_batches(2, QR_NS_PER_S - 500 * TOKEN_NS, 1);
    expect_long_batches(3, QR_NS_PER_S - 500 * TOKEN_NS, 2);
}

Test(schedule, long_jobs_take_what_nobody_else_needs) {
    expect_long_batches(2, QR_NS_PER_S, 2);
}

static void count_round_of_the_other(fake_queue *q) {
    q->during = NULL;
    other_found += fake_round(&machine, 1);
}

static void submit_and_count_round_of_the_other(fake_queue *q) {
    cr_assert_eq(work_submit(&machine, submitted_within), QR_OK);
    count_round_of_the_other(q);
}

/* On four workers a queue of 512 tokens is four batches, one of 100 is two: not below 64 each. */
Test(schedule, a_queue_is_shared_by_all_workers) {
    fake_open(&machine, &queue, 4, 512, 1000);
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

/* Queues have no turns of their own: the nearest deadline of all decides. */
Test(schedule, queues_are_served_by_their_tickets_deadlines) {
    static char order[64];
    static fake_queue queues[3];
    static const unsigned ms[] = {20, 10, 30, 40, 15, 5};
    fake_open(&machine, &queue, 1, 32, 1000);
    work *works[6];
    for (int i = 0; i < 6; i++) {
        if (i < 3)
            fake_queue_init(&queues[i], &machine, TOKEN_NS, 32, 128);
        works[i] =
            work_create(&queues[i % 3], 1, 32, i, fake_time(&machine) + ms[i] * QR_NS_PER_MS);
        cr_assert_eq(work_submit(&machine, works[i]), QR_OK);
    }
    for (size_t batches[3] = {0}; fake_round(&machine, 0);)
        for (int i = 0; i < 3; i++)
            if (atomic_load(&queues[i].batches) > batches[i]) {
                batches[i]++;
                snprintf(order + strlen(order), sizeof order - strlen(order), "%d", i);
            }
    cr_expect_str_eq(order, "211020");
    for (int i = 0; i < 6; i++)
        work_destroy(works[i]);
    fake_stop(&machine);
}

/* Deadlines and cancels */

Test(schedule, late_work_is_never_run) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *never = work_create(&queue, 1, 4, 1, fake_time(&machine)),
         *late = work_create(&queue, 3, 4, 2, fake_time(&machine) + 1),
         *good = work_create(&queue, 3, 4, 10, fake_time(&machine) + 50 * TOKEN_NS);
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

/* Four jobs take 64 us, then two fit before the deadline; then one is tried: nobody else waits. */
Test(schedule, what_is_late_halfway_stops_halfway) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *w = work_create(&queue, 16, 16, 0, fake_time(&machine) + 100 * TOKEN_NS);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    fake_run(&machine);
    cr_expect_eq(w->ticket.status, QR_LATE);
    cr_expect_eq(work_computed(w), 7);
    cr_expect_str_eq(queue.history, "0+1+2+3 4+5 6 ");
    cr_expect_eq(atomic_load(&w->finished), 1);
    work_destroy(w);
    fake_stop(&machine);
}

Test(schedule, a_round_that_only_finds_late_work_ends_it) {
    fake_open(&machine, &queue, 1, 64, 100);
    work *w = work_create(&queue, 2, 4, 0, fake_time(&machine) + 1);
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
    fake_open(&machine, &queue, 1, 64, 100);
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
    fake_open(&machine, &queue, 1, 64, 100);
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
    fake_open(&machine, &queue, 1, 64, 100);
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
    fake_open(&machine, &queue, 2, 64, 100);
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
    fake_open(&machine, &queue, 1, 512, 100);
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
    fake_open(&machine, &queue, 1, 64, 100);
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
    fake_open(&machine, &queue, 4, 64, 100);
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
    fake_open(&machine, &queue, 1, 64, 100);
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
    fake_open(&machine, &queue, 2, 64, 100);
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
    fake_open(&machine, &queue, 1, 64, 100);
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
