/* The schedule with a real model (models/squad-3l): every ticket ends once, in its one right way.
 * Tasks that wait hold the workers where a test needs them held, so that nothing depends on speed.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/schedule/schedule.h"

#define MODEL   QR_SOURCE_DIR "/models/squad-3l"
#define WORKERS 2
#define TOKENS  12
#define SOON    (qr_clock_ns() + 120 * QR_NS_PER_S)

static qr_pipeline *model;
static qr_schedule *schedule;
static atomic_int finished_count;
static atomic_size_t batch_items;

static void on_batch(void *state, const qr_pipeline *pipeline, size_t items, size_t tokens,
                     uint64_t compute_ns) {
    (void)state, (void)pipeline, (void)tokens, (void)compute_ns;
    atomic_fetch_add(&batch_items, items);
}

static void open_with(int threads, size_t batch_tokens, size_t queue_items) {
    qr_error error = {0};
    qr_pipeline_options load = {.precision = QR_PRECISION_F32, .threads = 1};
    cr_assert_eq(qr_pipeline_load(MODEL, &load, &model, &error), QR_OK, "%s", error.message);
    const qr_pipeline *models[] = {model};
    qr_schedule_options options = {.models = models,
                                   .models_len = 1,
                                   .threads = threads,
                                   .batch_tokens = batch_tokens,
                                   .queue_items = queue_items,
                                   .on_batch = on_batch};
    static const qr_pipeline *kept[1];
    kept[0] = models[0];
    options.models = kept;
    cr_assert_eq(qr_schedule_start(&options, &schedule, &error), QR_OK, "%s", error.message);
}

static void close_all(void) {
    qr_schedule_stop(schedule);
    qr_pipeline_destroy(model);
}

/* A ticket with its jobs and what happened to it. */
typedef struct work {
    qr_ticket ticket;
    qr_job *jobs;
    int32_t *ids;
    float *results;
    size_t tokens; /* of each job */
    sem_t done;
    atomic_int finished;
    int order; /* among all that finished */
} work;

static void on_finished(qr_ticket *ticket) {
    work *w = ticket->owner;
    atomic_fetch_add(&w->finished, 1);
    w->order = atomic_fetch_add(&finished_count, 1);
    sem_post(&w->done);
}

static work *work_create(size_t jobs, size_t tokens, uint64_t deadline_ns) {
    work *w = calloc(1, sizeof *w);
    size_t floats = qr_pipeline_output_floats(model, tokens);
    w->tokens = tokens;
    w->jobs = calloc(jobs, sizeof *w->jobs);
    w->ids = calloc(jobs * tokens, sizeof *w->ids);
    w->results = calloc(jobs * floats, sizeof *w->results);
    for (size_t i = 0; i < jobs * floats; i++)
        w->results[i] = NAN;
    for (size_t i = 0; i < jobs * tokens; i++)
        w->ids[i] = (int32_t)(1000 + (i * 7919) % 20000);
    for (size_t i = 0; i < jobs; i++)
        w->jobs[i] = (qr_job){w->ids + i * tokens, NULL, tokens, w->results + i * floats};
    w->ticket = (qr_ticket){.model = model,
                            .jobs = w->jobs,
                            .jobs_len = jobs,
                            .deadline_ns = deadline_ns,
                            .finished = on_finished,
                            .owner = w};
    sem_init(&w->done, 0, 0);
    return w;
}

static void work_destroy(work *w) {
    sem_destroy(&w->done);
    free(w->jobs);
    free(w->ids);
    free(w->results);
    free(w);
}

static void wait_done(sem_t *done) {
    while (sem_wait(done) != 0)
        ;
}

static size_t computed(const work *w) {
    size_t floats = qr_pipeline_output_floats(model, w->tokens), count = 0;
    for (size_t i = 0; i < w->ticket.jobs_len; i++)
        count += isnan(w->results[i * floats]) ? 0u : 1u;
    return count;
}

/* Holds a worker until it is let go. */
typedef struct hold {
    qr_task task;
    sem_t held, go;
} hold;

static void on_hold(qr_task *task) {
    hold *h = task->owner;
    sem_post(&h->held);
    wait_done(&h->go);
}

static void hold_worker(hold *h) {
    h->task = (qr_task){.run = on_hold, .owner = h};
    sem_init(&h->held, 0, 0);
    sem_init(&h->go, 0, 0);
    qr_schedule_call(schedule, &h->task);
    wait_done(&h->held);
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

Test(schedule, results_are_the_engines, .timeout = 120) {
    open_with(WORKERS, 64, 1000);
    qr_context *context;
    qr_error error = {0};
    cr_assert_eq(qr_context_create(qr_pipeline_engine(model),
                                   &(qr_context_options){.tokens_max = 128, .sequences_max = 1},
                                   &context, &error),
                 QR_OK);
    work *works[20];
    for (size_t i = 0; i < 20; i++) {
        works[i] = work_create(1 + i % 5, 3 + i * 5, SOON);
        cr_assert_eq(qr_schedule_submit(schedule, &works[i]->ticket), QR_OK);
    }
    for (size_t i = 0; i < 20; i++) {
        work *w = works[i];
        wait_done(&w->done);
        cr_assert_eq(w->ticket.status, QR_OK);
        cr_assert(w->ticket.submitted_ns <= w->ticket.started_ns &&
                  w->ticket.started_ns < w->ticket.done_ns);
        for (size_t j = 0; j < w->ticket.jobs_len; j++) {
            const uint32_t starts[] = {0, (uint32_t)w->tokens};
            const qr_batch batch = {w->jobs[j].ids, NULL, starts, 1};
            const float *out;
            cr_assert_eq(qr_context_forward(context, &batch, qr_pipeline_output(model), &out),
                         QR_OK);
            for (size_t k = 0; k < qr_pipeline_output_floats(model, w->tokens); k++)
                cr_assert_float_eq(w->jobs[j].result[k], out[k], 1e-3,
                                   "ticket %zu job %zu float %zu", i, j, k);
        }
        work_destroy(w);
    }
    cr_expect_eq(qr_schedule_depth(schedule), 0);
    qr_context_destroy(context);
    close_all();
}

Test(schedule, full_queue_refuses_whole_tickets, .timeout = 120) {
    open_with(WORKERS, 64, 10);
    hold_all();
    work *a = work_create(6, TOKENS, SOON), *b = work_create(5, TOKENS, SOON),
         *c = work_create(4, TOKENS, SOON);
    cr_expect_eq(qr_schedule_submit(schedule, &a->ticket), QR_OK);
    cr_expect_eq(qr_schedule_submit(schedule, &b->ticket), QR_OVERLOADED);
    cr_expect_eq(qr_schedule_submit(schedule, &c->ticket), QR_OK);
    cr_expect_eq(qr_schedule_depth(schedule), 10);
    cr_expect_geq(qr_schedule_retry_ms(schedule), 1);
    let_all_go();
    wait_done(&a->done);
    wait_done(&c->done);
    cr_expect_eq(a->ticket.status, QR_OK);
    cr_expect_eq(c->ticket.status, QR_OK);
    cr_expect_eq(atomic_load(&b->finished), 0);
    cr_expect_eq(qr_schedule_submit(schedule, &b->ticket), QR_OK);
    wait_done(&b->done);
    close_all();
    work_destroy(a), work_destroy(b), work_destroy(c);
}

Test(schedule, what_cannot_be_in_time_is_refused, .timeout = 120) {
    open_with(WORKERS, 64, 4000);
    work *measured = work_create(20, TOKENS, SOON);
    cr_assert_eq(qr_schedule_submit(schedule, &measured->ticket), QR_OK);
    wait_done(&measured->done);
    cr_expect_eq(qr_schedule_outlook(schedule, qr_clock_ns() + QR_NS_PER_MS), QR_OK,
                 "nothing is ahead");
    cr_expect_eq(qr_schedule_outlook(schedule, qr_clock_ns()), QR_LATE);
    hold_all();
    work *ahead = work_create(1000, 32, SOON),
         *hasty = work_create(1, TOKENS, qr_clock_ns() + 2 * QR_NS_PER_MS);
    work *patient = work_create(1, TOKENS, SOON);
    cr_assert_eq(qr_schedule_submit(schedule, &ahead->ticket), QR_OK);
    cr_expect_gt(qr_schedule_retry_ms(schedule), 1);
    cr_expect_eq(qr_schedule_outlook(schedule, qr_clock_ns() + 2 * QR_NS_PER_MS), QR_OVERLOADED);
    hasty->ticket.deadline_ns = qr_clock_ns() + 2 * QR_NS_PER_MS;
    cr_expect_eq(qr_schedule_submit(schedule, &hasty->ticket), QR_OVERLOADED);
    cr_expect_eq(qr_schedule_outlook(schedule, SOON), QR_OK);
    cr_expect_eq(qr_schedule_submit(schedule, &patient->ticket), QR_OK);
    cr_expect(qr_schedule_cancel(schedule, &ahead->ticket, QR_GONE));
    hasty->ticket.deadline_ns = SOON;
    cr_expect_eq(qr_schedule_submit(schedule, &hasty->ticket), QR_OK);
    let_all_go();
    wait_done(&hasty->done);
    wait_done(&patient->done);
    cr_expect_eq(qr_schedule_outlook(schedule, qr_clock_ns() + QR_NS_PER_MS), QR_OK,
                 "nothing is left");
    close_all();
    work_destroy(measured), work_destroy(ahead), work_destroy(hasty), work_destroy(patient);
}

Test(schedule, late_jobs_are_not_computed, .timeout = 120) {
    open_with(WORKERS, 64, 100);
    work *never = work_create(1, TOKENS, qr_clock_ns());
    cr_expect_eq(qr_schedule_submit(schedule, &never->ticket), QR_LATE);
    hold_all();
    work *late = work_create(3, TOKENS, qr_clock_ns() + 20 * QR_NS_PER_MS),
         *good = work_create(3, TOKENS, SOON);
    cr_expect_eq(qr_schedule_submit(schedule, &late->ticket), QR_OK);
    cr_expect_eq(qr_schedule_submit(schedule, &good->ticket), QR_OK);
    while (qr_clock_ns() < late->ticket.deadline_ns)
        usleep(1000);
    let_all_go();
    wait_done(&late->done);
    wait_done(&good->done);
    cr_expect_eq(late->ticket.status, QR_LATE);
    cr_expect_eq(computed(late), 0);
    cr_expect_eq(good->ticket.status, QR_OK);
    cr_expect_eq(computed(good), 3);
    cr_expect_eq(atomic_load(&never->finished), 0);
    close_all();
    cr_expect_eq(atomic_load(&batch_items), 3);
    work_destroy(late), work_destroy(good), work_destroy(never);
}

Test(schedule, cancelled_in_the_queue, .timeout = 120) {
    open_with(WORKERS, 64, 100);
    hold_all();
    work *a = work_create(3, TOKENS, SOON), *b = work_create(3, TOKENS, SOON),
         *c = work_create(3, TOKENS, SOON);
    cr_assert_eq(qr_schedule_submit(schedule, &a->ticket), QR_OK);
    cr_assert_eq(qr_schedule_submit(schedule, &b->ticket), QR_OK);
    cr_assert_eq(qr_schedule_submit(schedule, &c->ticket), QR_OK);
    cr_expect(qr_schedule_cancel(schedule, &b->ticket, QR_GONE));
    cr_expect(qr_schedule_cancel(schedule, &c->ticket, QR_LATE));
    cr_expect_eq(qr_schedule_depth(schedule), 3);
    work_destroy(b), work_destroy(c); /* theirs no more: the sanitizers would see a touch */
    let_all_go();
    wait_done(&a->done);
    cr_expect_eq(a->ticket.status, QR_OK);
    cr_expect_not(qr_schedule_cancel(schedule, &a->ticket, QR_GONE), "it has ended");
    cr_expect_eq(a->ticket.status, QR_OK);
    close_all();
    cr_expect_eq(atomic_load(&batch_items), 3);
    work_destroy(a);
}

Test(schedule, cancelled_while_running, .timeout = 120) {
    open_with(WORKERS, 64, 4000);
    work *w = work_create(2000, 32, SOON);
    cr_assert_eq(qr_schedule_submit(schedule, &w->ticket), QR_OK);
    while (atomic_load(&batch_items) == 0)
        usleep(100);
    bool here = qr_schedule_cancel(schedule, &w->ticket, QR_GONE);
    if (!here) { /* nearly always: a worker is at it */
        wait_done(&w->done);
        cr_expect_eq(w->ticket.status, QR_GONE);
    }
    cr_expect_eq(atomic_load(&w->finished), here ? 0 : 1);
    cr_expect_lt(computed(w), 2000);
    cr_expect_eq(qr_schedule_depth(schedule), 0);
    close_all();
    work_destroy(w);
}

Test(schedule, a_large_ticket_does_not_starve_small_ones, .timeout = 120) {
    open_with(1, 128, 4000);
    hold h;
    hold_worker(&h);
    work *large = work_create(400, 32, SOON), *small[5];
    cr_assert_eq(qr_schedule_submit(schedule, &large->ticket), QR_OK);
    for (size_t i = 0; i < 5; i++) {
        small[i] = work_create(1, TOKENS, SOON);
        cr_assert_eq(qr_schedule_submit(schedule, &small[i]->ticket), QR_OK);
    }
    sem_post(&h.go);
    wait_done(&large->done);
    for (size_t i = 0; i < 5; i++) {
        wait_done(&small[i]->done);
        cr_expect_lt(small[i]->order, large->order);
        cr_expect_lt(small[i]->ticket.done_ns - small[i]->ticket.submitted_ns,
                     (large->ticket.done_ns - large->ticket.submitted_ns) / 2);
        work_destroy(small[i]);
    }
    cr_expect_eq(computed(large), 400);
    close_all();
    work_destroy(large);
}

Test(schedule, stop_finishes_what_was_admitted, .timeout = 120) {
    open_with(WORKERS, 64, 1000);
    work *works[40];
    for (size_t i = 0; i < 40; i++) {
        works[i] = work_create(5, TOKENS, SOON);
        cr_assert_eq(qr_schedule_submit(schedule, &works[i]->ticket), QR_OK);
    }
    close_all();
    cr_expect_eq(atomic_load(&finished_count), 40);
    cr_expect_eq(atomic_load(&batch_items), 200);
    for (size_t i = 0; i < 40; i++) {
        cr_expect_eq(works[i]->ticket.status, QR_OK);
        cr_expect_eq(atomic_load(&works[i]->finished), 1);
        work_destroy(works[i]);
    }
}

Test(schedule, a_bad_job_fails_its_own_ticket_only, .timeout = 120) {
    open_with(1, 512, 100);
    hold h;
    hold_worker(&h);
    work *good = work_create(2, TOKENS, SOON), *bad = work_create(2, TOKENS, SOON),
         *more = work_create(2, TOKENS, SOON);
    bad->ids[TOKENS + 3] = 0x7fffffff; /* no such token */
    cr_assert_eq(qr_schedule_submit(schedule, &good->ticket), QR_OK);
    cr_assert_eq(qr_schedule_submit(schedule, &bad->ticket), QR_OK);
    cr_assert_eq(qr_schedule_submit(schedule, &more->ticket), QR_OK);
    sem_post(&h.go);
    wait_done(&good->done);
    wait_done(&bad->done);
    wait_done(&more->done);
    cr_expect_eq(good->ticket.status, QR_OK);
    cr_expect_eq(bad->ticket.status, QR_INTERNAL);
    cr_expect_eq(more->ticket.status, QR_OK);
    cr_expect_eq(computed(good) + computed(more), 4);
    cr_expect_eq(qr_schedule_depth(schedule), 0);
    close_all();
    work_destroy(good), work_destroy(bad), work_destroy(more);
}

Test(schedule, lengths, .timeout = 120) {
    open_with(WORKERS, 16, 100);
    size_t longest = qr_pipeline_max_tokens(model);
    work *w = work_create(1, longest, SOON), *too_long = work_create(1, longest + 1, SOON),
         *empty = work_create(1, 4, SOON);
    empty->jobs[0].tokens = 0;
    cr_expect_eq(qr_schedule_submit(schedule, &too_long->ticket), QR_TOO_LONG);
    cr_expect_eq(qr_schedule_submit(schedule, &empty->ticket), QR_TOO_LONG);
    cr_assert_eq(qr_schedule_submit(schedule, &w->ticket), QR_OK,
                 "longer than the batch's budget: runs alone");
    wait_done(&w->done);
    cr_expect_eq(w->ticket.status, QR_OK);
    close_all();
    work_destroy(w), work_destroy(too_long), work_destroy(empty);
}

/* Many tickets of all sorts, cancelled at random: each ends exactly once, and nothing is left. For
 * TSan above all. */
Test(schedule, every_ticket_ends_once, .timeout = 240) {
    enum { ROUNDS = 30, EACH = 16 };
    open_with(WORKERS, 64, 200);
    uint64_t seed = 7;
    size_t ended = 0, submitted = 0;
    for (int round = 0; round < ROUNDS; round++) {
        work *works[EACH];
        bool mine[EACH];
        for (size_t i = 0; i < EACH; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            uint64_t dice = seed >> 33;
            uint64_t deadline = dice % 7 == 0 ? qr_clock_ns() + dice % 3000000 : SOON;
            works[i] = work_create(1 + dice % 9, 2 + dice % 20, deadline);
            mine[i] = qr_schedule_submit(schedule, &works[i]->ticket) != QR_OK;
            submitted += !mine[i];
            if (!mine[i] && dice % 3 == 0) {
                mine[i] =
                    qr_schedule_cancel(schedule, &works[i]->ticket, dice % 2 ? QR_GONE : QR_LATE);
                ended += mine[i];
            }
        }
        for (size_t i = 0; i < EACH; i++) {
            if (!mine[i]) {
                wait_done(&works[i]->done);
                ended++;
                qr_status status = works[i]->ticket.status;
                cr_assert(status == QR_OK || status == QR_LATE || status == QR_GONE);
                if (status == QR_OK)
                    cr_assert_eq(computed(works[i]), works[i]->ticket.jobs_len);
            }
            cr_assert_eq(atomic_load(&works[i]->finished), mine[i] ? 0 : 1);
            work_destroy(works[i]);
        }
        cr_assert_eq(qr_schedule_depth(schedule), 0);
    }
    cr_expect_eq(ended, submitted);
    close_all();
}

Test(schedule, two_models_take_turns, .timeout = 120) {
    qr_error error = {0};
    qr_pipeline *second;
    qr_pipeline_options load = {.name = "second", .precision = QR_PRECISION_F32, .threads = 1};
    cr_assert_eq(qr_pipeline_load(MODEL, &load, &second, &error), QR_OK);
    load.name = "first";
    cr_assert_eq(qr_pipeline_load(MODEL, &load, &model, &error), QR_OK);
    const qr_pipeline *models[] = {model, second};
    qr_schedule_options options = {
        .models = models, .models_len = 2, .threads = 1, .batch_tokens = 64, .queue_items = 4000};
    cr_assert_eq(qr_schedule_start(&options, &schedule, &error), QR_OK, "%s", error.message);
    hold h;
    hold_worker(&h);
    work *many = work_create(200, 32, SOON), *few = work_create(4, 32, SOON);
    few->ticket.model = second;
    cr_assert_eq(qr_schedule_submit(schedule, &many->ticket), QR_OK);
    cr_assert_eq(qr_schedule_submit(schedule, &few->ticket), QR_OK);
    sem_post(&h.go);
    wait_done(&many->done);
    wait_done(&few->done);
    cr_expect_lt(few->order, many->order);
    cr_expect_eq(computed(few), 4);
    cr_expect_eq(computed(many), 200);
    qr_schedule_stop(schedule);
    qr_pipeline_destroy(model);
    qr_pipeline_destroy(second);
    work_destroy(many), work_destroy(few);
}
