/* server/api/oip/oip_infer.c: POST /v2/models/{model}/infer.
 *
 *     {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["how tall"]}]}
 *     -> {"model_name":"minilm","model_version":"1",
 *         "outputs":[{"name":"embedding","datatype":"FP32","shape":[1,384],"data":[...]}]}
 *
 * With the binary tensor extension: what has a `binary_data_size` stands behind the JSON, here and
 * in the answer. */
#include "server/api/oip/oip_infer.h"

#define ID_MUST "a text of at most 256 bytes"
_Static_assert(QR_LIMIT_ID_BYTES == 256, "ID_MUST says it");

static const qr__field parameters[] = {
    QR__FLAG("binary_data_output", qr__oip_request, binary_output, false),
    QR__NUMBER("timeout", qr__oip_request, timeout_us, 0, 0, INT64_MAX),
    QR__FLAG("normalize", qr__oip_request, normalize, true),
    QR__DIMENSIONS("dimensions", qr__oip_request, dimensions),
    QR__FLAG("raw_scores", qr__oip_request, raw_scores, false),
    QR__SPAN_FIELDS(qr__oip_request, span),
    QR__CUT_FIELDS(qr__oip_request, cut),
};

#define S_SHAPE QR__S_LIST(QR__S_COUNT)
#define S_DATA  "{\"type\":\"array\"}"
#define S_TENSOR                                                                                   \
    QR__S_SHAPE("\"name\",\"datatype\",\"shape\"", QR__S_MEMBER("name", QR__S_TEXT),               \
                QR__S_MEMBER("datatype", QR__S_TEXT), QR__S_MEMBER("shape", S_SHAPE),              \
                QR__S_MEMBER("parameters", QR__S_ANY_OBJECT), QR__S_MEMBER("data", S_DATA))
#define S_TENSORS QR__S_SOME_LIST(S_TENSOR)
#define S_WISH                                                                                     \
    QR__S_SHAPE("\"name\"", QR__S_MEMBER("name", QR__S_TEXT),                                      \
                QR__S_MEMBER("parameters", QR__S_ANY_OBJECT))
#define S_REPLY                                                                                    \
    QR__S_SHAPE("\"model_name\",\"outputs\"", QR__S_MEMBER("model_name", QR__S_TEXT),              \
                QR__S_MEMBER("model_version", QR__S_TEXT), QR__S_MEMBER("id", QR__S_TEXT),         \
                QR__S_MEMBER("outputs", S_TENSORS))

static const qr__field fields[] = {
    QR__OTHER("inputs", "a list of tensors", S_TENSORS),
    {.name = "outputs",
     .kind = QR__FIELD_OTHER,
     .must = "a list of outputs",
     .schema = QR__S_LIST(S_WISH)},
    QR__OBJECT("parameters", parameters, "an object"),
    {.name = "id", .kind = QR__FIELD_TEXT, .at = offsetof(qr__oip_request, id), .must = ID_MUST},
};

/* Outputs */

static const qr__oip_output *find_output(const qr__oip_request *request, qr_text name) {
    const qr__oip_signature *signature = request->signature;
    for (size_t i = 0; i < request->wishes_len; i++)
        if (qr_text_is(name, request->wishes[i].output->name))
            return NULL;
    for (size_t i = 0; name.data != NULL && i < signature->outputs_len; i++)
        if (qr_text_is(name, signature->outputs[i].name))
            return &signature->outputs[i];
    return NULL;
}

/* Names differ and are known, so there are at most as many wishes as outputs. */
static qr_status read_wish(qr__call *call, const qr__value *value, size_t index) {
    qr__oip_request *request = (qr__oip_request *)call->request;
    const qr_place place = {.field = "outputs", .index = {index}, .depth = 1};
    const qr__value *given = qr__value_get(value, "parameters");
    const qr__value *binary = qr__value_get(given, "binary_data");
    const qr__oip_output *output =
        find_output(request, qr__value_text(qr__value_get(value, "name")));
    qr__oip_wish *wish = &request->wishes[request->wishes_len];
    if (output == NULL)
        return qr__call_must(call, &place, request->signature->answers);
    if (qr__value_get(given, "shared_memory_region") != NULL ||
        qr__value_get(given, "classification") != NULL)
        return qr__call_must(call, &place,
                             "without `classification` and `shared_memory_region`, which this "
                             "server does not have");
    *wish = (qr__oip_wish){.output = output, .binary = request->binary_output};
    request->wishes_len++;
    if (binary != NULL && !qr__value_flag(binary, &wish->binary))
        return qr__call_must(call, &(qr_place){.parent = output->name, .field = "binary_data"},
                             "true or false");
    return QR_OK;
}

static qr_status read_wishes(qr__call *call) {
    static const qr_place place = {.field = "outputs"};
    qr__oip_request *request = (qr__oip_request *)call->request;
    const qr__oip_signature *signature = request->signature;
    const qr__value *outputs = qr__value_get(call->body, "outputs");
    if (outputs != NULL && qr__value_kind_of(outputs) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, fields[1].must);
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < qr__value_len(outputs); i++)
        status = read_wish(call, qr__value_at(outputs, i), i);
    if (status != QR_OK || request->wishes_len > 0)
        return status;
    for (size_t i = 0; i < signature->outputs_len; i++)
        request->wishes[request->wishes_len++] =
            (qr__oip_wish){.output = &signature->outputs[i], .binary = request->binary_output};
    return QR_OK;
}

/* What is left */

static qr_status keep_id(qr__call *call) {
    static const qr_place place = {.field = "id"};
    qr__oip_request *request = (qr__oip_request *)call->request;
    if (request->id.data == NULL)
        return QR_OK;
    if (request->id.len > QR_LIMIT_ID_BYTES)
        return qr__call_must(call, &place, ID_MUST);
    request->id = qr_arena_text(&call->exchange->arena, request->id);
    return request->id.data == NULL ? QR_NO_MEMORY : QR_OK;
}

static qr_status check_dimensions(qr__call *call) {
    static const qr_place place = {.parent = "parameters", .field = "dimensions"};
    const qr__oip_request *request = (const qr__oip_request *)call->request;
    size_t width =
        qr__oip_width(call->exchange->model->pipeline, request->signature->outputs[0].content);
    bool embeds = request->signature->outputs[0].content == QR__OIP_EMBEDDING;
    return !embeds || request->dimensions <= width
               ? QR_OK
               : qr__call_must_within(call, &place, QR__WHOLE_NUMBER, 1, width);
}

static qr_status decode(qr__call *call) {
    qr__oip_request *request = (qr__oip_request *)call->request;
    qr_exchange *x = call->exchange;
    qr__oip_inputs inputs;
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status != QR_OK)
        return status;
    request->signature = qr__oip_signature_of(qr_pipeline_kind(x->model->pipeline));
    if (request->signature == NULL)
        return QR_WRONG_KIND;
    x->timeout_ns = qr_min(request->timeout_us, QR_LIMIT_BUDGET_MS * 1000u) * 1000u;
    status = keep_id(call);
    if (status == QR_OK)
        status = check_dimensions(call);
    if (status == QR_OK)
        status = read_wishes(call);
    if (status == QR_OK)
        status = qr__oip_inputs_read(call, request->signature, &inputs);
    return status == QR_OK ? qr__oip_jobs(call, &inputs) : status;
}

static const char *const infer_aliases[] = {"/v2/models/{model}/versions/1/infer", NULL};

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/v2/models/{model}/infer",
        .aliases = infer_aliases,
        .summary = "What a model makes of tensors, in the Open Inference Protocol",
        .reply = S_REPLY,
        .example = "{\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":"
                   "[\"how tall is mount everest\"]}]}",
        .flags = QR__ROUTE_MODEL | QR__ROUTE_ANY | QR__ROUTE_TENSORS,
        .kinds = QR_KIND_BIT(QR_KIND_EMBEDDING) | QR_KIND_BIT(QR_KIND_SPAN) |
                 QR_KIND_BIT(QR_KIND_CLASSIFIER) | QR_KIND_BIT(QR_KIND_RERANKER),
        .accepts = QR__JSON,
        .request_bytes = sizeof(qr__oip_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = qr__oip_answer,
        .fail = qr__fail_oip,
        .refusal = QR_BAD_TENSOR,
    },
};

const qr__routes qr__oip_infer_routes = {rows, QR__LENGTH(rows)};
