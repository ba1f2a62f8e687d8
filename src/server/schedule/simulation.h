/* server/schedule/simulation.h: what this very scheduler would do with a load: its own code on a
 * clock that the simulation moves, with batches that take what they cost.
 *
 *     qr_simulated requests[] = {{.at_ns = 0, .budget_ns = ..., .tokens = 9}, ...};
 *     const qr_simulation machine = {.workers = 4, .alone = cost, .team = team_cost, .team_len = 2,
 *                                    .queue_items = 4096, .batch_tokens = 512, .job_tokens = 256};
 *     status = qr_simulate(&machine, requests, len);
 *     if (requests[0].status == QR_OK)
 *         latency_ns = requests[0].done_ns - requests[0].at_ns;
 *
 * One model, one sequence a request. Nothing is drawn and no clock is read: the same requests on
 * the same machine end the same. docs/SCHEDULE.md, "A model of itself", says what is modelled and
 * what is not. Threads: calls share nothing.
 */
#ifndef QR_SERVER_SCHEDULE_SIMULATION_H
#define QR_SERVER_SCHEDULE_SIMULATION_H

#include "server/schedule/cost.h"

/** The machine, and the server on it. */
typedef struct qr_simulation {
    int workers;    /* 1 to QR_LIMIT_THREADS */
    qr_cost alone;  /* what a batch takes one worker; what the scheduler reckons with */
    qr_cost team;   /* what it takes `team_len` workers together */
    int team_len;   /* 0 or 1: idle workers do not help */
    size_t streams; /* batches that a device with processors of its own takes side by side, which
                       share its speed; 0: batches run on the workers' cores */
    size_t queue_items;  /* as qr_schedule_options has it */
    size_t batch_tokens; /* these two as qr_queue has them */
    size_t job_tokens;
    uint64_t after_ns; /* that a worker takes for each answer, behind the batch */
} qr_simulation;

/** A request and what became of it. */
typedef struct qr_simulated {
    uint64_t at_ns, budget_ns;
    uint64_t way_ns; /* from then until it is submitted */
    size_t tokens;
    /* As the schedule's: OK, in time; LATE; OVERLOADED or TOO_LONG: refused. */
    qr_status status;
    uint64_t done_ns; /* when its answer was there; of one without a result: when that was known */
} qr_simulated;

/** Serves the requests, which are in the order in which they are submitted (at_ns + way_ns), and
 * writes what became of each. No sum of times comes near 2^64. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_simulate(const qr_simulation *machine, qr_simulated *requests, size_t len);

#endif
