/* Requests that ask the same at the same time: one is computed, all are answered, and whoever
 * leaves leaves alone. Workers are held by the tests, so that nothing depends on speed. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/flow_fixture.h"

#define CACHE_BYTES (1u << 20)

TestSuite(sharing, .timeout = 120);

static flow_house house;
static flow_hold hold;

static bool is_answered(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Asks for input 0 until the request has got as far as `count` says. False: its budget was over
 * before. */
static bool ask(int fd, unsigned budget_ms, size_t (*count)(flow_house *)) {
    char text[16];
    snprintf(text, sizeof text, "%u", budget_ms);
    client_send(fd, 0, 0, budget_ms == 0 ? NULL : text);
    while (count(&house) == 0 && !is_answered(fd))
        usleep(500);
    return !is_answered(fd);
}

/* One worker, held; a client that leads, and one that has joined it, both asking for input 0. Their
 * budgets (0: a minute) are doubled if the machine was too slow to get there within them. */
static void open_pair(int *leader, int *mate, unsigned leader_ms, unsigned mate_ms) {
    for (;; leader_ms *= 2, mate_ms *= 2) {
        flow_open_caching(&house, 1, CACHE_BYTES);
        flow_hold_worker(&house, &hold);
        *leader = client_connect(&house);
        *mate = client_connect(&house);
        if (ask(*leader, leader_ms, flow_at_work) && ask(*mate, mate_ms, flow_joined) &&
            !is_answered(*leader))
            return;
        flow_let_go(&hold);
        close(*leader), close(*mate);
        flow_close(&house);
    }
}

/* How many sequences the model of seed 0 has computed. */
static double computed(void) {
    return flow_metric(&house, "querent_model_items_total{model=\"seed-0\"}");
}

Test(sharing, a_question_under_way_is_waited_for) {
    int leader, mate;
    open_pair(&leader, &mate, 0, 0);
    int other = client_connect(&house);
    client_send(other, 1, 0, NULL);
    flow_wait_at_work(&house, 2); /* another question is another matter */
    flow_let_go(&hold);
    client_expect(leader, 0, 0);
    client_expect(mate, 0, 0);
    client_expect(other, 1, 0);
    cr_expect_eq(computed(), 2);
    cr_expect_eq(flow_metric(&house, "querent_joins_total"), 1);
    client_send(mate, 0, 0, NULL); /* and from now on it is in the cache */
    client_expect(mate, 0, 0);
    cr_expect_eq(computed(), 2);
    close(leader), close(mate), close(other);
    flow_close(&house);
}

Test(sharing, a_leader_that_leaves_is_computed_for_its_mates) {
    int leader, mate;
    open_pair(&leader, &mate, 0, 0);
    close(leader);
    for (char *page = NULL, *gone = NULL; gone == NULL; free(page)) {
        page = flow_metrics(&house);
        gone = strstr(page, "querent_rejections_total{reason=\"gone\"} 1\n");
    }
    int third = client_connect(&house); /* it can still be joined */
    client_send(third, 0, 0, NULL);
    flow_wait_joined(&house, 2);
    flow_let_go(&hold);
    client_expect(mate, 0, 0);
    client_expect(third, 0, 0);
    cr_expect_eq(computed(), 1);
    close(mate), close(third);
    flow_close(&house);
}

Test(sharing, a_mate_that_leaves_leaves_alone) {
    int leader, mate;
    open_pair(&leader, &mate, 0, 0);
    close(mate);
    flow_wait_joined(&house, 0);
    flow_wait_at_work(&house, 1);
    flow_let_go(&hold);
    client_expect(leader, 0, 0);
    close(leader);
    flow_close(&house);
}

Test(sharing, what_nobody_waits_for_is_not_computed) {
    int leader, mate;
    open_pair(&leader, &mate, 0, 0);
    close(leader);
    close(mate);
    flow_wait_joined(&house, 0);
    flow_wait_at_work(&house, 0); /* taken back, though the worker is still held */
    cr_expect_eq(qr_schedule_depth(house.schedule), 0);
    flow_let_go(&hold);
    flow_close(&house);
}

/* The leader's 504 is not the mate's: it has its own budget. */
Test(sharing, each_has_its_own_deadline) {
    int leader, mate, third;
    open_pair(&leader, &mate, 100, 0);
    cr_expect_eq(client_receive(leader, NULL), 504);
    flow_wait_joined(&house, 1);
    third = client_connect(&house);
    client_send(third, 0, 0, "30");
    cr_expect_eq(client_receive(third, NULL), 504);
    flow_let_go(&hold);
    client_expect(mate, 0, 0);
    client_send(leader, 0, 0, NULL); /* the connections go on */
    client_expect(leader, 0, 0);
    cr_expect_eq(computed(), 1);
    close(leader), close(mate), close(third);
    flow_close(&house);
}

Test(sharing, late_for_all_is_taken_back) {
    int leader, mate;
    open_pair(&leader, &mate, 100, 100);
    cr_expect_eq(client_receive(leader, NULL), 504);
    cr_expect_eq(client_receive(mate, NULL), 504);
    flow_wait_at_work(&house, 0);
    flow_let_go(&hold);
    client_send(leader, 1, 0, NULL);
    client_expect(leader, 1, 0);
    cr_expect_eq(computed(), 1);
    close(leader), close(mate);
    flow_close(&house);
}

/* Generations have different answers. */
Test(sharing, not_with_another_generation) {
    int leader, mate;
    open_pair(&leader, &mate, 0, 0);
    flow_serve(&house, 1);
    int other = client_connect(&house);
    client_send(other, 0, 0, NULL);
    flow_wait_at_work(&house, 2);
    flow_let_go(&hold);
    client_expect(leader, 0, 0);
    client_expect(mate, 0, 0);
    client_expect(other, 0, 1);
    close(leader), close(mate), close(other);
    flow_close(&house);
}

/* One step of the loop answers no more than so many. */
Test(sharing, beyond_its_mates_a_new_leader) {
    int fds[QR__MATES_MOST + 3];
    const size_t len = sizeof fds / sizeof fds[0];
    open_pair(&fds[0], &fds[1], 0, 0);
    for (size_t i = 2; i < len; i++) {
        fds[i] = client_connect(&house);
        client_send(fds[i], 0, 0, NULL);
    }
    flow_wait_joined(&house, QR__MATES_MOST + 1);
    flow_wait_at_work(&house, 2);
    flow_let_go(&hold);
    for (size_t i = 0; i < len; i++) {
        client_expect(fds[i], 0, 0);
        close(fds[i]);
    }
    cr_expect_eq(computed(), 2);
    flow_close(&house);
}

/* The table alone, with hashes that are all alike. */
Test(sharing, equal_hashes_are_not_equal_questions) {
    const int32_t ids[] = {1, 2, 3, 4};
    const uint8_t types[] = {0, 0, 1};
    qr_job jobs[] = {{.ids = ids, .tokens = 3},
                     {.ids = ids + 1, .tokens = 3},
                     {.ids = ids, .tokens = 2},
                     {.ids = ids, .types = types, .tokens = 3}};
    const qr__key key = {.model = 1, .len = 1, .hash = {5}}, of_two = {.model = 2, .len = 1, {5}};
    const qr_ticket ticket = {.jobs = jobs, .jobs_len = 1};
    qr__joins *joins;
    qr__joint leader = {0};
    cr_assert_eq(qr__joins_create(&joins), QR_OK);
    qr__joins_lead(joins, &leader, &ticket, &key);
    cr_expect_eq(qr__joins_find(joins, &ticket, &key), &leader);
    cr_expect_null(qr__joins_find(joins, &ticket, &of_two), "another model's");
    for (size_t i = 1; i < sizeof jobs / sizeof jobs[0]; i++) {
        const qr_ticket other = {.jobs = &jobs[i], .jobs_len = 1};
        cr_expect_null(qr__joins_find(joins, &other, &key), "job %zu", i);
    }
    qr__joins_leave(&leader);
    cr_expect_null(qr__joins_find(joins, &ticket, &key));
    qr__joins_destroy(joins);
}

static qr_queue_run *right_run;
static sem_t running, go_on;

static qr_status run_when_told(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len) {
    sem_post(&running);
    wait_for(&go_on);
    return right_run(queue, worker, jobs, len);
}

static void make_it_long(void *flow) {
    qr_queue *queue = &qr_serving_at(qr__flow_serving(flow), 0)->queue;
    queue->cost = (qr_cost){.token_ns = 25 * (double)QR_NS_PER_S};
    atomic_store(&queue->correction, 1);
    right_run = queue->run;
    queue->run = run_when_told;
}

/* The one worker runs input 1, which is said to take 75 s. Returns who waits for it. */
static int fill_the_server(void) {
    sem_init(&running, 0, 0);
    sem_init(&go_on, 0, 0);
    flow_on_loop(&house, make_it_long, house.flow);
    int fd = client_connect(&house);
    client_send(fd, 1, 0, NULL);
    wait_for(&running);
    return fd;
}

/* There is no room for a computation, but for what needs none. */
Test(sharing, answers_that_are_there_are_not_refused) {
    flow_open_caching(&house, 1, CACHE_BYTES);
    int asks = client_connect(&house), joins = client_connect(&house);
    client_send(asks, 0, 0, NULL);
    client_expect(asks, 0, 0);
    int waits = fill_the_server();
    client_send(asks, 2, 0, NULL);
    cr_expect_eq(client_receive(asks, NULL), 429);
    client_send(asks, 0, 0, NULL);
    client_expect(asks, 0, 0);
    client_send(joins, 1, 0, NULL);
    flow_wait_joined(&house, 1);
    client_send(asks, 0, 4000, NULL); /* it would take long to find out */
    cr_expect_eq(client_receive(asks, NULL), 429);
    sem_post(&go_on);
    client_expect(waits, 1, 0);
    client_expect(joins, 1, 0);
    close(asks), close(waits), close(joins);
    flow_close(&house);
}

/* When nothing has been shared for long, one in 16 is looked for. */
Test(sharing, is_looked_for_as_often_as_it_pays) {
    flow_open_caching(&house, 1, 1); /* nothing is kept */
    int asks = client_connect(&house);
    for (int i = 0; i < 900; i++) { /* (1 - 1/256)^900 is 0.03 */
        client_send(asks, 0, 0, NULL);
        client_expect(asks, 0, 0);
    }
    int waits = fill_the_server(), again = client_connect(&house), refused = 0;
    client_send(asks, 1, 0, NULL); /* the first of 16 */
    flow_wait_joined(&house, 1);
    for (; flow_joined(&house) == 1; refused++) {
        client_send(again, 1, 0, NULL);
        while (!is_answered(again) && flow_joined(&house) == 1)
            usleep(500);
        if (flow_joined(&house) == 1)
            cr_assert_eq(client_receive(again, NULL), 429);
    }
    cr_expect_eq(refused, 16);
    sem_post(&go_on);
    client_expect(waits, 1, 0);
    client_expect(asks, 1, 0);
    client_expect(again, 1, 0);
    close(asks), close(waits), close(again);
    flow_close(&house);
}

/* Few questions, many who ask them. The cache is too small for an entry, and generations change, so
 * joins are all that is shared. */
Test(sharing, under_traffic, .timeout = 600) {
    enum { CLIENTS = 6, SWAPS = 200 };
    flow_open_caching(&house, 2, 1);
    clients_start(&house, CLIENTS, 0, "0.3");
    for (size_t swap = 1; swap <= SWAPS; swap++) {
        flow_serve(&house, swap % SEEDS);
        usleep(1000);
    }
    clients_stop();
    flow_close(&house);
}

/* Several requests in one: a worker writes their answers one by one, while the loop compares the
 * jobs of all of them with what others ask. (What it is for is seen under ThreadSanitizer.) */

#define ASKERS 4
#define ROUNDS 40

static pthread_barrier_t round_begins;

static void *ask_in_parts(void *unused) {
    (void)unused;
    int fd = client_connect(&house);
    for (int round = 0; round < ROUNDS; round++) {
        char text[256];
        snprintf(text, sizeof text,
                 "{\"instances\":[{\"inputs\":\"w%d\"},{\"inputs\":[\"w%d w6\",\"w7\"]},"
                 "{\"inputs\":\"w8 w%d\"}]}",
                 10 + round, 11 + round, 12 + round);
        pthread_barrier_wait(&round_begins);
        client_post(fd, "/vertex", text);
        cr_assert_eq(client_receive(fd, NULL), 200);
    }
    close(fd);
    return NULL;
}

Test(sharing, requests_of_several_parts, .timeout = 300) {
    pthread_t askers[ASKERS];
    flow_open_caching(&house, 2, CACHE_BYTES);
    pthread_barrier_init(&round_begins, NULL, ASKERS);
    for (size_t i = 0; i < ASKERS; i++)
        cr_assert_eq(pthread_create(&askers[i], NULL, ask_in_parts, NULL), 0);
    for (size_t i = 0; i < ASKERS; i++)
        pthread_join(askers[i], NULL);
    pthread_barrier_destroy(&round_begins);
    cr_expect_gt(flow_metric(&house, "querent_joins_total") +
                     flow_metric(&house, "querent_cache_hits_total"),
                 0);
    flow_close(&house);
}
