/* server/api/openai/openai_models.c: GET /v1/models and /v1/models/{model}.
 *
 *     -> {"object":"list","data":[{"id":"minilm","object":"model","created":1790000000,
 *         "owned_by":"querent"}]}
 *
 * `created` is when the server started: what OpenAI means by it, nobody here knows. */
#include "server/api/call.h"

static void put_model(const qr_api *api, qr_served *served, qr_buf *out) {
    qr_buf_literal(out, "{\"id\":");
    qr_json_text(out, qr_text_of(qr_pipeline_name(served->pipeline)));
    qr_buf_printf(out, ",\"object\":\"model\",\"created\":%llu,\"owned_by\":\"querent\"}",
                  (unsigned long long)(api->created_ns / QR_NS_PER_S));
}

static void encode_list(const qr_api *api, qr_exchange *x) {
    qr_buf_literal(&x->out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < qr_serving_len(x->serving); i++) {
        if (i > 0)
            qr_buf_byte(&x->out, ',');
        put_model(api, qr_serving_at(x->serving, i), &x->out);
    }
    qr_buf_literal(&x->out, "]}");
}

static qr_status find_model(qr__call *call) {
    qr_exchange *x = call->exchange;
    x->model = qr_serving_named(x->serving, x->path_model);
    if (x->model != NULL)
        return QR_OK;
    return qr_serving_named_is_out(x->serving, x->path_model) ? QR_MODEL_OUT : QR_NO_MODEL;
}

static void encode_model(const qr_api *api, qr_exchange *x) {
    put_model(api, x->model, &x->out);
}

#define MODEL                                                                                      \
    QR__S_SHAPE("\"id\",\"object\",\"created\",\"owned_by\"", QR__S_MEMBER("id", QR__S_TEXT),      \
                QR__S_MEMBER("object", QR__S_CONST("model")),                                      \
                QR__S_MEMBER("created", QR__S_COUNT), QR__S_MEMBER("owned_by", QR__S_TEXT))
#define MODELS                                                                                     \
    QR__S_SHAPE("\"object\",\"data\"", QR__S_MEMBER("object", QR__S_CONST("list")),                \
                QR__S_MEMBER("data", QR__S_LIST(MODEL)))

static const char *const list_aliases[] = {"/models", "/v3/models", NULL};
static const char *const model_aliases[] = {"/models/{model}", "/v3/models/{model}", NULL};

static const qr_route rows[] = {
    {
        .method = "GET",
        .pattern = "/v1/models",
        .aliases = list_aliases,
        .summary = "The models that are loaded, for OpenAI's clients",
        .reply = MODELS,
        .flags = QR__ROUTE_MODEL,
        .kinds = QR_ANY_KIND,
        .encode = encode_list,
        .fail = qr__fail_openai,
    },
    {
        .method = "GET",
        .pattern = "/v1/models/{model}",
        .aliases = model_aliases,
        .summary = "One of the models that are loaded",
        .reply = MODEL,
        .flags = QR__ROUTE_MODEL,
        .kinds = QR_ANY_KIND,
        .decode = find_model,
        .encode = encode_model,
        .fail = qr__fail_openai,
    },
};

const qr__routes qr__openai_models_routes = {rows, QR__LENGTH(rows)};
