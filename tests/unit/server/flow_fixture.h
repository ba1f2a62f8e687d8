/* tests: the flow with a real loop, a real listener and real workers, in one process, and clients
 * on sockets. What has to happen in an order is made to: workers can be held, and functions can be
 * run on the loop. */
#ifndef QR_TESTS_SERVER_FLOW_FIXTURE_H
#define QR_TESTS_SERVER_FLOW_FIXTURE_H

#include "semaphores.h"
#include "server/flow.h"
#include "server/serving_fixture.h"

#define FLOW_COMMANDS 2

typedef struct flow_house {
    qr_loop *loop;
    qr__flow *flow;
    qr_http *http;
    qr_api *api;
    qr_metrics *metrics;
    qr_schedule *schedule;
    qr__verify *verify;
    qr__cache *cache;
    qr_quota quota; /* 64 MiB, all of which must have come back at the end */
    uint16_t port;
    qr_exchange *commands[FLOW_COMMANDS]; /* given, and not carried out; the loop's */
    size_t commands_len;
    qr_status commands_end;
} flow_house;

/** Starts everything with the model of seed 0; requests have a minute unless they say else. */
void flow_open(flow_house *house, int workers);

/** The same, with that share of the answers checked (verify.h). */
void flow_open_checked(flow_house *house, int workers, unsigned ppm);

/** The same, with a cache of so many bytes, and joins. */
void flow_open_caching(flow_house *house, int workers, size_t bytes);

/** Waits until no connection and no work is left, and frees everything. Clients have closed. */
void flow_close(flow_house *house);

/** Runs call(argument) on the loop's thread, and returns when it has run. */
void flow_on_loop(flow_house *house, void (*call)(void *argument), void *argument);

/** Makes the generation of a seed the current one. */
void flow_serve(flow_house *house, size_t seed);

/** Ends all commands that were given, with this status. */
void flow_carry_out(flow_house *house, qr_status status);

/** How many exchanges are held by workers, or wait for a command. */
size_t flow_at_work(flow_house *house);

/** Waits until that many are. */
void flow_wait_at_work(flow_house *house, size_t count);

/** How many wait for the results of another one. */
size_t flow_joined(flow_house *house);

/** Waits until that many do. */
void flow_wait_joined(flow_house *house, size_t count);

/** The metrics page; free() it. */
char *flow_metrics(flow_house *house);

/** The number behind a series there: `querent_joins_total`, or with labels. */
double flow_metric(flow_house *house, const char *series);

/** Holds one worker, which must be free, until flow_let_go. */
typedef struct flow_hold {
    qr_task task;
    sem_t held, go;
} flow_hold;
void flow_hold_worker(flow_house *house, flow_hold *hold);
void flow_let_go(flow_hold *hold);

/* A client */

int client_connect(const flow_house *house);

/** Sends POST /v1/embeddings for an input; with `padding` bytes of an ignored field, and this
 * budget unless it is NULL. */
void client_send(int fd, size_t input, size_t padding, const char *budget_ms);

/** The same without padding and budget, its body only after `between` was called. */
void client_send_halves(flow_house *house, int fd, size_t input, void (*between)(flow_house *));

/** Sends this JSON there. */
void client_post(int fd, const char *path, const char *body);

/** Sends POST /v2/repository/models/m/load, with this budget unless it is NULL. */
void client_command(int fd, const char *budget_ms);

/** Reads one answer: its code; *body is its text (free() it), or NULL when `body` is NULL. 0: the
 * connection ended. */
int client_receive(int fd, char **body);

/** Checks that an answer to the input is right for the generation that it names; which seed it
 * is. */
size_t client_check(const char *body, size_t input);

/** Receives an answer to the input, and checks that it is right, and of this seed. */
void client_expect(int fd, size_t input, size_t seed);

/** Starts so many clients that ask at random until clients_stop: each answer must be right for the
 * generation that it names, every fifth body has so much padding, every seventh request so small a
 * budget that it may be late or refused, and every eleventh client leaves and comes back. */
void clients_start(flow_house *house, size_t len, size_t padding, const char *hurried_ms);
void clients_stop(void);

#endif
