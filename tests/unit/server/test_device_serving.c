/* A model on a device with processors of its own, a double of one, under the schedule's threads: as
 * many lanes as streams, right answers, and what its failures are to tickets, metrics and log. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/device_double.h"
#include "server/ops/metrics.h"
#include "server/schedule_fixture.h"
#include "server/serving_fixture.h"

#define WORKERS 4
#define TICKETS 200

static fake_machine machine;
static qr_metrics *metrics;
static qr_served *model;

static void set_up(void) {
    static const char *const routes[] = {"/embed"};
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    fixture_expect();
    device_double_begin();
    device_double.streams = 2;
    device_double.varies = true;
    cr_assert_eq(qr_metrics_create(&(qr_metrics_options){routes, 1, 1}, &metrics), QR_OK);
    fake_start_device(&machine, WORKERS, 2, 1000);
    model = fixture_served(0, &(qr__served_options){.workers = WORKERS,
                                                    .batch_tokens = 64,
                                                    .schedule = machine.schedule,
                                                    .metrics = metrics});
    cr_assert_str_eq(qr_engine_plan(qr_pipeline_engine(model->pipeline))->device, "cuda");
}

static void tear_down(void) {
    qr__served_unpin(model);
    fake_stop(&machine);
    cr_expect_eq(device_double.contexts, 0);
    cr_expect_eq(device_double.packed, 0);
    cr_expect_eq(device_double.opened, 0);
    device_double_end();
    qr_metrics_destroy(metrics);
    fixture_forget();
}

TestSuite(device_serving, .init = set_up, .fini = tear_down, .timeout = 120);

/* A ticket for an input, and its answer. */
typedef struct asked {
    qr_ticket ticket;
    qr_job job;
    size_t input;
    float room[TINY_POSITIONS * TINY_HIDDEN];
    sem_t done;
} asked;

static void on_done(qr_ticket *ticket) {
    sem_post(&((asked *)ticket->owner)->done);
}

static void ask(asked *a, size_t input, bool hidden) {
    a->input = input;
    a->job = (qr_job){.room = a->room};
    a->job.ids = fixture_ids(input, &a->job.tokens);
    a->ticket = (qr_ticket){.queue = hidden ? &model->hidden_queue : &model->queue,
                            .jobs = &a->job,
                            .jobs_len = 1,
                            .deadline_ns = qr_clock_ns() + 3600 * QR_NS_PER_S,
                            .finished = on_done,
                            .owner = a};
    sem_init(&a->done, 0, 0);
    cr_assert_eq(qr_schedule_submit(machine.schedule, &a->ticket), QR_OK);
}

static qr_status answer_to(asked *a) {
    wait_for(&a->done);
    sem_destroy(&a->done);
    return a->ticket.status;
}

static qr_status ask_one(void) {
    static asked one;
    ask(&one, 1, false);
    return answer_to(&one);
}

Test(device_serving, as_many_lanes_as_streams) {
    static asked all[TICKETS];
    cr_expect_eq(device_double.contexts, 2, "%d", device_double.contexts);
    device_double.most_at_once = 0;
    device_double.forward_us = 200;
    for (size_t i = 0; i < TICKETS; i++)
        ask(&all[i], i % INPUTS, i % 3 == 0);
    for (size_t i = 0; i < TICKETS; i++) {
        cr_assert_eq(answer_to(&all[i]), QR_OK);
        if (i % 3 != 0)
            cr_expect_arr_eq(all[i].room, fixture_expected(0, all[i].input),
                             TINY_HIDDEN * sizeof(float));
    }
    cr_expect_leq(device_double.most_at_once, 2);
    cr_expect_lt(device_double.forwards, TICKETS); /* they were batched */
}

/* What is written to stderr while `step` runs. */
static void capture(void (*step)(void), char *text, size_t bytes) {
    char path[] = "/tmp/querent-device-XXXXXX";
    int kept = dup(STDERR_FILENO), fd = mkstemp(path);
    cr_assert(kept >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    step();
    dup2(kept, STDERR_FILENO);
    close(kept);
    ssize_t len = pread(fd, text, bytes - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    close(fd);
    unlink(path);
}

static void fail_once(void) {
    device_double.forward = QR_DEVICE;
    cr_expect_eq(ask_one(), QR_DEVICE);
    device_double.forward = QR_OK;
}

static void fail_for_good(void) {
    device_double.lost = true;
    for (int i = 0; i < 5; i++)
        cr_expect_eq(ask_one(), QR_DEVICE);
}

static size_t lines(const char *text, const char *part) {
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        found++;
    return found;
}

Test(device_serving, a_failed_batch_is_told_and_the_next_one_runs) {
    char text[4000];
    capture(fail_once, text, sizeof text);
    cr_expect_eq(lines(text, "model seed-0: its device (cuda) failed a batch"), 1, "%s", text);
    cr_expect_eq(atomic_load(&metrics->models[model->slot].device_failures), 1);
    cr_expect_not(qr_engine_lost(qr_pipeline_engine(model->pipeline)));
    cr_expect_eq(ask_one(), QR_OK);
}

Test(device_serving, a_lost_device_is_told_by_its_backend) {
    char text[8000];
    capture(fail_for_good, text, sizeof text);
    cr_expect_eq(lines(text, "error"), 0, "nor is every batch: %s", text);
    cr_expect_eq(atomic_load(&metrics->models[model->slot].device_failures), 5);
    cr_expect(qr_engine_lost(qr_pipeline_engine(model->pipeline)));
}
