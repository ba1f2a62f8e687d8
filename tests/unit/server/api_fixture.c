#include "server/api_fixture.h"

#include <criterion/criterion.h>

#include "server/tiny_models.h"

static bool is_ready(void *state) {
    return ((api_fixture *)state)->ready;
}

static qr_pipeline *load(const char *dir) {
    qr_error error = {0};
    qr_pipeline *out;
    qr_pipeline_options options = {.precision = QR_PRECISION_F32, .threads = 1};
    cr_assert_eq(qr_pipeline_load(dir, &options, &out, &error), QR_OK, "%s", error.message);
    return out;
}

static void create_api(api_fixture *f) {
    const qr__served_options served = {.workers = 1, .batch_tokens = 512};
    const qr_api_options options = {.max_inputs = QR_LIMIT_INPUTS,
                                    .queue_items = QR_LIMIT_QUEUE_ITEMS,
                                    .hooks = {.ready = is_ready, .state = f}};
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    f->serving = tiny_serving(f->models, f->models_len, &served);
    cr_assert_eq(qr_api_create(&options, &f->api), QR_OK);
}

void api_fixture_init(api_fixture *f) {
    *f = (api_fixture){.ready = true};
    f->models[f->models_len++] = load(QR_SOURCE_DIR "/models/squad-3l");
    if (qr_file_exists(QR_SOURCE_DIR "/models/minilm", "model.safetensors"))
        f->models[f->models_len++] = f->embedding = load(QR_SOURCE_DIR "/models/minilm");
    create_api(f);
}

void api_fixture_init_tiny(api_fixture *f) {
    *f = (api_fixture){.ready = true};
    for (qr_kind kind = QR_KIND_EMBEDDING; kind <= QR_KIND_RERANKER; kind++)
        f->models[f->models_len++] = tiny_model(qr_kind_name(kind), kind, 1 + (uint64_t)kind);
    create_api(f);
}

void api_fixture_deinit(api_fixture *f) {
    qr_exchange_destroy(f->exchange);
    qr_api_destroy(f->api);
    qr_serving_unpin(f->serving);
}

/* One job after the other, each alone in its batch. */
void api_run_jobs(api_fixture *f) {
    qr_ticket *ticket = &f->exchange->ticket;
    for (size_t i = 0; i < ticket->jobs_len; i++) {
        qr_job *job = &ticket->jobs[i];
        const qr_job *const jobs[] = {job};
        cr_assert_eq(ticket->queue->run(ticket->queue, 0, jobs, 1), QR_OK);
        job->result = job->room;
    }
}

qr_status api_begin(api_fixture *f, const char *route, qr_text body) {
    qr_status status;
    qr_text model;
    qr_exchange_destroy(f->exchange);
    qr_exchange *x = f->exchange = qr_exchange_create(QR_LIMIT_BODY_BYTES, f->quota);
    qr_serving_pin(x->serving = f->serving);
    qr_buf_text(&x->body, body);
    x->listeners = QR_LISTENER_MAIN | QR_LISTENER_OPS;
    x->route = qr_api_route(QR_LISTENER_MAIN | QR_LISTENER_OPS,
                            qr_text_of(body.data == NULL ? "GET" : "POST"), qr_text_of(route),
                            &model, &status);
    x->status = status;
    if (model.data != NULL)
        cr_assert(qr_api_decode_name(model, x->path_bytes, sizeof x->path_bytes, &x->path_model));
    return status;
}

qr_text api_ask(api_fixture *f, const char *route, qr_text body, int *code) {
    qr_status status = api_begin(f, route, body);
    qr_exchange *x = f->exchange;
    if (status == QR_OK && qr_api_decode(f->api, x) == QR_OK && x->ticket.jobs_len > 0)
        api_run_jobs(f);
    qr_api_encode(f->api, x);
    *code = x->http_code;
    return qr_buf_contents(&x->out);
}

void api_expect(api_fixture *f, const char *route, const char *body, int code,
                const char *expected) {
    int got;
    qr_text answer = api_ask(f, route, qr_text_of(body), &got);
    cr_expect_eq(got, code, "%s %s: %d, not %d: %.*s", route, body == NULL ? "" : body, got, code,
                 (int)answer.len, answer.data);
    cr_expect(qr_text_is(answer, expected), "%s %s: %.*s, not %s", route, body == NULL ? "" : body,
              (int)answer.len, answer.data, expected);
}
