/* server/loader.c: models read one by one; then a generation of them, and its first requests. */
#include "server/loader.h"

#include <semaphore.h>
#include <stdlib.h>

#define WARM_ROUNDS      12
#define WARM_BUDGET_S    30
#define WARM_BODY_BYTES  4096
#define MODEL_NAME_BYTES 128

/* The models read so far; they are the generation's once it stands. */
typedef struct loaded {
    const char *source; /* who named them, for messages */
    qr_pipeline *models[QR_LIMIT_MODELS];
    size_t len;
} loaded;

qr_status qr__loader_check(const qr_config *config, qr_error *error) {
    const char *const *models;
    size_t len = qr_config_list(config, QR_OPTION_MODEL, &models);
    if (len == 0)
        return qr_error_set(error, QR_BAD_OPTION, "no model: say --model [NAME=]DIR");
    if (len > QR_LIMIT_MODELS)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s: %zu models are more than the %u that one server takes",
                            qr_config_source(config, QR_OPTION_MODEL), len, QR_LIMIT_MODELS);
    return QR_OK;
}

/* "[NAME=]DIR": a directory may hold "=" when a "/" comes before it. */
static qr_status split_model(const char *source, const char *given, char name[MODEL_NAME_BYTES],
                             const char **dir, qr_error *error) {
    size_t len = strcspn(given, "=/");
    name[0] = '\0';
    *dir = given;
    if (given[len] != '=')
        return QR_OK;
    if (len == 0 || len >= MODEL_NAME_BYTES || given[len + 1] == '\0')
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s %s: must be [NAME=]DIR with a name of 1 to %d bytes", source, given,
                            MODEL_NAME_BYTES - 1);
    memcpy(name, given, len);
    name[len] = '\0';
    *dir = given + len + 1;
    return QR_OK;
}

static void log_model(const qr_pipeline *pipeline, uint64_t took_ns) {
    const qr_model_info *model = qr_engine_model(qr_pipeline_engine(pipeline));
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(pipeline));
    qr_log(QR_LOG_INFO,
           "model %s: %s, %s, %zux%zu, inputs of at most %zu tokens; %s on %s, %.0f MB of weights "
           "(%s); loaded in %.0f ms%s",
           qr_pipeline_name(pipeline), model->architecture,
           qr_kind_name(qr_pipeline_kind(pipeline)), model->layers, model->hidden,
           qr_pipeline_max_tokens(pipeline), qr_precision_name(plan->precision), plan->target,
           (double)plan->weight_bytes / 1e6, plan->reason, (double)took_ns / 1e6,
           plan->from_cache ? " from the cache" : "");
}

static qr_status load_model(const char *given, qr_pipeline_options *options, loaded *models,
                            qr_error *error) {
    char name[MODEL_NAME_BYTES];
    const char *dir;
    qr_pipeline *model;
    qr_status status = split_model(models->source, given, name, &dir, error);
    if (status != QR_OK)
        return status;
    options->name = name[0] == '\0' ? NULL : name;
    uint64_t begun = qr_clock_ns();
    status = qr_pipeline_load(dir, options, &model, error);
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < models->len; i++)
        if (strcmp(qr_pipeline_name(models->models[i]), qr_pipeline_name(model)) == 0)
            status =
                qr_error_set(error, QR_BAD_OPTION, "%s %s: two models are named %s; say NAME=%s",
                             models->source, given, qr_pipeline_name(model), dir);
    if (status != QR_OK) {
        qr_pipeline_destroy(model);
        return status;
    }
    models->models[models->len++] = model;
    log_model(model, qr_clock_ns() - begun);
    return QR_OK;
}

static qr_status load_models(const qr_config *config, loaded *models, qr_error *error) {
    const char *const *given;
    size_t len = qr_config_list(config, QR_OPTION_MODEL, &given);
    models->source = qr_config_source(config, QR_OPTION_MODEL);
    qr_pipeline_options options = {.precision =
                                       (qr_precision)qr_config_choice(config, QR_OPTION_PRECISION),
                                   .device = qr_config_text(config, QR_OPTION_DEVICE),
                                   .threads = (int)qr_config_number(config, QR_OPTION_THREADS),
                                   .cache_dir = qr_config_text(config, QR_OPTION_CACHE_DIR),
                                   .samples = qr_config_flag(config, QR_OPTION_INT8_VECTORS)};
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < len && i < QR_LIMIT_MODELS; i++)
        status = load_model(given[i], &options, models, error);
    return status;
}

/* Warm requests: the first of each model is also a check that its route answers. */

typedef struct warm_request {
    const char *path, *fields; /* of the body, but for `model` */
} warm_request;

static const warm_request warm_requests[] = {
    [QR_KIND_EMBEDDING] = {"/embed", "\"inputs\":\"a text to wake the model\""},
    [QR_KIND_SPAN] = {"/span",
                      "\"inputs\":{\"question\":\"who wakes the model\","
                      "\"context\":\"The server wakes its model before the first request.\"}"},
    [QR_KIND_CLASSIFIER] = {"/predict", "\"inputs\":\"a text to wake the model\""},
    [QR_KIND_RERANKER] = {"/rerank",
                          "\"query\":\"what wakes it\",\"texts\":[\"a text\",\"another text\"]"},
};

static void on_warm(qr_ticket *ticket) {
    sem_post(ticket->owner);
}

/* One request from body to answer, but for the socket. */
static qr_status warm_once(const qr__loader_options *options, qr_exchange *x, sem_t *done) {
    qr_arena_reset(&x->arena);
    x->deadline_ns = qr_clock_ns() + WARM_BUDGET_S * QR_NS_PER_S;
    qr_status status = qr_api_decode(options->api, x);
    if (status == QR_OK && x->ticket.jobs_len > 0) {
        x->ticket.finished = on_warm;
        x->ticket.owner = done;
        status = qr_schedule_submit(options->schedule, &x->ticket);
        if (status == QR_OK) {
            while (sem_wait(done) != 0)
                ;
            status = x->ticket.status;
        }
    }
    x->status = status;
    qr_api_encode(options->api, x);
    return x->status;
}

static qr_status warm_model(const qr__loader_options *options, qr_serving *serving,
                            const qr_pipeline *model, qr_error *error) {
    const warm_request *warm = &warm_requests[qr_pipeline_kind(model)];
    qr_exchange *x = qr_exchange_create(WARM_BODY_BYTES);
    qr_status status = QR_NO_MEMORY;
    sem_t done;
    if (x != NULL) {
        qr_serving_pin(x->serving = serving);
        qr_buf_printf(&x->body, "{%s,\"model\":", warm->fields);
        qr_json_text(&x->body, qr_text_of(qr_pipeline_name(model)));
        qr_buf_byte(&x->body, '}');
        qr_text none;
        x->route = qr_api_route(QR_LISTENER_MAIN, qr_text_of("POST"), qr_text_of(warm->path), &none,
                                &status);
        if (qr_buf_failed(&x->body))
            status = QR_NO_MEMORY;
        sem_init(&done, 0, 0);
        for (int round = 0; status == QR_OK && round < WARM_ROUNDS; round++)
            status = warm_once(options, x, &done);
        sem_destroy(&done);
        qr_exchange_destroy(x);
    }
    return status == QR_OK
               ? QR_OK
               : qr_error_set(error, status, "model %s: a first request to %s failed: %s",
                              qr_pipeline_name(model), warm->path, qr_status_sentence(status));
}

static qr_status serve(const qr__loader_options *options, const loaded *models, qr_serving **out,
                       qr_error *error) {
    return qr_serving_create(
        &(qr_serving_options){
            .models = models->models,
            .models_len = models->len,
            .workers = options->workers,
            .batch_tokens = qr_config_number(options->config, QR_OPTION_BATCH_TOKENS),
            .pool = options->pool,
            .schedule = options->schedule,
            .metrics = options->metrics,
            .checked = options->checked,
        },
        out, error);
}

qr_status qr__loader_load(const qr__loader_options *options, qr_serving **out, qr_error *error) {
    loaded models = {0};
    *out = NULL;
    qr_status status = load_models(options->config, &models, error);
    if (status == QR_OK)
        status = serve(options, &models, out, error);
    if (status != QR_OK) {
        for (size_t i = 0; i < models.len; i++)
            qr_pipeline_destroy(models.models[i]);
        return status;
    }
    for (size_t i = 0; status == QR_OK && i < models.len; i++)
        status = warm_model(options, *out, models.models[i], error);
    if (status != QR_OK) {
        qr_serving_unpin(*out);
        *out = NULL;
    }
    return status;
}
