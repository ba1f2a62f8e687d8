/* server/api/ollama/ollama_models.c: GET /api/tags and /api/version: Ollama's clients look there
 * for a model before they use it.
 *
 *     -> {"models":[{"name":"minilm:latest","model":"minilm:latest",
 *         "modified_at":"2026-11-30T20:00:00Z","size":35000000,
 *         "details":{"family":"BertModel","parameter_size":"22.7M","quantization_level":"int8"}}]}
 *
 * `modified_at` is when the server started, `size` what the packed weights take. */
#include "server/api/call.h"

#include <stdio.h>
#include <time.h>

static void put_time(qr_buf *out, uint64_t since_1970_ns) {
    const time_t seconds = (time_t)(since_1970_ns / QR_NS_PER_S);
    struct tm utc;
    char text[sizeof "2026-11-30T20:00:00Z"] = "";
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    qr_json_text(out, qr_text_of(text));
}

static void put_model(const qr_api *api, const qr_pipeline *model, qr_buf *out) {
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(model));
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(model));
    /* With the tag that clients look for when they name none. */
    const char *name = qr_pipeline_name(model), *tag = strchr(name, ':') == NULL ? ":latest" : "";
    char tagged[QR_LIMIT_MODEL_NAME + sizeof ":latest"];
    snprintf(tagged, sizeof tagged, "%s%s", name, tag);
    qr_buf_literal(out, "{\"name\":");
    qr_json_text(out, qr_text_of(tagged));
    qr_buf_literal(out, ",\"model\":");
    qr_json_text(out, qr_text_of(tagged));
    qr_buf_literal(out, ",\"modified_at\":");
    put_time(out, api->created_ns);
    qr_buf_printf(out, ",\"size\":%zu,\"details\":{\"family\":", plan->weight_bytes);
    qr_json_text(out, qr_text_of(about->architecture));
    qr_buf_printf(out, ",\"parameter_size\":\"%.1fM\",\"quantization_level\":\"%s\"}}",
                  (double)about->parameters / 1e6, qr_precision_name(plan->precision));
}

static void encode_tags(const qr_api *api, qr_exchange *x) {
    qr_buf_literal(&x->out, "{\"models\":[");
    for (size_t i = 0; i < qr_serving_len(x->serving); i++) {
        if (i > 0)
            qr_buf_byte(&x->out, ',');
        put_model(api, qr_serving_at(x->serving, i)->pipeline, &x->out);
    }
    qr_buf_literal(&x->out, "]}");
}

static void encode_version(const qr_api *api, qr_exchange *x) {
    (void)api;
    qr_buf_literal(&x->out, "{\"version\":\"" QR_VERSION "\"}");
}

#define TEXT(name) QR__S_MEMBER(name, QR__S_TEXT)
#define MODEL                                                                                      \
    QR__S_SHAPE(                                                                                   \
        "\"name\",\"model\",\"modified_at\",\"size\",\"details\"",                                 \
        QR__S_JOIN(TEXT("name"), TEXT("model"), TEXT("modified_at")),                              \
        QR__S_MEMBER("size", QR__S_COUNT),                                                         \
        QR__S_MEMBER("details", QR__S_OBJECT(QR__S_JOIN(TEXT("family"), TEXT("parameter_size"),    \
                                                        TEXT("quantization_level")))))

static const qr_route rows[] = {
    {
        .method = "GET",
        .pattern = "/api/tags",
        .summary = "The models that are loaded, for Ollama's clients",
        .reply = QR__S_SHAPE("\"models\"", QR__S_MEMBER("models", QR__S_LIST(MODEL))),
        .flags = QR__ROUTE_MODEL,
        .kinds = QR_ANY_KIND,
        .encode = encode_tags,
        .fail = qr__fail_tei,
    },
    {
        .method = "GET",
        .pattern = "/api/version",
        .summary = "querent's version, where Ollama's clients look for one",
        .reply = QR__S_SHAPE("\"version\"", TEXT("version")),
        .encode = encode_version,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__ollama_models_routes = {rows, QR__LENGTH(rows)};
