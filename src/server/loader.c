/* server/loader.c: a model read, made ready, and sent its first requests. */
#include "server/loader.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WARM_ROUNDS     12
#define WARM_BUDGET_S   30
#define WARM_BODY_BYTES 4096
#define REFUSED_MS_MOST 10 /* until a refused one tries again: others take what becomes free */

/* "[NAME=]PATH": a directory may hold "=" when a "/" comes before it. */
static qr_status split_model(const char *source, const char *given, qr__model_spec *out,
                             qr_error *error) {
    size_t len = strcspn(given, "=/");
    out->dir = given;
    if (given[len] != '=')
        return QR_OK;
    if (len == 0 || len >= sizeof out->name || given[len + 1] == '\0')
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s %s: must be [NAME=]PATH with a name of 1 to %zu bytes", source,
                            given, sizeof out->name - 1);
    memcpy(out->name, given, len);
    out->dir = given + len + 1;
    return QR_OK;
}

static const char *text_of(const qr_option_value *value, const char *otherwise) {
    return value == NULL ? otherwise : value->text;
}

static void read_entry(const qr_config *config, size_t index, qr__model_spec *out) {
    const qr_option_value *keys[QR_MODEL_KEY_COUNT];
    for (qr_model_key key = 0; key < QR_MODEL_KEY_COUNT; key++)
        keys[key] = qr_config_model(config, index, key);
    out->source = qr_config_model_source(config, index);
    out->dir = keys[QR_MODEL_KEY_PATH]->text;
    snprintf(out->name, sizeof out->name, "%s", text_of(keys[QR_MODEL_KEY_NAME], ""));
    if (keys[QR_MODEL_KEY_DEVICE] != NULL)
        out->device_source = out->source;
    out->device = text_of(keys[QR_MODEL_KEY_DEVICE], out->device);
    out->pooling = text_of(keys[QR_MODEL_KEY_POOLING], NULL);
    out->prompt = text_of(keys[QR_MODEL_KEY_PROMPT], NULL);
    if (keys[QR_MODEL_KEY_PRECISION] != NULL)
        out->precision = (qr_precision)keys[QR_MODEL_KEY_PRECISION]->choice;
    if (keys[QR_MODEL_KEY_MAX_TOKENS] != NULL)
        out->max_tokens = keys[QR_MODEL_KEY_MAX_TOKENS]->number;
    if (keys[QR_MODEL_KEY_BUDGET_MS] != NULL)
        out->budget_ns = keys[QR_MODEL_KEY_BUDGET_MS]->number * QR_NS_PER_MS;
}

qr_status qr__loader_specs(const qr_config *config, qr__model_spec *specs, size_t *len,
                           qr_error *error) {
    const char *const *given;
    size_t given_len = qr_config_list(config, QR_OPTION_MODEL, &given);
    size_t entries = qr_config_models(config);
    *len = entries > 0 ? entries : given_len;
    if (*len == 0)
        return qr_error_set(error, QR_BAD_OPTION, "no model: say --model [NAME=]PATH");
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < *len; i++) {
        specs[i] = (qr__model_spec){.precision =
                                        (qr_precision)qr_config_choice(config, QR_OPTION_PRECISION),
                                    .device = qr_config_text(config, QR_OPTION_DEVICE),
                                    .device_source = qr_config_source(config, QR_OPTION_DEVICE)};
        if (qr_config_given(config, QR_OPTION_PRECISION))
            specs[i].source = qr_config_source(config, QR_OPTION_PRECISION);
        if (entries > 0)
            read_entry(config, i, &specs[i]);
        else
            status =
                split_model(qr_config_source(config, QR_OPTION_MODEL), given[i], &specs[i], error);
    }
    return status;
}

/* A model that is not there is refused before others are read, too. */
static qr_status take_name(qr__model_spec *spec, qr_error *error) {
    char *own;
    qr_status status = qr_pipeline_own_name(spec->dir, &own, error);
    if (status == QR_OK && spec->name[0] == '\0' &&
        snprintf(spec->name, sizeof spec->name, "%s", own) >= (int)sizeof spec->name)
        status =
            qr_error_set(error, QR_BAD_OPTION,
                         "%s: no name of at most %zu bytes; give it one (--model NAME=PATH, or "
                         "`name` in the YAML file)",
                         spec->dir, sizeof spec->name - 1);
    free(own);
    return status;
}

qr_status qr__loader_names(qr__model_spec *specs, size_t len, qr_error *error) {
    for (size_t i = 0; i < len; i++) {
        qr_status status = take_name(&specs[i], error);
        if (status != QR_OK)
            return status;
        for (size_t other = 0; other < i; other++)
            if (strcmp(specs[other].name, specs[i].name) == 0)
                return qr_error_set(error, QR_BAD_OPTION,
                                    "two models are named %s, %s and %s: give one another name "
                                    "(--model NAME=PATH, or `name` in the YAML file)",
                                    specs[i].name, specs[other].dir, specs[i].dir);
    }
    return QR_OK;
}

static void log_model(const qr_pipeline *pipeline, uint64_t took_ns) {
    const qr_model_info *model = qr_engine_model(qr_pipeline_engine(pipeline));
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(pipeline));
    char place[QR_PLAN_PLACE_BYTES];
    qr_log(QR_LOG_INFO,
           "model %s: %s, %s, %zux%zu, inputs of at most %zu tokens; %s on %s, %.0f MB of weights "
           "(%s); loaded in %.0f ms%s",
           qr_pipeline_name(pipeline), model->architecture,
           qr_kind_name(qr_pipeline_kind(pipeline)), model->layers, model->hidden,
           qr_pipeline_max_tokens(pipeline), qr_precision_name(plan->precision),
           qr_plan_place(plan, place), (double)plan->weight_bytes / 1e6, plan->reason,
           (double)took_ns / 1e6, plan->from_cache ? " from the cache" : "");
    if (plan->proven && plan->proof_from_cache)
        qr_log(QR_LOG_INFO, "model %s: from ONNX, %s; remembered from an earlier start",
               qr_pipeline_name(pipeline), plan->proof_text);
    else if (plan->proven)
        qr_log(QR_LOG_INFO, "model %s: from ONNX, %s; found in %.0f ms", qr_pipeline_name(pipeline),
               plan->proof_text, plan->proof_ms);
}

static qr_status say_source(const char *source, qr_status status, qr_error *error) {
    if (status != QR_BAD_OPTION || source == NULL || error == NULL)
        return status;
    const qr_error fault = *error;
    return qr_error_set(error, status, "%s: %.900s", source, fault.message);
}

/* A device by name that is not there. (That of "cpu" has nothing to be wrong but QUERENT_ISA, which
 * the fault names.) */
static qr_status check_device(const qr__model_spec *spec, qr_error *error) {
    const bool named = !qr_device_is_auto(spec->device) && strcmp(spec->device, "cpu") != 0;
    return say_source(named ? spec->device_source : NULL, qr_device_check(spec->device, error),
                      error);
}

static qr_status read_model(const qr__loader_options *from, const qr__model_spec *spec,
                            qr_pipeline **out, qr_error *error) {
    const qr_config *config = from->config;
    const qr_pipeline_options options = {.name = from->name != NULL ? from->name : spec->name,
                                         .precision = spec->precision,
                                         .device = spec->device,
                                         .threads = from->threads,
                                         .cache_dir = qr_config_text(config, QR_OPTION_CACHE_DIR),
                                         .prompt = spec->prompt,
                                         .pooling = spec->pooling,
                                         .max_tokens = spec->max_tokens,
                                         .samples = qr_config_flag(config, QR_OPTION_INT8_VECTORS)};
    uint64_t begun = qr_clock_ns();
    qr_status status = check_device(spec, error);
    if (status != QR_OK)
        return status;
    status = qr_pipeline_load(spec->dir, &options, out, error);
    if (status == QR_OK)
        log_model(*out, qr_clock_ns() - begun);
    return say_source(spec->source, status, error);
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
    [QR_KIND_TOKENS] = {"/token_classification", "\"inputs\":\"a text to wake the model\""},
};

static void on_warm(qr_ticket *ticket) {
    sem_post(ticket->owner);
}

/* The schedule says when what is admitted now is likely to be done, and LATE in the end. */
qr_status qr__loader_submit(qr_schedule *schedule, qr_ticket *ticket) {
    qr_status status = qr_schedule_submit(schedule, ticket);
    bool refused = status == QR_OVERLOADED;
    while (status == QR_OVERLOADED) {
        size_t ms = qr_min(qr_schedule_retry_ms(schedule), REFUSED_MS_MOST);
        const struct timespec wait = {.tv_nsec = (long)(ms * QR_NS_PER_MS)};
        nanosleep(&wait, NULL);
        status = qr_schedule_submit(schedule, ticket);
    }
    return refused && status == QR_LATE ? QR_OVERLOADED : status;
}

/* One request from body to answer, but for the socket. */
static qr_status warm_once(const qr__loader_options *options, qr_exchange *x, sem_t *done) {
    qr_arena_reset(&x->arena);
    x->received_ns = qr_clock_ns();
    x->deadline_ns = x->received_ns + WARM_BUDGET_S * QR_NS_PER_S;
    qr_status status = qr_api_decode(options->api, x);
    if (status == QR_OK && x->ticket.jobs_len > 0) {
        x->ticket.finished = on_warm;
        x->ticket.owner = done;
        status = qr__loader_submit(x->model->schedule, &x->ticket);
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

static qr_status warm_model(const qr__loader_options *options, const qr_pipeline *model,
                            qr_serving *serving, qr_error *error) {
    const warm_request *warm = &warm_requests[qr_pipeline_kind(model)];
    qr_exchange *x = qr_exchange_create(WARM_BODY_BYTES, NULL);
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

/* In a generation of its own, which nobody else sees. */
static qr_status warm_alone(const qr__loader_options *options, qr_served *model, qr_error *error) {
    const qr_serving_entry entry = {.name = qr_pipeline_name(model->pipeline),
                                    .kind = qr_pipeline_kind(model->pipeline),
                                    .model = model};
    qr_serving *serving;
    qr_status status = qr_serving_create(&entry, 1, &serving);
    if (status != QR_OK)
        return qr_error_set(error, status, "model %s: no memory for serving it", entry.name);
    status = warm_model(options, model->pipeline, serving, error);
    qr_serving_unpin(serving);
    return status;
}

static qr_status make_on(const qr__loader_options *options, const qr__model_spec *spec,
                         const qr__served_options *served, bool *away, qr_served **out,
                         qr_error *error) {
    qr_pipeline *pipeline;
    qr_status status = read_model(options, spec, &pipeline, error);
    if (status != QR_OK)
        return status;
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(pipeline));
    const qr__machine *machine;
    qr__served_options there = *served;
    *away = plan->streams > 0;
    status = qr__machines_find(options->machines, plan, &machine, error);
    if (status == QR_OK) {
        there.schedule = machine->schedule;
        there.pool = machine->pool;
        status = qr__served_create(&there, pipeline, out, error);
    }
    if (status != QR_OK)
        qr_pipeline_destroy(pipeline);
    return status;
}

/* A device that has room for the weights may have none for the lanes; "auto" goes on to the CPU
 * then, as it does for what an engine refuses. */
static qr_status make_served(const qr__loader_options *options, const qr__model_spec *spec,
                             const qr__served_options *served, qr_served **out, qr_error *error) {
    qr__model_spec on_cpu = *spec;
    qr_error refusal = {0};
    bool away = false;
    qr_status status = make_on(options, spec, served, &away, out, &refusal);
    if (status != QR_OK && error != NULL)
        *error = refusal;
    if (status == QR_OK || !away || !qr_device_is_auto(spec->device))
        return status;
    qr_log(QR_LOG_WARN, "%s: runs on the CPU, its device has no room for its batches: %s",
           spec->dir, refusal.message);
    on_cpu.device = "cpu";
    return make_on(options, &on_cpu, served, &away, out, error);
}

qr_status qr__loader_load(const qr__loader_options *options, const qr__model_spec *spec,
                          qr_served **out, qr_error *error) {
    const qr__served_options served = {
        .workers = options->workers,
        .batch_tokens = qr_config_number(options->config, QR_OPTION_BATCH_TOKENS),
        .metrics = options->metrics,
        .checked = options->checked,
        .budget_ns = spec->budget_ns,
        .before = options->before,
        .others_run = options->others_run,
    };
    *out = NULL;
    qr_status status = make_served(options, spec, &served, out, error);
    if (status != QR_OK)
        return status;
    status = warm_alone(options, *out, error);
    if (status != QR_OK) {
        qr__served_unpin(*out);
        *out = NULL;
    }
    return status;
}
