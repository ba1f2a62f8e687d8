/* server/server.h: the serving process, from options to exit code.
 *
 *     qr_server_hold_reload();
 *     qr_config_load(argc, argv, &config, &error);
 *     return qr_server_run(config);
 *
 * Loads models, starts workers, opens the listeners, says "querent: listening on http://HOST:PORT"
 * on stderr, serves until SIGTERM or SIGINT, drains, and returns. Threads: one event loop (the
 * caller's), N workers.
 */
#ifndef QR_SERVER_H
#define QR_SERVER_H

#include "config/config.h"

/** From now on SIGHUP is remembered until the server hears it itself; else it ends a process that
 * has only begun. */
void qr_server_hold_reload(void);

/** Returns the process's exit code: 0 after a clean drain, 1 when start-up failed (the reason is
 * logged), 2 when an option was why, the drain timed out, or a second signal cut it short. */
int qr_server_run(const qr_config *config);

#endif
