/* server/startup.c: checks, loads and warms; every fault says which option or file and what to do.
 */
#include "server/startup.h"

#include <inttypes.h>
#include <semaphore.h>
#include <stdlib.h>

#define WARM_ROUNDS      12
#define WARM_BUDGET_S    30
#define MODEL_NAME_BYTES 128

qr_status qr__startup_check(const qr_config *config, qr_error *error) {
    size_t port = qr_config_number(config, QR_OPTION_PORT),
           ops = qr_config_number(config, QR_OPTION_OPS_PORT);
    if (ops != 0 && ops == port)
        return qr_error_set(error, QR_BAD_OPTION,
                            "--ops-port %zu: is the main port; give it one of its own", ops);
    const char *const *models;
    size_t models_len = qr_config_list(config, QR_OPTION_MODEL, &models);
    if (models_len == 0)
        return qr_error_set(error, QR_BAD_OPTION, "no model: say --model [NAME=]DIR");
    if (models_len > QR_LIMIT_MODELS)
        return qr_error_set(error, QR_BAD_OPTION,
                            "--model: %zu models are more than the %u that one server takes",
                            models_len, QR_LIMIT_MODELS);
    return QR_OK;
}

/* "[NAME=]DIR": a directory may hold "=" when a "/" comes before it. */
static qr_status split_model(const char *given, char name[MODEL_NAME_BYTES], const char **dir,
                             qr_error *error) {
    size_t len = strcspn(given, "=/");
    name[0] = '\0';
    *dir = given;
    if (given[len] != '=')
        return QR_OK;
    if (len == 0 || len >= MODEL_NAME_BYTES || given[len + 1] == '\0')
        return qr_error_set(error, QR_BAD_OPTION,
                            "--model %s: must be [NAME=]DIR with a name of 1 to %d bytes", given,
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
           "(%s); loaded in %.0f ms",
           qr_pipeline_name(pipeline), model->architecture,
           qr_kind_name(qr_pipeline_kind(pipeline)), model->layers, model->hidden,
           qr_pipeline_max_tokens(pipeline), qr_precision_name(plan->precision), plan->target,
           (double)plan->weight_bytes / 1e6, plan->reason, (double)took_ns / 1e6);
}

static qr_status load_models(const qr_config *config, qr_house *house, qr_error *error) {
    const char *const *given;
    size_t len = qr_config_list(config, QR_OPTION_MODEL, &given);
    qr_pipeline_options options = {.precision =
                                       (qr_precision)qr_config_choice(config, QR_OPTION_PRECISION),
                                   .device = qr_config_text(config, QR_OPTION_DEVICE),
                                   .threads = (int)qr_config_number(config, QR_OPTION_THREADS)};
    for (size_t i = 0; i < len && i < QR_LIMIT_MODELS; i++) {
        char name[MODEL_NAME_BYTES];
        const char *dir;
        qr_status status = split_model(given[i], name, &dir, error);
        if (status != QR_OK)
            return status;
        options.name = name[0] == '\0' ? NULL : name;
        uint64_t begun = qr_clock_ns();
        status = qr_pipeline_load(dir, &options, &house->models[house->models_len], error);
        if (status != QR_OK)
            return status;
        const char *loaded = qr_pipeline_name(house->models[house->models_len++]);
        for (size_t k = 0; k + 1 < house->models_len; k++) {
            if (strcmp(qr_pipeline_name(house->models[k]), loaded) == 0)
                return qr_error_set(error, QR_BAD_OPTION,
                                    "--model %s: two models are named %s; say --model NAME=%s",
                                    given[i], loaded, dir);
        }
        log_model(house->models[house->models_len - 1], qr_clock_ns() - begun);
    }
    return QR_OK;
}

static qr_status make_metrics(qr_house *house, qr_error *error) {
    const qr_route *routes;
    size_t routes_len = qr_api_routes(&routes);
    const char **names = calloc(routes_len, sizeof *names);
    if (names == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while preparing metrics");
    for (size_t i = 0; i < routes_len; i++)
        names[i] = routes[i].name;
    qr_status status =
        qr_metrics_create(&(qr_metrics_options){.models = (const qr_pipeline *const *)house->models,
                                                .models_len = house->models_len,
                                                .routes = names,
                                                .routes_len = routes_len},
                          &house->metrics);
    free(names);
    return status == QR_OK ? QR_OK
                           : qr_error_set(error, status, "out of memory while preparing metrics");
}

static void on_batch(void *metrics, const qr_pipeline *model, size_t items, size_t tokens,
                     uint64_t compute_ns) {
    qr_metrics_batch(metrics, model, items, tokens, compute_ns);
}

static qr_status start_schedule(const qr_config *config, qr_house *house, qr_error *error) {
    return qr_schedule_start(
        &(qr_schedule_options){.models = (const qr_pipeline *const *)house->models,
                               .models_len = house->models_len,
                               .threads = (int)qr_config_number(config, QR_OPTION_THREADS),
                               .batch_tokens = qr_config_number(config, QR_OPTION_BATCH_TOKENS),
                               .queue_items = qr_config_number(config, QR_OPTION_QUEUE_ITEMS),
                               .on_batch = on_batch,
                               .state = house->metrics},
        &house->schedule, error);
}

typedef struct warm_request {
    const char *path, *fields; /* of the body, but for `model` */
} warm_request;

static warm_request warm_request_for(qr_kind kind) {
    switch (kind) {
    case QR_KIND_SPAN:
        return (warm_request){
            "/span", "\"inputs\":{\"question\":\"who wakes the model\","
                     "\"context\":\"The server wakes its model before the first request.\"}"};
    case QR_KIND_CLASSIFIER:
        return (warm_request){"/predict", "\"inputs\":\"a text to wake the model\""};
    case QR_KIND_RERANKER:
        return (warm_request){
            "/rerank", "\"query\":\"what wakes it\",\"texts\":[\"a text\",\"another text\"]"};
    case QR_KIND_EMBEDDING:
        break;
    }
    return (warm_request){"/embed", "\"inputs\":\"a text to wake the model\""};
}

static void on_warm(qr_ticket *ticket) {
    sem_post(ticket->owner);
}

/* One request from body to answer, but for the socket. */
static qr_status warm_once(const qr_house *house, qr_exchange *x, sem_t *done) {
    qr_arena_reset(&x->arena);
    x->received_ns = qr_clock_ns();
    x->deadline_ns = x->received_ns + WARM_BUDGET_S * QR_NS_PER_S;
    qr_status status = qr_api_decode(house->api, x);
    if (status == QR_OK && x->ticket.jobs_len > 0) {
        x->ticket.finished = on_warm;
        x->ticket.owner = done;
        status = qr_schedule_submit(house->schedule, &x->ticket);
        if (status == QR_OK) {
            while (sem_wait(done) != 0)
                ;
            status = x->ticket.status;
        }
    }
    x->status = status;
    qr_api_encode(house->api, x);
    return x->status;
}

static qr_status warm_model(const qr_house *house, const qr_pipeline *model, qr_error *error) {
    const warm_request warm = warm_request_for(qr_pipeline_kind(model));
    qr_exchange x = {0};
    qr_buf body;
    sem_t done;
    const char *allow;
    qr_status status = QR_OK;
    qr_buf_init(&body, 64 * 1024);
    qr_buf_printf(&body, "{%s,\"model\":", warm.fields);
    qr_json_text(&body, qr_text_of(qr_pipeline_name(model)));
    qr_buf_byte(&body, '}');
    qr_buf_init(&x.out, QR_LIMIT_RESPONSE_BYTES);
    qr_arena_init(&x.arena, QR_LIMIT_EXCHANGE_BYTES);
    x.target = qr_text_of(warm.path);
    x.route = qr_api_route(QR_POST, x.target, &status, &allow);
    x.body = (qr_text){body.data, body.len};
    x.body_type = qr_text_of("application/json");
    sem_init(&done, 0, 0);
    if (x.route == NULL || qr_buf_failed(&body))
        status = QR_INTERNAL;
    for (int round = 0; status == QR_OK && round < WARM_ROUNDS; round++)
        status = warm_once(house, &x, &done);
    sem_destroy(&done);
    qr_buf_deinit(&body);
    qr_buf_deinit(&x.out);
    qr_arena_deinit(&x.arena);
    return status == QR_OK
               ? QR_OK
               : qr_error_set(error, status, "model %s: a first request to %s failed: %s",
                              qr_pipeline_name(model), warm.path, qr_status_sentence(status));
}

static qr_status warm_up(const qr_house *house, qr_error *error) {
    for (size_t i = 0; i < house->models_len; i++) {
        qr_status status = warm_model(house, house->models[i], error);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

qr_status qr__startup_load(const qr_config *config, const qr_api_hooks *hooks, qr_house *house,
                           qr_error *error) {
    qr_status status = load_models(config, house, error);
    if (status == QR_OK)
        status = make_metrics(house, error);
    if (status == QR_OK)
        status = start_schedule(config, house, error);
    if (status == QR_OK)
        status =
            qr_api_create(&(qr_api_options){.models = (const qr_pipeline *const *)house->models,
                                            .models_len = house->models_len,
                                            .config = config,
                                            .hooks = *hooks},
                          &house->api, error);
    return status == QR_OK ? warm_up(house, error) : status;
}

void qr__startup_unload(qr_house *house) {
    qr_schedule_stop(house->schedule);
    qr_api_destroy(house->api);
    qr_metrics_destroy(house->metrics);
    for (size_t i = 0; i < house->models_len; i++)
        qr_pipeline_destroy(house->models[i]);
    *house = (qr_house){0};
}
