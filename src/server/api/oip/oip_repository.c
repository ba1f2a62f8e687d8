/* server/api/oip/oip_repository.c: Triton's model repository extension: what is configured, a model
 * loaded again, a model taken out.
 *
 *     POST /v2/repository/index                        -> [{"name":"minilm","version":"1",
 *                                                           "state":"READY","reason":""}]
 *     POST /v2/repository/models/minilm/load           -> 200, when it answers
 *     POST /v2/repository/models/minilm/unload         -> 200, when it does not any more
 *
 * A body may be left out. Nothing of it can say where a model comes from, or how it runs. */
#include "server/api/call.h"

typedef struct index_request {
    qr__decoded head;
    bool ready; /* only those that are */
} index_request;

static qr_status must(qr__call *call, const char *field, const char *must) {
    const qr_place place = {.field = field};
    return qr__call_must(call, &place, must);
}

/* *body: NULL without one. */
static qr_status parse(qr__call *call, qr__value **body) {
    qr_exchange *x = call->exchange;
    *body = NULL;
    if (x->body.len == 0)
        return QR_OK;
    qr_status status = qr__value_parse(qr_buf_contents(&x->body), &call->tree, body, &x->fault);
    if (status == QR_OK && qr__value_kind_of(*body) != QR__VALUE_OBJECT)
        status = must(call, NULL, "a JSON object");
    return status;
}

static qr_status decode_index(qr__call *call) {
    index_request *request = (index_request *)call->request;
    qr__value *body;
    qr_status status = parse(call, &body);
    const qr__value *ready = status == QR_OK && body != NULL ? qr__value_get(body, "ready") : NULL;
    if (call->exchange->serving == NULL)
        status = QR_NOT_READY;
    if (ready != NULL && !qr__value_flag(ready, &request->ready))
        status = must(call, "ready", "true or false");
    qr__value_free(body, &call->tree);
    return status;
}

static void encode_index(const qr_api *api, qr_exchange *x) {
    const qr_api_hooks *hooks = &api->options.hooks;
    const index_request *request = x->decoded;
    if (hooks->models != NULL)
        hooks->models(hooks->state, request->ready, &x->out);
}

/* Triton's parameters of a load are a model's configuration and its files. */
static qr_status decode_load(qr__call *call) {
    qr__value *body;
    qr_status status = parse(call, &body);
    if (status == QR_OK && body != NULL && qr__value_get(body, "parameters") != NULL)
        status = must(call, "parameters",
                      "left out: a model is loaded from its path of the server's start");
    qr__value_free(body, &call->tree);
    call->exchange->command = QR_COMMAND_LOAD;
    return status;
}

/* Its one parameter, unload_dependents, is about models that are made of others. */
static qr_status decode_unload(qr__call *call) {
    qr__value *body;
    qr_status status = parse(call, &body);
    qr__value_free(body, &call->tree);
    call->exchange->command = QR_COMMAND_UNLOAD;
    return status;
}

static void encode_done(const qr_api *api, qr_exchange *x) {
    (void)api;
    qr_buf_literal(&x->out, "{}");
}

#define S_MODEL                                                                                    \
    QR__S_OBJECT(                                                                                  \
        QR__S_MEMBER("name", QR__S_TEXT) "," QR__S_MEMBER("version", QR__S_TEXT) "," QR__S_MEMBER( \
            "state", QR__S_TEXT) "," QR__S_MEMBER("reason", QR__S_TEXT))

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/v2/repository/index",
        .summary = "All configured models and their states",
        .reply = QR__S_LIST(S_MODEL),
        .flags = QR__ROUTE_ADMIN,
        .request_bytes = sizeof(index_request),
        .refusal = QR_BAD_TENSOR,
        .decode = decode_index,
        .encode = encode_index,
        .fail = qr__fail_oip,
    },
    {
        .method = "POST",
        .pattern = "/v2/repository/models/{model}/load",
        .summary = "Loads a model again from its directory or .onnx file",
        .reply = QR__S_ANY_OBJECT,
        .flags = QR__ROUTE_ADMIN,
        .refusal = QR_BAD_TENSOR,
        .decode = decode_load,
        .encode = encode_done,
        .fail = qr__fail_oip,
    },
    {
        .method = "POST",
        .pattern = "/v2/repository/models/{model}/unload",
        .summary = "Takes a model out, until it is loaded again",
        .reply = QR__S_ANY_OBJECT,
        .flags = QR__ROUTE_ADMIN,
        .refusal = QR_BAD_TENSOR,
        .decode = decode_unload,
        .encode = encode_done,
        .fail = qr__fail_oip,
    },
};

const qr__routes qr__oip_repository_routes = {rows, QR__LENGTH(rows)};
