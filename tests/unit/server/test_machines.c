/* The machines of a process: which model goes to which, what they share, and that requests go to
 * the schedule of their model's machine and to no other. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "semaphores.h"
#include "server/flow_fixture.h"
#include "server/machines.h"
#include "server/schedule/schedule_internal.h"
#include "server/schedule_fixture.h"

TestSuite(machines, .timeout = 60);

static qr__machines *machines;
static atomic_int idle_calls;
static sem_t idle_called;

static bool on_idle(void *state, int worker) {
    (void)state, (void)worker;
    atomic_fetch_add(&idle_calls, 1);
    sem_post(&idle_called);
    return false;
}

static void start(int workers) {
    const qr__machines_options options = {.workers = workers, .queue_items = 100, .idle = on_idle};
    qr_error error = {0};
    sem_init(&idle_called, 0, 0);
    cr_assert_eq(qr__machines_start(&options, &machines, &error), QR_OK, "%s", error.message);
}

static const qr__machine *find(const char *device, unsigned number, size_t streams) {
    qr_plan_info plan = {.number = number, .streams = streams};
    const qr__machine *machine;
    snprintf(plan.device, sizeof plan.device, "%s", device);
    cr_assert_eq(qr__machines_find(machines, &plan, &machine, NULL), QR_OK);
    return machine;
}

/* All models of a device share its schedule, and nobody else's. */
Test(machines, one_a_device) {
    start(3);
    const qr__machine *cpu = qr__machines_cpu(machines), *first = find("cuda", 0, 2);
    cr_expect_eq(find("cpu", 0, 0), cpu);
    cr_expect_neq(first, cpu);
    cr_expect_neq(first->schedule, cpu->schedule);
    cr_expect_neq(first->pool, cpu->pool, "its workers are nobody's helpers");
    const qr__machine *second = find("cuda", 1, 2), *other = find("other", 0, 8);
    cr_expect(second != first && other != first && other != second);
    for (size_t i = 0; i < 2 * QR_LIMIT_MODELS; i++) /* more than there can be */
        cr_expect_eq(find("cuda", 0, 2), first);
    cr_expect_eq(find("cuda", 1, 2), second);
    cr_expect_eq(find("cpu", 0, 0), cpu);
    cr_expect_eq(cpu->schedule->options.streams, 0);
    cr_expect_eq(first->schedule->options.streams, 2);
    cr_expect_eq(first->schedule->options.workers, 3);
    cr_expect_eq(other->schedule->options.streams, 3, "no more than can wait for it");
    qr__machines_destroy(machines);
}

static sem_t begun, go;

static qr_status held_batch(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len) {
    (void)queue, (void)worker, (void)jobs, (void)len;
    sem_post(&begun);
    wait_for(&go);
    return QR_OK;
}

static void on_done(qr_ticket *ticket) {
    sem_post(ticket->owner);
}

static void on_task(qr_task *task) {
    sem_post(task->owner);
}

/* What a worker does when nothing is to be done waits for the other machines; whoever ends the last
 * job of all does it then. */
Test(machines, idle_is_who_has_nothing_on_any) {
    const qr_cost cost = {.token_ns = 1};
    sem_t done, ran;
    float room;
    qr_queue queue;
    start(1);
    sem_init(&begun, 0, 0), sem_init(&go, 0, 0), sem_init(&done, 0, 0), sem_init(&ran, 0, 0);
    qr_schedule *cpu = qr__machines_cpu(machines)->schedule, *gpu = find("cuda", 0, 2)->schedule;
    wait_for(&idle_called), wait_for(&idle_called); /* each as it starts */
    qr_queue_init(&queue, held_batch, &cost, 64, 64);
    qr_job job = {.tokens = 3, .room = &room};
    qr_ticket ticket = {.queue = &queue,
                        .jobs = &job,
                        .jobs_len = 1,
                        .deadline_ns = UINT64_MAX,
                        .finished = on_done,
                        .owner = &done};
    cr_assert_eq(qr_schedule_submit(gpu, &ticket), QR_OK);
    wait_for(&begun);
    int before = atomic_load(&idle_calls);
    cr_expect_eq(qr__machines_depth(machines), 1);
    qr_task task = {.run = on_task, .owner = &ran};
    qr_schedule_call(cpu, &task);
    wait_for(&ran);
    usleep(20000); /* nothing is to happen: the CPU's worker looks, and parks */
    cr_expect_eq(atomic_load(&idle_calls), before);
    while (sem_trywait(&idle_called) == 0)
        ;
    sem_post(&go);
    wait_for(&done);
    wait_for(&idle_called);
    cr_expect_eq(qr__machines_depth(machines), 0);
    qr__machines_destroy(machines);
}

/* What ends on one may call another that is stopped; and all that was admitted is finished. */
Test(machines, stop_finishes_all) {
    const qr_cost cost = {.token_ns = 1};
    sem_t done[2], ran;
    float room;
    qr_queue queues[2];
    qr_job jobs[2];
    qr_ticket tickets[2];
    start(2);
    sem_init(&begun, 0, 0), sem_init(&go, 0, 2), sem_init(&ran, 0, 0);
    qr_schedule *schedules[] = {qr__machines_cpu(machines)->schedule, find("cuda", 3, 1)->schedule};
    for (size_t i = 0; i < 2; i++) {
        sem_init(&done[i], 0, 0);
        qr_queue_init(&queues[i], held_batch, &cost, 64, 64);
        jobs[i] = (qr_job){.tokens = 3, .room = &room};
        tickets[i] = (qr_ticket){.queue = &queues[i],
                                 .jobs = &jobs[i],
                                 .jobs_len = 1,
                                 .deadline_ns = UINT64_MAX,
                                 .finished = on_done,
                                 .owner = &done[i]};
        cr_assert_eq(qr_schedule_submit(schedules[i], &tickets[i]), QR_OK);
    }
    qr__machines_stop(machines);
    for (size_t i = 0; i < 2; i++) {
        cr_expect_eq(sem_trywait(&done[i]), 0);
        qr_task task = {.run = on_task, .owner = &ran};
        qr_schedule_call(schedules[i], &task);
        cr_expect_eq(sem_trywait(&ran), 0);
    }
    qr__machines_stop(machines);
    qr__machines_destroy(machines);
    qr__machines_destroy(NULL);
}

/* In the flow: two models of one generation on two machines, the first one, which is asked when
 * none is named, on the one that is no CPU. */

static flow_house house;
static fake_machine device;

static void hand_over(void *serving) {
    qr__flow_serve(house.flow, serving);
}

static void open_two(void) {
    flow_open_caching(&house, 1, 1u << 20);
    fake_start_device(&device, 1, 1, 1000);
    const qr__served_options there = {
        .workers = 1, .batch_tokens = 64, .schedule = device.schedule, .metrics = house.metrics};
    qr__served_options here = there;
    here.schedule = house.schedule;
    qr_serving_entry entries[] = {{"seed-1", QR_KIND_EMBEDDING, fixture_served(1, &there)},
                                  {"seed-0", QR_KIND_EMBEDDING, fixture_served(0, &here)}};
    qr_serving *serving;
    for (size_t i = 0; i < 2; i++) { /* so that nobody is refused, however slow the machine is */
        entries[i].model->queue.cost = (qr_cost){0};
        entries[i].model->team_cost = (qr_cost){0};
    }
    cr_assert_eq(qr_serving_create(entries, 2, &serving), QR_OK);
    qr__served_unpin(entries[0].model), qr__served_unpin(entries[1].model);
    flow_on_loop(&house, hand_over, serving);
}

static void close_two(void) {
    flow_on_loop(&house, hand_over, NULL);
    flow_close(&house);
    fake_stop(&device);
}

static void hold_device(flow_hold *hold) {
    flow_house there = house;
    there.schedule = device.schedule;
    flow_hold_worker(&there, hold);
}

#define TO_SEED_0 "{\"model\":\"seed-0\",\"input\":\"w10\"}"

Test(machines, a_model_is_computed_on_its_machine) {
    flow_hold cpu, other;
    char *body;
    open_two();
    int fd = client_connect(&house);
    flow_hold_worker(&house, &cpu); /* the CPU's only one */
    client_send(fd, 0, 0, NULL);
    client_expect(fd, 0, 1);
    flow_let_go(&cpu);
    hold_device(&other);
    client_post(fd, "/v1/embeddings", TO_SEED_0);
    cr_assert_eq(client_receive(fd, &body), 200);
    cr_expect_eq(client_check(body, 1), 0);
    free(body);
    flow_let_go(&other);
    close(fd);
    close_two();
}

/* A ticket moves, and is taken back, in the order that it stands in. */
Test(machines, joins_and_late_requests_too) {
    flow_hold hold;
    open_two();
    int leader = client_connect(&house), mate = client_connect(&house);
    hold_device(&hold);
    client_send(leader, 0, 0, NULL);
    flow_wait_at_work(&house, 1);
    client_send(mate, 0, 0, "50000"); /* sooner */
    flow_wait_joined(&house, 1);
    int late = client_connect(&house);
    client_send(late, 2, 0, "100");
    cr_expect_eq(client_receive(late, NULL), 504);
    cr_expect_eq(qr_schedule_depth(device.schedule), 1, "it was taken back");
    cr_expect_eq(qr_schedule_depth(house.schedule), 0);
    flow_let_go(&hold);
    client_expect(leader, 0, 1);
    client_expect(mate, 0, 1);
    close(leader), close(mate), close(late);
    close_two();
}
