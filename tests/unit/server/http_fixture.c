/* A listener in a thread of its own, and its clients. */
#include "server/http_fixture.h"
#include "semaphores.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static qr_loop *loop;
static qr_http *http;
static qr_watch *end_watch, *step_watch, *hold_watch;
static pthread_t thread;
static sem_t done, handed, stepped, held, let_go;
static atomic_bool holds_back, ends_first;
static _Atomic uint64_t now_ns, work_ns;
static atomic_size_t accepted;
static const char *local_path; /* NULL: TCP */

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
    if (atomic_load(&holds_back)) {
        sem_post(&handed);
        return;
    }
    atomic_fetch_add(&now_ns, atomic_load(&work_ns));
    request->code = 200;
    qr_http_answer(request);
}

static void on_done(void *state, qr_http_request *request) {
    (void)state, (void)request;
    sem_post(&done);
}

static void on_refused(void *state, qr_http_request *request, qr_status status,
                       const qr_http_facts *facts) {
    (void)state, (void)status, (void)facts;
    request->code = 400;
}

static void on_malformed(void *state) {
    (void)state;
    sem_post(&done);
}

static void on_connections(void *state) {
    static size_t before;
    const size_t now = qr_http_open_connections(http);
    (void)state;
    if (now > before)
        atomic_fetch_add(&accepted, 1);
    before = now;
}

static void on_step(void *state) {
    (void)state;
    sem_post(&stepped);
}

static void on_hold(void *state) {
    (void)state;
    sem_post(&held);
    wait_for(&let_go);
    if (atomic_load(&ends_first))
        qr__http_hangups(http);
}

static void on_end(void *state) {
    qr_loop_stop(state);
}

static void *run_loop(void *state) {
    qr_loop_run(state);
    return NULL;
}

static void init_semaphores(void) {
    sem_init(&done, 0, 0);
    sem_init(&handed, 0, 0);
    sem_init(&stepped, 0, 0);
    sem_init(&held, 0, 0);
    sem_init(&let_go, 0, 0);
}

void http_fixture_open(uint64_t age_ns, const char *path) {
    static const qr_clock clock = {.now_ns = read_clock};
    qr_error error = {0};
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    init_semaphores();
    atomic_store(&now_ns, 1000 * QR_NS_PER_S);
    atomic_store(&work_ns, 0);
    atomic_store(&holds_back, false);
    local_path = path;
    cr_assert_eq(qr_loop_create(&loop), QR_OK);
    const qr_http_options options = {.path = path,
                                     .path_source = "path",
                                     .mode = 0600,
                                     .max_connections = 8,
                                     .max_body_bytes = 1000,
                                     .max_age_ns = age_ns,
                                     .clock = &clock,
                                     .loop = loop,
                                     .on_head = on_head,
                                     .on_request = on_request,
                                     .on_done = on_done,
                                     .on_refused = on_refused,
                                     .on_malformed = on_malformed,
                                     .on_connections = on_connections};
    cr_assert_eq(qr_http_open(&options, &http, &error), QR_OK, "%s", error.message);
    cr_assert_eq(qr_http_listen(http, &error), QR_OK, "%s", error.message);
    step_watch = qr_watch_wakeup(loop, on_step, NULL);
    hold_watch = qr_watch_wakeup(loop, on_hold, NULL);
    end_watch = qr_watch_wakeup(loop, on_end, loop);
    cr_assert_eq(pthread_create(&thread, NULL, run_loop, loop), 0);
}

void http_fixture_close(void) {
    qr_watch_wake(end_watch);
    pthread_join(thread, NULL);
    qr_http_close(http);
    qr_loop_destroy(loop);
    sem_destroy(&done);
    sem_destroy(&handed);
    sem_destroy(&stepped);
    sem_destroy(&held);
    sem_destroy(&let_go);
}

void http_fixture_pass(uint64_t ns) {
    atomic_fetch_add(&now_ns, ns);
}

void http_fixture_work(uint64_t ns) {
    atomic_store(&work_ns, ns);
}

void http_fixture_hold_back(bool holding) {
    atomic_store(&holds_back, holding);
}

void http_fixture_hold(void) {
    qr_watch_wake(hold_watch);
    wait_for(&held);
}

void http_fixture_release(bool with_ends) {
    atomic_store(&ends_first, with_ends);
    sem_post(&let_go);
}

void http_fixture_wait_handed(void) {
    wait_for(&handed);
}

void http_fixture_wait_done(void) {
    wait_for(&done);
}

int http_fixture_dial(void) {
    const struct timeval hang = {.tv_sec = 60};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    int fd = socket(local_path == NULL ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &hang, sizeof hang), 0);
    if (local_path == NULL) {
        address.sin_port = htons(qr_http_port(http));
        cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    } else {
        snprintf(local.sun_path, sizeof local.sun_path, "%s", local_path);
        cr_assert_eq(connect(fd, (const struct sockaddr *)&local, sizeof local), 0);
    }
    return fd;
}

int http_fixture_connect(void) {
    const size_t before = atomic_load(&accepted);
    int fd = http_fixture_dial();
    while (atomic_load(&accepted) == before)
        usleep(1000);
    return fd;
}

void http_fixture_send(int fd, const char *text) {
    const size_t len = strlen(text);
    cr_assert_eq(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

void http_fixture_read_all(int fd, char *text, size_t room) {
    size_t len = 0;
    ssize_t n;
    while ((n = recv(fd, text + len, room - 1 - len, 0)) > 0)
        len += (size_t)n;
    cr_assert_eq(n, 0, "the connection does not end, or by a reset");
    text[len] = '\0';
}

bool http_fixture_ask(int fd) {
    char answer[2000];
    size_t len = 0;
    http_fixture_send(fd, HTTP_FIXTURE_REQUEST);
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

bool http_fixture_ended(int fd) {
    char byte;
    return recv(fd, &byte, 1, 0) == 0;
}
