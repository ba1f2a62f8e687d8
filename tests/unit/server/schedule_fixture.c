#include "server/schedule_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t fake_now(void *state) {
    return atomic_load(&((fake_machine *)state)->now_ns);
}

static void fake_park(void *state, int worker) {
    (void)worker;
    wait_for(&((fake_machine *)state)->parked);
}

static void fake_wake(void *state) {
    fake_machine *machine = state;
    atomic_fetch_add(&machine->wakes, 1);
    sem_post(&machine->parked);
}

static qr_schedule_options options_of(fake_machine *machine, int workers, size_t queue_items) {
    *machine = (fake_machine){.clock = {fake_now, machine}, .now_ns = FAKE_START_NS};
    sem_init(&machine->parked, 0, 0);
    return (qr_schedule_options){
        .workers = workers,
        .queue_items = queue_items,
        .room = {.park = fake_park, .wake = fake_wake, .state = machine},
    };
}

void fake_create_device(fake_machine *machine, int workers, size_t streams, size_t queue_items) {
    qr_schedule_options options = options_of(machine, workers, queue_items);
    options.clock = &machine->clock;
    options.streams = streams;
    cr_assert_eq(qr__schedule_create(&options, &machine->schedule), QR_OK);
}

void fake_create(fake_machine *machine, int workers, size_t queue_items) {
    fake_create_device(machine, workers, 0, queue_items);
}

void fake_start_device(fake_machine *machine, int workers, size_t streams, size_t queue_items) {
    qr_schedule_options options = options_of(machine, workers, queue_items);
    qr_error error = {0};
    options.streams = streams;
    cr_assert_eq(qr_schedule_start(&options, &machine->schedule, &error), QR_OK, "%s",
                 error.message);
}

void fake_start(fake_machine *machine, int workers, size_t queue_items) {
    fake_start_device(machine, workers, 0, queue_items);
}

void fake_stop(fake_machine *machine) {
    if (machine->schedule->started == 0)
        fake_run(machine);
    qr_schedule_destroy(machine->schedule);
    sem_destroy(&machine->parked);
}

bool fake_round(fake_machine *machine, int worker) {
    return qr__worker_round(&machine->schedule->workers[worker]) == QR__ROUND_WORKED;
}

int fake_run(fake_machine *machine) {
    int rounds = 0;
    while (fake_round(machine, 0))
        rounds++;
    return rounds;
}

static void note(fake_queue *q, const qr_job *const *jobs, size_t len) {
    size_t at = strlen(q->history);
    for (size_t i = 0; i < len && at + 16 < sizeof q->history; i++)
        at += (size_t)snprintf(q->history + at, sizeof q->history - at, "%d%s", jobs[i]->ids[0],
                               i + 1 < len ? "+" : " ");
}

static qr_status run_fake(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len) {
    fake_queue *q = QR_OWNER(queue, fake_queue, queue);
    bool threaded = q->machine->schedule->started > 0, bad = false;
    size_t tokens = 0;
    (void)worker;
    for (size_t i = 0; i < len; i++) {
        tokens += jobs[i]->tokens;
        jobs[i]->room[0] = (float)(2 * jobs[i]->ids[0]);
        bad = bad || jobs[i]->ids[0] == BAD_ID;
    }
    if (!threaded) {
        note(q, jobs, len);
        q->most_jobs = qr_max(q->most_jobs, len);
        q->most_tokens = qr_max(q->most_tokens, tokens);
    }
    atomic_fetch_add(&q->machine->now_ns, tokens * q->token_ns);
    atomic_fetch_add(&q->items, len);
    atomic_fetch_add(&q->batches, 1);
    if (q->during != NULL)
        q->during(q);
    return bad ? QR_BAD_REQUEST : QR_OK;
}

void fake_queue_init(fake_queue *queue, fake_machine *machine, uint64_t token_ns,
                     size_t batch_tokens, size_t job_tokens) {
    *queue = (fake_queue){.machine = machine, .token_ns = token_ns};
    const qr_cost cost = {.token_ns = (double)token_ns};
    qr_queue_init(&queue->queue, run_fake, &cost, batch_tokens, job_tokens);
}

static void on_finished(qr_ticket *ticket) {
    static atomic_int finished_count;
    work *w = ticket->owner;
    w->order = atomic_fetch_add(&finished_count, 1);
    atomic_fetch_add(&w->finished, 1);
    sem_post(&w->done);
}

work *work_create(fake_queue *queue, size_t jobs, size_t tokens, int32_t id, uint64_t deadline_ns) {
    work *w = calloc(1, sizeof *w);
    w->jobs = calloc(jobs, sizeof *w->jobs);
    w->ids = calloc(jobs, (tokens + 1) * sizeof *w->ids);
    w->rooms = calloc(jobs, sizeof *w->rooms);
    for (size_t i = 0; i < jobs; i++) {
        int32_t *ids = w->ids + i * (tokens + 1);
        for (size_t t = 0; t <= tokens; t++)
            ids[t] = id + (int32_t)i;
        w->jobs[i] = (qr_job){.ids = ids, .tokens = tokens, .room = w->rooms + i};
    }
    w->ticket = (qr_ticket){.queue = &queue->queue,
                            .jobs = w->jobs,
                            .jobs_len = jobs,
                            .deadline_ns = deadline_ns,
                            .finished = on_finished,
                            .owner = w};
    sem_init(&w->done, 0, 0);
    return w;
}

void work_destroy(work *w) {
    sem_destroy(&w->done);
    free(w->jobs);
    free(w->ids);
    free(w->rooms);
    free(w);
}

qr_status work_submit(fake_machine *machine, work *w) {
    return qr_schedule_submit(machine->schedule, &w->ticket);
}

void work_wait(work *w) {
    wait_for(&w->done);
}

size_t work_computed(const work *w) {
    size_t count = 0;
    for (size_t i = 0; i < w->ticket.jobs_len; i++) {
        const qr_job *job = &w->jobs[i];
        if (job->result == NULL)
            continue;
        cr_expect_eq(job->result, job->room);
        cr_expect_eq(job->result[0], (float)(2 * job->ids[0]));
        count++;
    }
    return count;
}

void fake_open(fake_machine *machine, fake_queue *queue, int workers, size_t batch_tokens,
               size_t queue_items) {
    fake_create(machine, workers, queue_items);
    fake_queue_init(queue, machine, TOKEN_NS, batch_tokens, 128);
}

uint64_t fake_time(const fake_machine *machine) {
    return atomic_load(&machine->now_ns);
}
