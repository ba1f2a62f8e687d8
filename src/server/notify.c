/* server/notify.c: datagrams to the service manager, without its library. */
#include "server/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define USEC_PER_MS 1000u
#define AGAIN_MS    20

/* A path, or behind '@' a name of the abstract kind, which begins with a NUL. */
static bool read_address(qr__notify *notify, const char *name) {
    size_t len = strlen(name);
    notify->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof notify->address.sun_path)
        return false;
    memcpy(notify->address.sun_path, name, len);
    if (name[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_bytes =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
    return true;
}

/* Half of the interval; 0 if there is none, or it is another process's. */
static uint64_t read_interval_ms(void) {
    const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t usec, owner;
    if (interval == NULL || !qr_text_to_u64(qr_text_of(interval), INT64_MAX, &usec) || usec == 0)
        return 0;
    if (pid != NULL &&
        (!qr_text_to_u64(qr_text_of(pid), INT32_MAX, &owner) || owner != (uint64_t)getpid()))
        return 0;
    return qr_max((size_t)1, (size_t)(usec / USEC_PER_MS / 2));
}

void qr__notify_init(qr__notify *notify) {
    const char *name = getenv("NOTIFY_SOCKET");
    *notify = (qr__notify){.fd = -1};
    if (name != NULL && name[0] != '\0') {
        if (!read_address(notify, name))
            qr_log(QR_LOG_WARN, "NOTIFY_SOCKET %.100s: neither a path nor an abstract name", name);
        else if ((notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
            qr_log(QR_LOG_WARN, "NOTIFY_SOCKET: no socket for it: %s", strerror(errno));
        if (notify->fd >= 0)
            notify->watchdog_ms = read_interval_ms();
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

/* False: there is no room now. */
static bool post(qr__notify *notify, const char *text) {
    int fault = 0;
    if (sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
               (const struct sockaddr *)&notify->address, notify->address_bytes) < 0)
        fault = errno;
    if (fault == EAGAIN || fault == ENOBUFS)
        return false;
    if (fault != 0 && fault != notify->fault) /* not at every sign of life */
        qr_log(QR_LOG_WARN, "cannot notify the service manager: %s", strerror(fault));
    notify->fault = fault;
    return true;
}

static void post_kept(void *state) {
    qr__notify *notify = state;
    size_t sent = 0;
    while (sent < notify->kept_len && post(notify, notify->kept[sent]))
        sent++;
    notify->kept_len -= sent;
    memmove(notify->kept, notify->kept + sent, notify->kept_len * sizeof notify->kept[0]);
    if (notify->kept_len == 0 && notify->again != NULL)
        qr_watch_disarm(notify->again);
}

static void keep(qr__notify *notify, const char *text) {
    if (notify->kept_len == QR__NOTIFY_KEPT) {
        qr_log(QR_LOG_WARN, "the service manager does not read: a message to it is lost");
        notify->kept_len--;
        memmove(notify->kept, notify->kept + 1, notify->kept_len * sizeof notify->kept[0]);
    }
    snprintf(notify->kept[notify->kept_len++], QR__NOTIFY_BYTES, "%s", text);
    if (notify->again != NULL)
        qr_watch_arm(notify->again, AGAIN_MS, AGAIN_MS);
}

/* Never waits: a manager that does not read its mail would stop the loop. */
void qr__notify_send(qr__notify *notify, const char *text) {
    if (notify->fd < 0)
        return;
    keep(notify, text); /* in any case: it must not overtake one that waits */
    post_kept(notify);
}

/* One that finds no room is not kept: those before it have not been read either. */
static void on_alive(void *state) {
    qr__notify *notify = state;
    post_kept(notify);
    if (notify->kept_len == 0 && (notify->well == NULL || notify->well(notify->well_state)))
        (void)post(notify, "WATCHDOG=1");
}

qr_status qr__notify_watch(qr__notify *notify, qr_loop *loop, qr_error *error) {
    if (notify->fd < 0)
        return QR_OK;
    notify->again = qr_watch_timer(loop, post_kept, notify);
    notify->alive = qr_watch_timer(loop, on_alive, notify);
    if (notify->again == NULL || notify->alive == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for the service manager's timers");
    if (notify->kept_len > 0)
        qr_watch_arm(notify->again, AGAIN_MS, AGAIN_MS);
    if (notify->watchdog_ms > 0)
        qr_watch_arm(notify->alive, 0, notify->watchdog_ms);
    return QR_OK;
}

void qr__notify_deinit(qr__notify *notify) {
    if (notify->fd < 0)
        return;
    notify->again = NULL; /* of a loop that is gone */
    post_kept(notify);
    close(notify->fd);
    notify->fd = -1;
}
