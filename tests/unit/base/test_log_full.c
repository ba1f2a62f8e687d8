/* A stderr that takes nothing more: lines wait for room, or are lost and counted. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/base.h"

static int kept, reading;
static atomic_int written;

/* stderr is a pipe of two pages with room for nothing. */
static void fill(void) {
    static const char pages[8192] = {0};
    int pipe_fds[2];
    cr_assert_eq(pipe(pipe_fds), 0);
    reading = pipe_fds[0];
    cr_assert_geq(fcntl(reading, F_SETPIPE_SZ, sizeof pages), 0);
    cr_assert_eq(write(pipe_fds[1], pages, sizeof pages), (ssize_t)sizeof pages);
    kept = dup(STDERR_FILENO);
    dup2(pipe_fds[1], STDERR_FILENO);
    close(pipe_fds[1]);
    qr_log_init(QR_LOG_INFO, QR_LOG_AS_TEXT);
}

static void restore(void) {
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(reading);
}

/* What is in the pipe: the pages that fill it at first, then lines. */
static const char *drain(void) {
    static char text[8193];
    ssize_t n = read(reading, text, sizeof text - 1);
    cr_assert_gt(n, 0);
    text[n] = '\0';
    return text;
}

Test(log_full, who_may_not_wait_loses_lines_and_says_so, .timeout = 60) {
    fill();
    qr_log_wait_until(0);
    for (int i = 0; i < 3; i++)
        qr_log(QR_LOG_INFO, "lost");
    qr_log_plain(qr_text_of("lost"));
    uint64_t lost = qr_log_lost();
    drain();
    qr_log(QR_LOG_INFO, "first");
    qr_log(QR_LOG_INFO, "second");
    const char *text = drain();
    restore();
    cr_expect_eq(lost, 4);
    cr_expect_eq(qr_log_lost(), 4);
    const char *told = strstr(text, " warn  lines lost while stderr was full: 4\n"),
               *first = strstr(text, " info  first\n"), *second = strstr(text, " info  second\n");
    cr_expect(told != NULL && first > told && second > first, "%s", text);
    cr_expect_null(strstr(text, " info  lost\n"));
    cr_expect(first == NULL || strstr(first, "lines lost") == NULL, "told twice: %s", text);
}

Test(log_full, they_wait_until_then, .timeout = 60) {
    const uint64_t until = qr_clock_ns() + 20 * QR_NS_PER_MS;
    fill();
    qr_log_wait_until(until);
    qr_log(QR_LOG_INFO, "lost");
    uint64_t lost = qr_log_lost(), now = qr_clock_ns();
    restore();
    cr_expect_eq(lost, 1);
    cr_expect_geq(now, until);
}

static void *write_one(void *always) {
    if (always != NULL)
        qr_log_wait_always();
    qr_log(QR_LOG_INFO, "waited");
    atomic_fetch_add(&written, 1);
    return NULL;
}

/* As at the start, and for a thread that always does. */
static void expect_waiting(void *always) {
    pthread_t thread;
    fill();
    if (always != NULL)
        qr_log_wait_until(0);
    cr_assert_eq(pthread_create(&thread, NULL, write_one, always), 0);
    usleep(50000); /* in which one that does not wait is through, on most machines */
    bool early = atomic_load(&written) > 0;
    drain();
    pthread_join(thread, NULL);
    const char *text = drain();
    restore();
    cr_expect_not(early);
    cr_expect_eq(qr_log_lost(), 0);
    cr_expect_not_null(strstr(text, " info  waited\n"));
}

Test(log_full, at_the_start_they_wait_for_ever, .timeout = 60) {
    expect_waiting(NULL);
}

Test(log_full, a_thread_may_always_wait, .timeout = 60) {
    static int something;
    expect_waiting(&something);
}

/* Behind one that waits, others neither wait nor are held up. */
Test(log_full, one_that_waits_holds_up_nobody, .timeout = 60) {
    static int something;
    pthread_t thread;
    fill();
    qr_log_wait_until(0);
    cr_assert_eq(pthread_create(&thread, NULL, write_one, &something), 0);
    usleep(50000);
    qr_log(QR_LOG_INFO, "lost");
    drain();
    pthread_join(thread, NULL);
    const char *text = drain();
    restore();
    cr_expect_eq(qr_log_lost(), 1);
    cr_expect_not_null(strstr(text, " info  waited\n"));
}

Test(log_full, nobody_is_at_the_other_end, .timeout = 60) {
    signal(SIGPIPE, SIG_IGN);
    fill();
    close(reading);
    qr_log(QR_LOG_INFO, "lost");
    uint64_t lost = qr_log_lost();
    restore();
    cr_expect_eq(lost, 1);
}

static int other = -1; /* the pipe as another process has it */

/* In place of the system's: when it says that stderr has room, somebody else takes that. */
int poll(struct pollfd *fds, nfds_t len, int timeout_ms) {
    static const char page[4096] = {0};
    const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
    int ready = (int)syscall(SYS_ppoll, fds, len, timeout_ms < 0 ? NULL : &timeout, NULL, 0);
    while (other >= 0 && ready > 0 && fds[0].fd == STDERR_FILENO &&
           write(other, page, sizeof page) > 0)
        ;
    return ready;
}

/* Two processes may share one pipe: what had room a moment ago has none. */
Test(log_full, another_process_takes_the_room, .timeout = 60) {
    char path[64];
    const struct iovec byte = {"", 1};
    fill();
    drain();
    if (pwritev2(STDERR_FILENO, &byte, 1, -1, RWF_NOWAIT) < 0) {
        restore();
        cr_skip_test("a pipe of this kernel waits");
    }
    drain();
    snprintf(path, sizeof path, "/proc/self/fd/%d", STDERR_FILENO);
    other = open(path, O_WRONLY | O_NONBLOCK);
    cr_assert_geq(other, 0);
    qr_log_wait_until(0);
    qr_log(QR_LOG_INFO, "lost");
    uint64_t lost = qr_log_lost();
    close(other);
    other = -1;
    drain();
    qr_log(QR_LOG_INFO, "found");
    const char *text = drain();
    restore();
    cr_expect_eq(lost, 1);
    cr_expect_not_null(strstr(text, " warn  lines lost while stderr was full: 1\n"), "%s", text);
    cr_expect_not_null(strstr(text, " info  found\n"), "%s", text);
}
