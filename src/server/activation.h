/* server/activation.h: listening sockets that a service manager opened and passes to us (systemd's
 * LISTEN_FDS), so that they outlive a restart and no connection is refused meanwhile.
 *
 *     qr__activation passed;
 *     qr__activation_take(&passed, &error);    // before threads: takes variables away
 *     qr__activation_check(&passed, config, &error);
 *     for (size_t i = 0; i < passed.mains_len; i++)
 *         serve(passed.mains[i].fd);           // others hold them too: never shutdown(2)
 *
 * Threads: one, before all others.
 */
#ifndef QR_SERVER_ACTIVATION_H
#define QR_SERVER_ACTIVATION_H

#include "config/config.h"

#define QR__PASSED_MAX 8 /* main listeners, or sockets of all kinds */

typedef struct qr__passed {
    int fd;          /* 0: none */
    char where[160]; /* http://HOST:PORT or unix:PATH */
    bool remote;     /* other machines may reach it: neither loopback nor UNIX */
} qr__passed;

typedef struct qr__activation {
    qr__passed mains[QR__PASSED_MAX];
    size_t mains_len;
    qr__passed ops; /* the one that LISTEN_FDNAMES calls "ops" */
} qr__activation;

/** Takes the sockets of LISTEN_FDS if LISTEN_PID is ours, closed on exec; unsets the variables.
 * QR_BAD_OPTION: too many, or one is no listening stream socket of a kind that we serve. */
QR_MUST_USE qr_status qr__activation_take(qr__activation *out, qr_error *error);

/** What holds for `host` holds for a passed socket: one that other machines may reach wants keys,
 * or `allow-remote` and no admin routes. QR_BAD_OPTION. */
QR_MUST_USE qr_status qr__activation_check(const qr__activation *passed, const qr_config *config,
                                           qr_error *error);

#endif
