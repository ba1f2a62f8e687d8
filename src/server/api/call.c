/* server/api/call.c: from a body to a checked object, and the choice of its model. */
#include "server/api/call.h"

#include <inttypes.h>

static void log_bad_json(const qr_exchange *x) {
    static qr_rate rate;
    uint64_t dropped;
    if (!qr_rate_allow(&rate, 10, qr_clock_ns(), &dropped))
        return;
    qr_log(QR_LOG_INFO,
           "%s: a body of %zu bytes is not valid JSON: line %zu, column %zu: %s (trace %s, %" PRIu64
           " like it not logged)",
           x->route->pattern, x->body.len, x->fault.line, x->fault.column, x->fault.expected,
           x->trace.text, dropped);
}

static qr_status read_fields(qr__call *call, const qr_route *row) {
    static const qr_place whole = {0};
    qr_exchange *x = call->exchange;
    if (row->accepts != NULL && qr__value_kind_of(call->body) != QR__VALUE_OBJECT)
        return qr__call_must(call, &whole, "a JSON object");
    if (row->request_bytes > 0) {
        x->decoded = call->request = qr_arena_alloc(&x->arena, row->request_bytes);
        if (call->request == NULL)
            return QR_NO_MEMORY;
    }
    return row->accepts == NULL ? QR_OK : qr__call_fields(call, row->fields, row->fields_len);
}

qr_status qr__call_decode(qr__call *call, const qr_route *row) {
    qr_status status = read_fields(call, row);
    return status == QR_OK && row->decode != NULL ? row->decode(call) : status;
}

/* The JSON of the body: all of it, or what stands before binary tensors. */
static qr_status parse_body(qr__call *call, qr__value **body) {
    qr_exchange *x = call->exchange;
    qr_text text = qr_buf_contents(&x->body);
    if (x->json_bytes > text.len) {
        x->fault = (qr_fault){.place = {.field = "Inference-Header-Content-Length"},
                              .must = "at most the length of the body"};
        return QR_BAD_HEADER;
    }
    if (x->json_bytes > 0)
        text.len = x->json_bytes;
    qr_status status = qr__value_parse(text, &call->tree, body, &x->fault);
    if (status == QR_BAD_JSON)
        log_bad_json(x);
    return status;
}

qr_status qr__call_run(const qr_api *api, qr_exchange *x, size_t *needs) {
    qr__call call = {.api = api, .exchange = x};
    qr_quota_init_part(&call.quota, x->arena.quota);
    call.tree.quota = call.scratch.quota = call.first.tokens.kept.quota = &call.quota;
    call.windows.context.quota = call.windows.question.quota = &call.quota;
    qr__value *body = NULL;
    qr_status status = qr__call_is_late(&call) ? QR_LATE : QR_OK; /* it waited for a worker */
    if (status == QR_OK && x->route->accepts != NULL)
        status = parse_body(&call, &body);
    if (status == QR_OK) {
        call.body = body;
        if (x->route->resolve != NULL)
            x->handler = x->route->resolve(x, body);
        status = qr__call_decode(&call, x->handler);
    }
    *needs = qr_quota_wanted(&call.quota);
    qr_encoding_deinit(&call.scratch);
    qr_windows_deinit(&call.windows);
    qr_first_text_deinit(&call.first.tokens);
    qr__value_free(body, &call.tree);
    if (status == QR_BAD_REQUEST && x->handler->refusal != QR_OK)
        status = x->handler->refusal;
    return status;
}

bool qr__call_is_late(const qr__call *call) {
    const qr_exchange *x = call->exchange;
    return atomic_load_explicit(&x->unwanted, memory_order_relaxed) ||
           (x->deadline_ns != 0 && qr_clock_ns() >= x->deadline_ns);
}

qr_status qr__call_must(qr__call *call, const qr_place *place, const char *must) {
    call->exchange->fault = (qr_fault){.place = *place, .must = must};
    return QR_BAD_REQUEST;
}

qr_status qr__call_must_within(qr__call *call, const qr_place *place, const char *must,
                               size_t least, size_t most) {
    call->exchange->fault =
        (qr_fault){.place = *place, .must = must, .bounded = true, .least = least, .most = most};
    return QR_BAD_REQUEST;
}

qr_status qr__call_at(qr__call *call, qr_status status, const qr_place *place) {
    if (status == QR_EMPTY_INPUT || status == QR_TOO_LONG)
        call->exchange->fault.place = *place;
    return status;
}

qr_place qr__call_place(const qr__call *call, const char *parent, const char *field) {
    bool inside = qr__value_get(call->body, parent) != NULL;
    return (qr_place){.parent = inside ? parent : NULL, .field = field};
}

qr_place qr__place_item(const qr_place *place, size_t index) {
    qr_place item = *place;
    QR_ASSERT(item.depth < sizeof item.index / sizeof item.index[0]);
    item.index[item.depth++] = index;
    return item;
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

/* A name that is known is meant: another model's answer would be a wrong one. A name that is not
 * may be what a client is configured to send whatever serves it. */
qr_status qr__call_model(qr__call *call, qr__unknown_model unknown) {
    qr_serving *serving = call->exchange->serving;
    unsigned kinds = call->exchange->handler->kinds;
    qr_served *model = qr_serving_first(serving, kinds), *named = NULL;
    if (model == NULL && !qr_serving_first_is_out(serving, kinds))
        return QR_WRONG_KIND;
    bool in_path = call->exchange->path_model.data != NULL;
    qr_text name = in_path ? call->exchange->path_model : call->request->model;
    if (name.data != NULL) {
        named = qr_serving_named(serving, name);
        if (named == NULL && qr_serving_named_is_out(serving, name))
            return QR_MODEL_OUT;
        if (named == NULL && (in_path || unknown == QR__UNKNOWN_REFUSED))
            return QR_NO_MODEL;
    }
    if (named != NULL && (kinds & QR_KIND_BIT(qr_pipeline_kind(named->pipeline))) == 0)
        return QR_WRONG_KIND;
    if (named != NULL)
        model = named;
    if (model == NULL)
        return QR_MODEL_OUT;
    if (named == NULL && name.data != NULL)
        log_unknown_model(model);
    call->exchange->model = model;
    return QR_OK;
}
