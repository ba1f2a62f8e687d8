/* What a service manager hears when it is slow to read, or the loop stands still. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/model_maker.h"
#include "server/notify.h"

#define HANG_MS 60000
#define LIFE_MS 2 /* between two signs of life */

typedef struct manager {
    char root[64], path[96];
    int fd;
    qr__notify notify;
    qr_loop *loop;
    qr_watch *timer;
    char heard[32][QR__NOTIFY_BYTES];
    size_t heard_len;
    const char *last; /* ends the loop */
    bool silent;
} manager;

static void manager_open(manager *m) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *m = (manager){.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
    temp_dir_create(m->root);
    snprintf(m->path, sizeof m->path, "%s/notify", m->root);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", m->path);
    cr_assert(bind(m->fd, (struct sockaddr *)&address, sizeof address) == 0);
    setenv("NOTIFY_SOCKET", m->path, 1);
    cr_assert(qr_loop_create(&m->loop) == QR_OK);
}

static void manager_close(manager *m) {
    qr_loop_destroy(m->loop);
    qr__notify_deinit(&m->notify);
    close(m->fd);
    temp_dir_remove(m->root);
}

static bool hear(manager *m) {
    char text[QR__NOTIFY_BYTES];
    ssize_t bytes = recv(m->fd, text, sizeof text - 1, 0);
    if (bytes < 0)
        return false;
    text[bytes] = '\0';
    if (strcmp(text, "junk") != 0 && m->heard_len < 32)
        snprintf(m->heard[m->heard_len++], QR__NOTIFY_BYTES, "%s", text);
    return true;
}

/* Messages of somebody else, until there is no room for another. */
static void fill(manager *m) {
    while (sendto(m->notify.fd, "junk", 4, MSG_DONTWAIT, (struct sockaddr *)&m->notify.address,
                  m->notify.address_bytes) == 4)
        ;
    cr_assert(errno == EAGAIN);
}

static void read_on(void *state) {
    manager *m = state;
    while (hear(m))
        ;
    if (m->heard_len > 0 && strcmp(m->heard[m->heard_len - 1], m->last) == 0)
        qr_loop_stop(m->loop);
}

static void give_up(void *state) {
    (void)state;
    fputs("the last message never came\n", stderr);
    abort();
}

/* Until the message has come. */
static void run_until(manager *m, const char *last) {
    m->last = last;
    qr_watch *read = qr_watch_timer(m->loop, read_on, m);
    qr_watch_arm(read, 0, 1);
    qr_watch_arm(qr_watch_timer(m->loop, give_up, NULL), HANG_MS, 0);
    qr_loop_run(m->loop);
    qr_watch_close(read);
}

Test(notify, what_finds_no_room_is_sent_later) {
    manager m;
    qr_error error;
    manager_open(&m);
    qr__notify_init(&m.notify);
    fill(&m);
    qr__notify_send(&m.notify, "STATUS=loading models"); /* before there is a timer */
    cr_assert(qr__notify_watch(&m.notify, m.loop, &error) == QR_OK);
    qr__notify_send(&m.notify, "READY=1");
    qr__notify_send(&m.notify, "STOPPING=1");
    run_until(&m, "STOPPING=1");
    cr_assert(m.heard_len == 3);
    cr_expect_str_eq(m.heard[0], "STATUS=loading models");
    cr_expect_str_eq(m.heard[1], "READY=1");
    cr_expect(m.notify.kept_len == 0);
    manager_close(&m);
}

/* The first to be kept comes behind the timers here, so that sending arms them. */
Test(notify, a_later_one_does_not_overtake) {
    manager m;
    qr_error error;
    manager_open(&m);
    qr__notify_init(&m.notify);
    cr_assert(qr__notify_watch(&m.notify, m.loop, &error) == QR_OK);
    fill(&m);
    qr__notify_send(&m.notify, "READY=1");
    cr_assert(hear(&m)); /* room for one */
    qr__notify_send(&m.notify, "RELOADING=1");
    run_until(&m, "RELOADING=1");
    cr_assert(m.heard_len == 2);
    cr_expect_str_eq(m.heard[0], "READY=1");
    manager_close(&m);
}

Test(notify, the_newest_are_kept) {
    manager m;
    qr_error error;
    char text[16];
    manager_open(&m);
    qr__notify_init(&m.notify);
    cr_assert(qr__notify_watch(&m.notify, m.loop, &error) == QR_OK);
    fill(&m);
    for (int i = 0; i < QR__NOTIFY_KEPT + 3; i++) {
        snprintf(text, sizeof text, "STATUS=%d", i);
        qr__notify_send(&m.notify, text);
    }
    run_until(&m, text);
    cr_assert(m.heard_len == QR__NOTIFY_KEPT);
    cr_expect_str_eq(m.heard[0], "STATUS=3");
    manager_close(&m);
}

Test(notify, the_last_word_is_tried_at_the_end) {
    manager m;
    manager_open(&m);
    qr__notify_init(&m.notify);
    fill(&m);
    qr__notify_send(&m.notify, "STOPPING=1");
    while (hear(&m))
        ;
    qr__notify_deinit(&m.notify);
    cr_expect(hear(&m));
    cr_expect_str_eq(m.heard[0], "STOPPING=1");
    manager_close(&m);
}

/* Many times longer than it takes a living loop to say so. */
static void stand_still(void *state) {
    manager *m = state;
    while (hear(m))
        ;
    nanosleep(&(struct timespec){.tv_nsec = 50 * LIFE_MS * 1000000L}, NULL);
    m->silent = !hear(m);
    m->heard_len = 0;
    qr_loop_stop(m->loop);
}

Test(notify, a_loop_that_hangs_shows_no_life) {
    manager m;
    qr_error error;
    manager_open(&m);
    setenv("WATCHDOG_USEC", "4000", 1);
    qr__notify_init(&m.notify);
    cr_assert(m.notify.watchdog_ms == LIFE_MS);
    cr_assert(qr__notify_watch(&m.notify, m.loop, &error) == QR_OK);
    run_until(&m, "WATCHDOG=1");
    qr_watch *hang = qr_watch_timer(m.loop, stand_still, &m);
    qr_watch_arm(hang, 0, 0);
    qr_loop_run(m.loop);
    cr_expect(m.silent);
    run_until(&m, "WATCHDOG=1"); /* it goes on */
    manager_close(&m);
}

/* Asked ten times, it said no: then it is well again. */
static int asked;

static bool well_in_the_end(void *state) {
    (void)state;
    return ++asked > 10;
}

/* A server that lost its GPU. */
Test(notify, who_is_not_well_shows_no_life) {
    manager m;
    qr_error error;
    manager_open(&m);
    setenv("WATCHDOG_USEC", "4000", 1);
    qr__notify_init(&m.notify);
    m.notify.well = well_in_the_end;
    cr_assert(qr__notify_watch(&m.notify, m.loop, &error) == QR_OK);
    run_until(&m, "WATCHDOG=1");
    cr_expect_gt(asked, 10);
    manager_close(&m);
}

static uint64_t interval_of(const char *usec, const char *pid) {
    qr__notify notify;
    setenv("NOTIFY_SOCKET", "@nobody", 1);
    setenv("WATCHDOG_USEC", usec, 1);
    if (pid != NULL)
        setenv("WATCHDOG_PID", pid, 1);
    qr__notify_init(&notify);
    qr__notify_deinit(&notify);
    cr_expect_null(getenv("NOTIFY_SOCKET"));
    cr_expect_null(getenv("WATCHDOG_USEC"));
    cr_expect_null(getenv("WATCHDOG_PID"));
    return notify.watchdog_ms;
}

Test(notify, half_of_the_interval_if_it_is_ours) {
    char own[16];
    snprintf(own, sizeof own, "%d", (int)getpid());
    cr_expect(interval_of("10000000", NULL) == 5000);
    cr_expect(interval_of("10000000", own) == 5000);
    cr_expect(interval_of("1500", NULL) == 1); /* the loop counts in milliseconds */
    cr_expect(interval_of("10000000", "1") == 0);
    cr_expect(interval_of("10000000", "") == 0);
    cr_expect(interval_of("0", NULL) == 0);
    cr_expect(interval_of("", NULL) == 0);
    cr_expect(interval_of("-2000", NULL) == 0);
    cr_expect(interval_of("99999999999999999999", NULL) == 0);
}

Test(notify, nobody_listens) {
    qr__notify notify;
    qr_error error;
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "4000", 1);
    qr__notify_init(&notify);
    cr_expect(notify.fd == -1 && notify.watchdog_ms == 0);
    cr_expect(qr__notify_watch(&notify, NULL, &error) == QR_OK);
    qr__notify_send(&notify, "READY=1");
    cr_expect(notify.kept_len == 0);
    qr__notify_deinit(&notify);
    cr_expect_null(getenv("WATCHDOG_USEC"));
}
