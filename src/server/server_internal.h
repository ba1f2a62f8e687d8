/* server/server_internal.h: the serving process and its parts:
 *
 *     server.c        check, start, load, serve, close
 *     drain.c         signals, and how the process comes to rest
 *     reload.c        who has models loaded
 *     admin.c         models: loaded, loaded again, taken out
 *     loader.c        one model, in a thread of its own
 *     server_askers.c who may ask
 *     loop_lag.c      how late the loop is
 *     listeners.c     on what it listens
 *     descriptors.c   how many files may be open
 *     activation.c    sockets that the service manager passes; notify.c: what it hears
 *     sandbox.c       what is taken from the process
 *
 * Threads: the loop's, but for `phase`, which any may read.
 */
#ifndef QR_SERVER_SERVER_INTERNAL_H
#define QR_SERVER_SERVER_INTERNAL_H

#include <stdatomic.h>

#include "config/config.h"
#include "server/activation.h"
#include "server/admin.h"
#include "server/flow.h"
#include "server/loader.h"
#include "server/loop_lag.h"
#include "server/notify.h"
#include "server/sandbox.h"

#define QR__OPS_CONNECTIONS 64 /* its own, so that load on the main port cannot take them */
#define QR__MAINS_MAX       QR__PASSED_MAX

/** What the process is doing; drain.c draws how it goes on from SERVING. */
typedef enum qr__server_phase {
    QR__LOADING,
    QR__SERVING,
    QR__DRAINING, /* not ready any more, but still accepting */
    QR__QUIESCED  /* answering what was admitted */
} qr__server_phase;

typedef struct qr__server {
    const qr_config *config;
    _Atomic qr__server_phase phase;
    int exit_code;

    qr__activation passed;
    qr__notify notify;
    qr__sandbox sandbox;

    /* What lives as long as the process, in the order in which it is made. */
    int workers;
    qr_cores cores;
    uint64_t memory_limit_bytes;            /* of the cgroups; 0: none */
    qr_quota inflight;                      /* of what requests hold */
    qr__network proxies[QR_LIMIT_NETWORKS]; /* trusted ones */
    size_t proxies_len;
    qr__model_spec specs[QR_LIMIT_MODELS];
    size_t specs_len;
    qr__access access, admin_access;
    qr_metrics *metrics;
    qr_api *api;
    qr__verify *verify; /* NULL without --verify-ppm */
    qr__cache *cache;   /* NULL with --cache-bytes 0 */
    qr__machines *machines;
    qr_loop *loop;
    qr__flow *flow;
    qr_http *mains[QR__MAINS_MAX]; /* TCP, UNIX, or both; or those passed */
    size_t mains_len;
    qr_http *ops; /* NULL without one */
    qr__loop_lag *lag;

    qr__admin *admin;
    bool reload_waits; /* SIGHUP came before the models were served */
    qr_watch *reload_timer, *drain_timer, *end_timer;
    uint64_t drain_end_ns;
} qr__server;

/* reload.c */

/** Begins to load the models that are configured; `done` gets the server when they are served, or
 * cannot be. From then on SIGHUP is heard, and loads them again. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__models_start(qr__server *server, qr__admin_done done, qr_error *error);

/** The models are served: those that SIGHUP asked for meanwhile are loaded again. */
void qr__models_started(qr__server *server);

/** Has the exchange's command carried out, as qr__flow_options has it. */
qr_status qr__models_command(void *server, qr_exchange *exchange);

/** Appends the models and their states, as qr_api_hooks has it. */
void qr__models_index(void *server, bool ready_only, qr_buf *out);

/* drain.c */

/** Watches SIGTERM and SIGINT. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__drain_watch(qr__server *server, qr_error *error);

/** Lines of the log, the first and the last ones, wait for room in stderr, all together for two
 * seconds. */
void qr__log_wait_briefly(void);

/* listeners.c */

/** Whether the options of ports go together. QR_BAD_OPTION. */
QR_MUST_USE qr_status qr__listeners_check(const qr__server *server, qr_error *error);

/** Connections of all listeners, at the most. */
size_t qr__listeners_connections(const qr__server *server);

/** Binds all of them; the ops port listens. Statuses as qr_http_open's and qr_http_listen's. */
QR_MUST_USE qr_status qr__listeners_open(qr__server *server, qr_error *error);

/** Tells on stderr where the server listens. */
void qr__listeners_announce(const qr__server *server);

/* server_askers.c */

/** Takes the networks of proxies, the keys and the origins of pages that the options name.
 * QR_BAD_OPTION, QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__server_askers(qr__server *server, qr_error *error);

/* descriptors.c */

/** Raises the soft limit on open files to what `max-connections` needs. QR_BAD_OPTION: the system
 * allows fewer. */
QR_MUST_USE qr_status qr__descriptors_reserve(const qr__server *server, qr_error *error);

#endif
