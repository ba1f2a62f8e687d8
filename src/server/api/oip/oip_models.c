/* server/api/oip/oip_models.c: GET /v2 and what it says of models: metadata, configuration, ready.
 *
 *     /v2/models/minilm -> {"name":"minilm","versions":["1"],"platform":"querent",
 *                           "inputs":[{"name":"text","datatype":"BYTES","shape":[-1]},...],
 *                           "outputs":[{"name":"embedding","datatype":"FP32","shape":[-1,384]}]}
 */
#include "server/api/oip/oip_signature.h"

/* What is served of the protocol's and Triton's extensions, by Triton's names. */
static const char *const extensions[] = {
    "binary_tensor_data",
    "model_configuration",
    "parameters",
};

static void encode_server(const qr_api *api, qr_exchange *x) {
    (void)api;
    qr_buf_literal(&x->out, "{\"name\":\"querent\",\"version\":\"" QR_VERSION "\",\"extensions\":");
    for (size_t i = 0; i < QR__LENGTH(extensions); i++)
        qr_buf_printf(&x->out, "%c\"%s\"", i == 0 ? '[' : ',', extensions[i]);
    if ((x->listeners & QR_LISTENER_ADMIN) != 0) /* where --admin has its routes */
        qr_buf_literal(&x->out, ",\"model_repository\"");
    qr_buf_literal(&x->out, "]}");
}

/* Models that are being loaded are not known yet. */
static qr_status find_model(qr__call *call) {
    if (call->exchange->serving == NULL)
        return QR_NOT_READY;
    return qr__call_model(call, QR__UNKNOWN_REFUSED);
}

static qr_status find_described(qr__call *call) {
    qr_status status = find_model(call);
    if (status != QR_OK)
        return status;
    return qr__oip_signature_of(qr_pipeline_kind(call->exchange->model->pipeline)) == NULL
               ? QR_WRONG_KIND
               : QR_OK;
}

static qr_status find_ready(qr__call *call) {
    const qr_api_hooks *hooks = &call->api->options.hooks;
    qr_status status = find_model(call);
    if (status == QR_OK && hooks->ready != NULL && !hooks->ready(hooks->state))
        status = QR_NOT_READY;
    return status;
}

static void put_name(qr_exchange *x) {
    qr_buf_literal(&x->out, "{\"name\":");
    qr_json_text(&x->out, qr_text_of(qr_pipeline_name(x->model->pipeline)));
}

static void encode_ready(const qr_api *api, qr_exchange *x) {
    (void)api;
    put_name(x);
    qr_buf_literal(&x->out, ",\"ready\":true}");
}

/* One table of words for each of the two descriptions. */
typedef struct wording {
    const char *inputs, *outputs, *datatype, *shape;
    bool config;
} wording;

/* Triton's configurations call the types of metadata otherwise. */
static const char *type_name(const wording *words, const char *datatype) {
    if (!words->config)
        return datatype;
    if (strcmp(datatype, "BYTES") == 0)
        return "TYPE_STRING";
    if (strcmp(datatype, "INT64") == 0)
        return "TYPE_INT64";
    return strcmp(datatype, "INT32") == 0 ? "TYPE_INT32" : "TYPE_FP32";
}

static void put_head(qr_buf *out, const wording *words, const char *name, const char *datatype) {
    qr_buf_printf(out, "{\"name\":\"%s\",\"%s\":\"%s\",\"%s\":[-1", name, words->datatype,
                  type_name(words, datatype), words->shape);
}

static void put_tensors(qr_exchange *x, const wording *words) {
    const qr_pipeline *model = x->model->pipeline;
    const qr__oip_signature *signature = qr__oip_signature_of(qr_pipeline_kind(model));
    qr_buf *out = &x->out;
    qr_buf_printf(out, ",\"%s\":[", words->inputs);
    for (size_t i = 0; i < signature->inputs_len; i++) {
        const qr__oip_input *input = &signature->inputs[i];
        bool texts = input->role < QR__OIP_IDS;
        qr_buf_append(out, ",", i > 0);
        put_head(out, words, input->name, texts ? "BYTES" : "INT64");
        qr_buf_text(out, qr_text_of(texts ? "]" : ",-1]"));
        if (words->config && input->optional)
            qr_buf_literal(out, ",\"optional\":true");
        qr_buf_byte(out, '}');
    }
    qr_buf_printf(out, "],\"%s\":[", words->outputs);
    for (size_t i = 0; i < signature->outputs_len; i++) {
        const qr__oip_output *output = &signature->outputs[i];
        size_t width = qr__oip_width(model, output->content);
        qr_buf_append(out, ",", i > 0);
        put_head(out, words, output->name, qr__oip_datatype(output->content));
        if (width > 0)
            qr_buf_printf(out, ",%zu", width);
        qr_buf_literal(out, "]}");
    }
    qr_buf_literal(out, "]}");
}

static void encode_metadata(const qr_api *api, qr_exchange *x) {
    static const wording words = {"inputs", "outputs", "datatype", "shape", false};
    (void)api;
    put_name(x);
    qr_buf_literal(&x->out, ",\"versions\":[\"" QR__OIP_VERSION "\"],\"platform\":\"querent\"");
    put_tensors(x, &words);
}

/* max_batch_size 0: shapes are whole, with the number of inputs in front. */
static void encode_config(const qr_api *api, qr_exchange *x) {
    static const wording words = {"input", "output", "data_type", "dims", true};
    (void)api;
    put_name(x);
    qr_buf_literal(&x->out, ",\"platform\":\"querent\",\"backend\":\"querent\","
                            "\"version_policy\":{\"latest\":{\"num_versions\":1}},"
                            "\"max_batch_size\":0");
    put_tensors(x, &words);
}

static const char *const metadata_aliases[] = {"/v2/models/{model}/versions/1", NULL};
static const char *const ready_aliases[] = {"/v2/models/{model}/versions/1/ready", NULL};
static const char *const config_aliases[] = {"/v2/models/{model}/versions/1/config", NULL};

#define S_TENSORS QR__S_LIST(QR__S_ANY_OBJECT)
#define S_SERVER                                                                                   \
    QR__S_SHAPE("\"name\",\"version\",\"extensions\"", QR__S_MEMBER("name", QR__S_TEXT),           \
                QR__S_MEMBER("version", QR__S_TEXT),                                               \
                QR__S_MEMBER("extensions", QR__S_LIST(QR__S_TEXT)))
#define S_MODEL                                                                                    \
    QR__S_SHAPE("\"name\",\"platform\",\"inputs\",\"outputs\"", QR__S_MEMBER("name", QR__S_TEXT),  \
                QR__S_MEMBER("versions", QR__S_LIST(QR__S_TEXT)),                                  \
                QR__S_MEMBER("platform", QR__S_TEXT), QR__S_MEMBER("inputs", S_TENSORS),           \
                QR__S_MEMBER("outputs", S_TENSORS))
#define S_READY                                                                                    \
    QR__S_SHAPE("\"name\",\"ready\"", QR__S_MEMBER("name", QR__S_TEXT),                            \
                QR__S_MEMBER("ready", QR__S_FLAG))

static const qr_route rows[] = {
    {
        .method = "GET",
        .pattern = "/v2",
        .summary = "The server's name, version and extensions, in the Open Inference Protocol",
        .reply = S_SERVER,
        .encode = encode_server,
        .fail = qr__fail_oip,
    },
    {
        .method = "GET",
        .pattern = "/v2/models/{model}",
        .aliases = metadata_aliases,
        .summary = "A model's tensors",
        .reply = S_MODEL,
        .kinds = QR_ANY_KIND,
        .decode = find_described,
        .encode = encode_metadata,
        .fail = qr__fail_oip,
    },
    {
        .method = "GET",
        .pattern = "/v2/models/{model}/ready",
        .aliases = ready_aliases,
        .summary = "200 when the model answers",
        .reply = S_READY,
        .kinds = QR_ANY_KIND,
        .decode = find_ready,
        .encode = encode_ready,
        .fail = qr__fail_oip,
    },
    {
        .method = "GET",
        .pattern = "/v2/models/{model}/config",
        .aliases = config_aliases,
        .summary = "A model's tensors, as Triton's model configuration extension has them",
        .reply = QR__S_ANY_OBJECT,
        .kinds = QR_ANY_KIND,
        .decode = find_described,
        .encode = encode_config,
        .fail = qr__fail_oip,
    },
};

const qr__routes qr__oip_models_routes = {rows, QR__LENGTH(rows)};
