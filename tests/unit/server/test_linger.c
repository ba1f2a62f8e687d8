/* What clients send behind an answer that ends their connection. The clock stands still unless a
 * test moves it, so that nobody's time is over before it has sent all. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http_fixture.h"

#define REFUSED   "GET /x HTTP/1.1\r\n\r\n" /* no Host */
#define MUCH      (16u << 20)               /* bytes; more than any socket's buffers take */
#define PIECE     4096
#define TRIES_MAX 60000

static void set_up(void) {
    http_fixture_open(0, NULL);
}

static void expect_refused(int fd) {
    char text[2000];
    http_fixture_read_all(fd, text, sizeof text);
    cr_expect_eq(strncmp(text, "HTTP/1.1 400 ", 13), 0, "%s", text);
}

TestSuite(linger, .init = set_up, .fini = http_fixture_close, .timeout = 120);

Test(linger, who_sends_much_behind_a_refusal_gets_the_answer) {
    char *much = malloc(MUCH + 1);
    cr_assert_not_null(much);
    memset(much, 'a', MUCH);
    much[MUCH] = '\0';
    int fd = http_fixture_connect();
    http_fixture_send(fd, REFUSED);
    http_fixture_send(fd, much);
    expect_refused(fd);
    close(fd);
    free(much);
}

/* True: the other end takes no more. */
static bool is_refused_bytes(int fd) {
    static const char piece[PIECE];
    for (int i = 0; i < TRIES_MAX; i++) {
        if (send(fd, piece, sizeof piece, MSG_NOSIGNAL) < 0)
            return true;
        usleep(1000);
    }
    return false;
}

Test(linger, nobody_lingers_for_ever) {
    int fd = http_fixture_connect();
    http_fixture_send(fd, REFUSED);
    expect_refused(fd);
    http_fixture_pass(QR__LINGER_NS);
    cr_expect(is_refused_bytes(fd));
    close(fd);
}

/* Further ones are closed as they are: what lingers has a bound. */
Test(linger, so_many_linger_and_no_more) {
    int fds[QR_LIMIT_LINGERING + 1];
    for (size_t i = 0; i <= QR_LIMIT_LINGERING; i++) {
        fds[i] = http_fixture_connect();
        http_fixture_send(fds[i], REFUSED);
        expect_refused(fds[i]);
    }
    cr_expect(is_refused_bytes(fds[QR_LIMIT_LINGERING]));
    static const char piece[PIECE];
    cr_expect_eq(send(fds[0], piece, sizeof piece, MSG_NOSIGNAL), PIECE);
    for (size_t i = 0; i <= QR_LIMIT_LINGERING; i++)
        close(fds[i]);
}
