#include "server/api_fixture.h"

#include <criterion/criterion.h>

static bool is_ready(void *state) {
    return ((api_fixture *)state)->ready;
}

static void load(api_fixture *f, const char *dir, qr_pipeline **out) {
    qr_error error = {0};
    qr_pipeline_options options = {.precision = QR_PRECISION_F32, .threads = 1};
    cr_assert_eq(qr_pipeline_load(dir, &options, out, &error), QR_OK, "%s", error.message);
    f->models[f->models_len++] = *out;
}

void api_fixture_init(api_fixture *f) {
    *f = (api_fixture){.ready = true};
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    load(f, QR_SOURCE_DIR "/models/squad-3l", &f->span);
    if (qr_file_exists(QR_SOURCE_DIR "/models/minilm", "model.safetensors"))
        load(f, QR_SOURCE_DIR "/models/minilm", &f->embedding);
    qr_api_options options = {
        .models = f->models, .models_len = f->models_len, .hooks = {.ready = is_ready, .state = f}};
    cr_assert_eq(qr_api_create(&options, &f->api, NULL), QR_OK);
}

static void end_exchange(qr_exchange *x) {
    qr_arena_deinit(&x->arena);
    qr_buf_deinit(&x->out);
}

void api_fixture_deinit(api_fixture *f) {
    end_exchange(&f->exchange);
    qr_api_destroy(f->api);
    qr_pipeline_destroy(f->span);
    qr_pipeline_destroy(f->embedding);
}

/* One job after the other, each alone in its batch. */
static void run_jobs(qr_ticket *ticket) {
    size_t longest = qr_engine_model(qr_pipeline_engine(ticket->model))->positions;
    qr_context *context;
    cr_assert_eq(qr_context_create(qr_pipeline_engine(ticket->model),
                                   &(qr_context_options){.tokens_max = longest, .sequences_max = 1},
                                   &context, NULL),
                 QR_OK);
    for (size_t i = 0; i < ticket->jobs_len; i++) {
        const qr_job *job = &ticket->jobs[i];
        const uint32_t starts[2] = {0, (uint32_t)job->tokens};
        const qr_batch batch = {job->ids, job->types, starts, 1};
        const float *result;
        cr_assert_eq(
            qr_context_forward(context, &batch, qr_pipeline_output(ticket->model), &result), QR_OK);
        memcpy(job->result, result,
               qr_pipeline_output_floats(ticket->model, job->tokens) * sizeof *result);
    }
    qr_context_destroy(context);
}

qr_text api_ask(api_fixture *f, const char *route, qr_text body, int *code) {
    qr_exchange *x = &f->exchange;
    qr_status status;
    const char *allow;
    end_exchange(x);
    *x = (qr_exchange){
        .target = qr_text_of(route), .body = body, .trace_id = "0123456789abcdef0123456789abcdef"};
    qr_arena_init(&x->arena, QR_LIMIT_EXCHANGE_BYTES);
    qr_buf_init(&x->out, QR_LIMIT_RESPONSE_BYTES);
    x->route = qr_api_route(body.data == NULL ? QR_GET : QR_POST, x->target, &status, &allow);
    x->status = status;
    if (x->route != NULL && qr_api_decode(f->api, x) == QR_OK && x->ticket.jobs_len > 0)
        run_jobs(&x->ticket);
    qr_api_encode(f->api, x);
    *code = x->http_code;
    return (qr_text){x->out.data, x->out.len};
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
