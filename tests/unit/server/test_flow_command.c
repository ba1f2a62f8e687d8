/* Commands to load and unload models on their way through the flow: carried out, late, refused, or
 * of a client that leaves. What they do is not here: nobody loads anything. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/flow_fixture.h"

static flow_house house;

Test(flow_command, is_answered_when_it_was_carried_out, .timeout = 120) {
    flow_open(&house, 1);
    int fd = client_connect(&house);
    client_command(fd, NULL);
    flow_wait_at_work(&house, 1);
    int other = client_connect(&house); /* nobody waits for it */
    client_send(other, 1, 0, NULL);
    client_expect(other, 1, 0);
    flow_carry_out(&house, QR_OK);
    cr_expect_eq(client_receive(fd, NULL), 200);
    client_send(fd, 0, 0, NULL); /* the connection goes on */
    client_expect(fd, 0, 0);
    client_command(fd, NULL);
    flow_wait_at_work(&house, 1);
    flow_carry_out(&house, QR_NO_MODEL);
    cr_expect_eq(client_receive(fd, NULL), 404);
    close(fd);
    close(other);
    flow_close(&house);
}

Test(flow_command, is_late_and_goes_on, .timeout = 120) {
    flow_open(&house, 1);
    int fd = client_connect(&house);
    for (unsigned budget_ms = 30; flow_at_work(&house) == 0; budget_ms *= 2) {
        char text[16]; /* doubled if the machine was too slow to read the head within it */
        snprintf(text, sizeof text, "%u", budget_ms);
        client_command(fd, text);
        cr_expect_eq(client_receive(fd, NULL), 504);
    }
    cr_expect_eq(flow_at_work(&house), 1, "it is not taken back");
    client_send(fd, 0, 0, NULL);
    client_expect(fd, 0, 0);
    flow_carry_out(&house, QR_OK);
    flow_wait_at_work(&house, 0);
    close(fd);
    flow_close(&house);
}

Test(flow_command, goes_on_when_its_client_leaves, .timeout = 120) {
    flow_open(&house, 1);
    int fd = client_connect(&house), other = client_connect(&house);
    client_command(fd, NULL);
    flow_wait_at_work(&house, 1);
    close(fd);
    for (char *page = NULL, *gone = NULL; gone == NULL; free(page)) {
        page = flow_metrics(&house);
        gone = strstr(page, "querent_rejections_total{reason=\"gone\"} 1\n");
    }
    cr_expect_eq(flow_at_work(&house), 1);
    flow_carry_out(&house, QR_OK);
    flow_wait_at_work(&house, 0);
    client_send(other, 0, 0, NULL);
    client_expect(other, 0, 0);
    close(other);
    flow_close(&house);
}

Test(flow_command, that_cannot_begin_is_refused, .timeout = 120) {
    int fds[FLOW_COMMANDS + 1];
    flow_open(&house, 1);
    for (size_t i = 0; i <= FLOW_COMMANDS; i++) {
        fds[i] = client_connect(&house);
        client_command(fds[i], NULL);
        if (i < FLOW_COMMANDS)
            flow_wait_at_work(&house, i + 1);
    }
    cr_expect_eq(client_receive(fds[FLOW_COMMANDS], NULL), 429);
    flow_carry_out(&house, QR_OK);
    for (size_t i = 0; i < FLOW_COMMANDS; i++)
        cr_expect_eq(client_receive(fds[i], NULL), 200);
    for (size_t i = 0; i <= FLOW_COMMANDS; i++)
        close(fds[i]);
    flow_close(&house);
}
