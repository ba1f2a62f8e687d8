/* server/notify.h: what a service manager hears of us: systemd's sd_notify, one datagram a message.
 *
 *     qr__notify_init(&notify);                    // before threads: takes variables away
 *     qr__notify_watch(&notify, loop, &error);     // the loop is alive, at half of the interval
 *     qr__notify_send(&notify, "READY=1\nSTATUS=serving");
 *     qr__notify_deinit(&notify);
 *
 * Linux lets some ten datagrams wait for a reader (net.unix.max_dgram_qlen). A manager that is slow
 * may not cost us its patience with a READY=1 that it never got: what finds no room is kept and
 * sent later, in order. Without NOTIFY_SOCKET all of it does nothing. Threads: the loop's only.
 */
#ifndef QR_SERVER_NOTIFY_H
#define QR_SERVER_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "server/loop.h"

#define QR__NOTIFY_BYTES 128 /* of a message, with its NUL */
#define QR__NOTIFY_KEPT  8

typedef struct qr__notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_bytes;
    uint64_t watchdog_ms;      /* between two signs of life; 0: none are asked for */
    bool (*well)(void *state); /* asked before each of them; false: none. NULL: always */
    void *well_state;
    qr_watch *alive, *again;
    char kept[QR__NOTIFY_KEPT][QR__NOTIFY_BYTES]; /* what found no room yet, the oldest first */
    size_t kept_len;
    int fault; /* of the last sending; 0: none */
} qr__notify;

/** Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and unsets them: no child may speak for
 * us. What cannot be used is logged, and left. */
void qr__notify_init(qr__notify *notify);

/** Sends what was kept, and WATCHDOG=1 at half of the interval while all is well, from the loop.
 * QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__notify_watch(qr__notify *notify, qr_loop *loop, qr_error *error);

/** Sends lines of NAME=VALUE, shorter than QR__NOTIFY_BYTES; never waits. What the manager's queue
 * has no room for is sent later, unless QR__NOTIFY_KEPT newer ones came. What cannot be sent for
 * another reason is logged, and lost: a manager must not stop us. */
void qr__notify_send(qr__notify *notify, const char *text);

/** Tries the kept ones once more and closes the socket. The timers end with their loop. */
void qr__notify_deinit(qr__notify *notify);

#endif
