/* The way of a request from socket to socket, where it is cut short: deadlines and hang-ups while a
 * worker has the turn, and generations that are replaced meanwhile. Workers are held by the tests,
 * so that what they show does not depend on speed. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/flow_fixture.h"

#define LONG_BODY 20000 /* decoded by a worker */

static flow_house house;

static double metric(const char *series) {
    return flow_metric(&house, series);
}

static double offered(void) {
    return metric("querent_offered_compute_seconds_total{model=\"seed-0\"}");
}

Test(flow, answers_and_keeps_the_connection, .timeout = 120) {
    flow_open(&house, 1);
    int fd = client_connect(&house);
    for (size_t input = 0; input < INPUTS; input++) {
        client_send(fd, input, input % 2 == 0 ? 0 : LONG_BODY, NULL);
        client_expect(fd, input, 0);
    }
    close(fd);
    flow_close(&house);
}

/* The worker is still to decode the body when its budget is over: the 504 comes all the same, and
 * the work ends unseen; what it would have cost is counted as much as that of the first of its
 * kind. */
Test(flow, late_while_a_worker_decodes, .timeout = 120) {
    flow_hold hold;
    char *body;
    flow_open(&house, 1);
    int fd = client_connect(&house), late = 0;
    client_send(fd, 0, LONG_BODY, NULL);
    cr_assert_eq(client_receive(fd, NULL), 200);
    double first = offered();
    flow_hold_worker(&house, &hold);
    for (unsigned budget_ms = 30; flow_at_work(&house) == 0; budget_ms *= 2, late++) {
        char text[16]; /* doubled if the machine was too slow to read the body within it */
        snprintf(text, sizeof text, "%u", budget_ms);
        client_send(fd, 0, LONG_BODY, text);
        cr_expect_eq(client_receive(fd, NULL), 504);
    }
    cr_expect_eq(flow_at_work(&house), 1);
    client_send(fd, 1, 0, NULL); /* the connection goes on while the worker is still held */
    flow_wait_at_work(&house, 2);
    flow_let_go(&hold);
    cr_assert_eq(client_receive(fd, &body), 200);
    cr_expect_eq(client_check(body, 1), 0);
    flow_wait_at_work(&house, 0); /* the batch went first: the worker was held by a task */
    cr_expect_gt(offered(), 0.999 * (1 + late) * first, "%d were late", late);
    free(body);
    close(fd);
    flow_close(&house);
}

Test(flow, late_in_the_queue, .timeout = 120) {
    flow_hold hold;
    flow_open(&house, 1);
    int fd = client_connect(&house);
    flow_hold_worker(&house, &hold);
    client_send(fd, 0, 0, "30");
    cr_expect_eq(client_receive(fd, NULL), 504);
    flow_wait_at_work(&house, 0); /* taken back: no worker has ever had it */
    cr_expect_eq(qr_schedule_depth(house.schedule), 0);
    flow_let_go(&hold);
    close(fd);
    flow_close(&house);
}

/* An inference with a timeout in its body, in microseconds, and `padding` bytes of another field;
 * its head has the longest budget that there is. */
static void send_inference(int fd, unsigned timeout_us, int padding) {
    qr_buf request, body;
    qr_buf_init(&body, 1u << 20);
    qr_buf_init(&request, 1u << 20);
    qr_buf_printf(
        &body,
        "{\"parameters\":{\"timeout\":%u},\"other\":\"%*s\",\"inputs\":[{\"name\":\"text\","
        "\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"w5\"]}]}",
        timeout_us, padding, "");
    qr_buf_printf(&request,
                  "POST /v2/models/seed-0/infer HTTP/1.1\r\nHost: h\r\n"
                  "X-Request-Budget-Ms: 600000\r\nContent-Length: %zu\r\n\r\n",
                  body.len);
    qr_buf_text(&request, qr_buf_contents(&body));
    for (size_t sent = 0; sent < request.len;) {
        ssize_t bytes = send(fd, request.data + sent, request.len - sent, 0);
        cr_assert_gt(bytes, 0);
        sent += (size_t)bytes;
    }
    qr_buf_deinit(&body);
    qr_buf_deinit(&request);
}

/* The only worker is held: who had only the head's budget would wait longer than the test may. */
Test(flow, a_timeout_in_the_body_is_the_budget, .timeout = 120) {
    flow_hold hold;
    flow_open(&house, 1);
    int fd = client_connect(&house), code = 0;
    flow_hold_worker(&house, &hold);
    for (unsigned us = 30000; code != 504;
         us *= 2) { /* till the machine was quick enough to queue it */
        send_inference(fd, us, 0);
        code = client_receive(fd, NULL);
        cr_assert(code == 504 || code == 429, "%d", code);
    }
    flow_wait_at_work(&house, 0); /* taken back */
    send_inference(fd, 1, LONG_BODY);
    flow_wait_at_work(&house, 1);
    flow_let_go(&hold);
    code = client_receive(fd, NULL); /* decoded, and too late by then */
    cr_assert(code == 504 || code == 429, "%d", code);
    for (int padding = 0; padding <= LONG_BODY; padding += LONG_BODY) {
        send_inference(fd, 300000000, padding);
        cr_assert_eq(client_receive(fd, NULL), 200);
    }
    close(fd);
    flow_close(&house);
}

Test(flow, a_client_that_leaves, .timeout = 120) {
    flow_hold hold;
    flow_open(&house, 1);
    flow_hold_worker(&house, &hold);
    int queued = client_connect(&house), decoding = client_connect(&house);
    client_send(queued, 0, 0, NULL);
    flow_wait_at_work(&house, 1);
    client_send(decoding, 0, LONG_BODY, NULL);
    flow_wait_at_work(&house, 2);
    close(queued);
    flow_wait_at_work(&house, 1); /* its jobs were taken back */
    close(decoding);
    for (char *page = NULL, *gone = NULL; gone == NULL; free(page)) {
        page = flow_metrics(&house);
        gone = strstr(page, "querent_rejections_total{reason=\"gone\"} 2\n");
    }
    flow_wait_at_work(&house, 1); /* the worker still has it */
    flow_let_go(&hold);
    flow_close(&house);
}

/* A request is answered by the generation that was current when its head came. */
Test(flow, a_replaced_generation_ends_what_it_began, .timeout = 120) {
    flow_hold hold;
    flow_open(&house, 1);
    int before = client_connect(&house), decoding = client_connect(&house),
        after = client_connect(&house);
    flow_hold_worker(&house, &hold);
    client_send(before, 0, 0, NULL);
    flow_wait_at_work(&house, 1);
    client_send(decoding, 1, LONG_BODY, NULL);
    flow_wait_at_work(&house, 2);
    flow_serve(&house, 1);
    client_send(after, 2, 0, NULL);
    flow_wait_at_work(&house, 3);
    flow_let_go(&hold);
    client_expect(before, 0, 0);
    client_expect(decoding, 1, 0);
    client_expect(after, 2, 1);
    close(before), close(decoding), close(after);
    flow_close(&house);
}

static void serve_the_next(flow_house *h) {
    flow_serve(h, 1);
}

Test(flow, a_generation_is_pinned_at_the_head, .timeout = 120) {
    flow_open(&house, 1);
    int fd = client_connect(&house);
    client_send_halves(&house, fd, 3, serve_the_next);
    client_expect(fd, 3, 0);
    close(fd);
    flow_close(&house);
}

static void expect_outcomes(int met, int late, int refused, int gone) {
    cr_expect_eq(metric("querent_budget_requests_total{outcome=\"met\"}"), met);
    cr_expect_eq(metric("querent_budget_requests_total{outcome=\"late\"}"), late);
    cr_expect_eq(metric("querent_budget_requests_total{outcome=\"refused\"}"), refused);
    cr_expect_eq(metric("querent_budget_requests_total{outcome=\"gone\"}"), gone);
}

#define DEAR_TOKEN_S 1000 /* with the longest budget there is, no text is affordable */

static void make_dear(void *flow) {
    qr_served *model = qr_serving_at(qr__flow_serving(flow), 0);
    model->queue.cost = model->team_cost = (qr_cost){.token_ns = DEAR_TOKEN_S * 1e9};
    atomic_store(&model->queue.correction, 1);
}

static sem_t begun, go;

static qr_status run_when_told(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len) {
    (void)queue, (void)worker, (void)jobs, (void)len;
    sem_post(&begun);
    wait_for(&go);
    return QR_INTERNAL;
}

/* The model is tried for any budget, and its batches last. */
static void make_it_last(void *flow) {
    qr_queue *queue = &qr_serving_at(qr__flow_serving(flow), 0)->queue;
    sem_init(&begun, 0, 0);
    sem_init(&go, 0, 0);
    queue->team_cost = NULL;
    queue->run = run_when_told;
}

/* Each request to a model has one outcome, and what it was to cost is counted, computed or not: by
 * its tokens, or by the length of its body when nobody read it. The only worker is held. */
Test(flow, outcomes_and_what_was_offered, .timeout = 120) {
    flow_hold hold;
    flow_open(&house, 1);
    int fd = client_connect(&house), leaving = client_connect(&house);
    client_send(fd, 0, 0, NULL);
    cr_assert_eq(client_receive(fd, NULL), 200);
    double first = offered();
    cr_expect_gt(first, 0);
    flow_hold_worker(&house, &hold);
    client_send(fd, 0, 0, "30");
    cr_expect_eq(client_receive(fd, NULL), 504);
    expect_outcomes(1, 1, 0, 0);
    flow_on_loop(&house, make_dear, house.flow);
    client_send(fd, 0, 0, NULL);
    cr_expect_eq(client_receive(fd, NULL), 429);
    expect_outcomes(1, 1, 1, 0);
    cr_expect_eq(metric("querent_rejections_total{reason=\"impossible\"}"), 1);
    size_t tokens;
    (void)fixture_ids(0, &tokens);
    double dear = offered(), cost = (double)tokens * DEAR_TOKEN_S;
    cr_expect(dear >= cost && dear < cost + 1, "%f for %f", dear, cost);
    flow_on_loop(&house, make_it_last, house.flow);
    flow_let_go(&hold);
    client_send(leaving, 0, 0, NULL);
    wait_for(&begun);
    double before = offered(), mean = before / 4; /* of four that were read, of one length */
    cr_expect(before >= 2 * cost && before < 2 * cost + 1, "%f for %f", before, 2 * cost);
    client_send(fd, 0, 0, NULL);
    cr_expect_eq(client_receive(fd, NULL), 429);
    cr_expect_eq(metric("querent_rejections_total{reason=\"overloaded\"}"), 1);
    cr_expect_float_eq(offered(), before + mean, 1, "%f behind %f", offered(), before);
    close(leaving);
    for (double gone = 0; gone == 0;)
        gone = metric("querent_budget_requests_total{outcome=\"gone\"}");
    expect_outcomes(1, 1, 2, 1);
    sem_post(&go);
    close(fd);
    flow_close(&house);
}

Test(flow, generations_under_traffic, .timeout = 600) {
    enum { CLIENTS = 4, SWAPS = 400 };
    flow_open(&house, 2);
    clients_start(&house, CLIENTS, LONG_BODY, "0.2");
    int fd = client_connect(&house);
    for (size_t swap = 1; swap <= SWAPS; swap++) {
        flow_serve(&house, swap % SEEDS);
        client_send(fd, swap % INPUTS, 0, NULL);
        client_expect(fd, swap % INPUTS, swap % SEEDS);
    }
    close(fd);
    clients_stop();
    flow_close(&house);
}

static qr_queue_run *right_run;
static atomic_int wrong_jobs;

/* The engine, but for one float in every job of the second input. */
static qr_status wrong_now_and_then(qr_queue *queue, int worker, const qr_job *const *jobs,
                                    size_t len) {
    qr_status status = right_run(queue, worker, jobs, len);
    size_t tokens;
    const int32_t *ids = fixture_ids(1, &tokens);
    for (size_t i = 0; i < len; i++)
        if (jobs[i]->tokens == tokens && memcmp(jobs[i]->ids, ids, tokens * sizeof *ids) == 0) {
            uint32_t bits;
            memcpy(&bits, &jobs[i]->room[7], sizeof bits);
            bits ^= 1; /* the least that can be wrong */
            memcpy(&jobs[i]->room[7], &bits, sizeof bits);
            atomic_fetch_add(&wrong_jobs, 1);
        }
    return status;
}

static void make_it_wrong(void *flow) {
    qr_queue *queue = &qr_serving_at(qr__flow_serving(flow), 0)->queue;
    right_run = queue->run;
    queue->run = wrong_now_and_then;
}

static void wait_for_metric(const char *line) {
    for (bool found = false; !found;) {
        char *page = flow_metrics(&house);
        found = strstr(page, line) != NULL;
        free(page);
    }
}

/* Every answer is computed again when the workers are idle, and every wrong one is found. */
Test(flow, wrong_answers_are_found, .timeout = 120) {
    enum { REQUESTS = 40 };
    flow_open_checked(&house, 2, 1000000);
    int fd = client_connect(&house);
    for (size_t i = 0; i < REQUESTS; i++) {
        client_send(fd, i % INPUTS, 0, NULL);
        cr_assert_eq(client_receive(fd, NULL), 200);
    }
    wait_for_metric("\nquerent_verify_checked_total 40\n");
    wait_for_metric("\nquerent_verify_mismatches_total 0\n");
    flow_on_loop(&house, make_it_wrong, house.flow);
    for (size_t i = 0; i < REQUESTS; i++) {
        client_send(fd, i % INPUTS, 0, NULL);
        cr_assert_eq(client_receive(fd, NULL), 200);
    }
    wait_for_metric("\nquerent_verify_checked_total 80\n");
    wait_for_metric("\nquerent_verify_mismatches_total 10\n");
    wait_for_metric("\nquerent_verify_dropped_total 0\n");
    cr_expect_eq(atomic_load(&wrong_jobs), 10);
    close(fd);
    flow_close(&house);
}
