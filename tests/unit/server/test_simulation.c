/* The scheduler's model of itself: loads whose ends are known beforehand, and a recorded one beside
 * the schedule that is stepped by hand (schedule_fixture.h). No thread, no engine, no clock. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "server/schedule/simulation.h"
#include "server/schedule_fixture.h"

#define US        1000u
#define PLENTY_NS (10 * QR_NS_PER_S)

/* A token takes 1 us; nobody helps. */
static qr_simulation machine_of(int workers) {
    return (qr_simulation){.workers = workers,
                           .alone = {.token_ns = US},
                           .queue_items = 1000,
                           .batch_tokens = 512,
                           .job_tokens = 512};
}

static qr_simulated request(uint64_t at_us, size_t tokens) {
    return (qr_simulated){.at_ns = at_us * US, .budget_ns = PLENTY_NS, .tokens = tokens};
}

static void simulate(const qr_simulation *machine, qr_simulated *requests, size_t len) {
    cr_assert_eq(qr_simulate(machine, requests, len), QR_OK);
}

static void expect_done(const qr_simulated *requests, size_t len, const unsigned *done_us) {
    for (size_t i = 0; i < len; i++) {
        cr_expect_eq(requests[i].status, QR_OK, "request %zu: %s", i,
                     qr_status_name(requests[i].status));
        cr_expect_eq(requests[i].done_ns, done_us[i] * US, "request %zu: %g us", i,
                     (double)requests[i].done_ns / US);
    }
}

static size_t count(const qr_simulated *requests, size_t len, qr_status status) {
    size_t found = 0;
    for (size_t i = 0; i < len; i++)
        found += requests[i].status == status;
    return found;
}

Test(simulation, nothing_waits_below_capacity) {
    enum { N = 1000 };
    static qr_simulated requests[N];
    qr_simulation machine = machine_of(1);
    machine.alone.fixed_ns = 5 * US;
    for (size_t i = 0; i < N; i++)
        requests[i] = request(i * 100, 95); /* 100 us each: the worker is never idle, nor late */
    simulate(&machine, requests, N);
    for (size_t i = 0; i < N; i++)
        cr_expect_eq(requests[i].done_ns - requests[i].at_ns, 100 * US, "request %zu", i);
}

/* Twice what the worker can do: it is busy to the end, in time with all that it was given, and the
 * rest is refused. */
Test(simulation, overload_gives_what_the_machine_can) {
    enum { N = 4000 };
    static qr_simulated requests[N];
    const qr_simulation machine = machine_of(1);
    uint64_t last_ns = 0;
    for (size_t i = 0; i < N; i++) {
        requests[i] = request(i * 50, 100);
        requests[i].budget_ns = 2000 * US;
    }
    simulate(&machine, requests, N);
    for (size_t i = 0; i < N; i++)
        if (requests[i].status == QR_OK)
            last_ns = requests[i].done_ns > last_ns ? requests[i].done_ns : last_ns;
    size_t good = count(requests, N, QR_OK);
    cr_expect_eq(good * 100 * US, last_ns, "%zu good", good);
    cr_expect_geq(good, N / 2);
    cr_expect_leq(good, N / 2 + 20); /* what waits when the last one comes: 2 ms of work at most */
    cr_expect_eq(good + count(requests, N, QR_OVERLOADED), N);
}

Test(simulation, one_batch_a_worker) {
    qr_simulated requests[6];
    qr_simulation machine = machine_of(2);
    machine.batch_tokens = 10; /* a request each */
    for (size_t i = 0; i < 6; i++)
        requests[i] = request(0, 10);
    simulate(&machine, requests, 6);
    expect_done(requests, 6, (const unsigned[]){10, 10, 20, 20, 30, 30});
}

Test(simulation, what_waits_shares_a_batch) {
    qr_simulated requests[4];
    qr_simulation machine = machine_of(1);
    machine.alone.fixed_ns = 100 * US;
    for (size_t i = 0; i < 4; i++)
        requests[i] = request(i, 10);
    simulate(&machine, requests, 4);
    expect_done(requests, 4, (const unsigned[]){110, 240, 240, 240});
}

Test(simulation, the_nearest_deadline_is_next) {
    qr_simulated requests[4];
    qr_simulation machine = machine_of(1);
    machine.batch_tokens = 10;
    for (size_t i = 0; i < 4; i++)
        requests[i] = request(i, 10);
    requests[1].budget_ns = 9000 * US;
    requests[2].budget_ns = 5000 * US;
    requests[3].budget_ns = 7000 * US;
    simulate(&machine, requests, 4);
    expect_done(requests, 4, (const unsigned[]){10, 40, 20, 30});
}

Test(simulation, what_cannot_be_served_is_refused) {
    qr_simulated requests[4] = {request(0, 10), request(0, 513), request(0, 0), request(0, 10)};
    qr_simulation machine = machine_of(1);
    machine.queue_items = 1;
    simulate(&machine, requests, 4);
    cr_expect_eq(requests[0].status, QR_OK);
    cr_expect_eq(requests[1].status, QR_OVERLOADED, "no place is left");
    cr_expect_eq(requests[3].status, QR_OVERLOADED);
    machine.queue_items = 10;
    simulate(&machine, requests, 4);
    cr_expect_eq(requests[1].status, QR_TOO_LONG);
    cr_expect_eq(requests[2].status, QR_TOO_LONG);
    cr_expect_eq(requests[3].status, QR_OK);
}

/* At the head of the third nobody knows that it is short enough to overtake: 100 us that run and
 * 100 that wait are, half as much again each, longer than its budget. */
Test(simulation, the_head_asks_what_is_ahead) {
    qr_simulated requests[3] = {request(0, 100), request(1, 100), request(50, 1)};
    qr_simulation machine = machine_of(1);
    requests[1].budget_ns = 300 * US;
    requests[2].budget_ns = 260 * US;
    simulate(&machine, requests, 3);
    cr_expect_eq(requests[1].status, QR_OK);
    cr_expect_eq(requests[2].status, QR_OVERLOADED);
}

/* An idle server tries what it is asked, and is late: with the batch, or with the answer. */
Test(simulation, who_is_late) {
    qr_simulated requests[3] = {request(0, 10), request(100, 10), request(200, 10)};
    qr_simulation machine = machine_of(1);
    machine.after_ns = 5 * US;
    requests[0].budget_ns = 9 * US;
    requests[1].budget_ns = 14 * US;
    requests[2].budget_ns = 15 * US;
    simulate(&machine, requests, 3);
    cr_expect_eq(requests[0].status, QR_LATE);
    cr_expect_eq(requests[1].status, QR_LATE);
    cr_expect_eq(requests[2].status, QR_OK);
    cr_expect_eq(requests[1].done_ns, 115 * US);
}

/* The way to the scheduler delays, an answer keeps the worker. */
Test(simulation, what_is_around_the_batches) {
    qr_simulated requests[3] = {request(0, 10), request(0, 10), request(1, 10)};
    qr_simulation machine = machine_of(1);
    machine.after_ns = 2 * US;
    for (size_t i = 0; i < 3; i++)
        requests[i].way_ns = 3 * US;
    simulate(&machine, requests, 3);
    expect_done(requests, 3, (const unsigned[]){15, 37, 39});
}

/* Alone a batch of 100 tokens takes 100 us, with both workers 50. */
static qr_simulation pair(void) {
    qr_simulation machine = machine_of(2);
    machine.team = (qr_cost){.token_ns = US / 2.0};
    machine.team_len = 2;
    return machine;
}

Test(simulation, a_lonely_batch_is_helped) {
    qr_simulated requests[2] = {request(0, 100), request(1000, 60)};
    const qr_simulation machine = pair();
    simulate(&machine, requests, 2);
    expect_done(requests, 2, (const unsigned[]){50, 1030});
}

/* At 25 us half of the first is done; then each has one worker, and nobody comes back to help. */
Test(simulation, a_helper_leaves_for_new_work) {
    qr_simulated requests[3] = {request(0, 100), request(25, 100), request(30, 100)};
    const qr_simulation machine = pair();
    simulate(&machine, requests, 3);
    expect_done(requests, 3, (const unsigned[]){75, 125, 175});
}

/* Two of four workers were measured together: two work on a batch, and who begins the next takes
 * one of the others along. */
Test(simulation, a_team_is_as_large_as_it_was_measured) {
    qr_simulated requests[3] = {request(0, 100), request(10, 100), request(20, 100)};
    qr_simulation machine = pair();
    machine.workers = 4;
    simulate(&machine, requests, 3);
    expect_done(requests, 3, (const unsigned[]){80, 60, 120});
}

/* Three together are three times as fast, so two are twice as fast. */
Test(simulation, half_of_the_help_is_half_of_the_gain) {
    qr_simulated requests[2] = {request(0, 120), request(20, 120)};
    qr_simulation machine = machine_of(3);
    machine.team = (qr_cost){.token_ns = US / 3.0};
    machine.team_len = 3;
    simulate(&machine, requests, 2);
    expect_done(requests, 2, (const unsigned[]){50, 140});
}

/* The two halves of a round */

/* What is late is finished in the first, and leaves nothing to end. */
Test(simulation, a_round_has_a_batch_or_none) {
    static fake_machine machine;
    static fake_queue queue;
    fake_open(&machine, &queue, 1, 64, 100);
    qr__worker *worker = &machine.schedule->workers[0];
    work *late = work_create(&queue, 1, 10, 1, fake_time(&machine) + 1),
         *good = work_create(&queue, 1, 10, 2, NEVER);
    cr_expect_eq(qr__worker_begin(worker), QR__ROUND_NOTHING);
    cr_assert_eq(work_submit(&machine, late), QR_OK);
    atomic_fetch_add(&machine.now_ns, 1);
    cr_expect_eq(qr__worker_begin(worker), QR__ROUND_WORKED);
    cr_expect_eq(late->ticket.status, QR_LATE);
    cr_assert_eq(work_submit(&machine, good), QR_OK);
    cr_expect_eq(qr__worker_begin(worker), QR__ROUND_BATCH);
    cr_expect_eq(machine.schedule->busy, 1);
    cr_expect_eq(atomic_load(&good->finished), 0);
    good->jobs[0].result = good->jobs[0].room;
    atomic_fetch_add(&machine.now_ns, 7);
    qr__worker_end(worker);
    cr_expect_eq(machine.schedule->busy, 0);
    cr_expect_eq(atomic_load(&good->finished), 1);
    cr_expect_eq(good->ticket.done_ns - good->ticket.started_ns, 7);
    cr_expect_eq(atomic_load(&queue.batches), 0, "nothing was computed");
    work_destroy(late), work_destroy(good);
    fake_stop(&machine);
}

/* A recorded load */

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Bursts and lulls around what the machine can do, one long text in ten, budgets from hopeless to
 * ample. Times are whole microseconds, as batches are: many come in the moment when one ends. */
static void draw(qr_simulated *trace, size_t len, uint64_t seed) {
    uint64_t at_ns = FAKE_START_NS;
    for (size_t i = 0; i < len; i++) {
        bool busy = (i / 200) % 2 == 0, is_long = next_random(&seed) % 10 == 0;
        at_ns += US * (next_random(&seed) % (busy ? 20 : 120));
        trace[i] = (qr_simulated){
            .at_ns = at_ns,
            .budget_ns = 1 + next_random(&seed) % (next_random(&seed) % 8 == 0 ? 30000 : 3000000),
            .tokens = 1 + next_random(&seed) % (is_long ? 300 : 30)};
    }
}

Test(simulation, the_same_load_ends_the_same) {
    enum { N = 3000 };
    static qr_simulated first[N], second[N];
    qr_simulation machine = pair();
    draw(first, N, 1);
    draw(second, N, 1);
    simulate(&machine, first, N);
    simulate(&machine, second, N);
    cr_expect_eq(memcmp(first, second, sizeof first), 0);
}

/* The recording: the schedule of schedule_fixture.h gets a load at its times, also within batches,
 * which its fake engine runs. */
static struct recording {
    fake_machine machine;
    fake_queue queue;
    qr_simulated *trace;
    work *works[4000]; /* NULL: refused */
    size_t next, len;
} rec;

static void arrive(void) {
    qr_simulated *request = &rec.trace[rec.next];
    uint64_t deadline_ns = request->at_ns + request->budget_ns;
    atomic_store(&rec.machine.now_ns, request->at_ns);
    request->status = qr_schedule_outlook(rec.machine.schedule, deadline_ns);
    if (request->status == QR_OK) {
        work *w = work_create(&rec.queue, 1, request->tokens, 0, deadline_ns);
        request->status = work_submit(&rec.machine, w);
        if (request->status == QR_OK)
            rec.works[rec.next] = w;
        else
            work_destroy(w);
    }
    rec.next++;
}

/* The batch has moved the clock: who came meanwhile comes at his time. */
static void while_it_runs(fake_queue *queue) {
    uint64_t end_ns = fake_time(queue->machine);
    while (rec.next < rec.len && rec.trace[rec.next].at_ns < end_ns)
        arrive();
    atomic_store(&queue->machine->now_ns, end_ns);
}

static void record(qr_simulated *trace, size_t len) {
    cr_assert_leq(len, sizeof rec.works / sizeof *rec.works);
    fake_create(&rec.machine, 1, 40);
    fake_queue_init(&rec.queue, &rec.machine, TOKEN_NS, 64, 290);
    rec.queue.during = while_it_runs;
    rec.trace = trace;
    rec.len = len;
    while (fake_run(&rec.machine) > 0 || rec.next < len)
        if (rec.next < len)
            arrive();
    for (size_t i = 0; i < len; i++) {
        work *w = rec.works[i];
        if (w == NULL)
            continue;
        trace[i].done_ns = w->ticket.done_ns;
        trace[i].status = w->ticket.status;
        if (trace[i].status == QR_OK && trace[i].done_ns > trace[i].at_ns + trace[i].budget_ns)
            trace[i].status = QR_LATE;
        work_destroy(w);
    }
    fake_stop(&rec.machine);
}

Test(simulation, a_recorded_load_ends_as_it_did) {
    enum { N = 4000 };
    static qr_simulated recorded[N], simulated[N];
    const qr_simulation machine = {.workers = 1,
                                   .alone = {.token_ns = TOKEN_NS},
                                   .queue_items = 40,
                                   .batch_tokens = 64,
                                   .job_tokens = 290};
    draw(recorded, N, 7);
    draw(simulated, N, 7);
    record(recorded, N);
    simulate(&machine, simulated, N);
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(simulated[i].status, recorded[i].status, "request %zu: %s, recorded %s", i,
                     qr_status_name(simulated[i].status), qr_status_name(recorded[i].status));
        if (recorded[i].status == QR_OK)
            cr_assert_eq(simulated[i].done_ns, recorded[i].done_ns, "request %zu", i);
    }
    /* Of everything there was enough. */
    cr_expect_geq(count(recorded, N, QR_OK), 1000);
    cr_expect_geq(count(recorded, N, QR_OVERLOADED), 100);
    cr_expect_geq(count(recorded, N, QR_LATE), 20);
    cr_expect_geq(count(recorded, N, QR_TOO_LONG), 5);
}

/* A device: one batch of whatever waits, which costs as much as a single one; and two side by side,
 * each at half the speed. */
Test(simulation, batches_of_a_device) {
    qr_simulated requests[6];
    qr_simulation machine = machine_of(4);
    machine.alone = machine.team = (qr_cost){.fixed_ns = 100 * US};
    machine.streams = 1;
    for (size_t i = 0; i < 6; i++)
        requests[i] = request(i == 0 ? 0 : 10, 80);
    simulate(&machine, requests, 6);
    expect_done(requests, 6, (const unsigned[]){100, 200, 200, 200, 200, 200});
    machine.streams = 2;
    for (size_t i = 0; i < 6; i++)
        requests[i] = request(i == 0 ? 0 : 10, 80);
    simulate(&machine, requests, 6);
    expect_done(requests, 6, (const unsigned[]){190, 210, 300, 300, 300, 300});
}

/* Far above what single texts would allow: batches grow, and nobody is refused for the share of a
 * batch that others bear too. */
Test(simulation, a_device_carries_by_batching) {
    enum { N = 20000 };
    static qr_simulated requests[N];
    qr_simulation machine = machine_of(4);
    machine.alone = machine.team = (qr_cost){.fixed_ns = 100 * US, .token_ns = 100};
    machine.streams = 2;
    for (size_t i = 0; i < N; i++) {
        requests[i] = request(i * 5, 9); /* 200,000 a second */
        requests[i].budget_ns = 20000 * US;
    }
    simulate(&machine, requests, N);
    cr_expect_eq(count(requests, N, QR_OK), N, "%zu of %d", count(requests, N, QR_OK), N);
}
