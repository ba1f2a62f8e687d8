/* Clients that close their side. The loop is held while they send, so that their last bytes and
 * their end come together, and its clock stands still, so that no deadline ends anything. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http_fixture.h"

#define HALF_BODY "POST /x HTTP/1.1\r\nHost: querent\r\nContent-Length: 9\r\n\r\nhalf"

static char dir[] = "/tmp/querent-half-XXXXXX", path[64];

static void open_port(void) {
    http_fixture_open(0, NULL);
}

static void open_local(void) {
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    http_fixture_open(0, path);
}

static void close_local(void) {
    http_fixture_close();
    rmdir(dir);
}

/* How many answers come before the end. */
static int read_answers(int fd) {
    char text[8000];
    int answers = 0;
    http_fixture_read_all(fd, text, sizeof text);
    for (const char *at = text; (at = strstr(at, "HTTP/1.1 200 ")) != NULL; at++)
        answers++;
    return answers;
}

/* On a new connection, and on one that is between two requests; whether the loop looks at the bytes
 * or at the end first. */
static void expect_answers(const char *sent, int answers) {
    for (int bits = 0; bits < 4; bits++) {
        bool used = bits & 1, end_first = bits & 2;
        int fd = http_fixture_connect();
        if (used)
            http_fixture_ask(fd);
        http_fixture_hold();
        http_fixture_send(fd, sent);
        cr_assert_eq(shutdown(fd, SHUT_WR), 0);
        http_fixture_release(end_first);
        cr_expect_eq(read_answers(fd), answers, "`%s`, used %d, end first %d", sent, used,
                     end_first);
        close(fd);
    }
}

static void expect_all(void) {
    expect_answers("", 0);
    expect_answers("GET /x HT", 0);
    expect_answers("GET /x HTTP/1.1\r\nHos", 0);
    expect_answers(HALF_BODY, 0);
    expect_answers(HTTP_FIXTURE_REQUEST, 1);
    expect_answers(HTTP_FIXTURE_REQUEST HTTP_FIXTURE_REQUEST HTTP_FIXTURE_REQUEST, 3);
    expect_answers(HTTP_FIXTURE_REQUEST "GET /x HT", 1);
    expect_answers(HTTP_FIXTURE_REQUEST HALF_BODY, 1);
}

Test(half_close, what_is_whole_is_answered_and_then_it_ends, .init = open_port,
     .fini = http_fixture_close, .timeout = 120) {
    expect_all();
}

Test(half_close, of_a_unix_socket_too, .init = open_local, .fini = close_local, .timeout = 120) {
    expect_all();
}

/* Of a chunk's first line that never ends libmicrohttpd's buffer is full, so that it waits for
 * nothing; and nor has it before, when all of it was there at once. Then it hears of no end. */
static void expect_over(void) {
    char request[50000];
    int head =
        snprintf(request, sizeof request,
                 "POST /x HTTP/1.1\r\nHost: querent\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    memset(request + head, 'a', sizeof request - (size_t)head - 1);
    request[sizeof request - 1] = '\0';
    for (int leaves = 0; leaves < 2; leaves++) {
        int other = http_fixture_connect();
        http_fixture_hold();
        int fd = http_fixture_dial();
        http_fixture_send(fd, request);
        if (leaves)
            cr_assert_eq(shutdown(fd, SHUT_WR), 0);
        http_fixture_release(false);
        http_fixture_ask(other);
        http_fixture_ask(other); /* the loop has got so far: the body's time runs */
        http_fixture_pass(QR__BODY_NS);
        http_fixture_wait_done();
        close(fd);
        close(other);
    }
}

Test(half_close, a_full_buffer_is_not_held_for_ever, .init = open_port, .fini = http_fixture_close,
     .timeout = 120) {
    expect_over();
}

Test(half_close, nor_behind_a_unix_socket, .init = open_local, .fini = close_local,
     .timeout = 120) {
    expect_over();
}

/* Whether its end comes when the request has been handed out, with it, or is seen before it. */
Test(half_close, who_would_have_to_wait_is_gone, .init = open_port, .fini = http_fixture_close,
     .timeout = 120) {
    enum { LATER, TOGETHER, FIRST };
    http_fixture_hold_back(true);
    for (int end = LATER; end <= FIRST; end++) {
        int fd = http_fixture_connect();
        if (end != LATER)
            http_fixture_hold();
        http_fixture_send(fd, HTTP_FIXTURE_REQUEST);
        if (end == LATER)
            http_fixture_wait_handed();
        cr_assert_eq(shutdown(fd, SHUT_WR), 0);
        if (end != LATER)
            http_fixture_release(end == FIRST);
        http_fixture_wait_done();
        cr_expect_eq(read_answers(fd), 0, "end %d", end);
        close(fd);
    }
}
