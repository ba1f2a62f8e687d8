/* server/loader.h: a model read, made ready and warm, away from the loop.
 *
 *     qr__loader_specs(config, specs, &len, &error);       // before anything is opened
 *     qr__loader_names(specs, len, &error);
 *     const qr__loader_options options = {.config = config, .api = api, ...};
 *     qr__loader_load(&options, &specs[0], &model, &error);    // seconds: on a thread of its own
 */
#ifndef QR_SERVER_LOADER_H
#define QR_SERVER_LOADER_H

#include "config/config.h"
#include "server/api/api.h"
#include "server/machines.h"
#include "server/serving.h"

/** A model, as the options give it. Texts are the config's. */
typedef struct qr__model_spec {
    char name[QR_LIMIT_MODEL_NAME]; /* empty before qr__loader_names: the directory's */
    const char *dir;
    const char *source; /* who says how it runs, for messages; NULL: nobody does */
    qr_precision precision;
    const char *device_source;             /* as source, of its device */
    const char *device, *pooling, *prompt; /* NULL: as qr_pipeline_options has it */
    size_t max_tokens;                     /* likewise; 0 */
    uint64_t budget_ns;                    /* as qr_served has it */
} qr__model_spec;

/** What a model will work with; all borrowed. */
typedef struct qr__loader_options {
    const qr_config *config;
    const qr_api *api;
    qr__machines *machines; /* one of them runs it */
    int workers;            /* of each */
    int threads;            /* that pack its weights */
    qr_metrics *metrics;
    bool checked;            /* as qr__served_options has it */
    const char *name;        /* of the model whatever its spec says; NULL: as that says */
    const qr_served *before; /* as qr__served_options has it */
    bool others_run;         /* likewise */
} qr__loader_options;

/** The models that the options name, 1 to QR_LIMIT_MODELS; `specs` has room for so many.
 * QR_BAD_OPTION. */
QR_MUST_USE qr_status qr__loader_specs(const qr_config *config, qr__model_spec *specs, size_t *len,
                                       qr_error *error);

/** Names those that were given none (qr_pipeline_own_name). QR_BAD_OPTION: two have one name, or it
 * is too long; QR_BAD_MODEL: there is none; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__loader_names(qr__model_spec *specs, size_t len, qr_error *error);

/** Loads a model, makes lanes for it, and sends it whole requests through api and schedule. Any
 * fault names the option or file and what to do. *out: returns owned (one pin). Threads: any but
 * the loop's. */
QR_MUST_USE qr_status qr__loader_load(const qr__loader_options *options, const qr__model_spec *spec,
                                      qr_served **out, qr_error *error);

/** Submits a ticket; while the schedule is overloaded it waits and tries again, until the ticket's
 * deadline: a server that has too much to do can load a model all the same. Statuses as
 * qr_schedule_submit's; OVERLOADED: it was so all the time. Threads: any but the loop's. */
QR_MUST_USE qr_status qr__loader_submit(qr_schedule *schedule, qr_ticket *ticket);

#endif
