/* server/api/call.c: from a body to a checked object, its fields and its model. */
#include "server/api/call.h"

#include <inttypes.h>
#include <stdlib.h>

static void log_bad_json(const qr_exchange *exchange, size_t fault_byte) {
    static qr_rate rate;
    uint64_t dropped;
    if (!qr_rate_allow(&rate, 10, qr_clock_ns(), &dropped))
        return;
    qr_log(QR_LOG_INFO,
           "%s: body is not valid JSON near byte %zu of %zu (trace %s, %" PRIu64
           " like it not logged)",
           exchange->route->name, fault_byte, exchange->body.len, exchange->trace_id, dropped);
}

qr_status qr__call_run(const qr_api *api, qr_exchange *exchange, size_t request_bytes,
                       qr_status (*decode)(qr__call *call)) {
    qr__value *body = NULL;
    size_t fault_byte;
    qr__request *request = qr_arena_alloc(&exchange->arena, request_bytes);
    if (request == NULL)
        return QR_NO_MEMORY;
    exchange->decoded = request;
    qr_status status = qr__value_parse(exchange->body, &body, &fault_byte);
    if (status == QR_BAD_JSON)
        log_bad_json(exchange, fault_byte);
    if (status != QR_OK)
        return status;
    qr__call call = {.api = api, .exchange = exchange, .body = body, .request = request};
    status = qr__value_kind_of(body) == QR__VALUE_OBJECT ? decode(&call) : QR_BAD_REQUEST;
    qr_encoding_deinit(&call.scratch);
    qr_windows_deinit(&call.windows);
    qr__value_free(body);
    return status;
}

qr_status qr__call_bad_field(qr__call *call, const char *field) {
    call->request->fault_field = field;
    return QR_BAD_REQUEST;
}

bool qr__field_flag(qr__call *call, const qr__value *object, const char *name, bool *value) {
    const qr__value *field = qr__value_get(object, name);
    if (field == NULL || qr__value_flag(field, value))
        return true;
    qr__call_bad_field(call, name);
    return false;
}

bool qr__field_number(qr__call *call, const qr__value *object, qr__number number, size_t *value) {
    const qr__value *field = qr__value_get(object, qr__number_name(number));
    if (field == NULL || qr__value_number(field, number, value))
        return true;
    qr__call_bad_field(call, qr__number_name(number));
    return false;
}

bool qr__field_text(qr__call *call, const qr__value *object, const char *name, qr_text *value) {
    const qr__value *field = qr__value_get(object, name);
    if (qr__value_kind_of(field) == QR__VALUE_TEXT) {
        *value = qr__value_text(field);
        return true;
    }
    qr__call_bad_field(call, name);
    return false;
}

bool qr__field_truncation(qr__call *call, const qr__value *object, qr_encode_options *options,
                          bool *truncate) {
    const qr__value *direction = qr__value_get(object, "truncation_direction");
    qr_text name = qr__value_text(direction);
    *truncate = true;
    if (!qr__field_flag(call, object, "truncate", truncate))
        return false;
    if (qr_text_is(name, "left") || qr_text_is(name, "Left")) {
        options->truncate_left = true;
    } else if (direction != NULL && !qr_text_is(name, "right") && !qr_text_is(name, "Right")) {
        qr__call_bad_field(call, "truncation_direction");
        return false;
    }
    if (qr__value_get(object, "prompt_name") !=
        NULL) { /* no model here has prompts, so no name is known */
        qr__call_bad_field(call, "prompt_name");
        return false;
    }
    return true;
}

static void log_unknown_model(const qr_served *served) {
    static qr_rate rate;
    uint64_t dropped;
    if (qr_rate_allow(&rate, 1, qr_clock_ns(), &dropped))
        qr_log(QR_LOG_WARN,
               "a request asked for a model that is not loaded; %s answered (%" PRIu64
               " like it not logged)",
               qr_pipeline_name(served->pipeline), dropped);
}

qr_status qr__call_model(qr__call *call, unsigned kinds, qr__unknown_model unknown) {
    qr_serving *serving = call->exchange->serving;
    qr_served *model = qr_serving_first(serving, kinds);
    const qr__value *field = qr__value_get(call->body, "model");
    if (field != NULL && qr__value_kind_of(field) != QR__VALUE_TEXT)
        return qr__call_bad_field(call, "model");
    if (model == NULL)
        return QR_WRONG_KIND;
    if (field != NULL) {
        qr_served *named = qr_serving_named(serving, qr__value_text(field));
        bool fits = named != NULL && (kinds & QR_KIND_BIT(qr_pipeline_kind(named->pipeline))) != 0;
        if (fits)
            model = named;
        else if (unknown == QR__UNKNOWN_SERVED)
            log_unknown_model(model);
        else
            return named == NULL ? QR_NO_MODEL : QR_WRONG_KIND;
    }
    call->exchange->model = model;
    return QR_OK;
}

static int by_score(const void *a, const void *b) {
    const qr__ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index > y->index ? -1 : x->index < y->index;
}

void qr__rank(qr__ranked *items, size_t len) {
    qsort(items, len, sizeof *items, by_score);
}
