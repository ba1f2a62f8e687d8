/* The way of a request from socket to socket, where it is cut short: deadlines and hang-ups while a
 * worker has the turn, and generations that are replaced meanwhile. Workers are held by the tests,
 * so that what they show does not depend on speed. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/flow_fixture.h"

#define LONG_BODY 20000 /* decoded by a worker */

static flow_house house;

Test(flow, answers_and_keeps_the_connection, .timeout = 120) {
    char *body;
    flow_open(&house, 1);
    int fd = client_connect(&house);
    for (size_t input = 0; input < INPUTS; input++) {
        client_send(fd, input, input % 2 == 0 ? 0 : LONG_BODY, NULL);
        cr_assert_eq(client_receive(fd, &body), 200);
        cr_expect_eq(client_check(body, input), 0);
        free(body);
    }
    close(fd);
    flow_close(&house);
}

/* The worker is still to decode the body when its budget is over: the 504 comes all the same, and
 * the work ends unseen. */
Test(flow, late_while_a_worker_decodes, .timeout = 120) {
    flow_hold hold;
    char *body;
    flow_open(&house, 1);
    int fd = client_connect(&house);
    flow_hold_worker(&house, &hold);
    for (unsigned budget_ms = 30; flow_at_work(&house) == 0; budget_ms *= 2) {
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
    char *body;
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
    cr_assert_eq(client_receive(before, &body), 200);
    cr_expect_eq(client_check(body, 0), 0);
    free(body);
    cr_assert_eq(client_receive(decoding, &body), 200);
    cr_expect_eq(client_check(body, 1), 0);
    free(body);
    cr_assert_eq(client_receive(after, &body), 200);
    cr_expect_eq(client_check(body, 2), 1);
    free(body);
    close(before), close(decoding), close(after);
    flow_close(&house);
}

static void serve_the_next(flow_house *h) {
    flow_serve(h, 1);
}

Test(flow, a_generation_is_pinned_at_the_head, .timeout = 120) {
    char *body;
    flow_open(&house, 1);
    int fd = client_connect(&house);
    client_send_halves(&house, fd, 3, serve_the_next);
    cr_assert_eq(client_receive(fd, &body), 200);
    cr_expect_eq(client_check(body, 3), 0);
    free(body);
    close(fd);
    flow_close(&house);
}

static atomic_bool over;

/* Each answer is right for the generation that it names; some requests are late, some clients
 * leave. */
static void *client(void *number) {
    uint64_t dice = *(const uint64_t *)number;
    int fd = client_connect(&house);
    while (!atomic_load(&over)) {
        dice = dice * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t roll = dice >> 33;
        size_t input = roll % INPUTS;
        char *body;
        client_send(fd, input, roll % 5 == 0 ? LONG_BODY : 0, roll % 7 == 0 ? "0.2" : NULL);
        if (roll % 11 == 0) {
            close(fd);
            fd = client_connect(&house);
            continue;
        }
        int code = client_receive(fd, &body);
        if (code == 200)
            client_check(body, input);
        cr_assert(code == 200 || (roll % 7 == 0 && (code == 504 || code == 429)), "%d", code);
        free(body);
    }
    close(fd);
    return NULL;
}

Test(flow, generations_under_traffic, .timeout = 600) {
    enum { CLIENTS = 4, SWAPS = 400 };
    static uint64_t numbers[CLIENTS] = {1, 2, 3, 4};
    pthread_t clients[CLIENTS];
    flow_open(&house, 2);
    for (int i = 0; i < CLIENTS; i++)
        cr_assert_eq(pthread_create(&clients[i], NULL, client, &numbers[i]), 0);
    int fd = client_connect(&house);
    for (size_t swap = 1; swap <= SWAPS; swap++) {
        char *body;
        flow_serve(&house, swap % SEEDS);
        client_send(fd, swap % INPUTS, 0, NULL);
        cr_assert_eq(client_receive(fd, &body), 200);
        cr_assert_eq(client_check(body, swap % INPUTS), swap % SEEDS);
        free(body);
    }
    close(fd);
    atomic_store(&over, true);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    flow_close(&house);
}
