/* How old a connection gets, on a clock of the test's: a real listener, a client on a socket. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http/http_internal.h"

#define AGE_NS (10 * QR_NS_PER_S)

static _Atomic uint64_t now_ns = 1000 * QR_NS_PER_S;
static _Atomic uint64_t work_ns; /* that a request takes */
static qr_loop *loop;
static qr_http *http;
static qr_watch *end_watch, *step_watch;
static pthread_t thread;
static sem_t done, stepped;

static uint64_t read_clock(void *state) {
    (void)state;
    return atomic_load(&now_ns);
}

static qr_status on_head(void *state, qr_http_request *request, const qr_http_facts *facts) {
    (void)state, (void)request, (void)facts;
    return QR_OK;
}

static void on_request(void *state, qr_http_request *request) {
    (void)state;
    atomic_fetch_add(&now_ns, atomic_load(&work_ns));
    request->code = 200;
    qr_http_answer(request);
}

static void on_done(void *state, qr_http_request *request) {
    (void)state, (void)request;
    sem_post(&done);
}

static void on_refused(void *state, qr_http_request *request, qr_status status) {
    (void)state, (void)status;
    request->code = 400;
}

static void ignore(void *state) {
    (void)state;
}

static void on_step(void *state) {
    (void)state;
    sem_post(&stepped);
}

static void on_end(void *state) {
    qr_loop_stop(state);
}

static void *run_loop(void *state) {
    qr_loop_run(state);
    return NULL;
}

static void open_house(uint64_t age_ns) {
    static const qr_clock clock = {.now_ns = read_clock};
    qr_error error = {0};
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    sem_init(&done, 0, 0);
    sem_init(&stepped, 0, 0);
    cr_assert_eq(qr_loop_create(&loop), QR_OK);
    const qr_http_options options = {.max_connections = 8,
                                     .max_body_bytes = 1000,
                                     .max_age_ns = age_ns,
                                     .clock = &clock,
                                     .loop = loop,
                                     .on_head = on_head,
                                     .on_request = on_request,
                                     .on_done = on_done,
                                     .on_refused = on_refused,
                                     .on_malformed = ignore,
                                     .on_connections = ignore};
    cr_assert_eq(qr_http_open(&options, &http, &error), QR_OK, "%s", error.message);
    cr_assert_eq(qr_http_listen(http, &error), QR_OK, "%s", error.message);
    step_watch = qr_watch_wakeup(loop, on_step, NULL);
    end_watch = qr_watch_wakeup(loop, on_end, loop);
    cr_assert_eq(pthread_create(&thread, NULL, run_loop, loop), 0);
}

static void close_house(void) {
    qr_watch_wake(end_watch);
    pthread_join(thread, NULL);
    qr_http_close(http);
    qr_loop_destroy(loop);
    sem_destroy(&done);
    sem_destroy(&stepped);
}

static int connect_client(void) {
    const struct timeval hang = {.tv_sec = 60};
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(qr_http_port(http)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &hang, sizeof hang), 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0)
        ;
}

/* Asks, and waits until the connection is idle again. Whether the answer says to close it. */
static bool ask(int fd) {
    static const char request[] = "GET /x HTTP/1.1\r\nHost: querent\r\n\r\n";
    char answer[2000];
    size_t len = 0;
    cr_assert_eq(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    do {
        ssize_t n = recv(fd, answer + len, sizeof answer - 1 - len, 0);
        cr_assert_gt(n, 0, "no answer");
        len += (size_t)n;
        answer[len] = '\0';
    } while (strstr(answer, "\r\n\r\n") == NULL);
    cr_assert_eq(strncmp(answer, "HTTP/1.1 200 ", 13), 0, "%s", answer);
    wait_for(&done);
    qr_watch_wake(step_watch); /* what the loop does behind on_done is done then */
    wait_for(&stepped);
    return strstr(answer, "\r\nConnection: close\r\n") != NULL;
}

static bool is_ended(int fd) {
    char byte;
    return recv(fd, &byte, 1, 0) == 0;
}

static void pass(uint64_t ns) {
    atomic_fetch_add(&now_ns, ns);
}

Test(connection_age, an_old_one_is_closed_with_its_next_answer, .timeout = 120) {
    open_house(AGE_NS);
    int fd = connect_client();
    cr_expect_not(ask(fd));
    pass(AGE_NS - AGE_NS / 10 - 1);
    cr_expect_not(ask(fd), "a tenth before its age, and no earlier");
    pass(AGE_NS / 5 + 2);
    cr_expect(ask(fd), "a tenth behind it, and no later");
    cr_expect(is_ended(fd), "the server closes it");
    close(fd);
    fd = connect_client();
    cr_expect_not(ask(fd), "a new one has its own age");
    close(fd);
    close_house();
}

Test(connection_age, a_request_that_outlasts_it_is_answered, .timeout = 120) {
    open_house(AGE_NS);
    int fd = connect_client();
    atomic_store(&work_ns, 100 * AGE_NS);
    cr_expect(ask(fd), "its answer is whole, and the last");
    cr_expect(is_ended(fd));
    close(fd);
    close_house();
}

Test(connection_age, without_one_it_is_never_old, .timeout = 120) {
    open_house(0);
    int fd = connect_client();
    for (int i = 0; i < 500; i++) { /* ten hours; after 1000 requests it ends for another reason */
        pass(QR__IDLE_NS - QR_NS_PER_S);
        cr_expect_not(ask(fd));
    }
    close(fd);
    close_house();
}

/* A proxy that keeps its connections for 60 or 75 s never finds a closed one; the timer that ends
 * them is a real one of 100 ms. */
Test(connection_age, an_idle_one_is_kept_for_75_seconds, .timeout = 120) {
    open_house(0);
    int fd = connect_client();
    cr_expect_not(ask(fd));
    pass(74 * QR_NS_PER_S);
    cr_expect_not(ask(fd));
    pass(QR__IDLE_NS + 1);
    cr_expect(is_ended(fd));
    cr_expect_geq(QR__IDLE_NS, 75 * QR_NS_PER_S);
    close(fd);
    close_house();
}

Test(connection_age, is_a_tenth_more_or_less) {
    const uint64_t begun = 12345, age = 600 * QR_NS_PER_S;
    qr_random random;
    uint64_t least = UINT64_MAX, most = 0;
    qr_random_init(&random);
    for (int i = 0; i < 10000; i++) {
        uint64_t old = qr__connection_old_ns(begun, age, qr_random_next(&random));
        least = qr_min(least, old);
        most = qr_max(most, old);
    }
    cr_expect(least >= begun + 540 * QR_NS_PER_S && least < begun + 545 * QR_NS_PER_S);
    cr_expect(most <= begun + 660 * QR_NS_PER_S && most > begun + 655 * QR_NS_PER_S);
    cr_expect_eq(qr__connection_old_ns(0, 10, 0), 9);
    cr_expect_eq(qr__connection_old_ns(0, 10, 2), 11);
    cr_expect_eq(qr__connection_old_ns(begun, 0, 17), UINT64_MAX);
}
