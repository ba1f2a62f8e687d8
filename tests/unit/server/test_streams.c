/* Queues of a device with processors of its own: few batches side by side, never cut, in one line;
 * and what its failures are to a ticket. Stepped by hand (schedule_fixture.h). */
#include <criterion/criterion.h>

#include "server/schedule_fixture.h"

#define WORKERS 4

static fake_machine machine;
static fake_queue gpu, hidden;

static void set_up(void) {
    fake_create_device(&machine, WORKERS, 2, 1000);
    fake_queue_init(&gpu, &machine, TOKEN_NS, 512, 512);
    fake_queue_init(&hidden, &machine, TOKEN_NS, 512, 512);
}

static void tear_down(void) {
    cr_expect_eq(machine.schedule->busy, 0);
    fake_stop(&machine);
}

TestSuite(streams, .init = set_up, .fini = tear_down);

static work *submit(fake_queue *queue, size_t jobs, size_t tokens, int32_t id) {
    work *w = work_create(queue, jobs, tokens, id, LATER);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    return w;
}

static qr__round begin(int worker) {
    return qr__worker_begin(&machine.schedule->workers[worker]);
}

static void end(int worker) {
    qr__worker *w = &machine.schedule->workers[worker];
    for (size_t i = 0; i < w->len; i++)
        w->jobs[i]->result = w->jobs[i]->room;
    qr__worker_end(w);
}

static size_t jobs_of(int worker) {
    return machine.schedule->workers[worker].len;
}

static const qr_queue *queue_of(int worker) {
    return machine.schedule->workers[worker].queue;
}

static bool waits(void) {
    return qr__schedule_waiting(machine.schedule, fake_time(&machine));
}

Test(streams, a_batch_takes_all_that_waits) {
    work *many = submit(&gpu, 30, 9, 1), *rest = submit(&gpu, 40, 9, 1);
    cr_assert_eq(begin(0), QR__ROUND_BATCH);
    cr_expect_eq(jobs_of(0), 512 / 9); /* a queue of the CPU would be cut in four */
    cr_assert_eq(begin(1), QR__ROUND_BATCH);
    cr_expect_eq(jobs_of(1), 70 - 512 / 9);
    end(0), end(1);
    work_destroy(many), work_destroy(rest);
}

/* All queues share the device's streams; what waits meanwhile fills the next batch. */
Test(streams, no_more_batches_than_streams) {
    work *works[6];
    works[0] = submit(&gpu, 1, 9, 1);
    cr_assert_eq(begin(0), QR__ROUND_BATCH);
    works[1] = submit(&hidden, 1, 9, 1);
    cr_assert_eq(begin(1), QR__ROUND_BATCH);
    int wakes = machine.wakes;
    for (int i = 2; i < 6; i++)
        works[i] = submit(i % 2 == 0 ? &gpu : &hidden, 1, 9, 1);
    cr_expect_eq(machine.wakes, wakes, "nobody is woken for what may not go");
    cr_expect_not(waits());
    cr_expect_eq(begin(2), QR__ROUND_NOTHING);
    end(0); /* whoever is parked takes the next batch while worker 0 writes its answers */
    cr_expect_eq(machine.wakes, wakes + 1);
    cr_assert_eq(begin(3), QR__ROUND_BATCH);
    cr_expect_eq(jobs_of(3), 2);
    cr_expect_eq(begin(0), QR__ROUND_NOTHING);
    end(1);
    cr_assert_eq(begin(1), QR__ROUND_BATCH);
    cr_expect_eq(jobs_of(1), 2);
    cr_expect_neq(queue_of(1), queue_of(3));
    end(1), end(3);
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(works[i]->ticket.status, QR_OK);
        work_destroy(works[i]);
    }
}

/* Nothing of a full device is found however the queues come and go. */
Test(streams, a_queue_that_empties_and_fills_keeps_its_limit) {
    for (int round = 0; round < 50; round++) {
        work *a = submit(&gpu, 1, 9, 1);
        cr_assert_eq(begin(0), QR__ROUND_BATCH);
        work *b = submit(&hidden, 1, 9, 1);
        cr_assert_eq(begin(1), QR__ROUND_BATCH);
        work *c = submit(&gpu, 1, 9, 1);
        cr_assert_eq(begin(2), QR__ROUND_NOTHING);
        cr_expect(qr_schedule_cancel(machine.schedule, &c->ticket, QR_GONE));
        end(0), end(1);
        work_destroy(a), work_destroy(b), work_destroy(c);
        cr_assert_eq(begin(0), QR__ROUND_NOTHING);
    }
}

Test(streams, long_jobs_stand_in_the_same_line) {
    work *longer = submit(&gpu, 1, 300, 1), *shorter = submit(&gpu, 1, 9, 1);
    cr_expect_eq(longer->ticket.line, QR_LINE_SHORT);
    cr_assert_eq(begin(0), QR__ROUND_BATCH);
    cr_expect_eq(jobs_of(0), 2);
    cr_expect_eq(machine.schedule->running_long, 0);
    end(0);
    work_destroy(longer), work_destroy(shorter);
}

/* What a batch costs by itself is spread over a full one while tickets wait, and is counted whole
 * when it runs; both for as many batches as run side by side. */
Test(streams, prices) {
    gpu.queue.cost = (qr_cost){.fixed_ns = 1024000, .token_ns = 100};
    work *w = submit(&gpu, 1, 10, 1);
    cr_expect_eq(w->ticket.turn.cost_ns, (uint64_t)((20000 + 1000) * QR__MARGIN / 2));
    cr_assert_eq(begin(0), QR__ROUND_BATCH);
    cr_expect_eq(machine.schedule->workers[0].cost_ns, 1025000);
    cr_expect_eq(machine.schedule->running_ns, (uint64_t)(1025000 * QR__MARGIN / 2));
    end(0);
    cr_expect_eq(machine.schedule->running_ns, 0);
    work_destroy(w);
}

/* Costs are corrected by batches that had their full company on the device, and by no others. */
Test(streams, corrections) {
    gpu.queue.cost = (qr_cost){.fixed_ns = 1000};
    for (int with = 0; with < 2; with++) {
        work *a = submit(&gpu, 1, 9, 1), *b = NULL;
        cr_assert_eq(begin(0), QR__ROUND_BATCH);
        if (with) {
            b = submit(&gpu, 1, 9, 1);
            cr_assert_eq(begin(1), QR__ROUND_BATCH);
        }
        machine.now_ns += 5000;
        end(0);
        cr_expect_eq(qr_queue_correction(&gpu.queue), 1);
        if (with) {
            end(1);
            cr_expect_gt(qr_queue_correction(&gpu.queue), 1);
            work_destroy(b);
        }
        work_destroy(a);
    }
}

static qr_status fails(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len) {
    (void)queue, (void)worker;
    for (size_t i = 0; i < len; i++)
        if (jobs[i]->ids[0] == 13)
            return QR_DEVICE;
        else if (jobs[i]->ids[0] == 14)
            return QR_BAD_REQUEST;
    return QR_OK;
}

/* Each job of a batch that failed has a second chance; what fails again says why. */
Test(streams, a_device_that_fails_is_no_internal_error) {
    gpu.queue.run = fails;
    work *good = submit(&gpu, 1, 9, 1), *bad = submit(&gpu, 1, 9, 13),
         *odd = submit(&gpu, 1, 9, 14);
    fake_run(&machine);
    cr_expect_eq(good->ticket.status, QR_OK);
    cr_expect_eq(bad->ticket.status, QR_DEVICE);
    cr_expect_eq(odd->ticket.status, QR_INTERNAL);
    cr_expect(bad->jobs[0].result == NULL);
    work_destroy(good), work_destroy(bad), work_destroy(odd);
}
