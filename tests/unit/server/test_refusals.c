/* What a refusal says is true: a budget that no server could keep is told from one that this server
 * cannot keep now, and who comes again when he was told to finds done what was ahead of him. On a
 * machine of ours (schedule_fixture.h): no thread and no real time. */
#include <criterion/criterion.h>

#include "server/schedule_fixture.h"

static fake_machine machine;
static fake_queue queue;

/* A request with this budget; what becomes of it at the door. */
static qr_status ask(size_t jobs, size_t tokens, uint64_t budget_ns) {
    work *w = work_create(&queue, jobs, tokens, 1, fake_time(&machine) + budget_ns);
    qr_status status = work_submit(&machine, w);
    if (status == QR_OK)
        cr_expect(qr_schedule_cancel(machine.schedule, &w->ticket, QR_GONE));
    cr_expect_eq(qr_schedule_depth(machine.schedule), 0);
    work_destroy(w);
    return status;
}

static void expect_border(size_t jobs, size_t tokens, uint64_t border_ns) {
    cr_expect_eq(ask(jobs, tokens, border_ns - 1), QR_IMPOSSIBLE, "%zu x %zu", jobs, tokens);
    cr_expect_eq(ask(jobs, tokens, border_ns), QR_OK, "%zu x %zu", jobs, tokens);
}

/* Of half of the least: a sequence cannot be done faster than by all, nor many than by all at
 * once. */
Test(refusals, a_budget_that_no_server_could_keep) {
    static const qr_cost team = {.fixed_ns = 10000, .token_ns = 500};
    fake_open(&machine, &queue, 2, 64, 100);
    cr_expect_eq(ask(1, 100, 1), QR_OK, "without the team's costs all is tried");
    queue.queue.team_cost = &team;
    expect_border(1, 100, 30000); /* 10 us + 100 * 500 ns */
    expect_border(10, 20, 50000); /* 200 tokens of 1,000 ns, on two workers */
    expect_border(2, 100, 50000); /* the same, and each of them alone takes less */
    cr_expect_eq(qr_schedule_outlook(machine.schedule, fake_time(&machine) + 1), QR_OK,
                 "before it is decoded nobody knows");
    fake_stop(&machine);
}

/* A team that was slow when it was measured makes nothing impossible that one worker can do. */
Test(refusals, the_faster_way_decides) {
    static const qr_cost team = {.fixed_ns = 0, .token_ns = 5000};
    fake_open(&machine, &queue, 1, 64, 100);
    queue.queue.team_cost = &team;
    expect_border(1, 100, 50000);
    fake_stop(&machine);
}

/* What was learned on a busy machine does not make a budget impossible; what makes the work less,
 * does count. */
Test(refusals, a_correction_only_allows_more) {
    static const qr_cost team = {.token_ns = 600};
    fake_open(&machine, &queue, 2, 64, 100);
    queue.queue.team_cost = &team;
    atomic_store(&queue.queue.correction, 4);
    expect_border(1, 100, 30000);
    expect_border(10, 20, 50000);
    atomic_store(&queue.queue.correction, 0.5);
    expect_border(1, 100, 15000);
    expect_border(10, 20, 25000);
    fake_stop(&machine);
}

/* The budget as it came: time that this server lost may not be lost the next time. */
Test(refusals, what_is_left_of_a_budget_is_not_what_it_was) {
    static const qr_cost team = {.token_ns = 600};
    fake_open(&machine, &queue, 1, 64, 100);
    queue.queue.team_cost = &team;
    uint64_t now = fake_time(&machine);
    work *tried = work_create(&queue, 1, 100, 1, now + 1000),
         *short_one = work_create(&queue, 1, 100, 2, now + 1000);
    tried->ticket.received_ns = now - 49000;
    short_one->ticket.received_ns = now - 48999;
    cr_expect_eq(work_submit(&machine, short_one), QR_IMPOSSIBLE);
    cr_expect_eq(work_submit(&machine, tried), QR_OK);
    fake_run(&machine);
    work_destroy(tried), work_destroy(short_one);
    fake_stop(&machine);
}

/* Beside other reasons: a deadline that has passed is late; but to come again when there is room
 * does not help who can never be served. */
Test(refusals, the_reason_that_stays) {
    static const qr_cost team = {.token_ns = 1000};
    fake_open(&machine, &queue, 1, 64, 1);
    queue.queue.team_cost = &team;
    work *first = work_create(&queue, 1, 10, 1, LATER),
         *full = work_create(&queue, 1, 100, 2, fake_time(&machine) + 50000),
         *never = work_create(&queue, 1, 100, 3, fake_time(&machine) + 49999),
         *late = work_create(&queue, 1, 100, 4, fake_time(&machine));
    cr_assert_eq(work_submit(&machine, first), QR_OK);
    cr_expect_eq(work_submit(&machine, full), QR_OVERLOADED);
    cr_expect_eq(work_submit(&machine, never), QR_IMPOSSIBLE);
    cr_expect_eq(work_submit(&machine, late), QR_LATE);
    fake_run(&machine);
    work_destroy(first), work_destroy(full), work_destroy(never), work_destroy(late);
    fake_stop(&machine);
}

/* What is refused has a price too, of one worker's time: 32 tokens, and half of what a batch costs
 * by itself. */
Test(refusals, all_that_is_offered_is_priced) {
    fake_open(&machine, &queue, 4, 64, 1);
    queue.queue.cost.fixed_ns = 8000;
    work *two = work_create(&queue, 2, 32, 1, LATER),
         *late = work_create(&queue, 1, 32, 1, fake_time(&machine));
    cr_expect_eq(work_submit(&machine, two), QR_OVERLOADED);
    cr_expect_eq(work_submit(&machine, two), QR_OVERLOADED, "once more");
    cr_expect_eq(two->ticket.offered_ns, 2 * 36000);
    cr_expect_eq(two->ticket.cost_ns, 2 * 32000);
    atomic_store(&queue.queue.correction, 2);
    cr_expect_eq(work_submit(&machine, late), QR_LATE);
    cr_expect_eq(late->ticket.offered_ns, 72000);
    work_destroy(two), work_destroy(late);
    fake_stop(&machine);
}

Test(refusals, retry_says_how_long_the_work_ahead_takes) {
    fake_open(&machine, &queue, 2, 64, 20000);
    queue.queue.cost.token_ns = 1000 * TOKEN_NS;
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 1);
    work *ahead = work_create(&queue, 50, 40, 0, NEVER),
         *more = work_create(&queue, 4000, 50, 0, NEVER),
         *odd = work_create(&queue, 1, 3, 0, NEVER);
    cr_assert_eq(work_submit(&machine, odd), QR_OK);
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 3, "2.25 ms, rounded up");
    cr_expect(qr_schedule_cancel(machine.schedule, &odd->ticket, QR_GONE));
    cr_assert_eq(work_submit(&machine, ahead), QR_OK);
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 1500,
                 "2,000 tokens of 1 ms on two, and half as much again");
    cr_assert_eq(work_submit(&machine, more), QR_OK);
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 60000, "at most a minute");
    cr_expect(qr_schedule_cancel(machine.schedule, &ahead->ticket, QR_GONE));
    cr_expect(qr_schedule_cancel(machine.schedule, &more->ticket, QR_GONE));
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 1);
    work_destroy(ahead), work_destroy(more), work_destroy(odd);
    fake_stop(&machine);
}

/* Also if all takes a third longer than foreseen, it is done by then. */
Test(refusals, who_comes_again_in_time_finds_room) {
    enum { TICKETS = 20 };
    fake_open(&machine, &queue, 1, 64, TICKETS);
    queue.queue.cost.token_ns = 300 * TOKEN_NS;
    queue.token_ns = 400 * TOKEN_NS;
    work *ahead[TICKETS], *refused = work_create(&queue, 1, 7, 0, LATER);
    for (int i = 0; i < TICKETS; i++) {
        ahead[i] = work_create(&queue, 1, 7, 0, LATER);
        cr_assert_eq(work_submit(&machine, ahead[i]), QR_OK);
    }
    cr_expect_eq(work_submit(&machine, refused), QR_OVERLOADED);
    uint64_t then = fake_time(&machine) + qr_schedule_retry_ms(machine.schedule) * QR_NS_PER_MS;
    fake_run(&machine);
    cr_expect_leq(fake_time(&machine), then);
    cr_expect_eq(work_submit(&machine, refused), QR_OK);
    fake_run(&machine);
    for (int i = 0; i < TICKETS; i++)
        work_destroy(ahead[i]);
    work_destroy(refused);
    fake_stop(&machine);
}

static uint32_t retry_ms[2];
static int depth;

/* Within the first batch a second worker takes the long one, whom nobody is free to help. */
static void look(fake_queue *q) {
    (void)q;
    if (depth++ == 0) {
        cr_assert(fake_round(&machine, 1));
        return;
    }
    retry_ms[0] = qr_schedule_retry_ms(machine.schedule);
    atomic_fetch_add(&machine.now_ns, 100 * QR_NS_PER_MS);
    retry_ms[1] = qr_schedule_retry_ms(machine.schedule);
}

/* 110 ms of work are 83 ms of two workers with the margin, but 100 of them are one batch that one
 * worker runs to its end. */
Test(refusals, a_long_batch_is_waited_for) {
    fake_open(&machine, &queue, 2, 64, 100);
    queue.queue.cost.token_ns = (double)QR_NS_PER_MS;
    queue.token_ns = 0;
    queue.during = look;
    work *brief = work_create(&queue, 1, 10, 1, LATER),
         *lengthy = work_create(&queue, 1, 100, 2, LATER + QR_NS_PER_S);
    cr_assert_eq(work_submit(&machine, brief), QR_OK);
    cr_assert_eq(work_submit(&machine, lengthy), QR_OK);
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 83);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(retry_ms[0], 150);
    cr_expect_eq(retry_ms[1], 83, "50 are left of it");
    cr_expect_eq(qr_schedule_retry_ms(machine.schedule), 1, "all is done");
    work_destroy(brief), work_destroy(lengthy);
    fake_stop(&machine);
}
