/* server/startup.h: what must be true, loaded and warm before the first request.
 *
 *     qr__startup_check(config, &error);                   // options that no table can check
 *     qr__startup_load(config, &hooks, &house, &error);     // models, schedule, api, warm-up; any
 * thread
 *     ...
 *     qr__startup_unload(&house);
 */
#ifndef QR_SERVER_STARTUP_H
#define QR_SERVER_STARTUP_H

#include "server/api/api.h"
#include "server/ops/ops.h"

/** Everything that serves, in the order in which it is made. */
typedef struct qr_house {
    qr_pipeline *models[QR_LIMIT_MODELS];
    size_t models_len;
    qr_metrics *metrics;
    qr_schedule *schedule;
    qr_api *api;
} qr_house;

QR_MUST_USE qr_status qr__startup_check(const qr_config *config, qr_error *error);
QR_MUST_USE qr_status qr__startup_load(const qr_config *config, const qr_api_hooks *hooks,
                                       qr_house *house, qr_error *error);

/** Finishes admitted work, then frees; what is NULL is left out. */
void qr__startup_unload(qr_house *house);

#endif
