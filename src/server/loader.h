/* server/loader.h: a generation of models read, made ready and warm, away from the loop.
 *
 *     const qr__loader_options options = {.config = config, .api = api, ...};
 *     qr__loader_check(config, &error);                    // before anything is opened
 *     qr__loader_load(&options, &serving, &error);         // seconds: on a thread of its own
 *     qr__flow_serve(flow, serving);                        // then, on the loop
 */
#ifndef QR_SERVER_LOADER_H
#define QR_SERVER_LOADER_H

#include "config/config.h"
#include "server/api/api.h"
#include "server/serving.h"

/** What a generation will work with; all borrowed. */
typedef struct qr__loader_options {
    const qr_config *config;
    const qr_api *api;
    qr_schedule *schedule;
    int workers;   /* of the schedule */
    qr_pool *pool; /* in which they wait */
    qr_metrics *metrics;
    bool checked; /* as qr_serving_options has it */
} qr__loader_options;

/** Whether the option --model names as many models as can be served. QR_BAD_OPTION. */
QR_MUST_USE qr_status qr__loader_check(const qr_config *config, qr_error *error);

/** Loads the models of --model, makes a generation of them, and sends each model whole requests
 * through api and schedule. Any fault names the option or file and what to do. *out: returns owned
 * (one pin). Threads: any but the loop's. */
QR_MUST_USE qr_status qr__loader_load(const qr__loader_options *options, qr_serving **out,
                                      qr_error *error);

#endif
